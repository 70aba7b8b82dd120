#!/bin/sh
# SPDX-License-Identifier: MIT
# dump_test.sh with the whole dump, which is in the directory dump beside the recorded traces. Usage: dump_whole_test.sh IOGATE SOURCE DUMP_TEST
dump=${IOG_TRACES:-$2/../shared/data}/dump
exec "$3" "$1" "$dump/vtd-legacy.elf.xz" "$dump/live_by_domain.txt"
