#!/bin/sh
# SPDX-License-Identifier: MIT
# The stress run on a driver, against QEMU's model: no violation, nothing left but the root, and every spot check was made.
# Usage: stress_judge.sh IOGATE MODEL FORMAT SIZE
set -eu
iogate=$1
model=$2
format=$3
space=$4

for mode in strict deferred held; do
	status=0
	report=$("$iogate" stress --device "qemu:$model" --format "$format" -s "$space" --inval $mode --json 2>&1) || status=$?
	if [ "$status" -eq 3 ]; then
		echo "$report" | head -n 1
		exit 77
	fi
	for wanted in '"violations": 0' '"partial": false' "\"device\": \"qemu:$model\""; do
		if [ "$status" -ne 0 ] || ! echo "$report" | grep -q "$wanted"; then
			echo "status $status, and not $wanted: $report"
			exit 1
		fi
	done
	echo "$report" | python3 -c '
import json, sys
run = json.load(sys.stdin)["runs"][0]
checks = run["pairs"] // 256
assert run["pairs"] == run["iova_space"] // 2097152, run
assert run["dma_landed"] == 2 * checks and run["dma_faulted"] == checks, run
assert run["table_bytes_end"] <= 65536 and run["table_bytes_peak"] < (1 if run["inval"] == "strict" else 2) << 20, run
print(run["inval"], run["pairs"], "pairs,", run["inval_commands"], "commands,", run["mmio_writes"], "register writes,", run["mmio_reads"], "reads")
'
done
