#!/bin/sh
# SPDX-License-Identifier: MIT
# "iogate explain --dump" of a real guest's memory lists exactly what its kernel had mapped, by its own trace. Usage: dump_test.sh IOGATE DUMP LIST
#
# LIST has lines "[domain] device iova paddr size". The kernel's map calls and runs of page-table entries are cut differently, so that pages are compared.
set -u

iogate=$1
dump=$2
list=$3
if [ ! -e "$dump" ] || [ ! -e "$list" ]; then
	echo "no $dump: IOG_TRACES names the directory of recorded traces, whose subdirectory dump has it"
	exit 77
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$iogate" explain --memory "$dump" --unit vtd --root 0x261e000 --dump >"$work/text" || exit 1
"$iogate" explain --memory "$dump" --unit vtd --root 0x261e000 --dump --json >"$work/json" || exit 1
"$iogate" explain --memory "$dump" --unit vtd --root 0x261e000 --device 00:1f.3 --dump >"$work/shared" || exit 1
python3 - "$work" "$list" <<'EOP'
import json, sys
work, path = sys.argv[1:]

def pages(rows):
    found = {}
    for device, iova, paddr, size in rows:
        for offset in range(0, size, 4096):
            assert (device, iova + offset) not in found, 'listed twice'
            found[device, iova + offset] = paddr + offset
    return found

def rows(name):
    for line in open(name):
        if not line.startswith('#'):
            yield line.split()

wanted = pages((r[-4], int(r[-3], 16), int(r[-2], 16), int(r[-1])) for r in rows(path))
text = pages((r[0], int(r[1], 16), int(r[2], 16), int(r[3])) for r in rows(work + '/text'))
report = json.load(open(work + '/json'))
reported = pages((m['device'], int(m['iova'], 16), int(m['paddr'], 16), m['size']) for m in report['mappings'])
assert len(wanted) == 6284, len(wanted)
assert text == wanted, 'text: %d pages missing, %d too many' % (len(wanted.items() - text.items()), len(text.items() - wanted.items()))
assert reported == wanted and not report['partial'] and not report['problems']
states = {d['device']: d for d in report['devices']}
assert states['00:1f.2']['shared_with'] == '00:1f.0' and states['00:04.0']['bytes'] == 0
assert sum(d['bytes'] for d in report['devices']) == 6284 * 4096
assert {m['prot'] for m in report['mappings'] if m['device'] == '00:03.0'} == {'rw', 'r'}
shared = pages((r[0], int(r[1], 16), int(r[2], 16), int(r[3])) for r in rows(work + '/shared'))
assert shared == {('00:1f.3', i): i for i in range(0, 16 << 20, 4096)}
print('%d pages' % len(text))
EOP
