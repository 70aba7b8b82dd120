#!/bin/sh
# SPDX-License-Identifier: MIT
# Recorded traces, whole: the reader's figures are those counted when they were recorded, and every replay is clean: at the recorded addresses, and as calls of the DMA
# API, after which everything has come back. Usage: traces_test.sh IOGATE SOURCE [all]: all traces and policies, by one lane and by several, which takes minutes; otherwise
# two traces: one of a driver that maps lists, and one of large mappings.
#
# The traces are in the directory IOG_TRACES, or in shared/data beside the source tree. They are not part of it: tens of megabytes.
set -u

iogate=$1
traces=${IOG_TRACES:-$2/../shared/data}
if ! ls "$traces"/*.trace.gz >/dev/null 2>&1; then
	echo "no *.trace.gz in $traces: name their directory in IOG_TRACES"
	exit 77
fi
if [ "${3-}" = all ]; then
	lanes='1 64'
	policies='tree magazine pooled identity window'
	modes='strict deferred'
else
	lanes=3
	policies='identity window'
	modes=deferred
fi
report=$(mktemp)
trap 'rm -f "$report"' EXIT
failed=0
found=0

# name events maps unmaps live_peak_maps live_peak_pages live_end_maps live_end_pages regions_2m unmaps_of_several unmap_most_maps
while read -r name figures; do
	[ -e "$traces/$name.trace.gz" ] || continue
	case $name in
	nvme-seqwrite.lazy | vfio-stress-g.strict) ;;
	*) [ "${3-}" = all ] || continue ;;
	esac
	found=$((found + 1))
	if ! "$iogate" replay --json --policy recorded+strict --policy recorded+deferred "$traces/$name.trace.gz" >"$report"; then
		echo "FAILED: $name"
		failed=$((failed + 1))
		continue
	fi
	python3 - "$report" "$figures" <<'EOF' || { echo "FAILED: $name"; failed=$((failed + 1)); }
import json, sys
report = json.load(open(sys.argv[1]))
wanted = [int(n) for n in sys.argv[2].split()]
trace = report['traces'][0]
assert len(report['policies']) == 2
for policy in report['policies']:
    got = [policy[k] for k in ('events', 'maps', 'unmaps', 'live_peak_maps', 'live_peak_pages', 'live_end_maps', 'live_end_pages', 'regions_2m')]
    got += [trace['unmaps_of_several'], trace['unmap_most_maps']]
    if got != wanted or policy['violations'] or policy['partial']:
        sys.exit('%s: %s, not %s; %d violations' % (policy['policy'], got, wanted, policy['violations']))
    if not policy['live_end_maps'] and policy['table_bytes_end'] != 4096:
        sys.exit('%s: %d bytes of tables left' % (policy['policy'], policy['table_bytes_end']))
print('ok', trace['trace'].split('/')[-1], *wanted)
EOF
	# The same as calls of the DMA API.
	arguments=
	for policy in $policies; do
		for mode in $modes; do
			arguments="$arguments --policy $policy+$mode"
		done
	done
	for threads in $lanes; do
		# shellcheck disable=SC2086
		if ! "$iogate" replay --json --mode dma --threads "$threads" $arguments "$traces/$name.trace.gz" >"$report"; then
			echo "FAILED: $name by the DMA API, $threads lanes"
			failed=$((failed + 1))
			continue
		fi
		python3 - "$report" "$figures" <<'EOF' || { echo "FAILED: $name by the DMA API, $threads lanes"; failed=$((failed + 1)); }
import json, sys
report = json.load(open(sys.argv[1]))
wanted = [int(n) for n in sys.argv[2].split()]
for policy in report['policies']:
    got = [policy[k] for k in ('events', 'maps', 'unmaps', 'live_peak_maps', 'live_peak_pages', 'live_end_maps', 'live_end_pages', 'regions_2m')]
    if got != wanted[:8] or policy['violations'] or policy['partial'] or policy['leaks'] or policy['iova']['live_bytes_end'] or policy['table_bytes_end'] != 4096:
        sys.exit(str(policy))
    print('ok', policy['trace'].split('/')[-1], policy['policy'], policy['threads'], 'lanes')
EOF
	done
done <<'END'
nvme-randread.strict 390040 195026 195014 20 92 12 84 1 0 0
nvme-seqwrite.strict 353100 319671 33429 447 1460 65 84 6 12601 32
nvme-seqwrite.lazy 220393 187019 33374 219 1396 69 84 42 11102 32
nic-download.strict 355638 177948 177690 261 350 258 348 2 0 0
nic-mixed.lazy 400000 200132 199868 414 505 264 353 5 0 0
vfio-stress.strict 288551 144275 144276 1 2 0 0 144275 0 0
vfio-stress-g.strict 231391 115694 115697 17 16384 0 0 32799 0 0
END
echo "$found traces, $failed failed"
[ "$found" -gt 0 ] && [ "$failed" -eq 0 ]
