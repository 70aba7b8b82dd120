#!/bin/sh
# SPDX-License-Identifier: MIT
# Charts of "iogate bench --plot": what is drawn, and what is said when it cannot be. Usage: plot_test.sh IOGATE
set -u

# It is also run from another directory.
iogate=$(realpath "$1")
if ! command -v gnuplot >/dev/null; then
	echo "gnuplot is not here: apt-get install gnuplot-nox"
	exit 77
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0
checks=0

fail() {
	failed=$((failed + 1))
	echo "FAILED: $*"
	sed 's/^/    stdout: /' "$work/out" | head -5
	sed 's/^/    stderr: /' "$work/err" | head -5
}

# plot CODE PATTERN ARGUMENT...: the exit code is CODE, and PATTERN (extended) is found in stderr, or in stdout when the code is 0.
plot() {
	code=$1
	pattern=$2
	shift 2
	checks=$((checks + 1))
	"$iogate" bench --runs 1 "$@" >"$work/out" 2>"$work/err" </dev/null
	got=$?
	if [ "$code" -eq 0 ]; then said=$work/out; else said=$work/err; fi
	if [ "$got" -ne "$code" ]; then
		fail "$* (exit $got, not $code)"
	elif ! grep -Eq -e "$pattern" "$said"; then
		fail "$* (\"$pattern\" is not said)"
	fi
}

# The three files are whole, name every case and the title's parts, and agree with the JSON on the last stdout if told so. whole DIR FORMAT [json]
whole() {
	checks=$((checks + 1))
	[ "$(ls "$1" | tr '\n' ' ')" = 'bench.png bench.svg bench.tsv ' ] || fail "what is in $1: $(ls "$1")"
	python3 - "$work/out" "$@" <<'END' || fail "the files in $1"
import json, struct, sys, xml.etree.ElementTree as tree
out, where, page_format = sys.argv[1:4]
rows = [line.rstrip('\n').split('\t') for line in open(where + '/bench.tsv')]
assert rows[0] == ['case', 'baseline', 'unit', 'runs', 'min', 'median', 'max'], rows
assert [row[:4] for row in rows[1:]] == [['pt_lookup_1m', 'pt_lookup_1m_none', 'ns', '1'], ['pt_lookup_1m_none', '', 'ns', '1']], rows
assert all(0 < float(row[4]) <= float(row[5]) <= float(row[6]) for row in rows[1:]), rows
png = open(where + '/bench.png', 'rb').read()
width, height = struct.unpack('>II', png[16:24])
assert png[:8] == b'\x89PNG\r\n\x1a\n' and png[-8:-4] == b'IEND' and width > 1000 and height > 200, (width, height)
svg = tree.parse(where + '/bench.svg').getroot()
texts = [''.join(element.itertext()).strip() for element in svg.iter('{http://www.w3.org/2000/svg}text')]
figures = [float(text) for text in texts if '.' in text and text.replace('.', '').isdigit()]
for row in rows[1:]:
    assert row[0] in texts and any(abs(figure - float(row[5])) < 0.06 for figure in figures), texts
assert any('0.' in text and page_format in text and '1 run of each' in text for text in texts), texts
markup = open(where + '/bench.svg').read()
assert markup.count('47, 111, 159') >= 2 and markup.count('201, 178, 124') >= 2, 'two colours, in a bar and in the legend'
if len(sys.argv) > 4:
    cases = json.load(open(out))['cases']
    assert [(case['name'], '%.3f' % case['median']) for case in cases] == [(row[0], row[5]) for row in rows[1:]], cases
END
}

# A name with all that a shell or gnuplot would take for something else.
directory="$work/it's \"a\" \$HOME %s"
plot 0 '^Charts: bench.png and bench.svg in ' --plot "$directory" pt_lookup_1m
whole "$directory" vtdss
# Again, into the same place.
cp "$directory/bench.svg" "$work/before.svg"
plot 0 '^{' --json --format x86_64 --plot "$directory" pt_lookup_1m
whole "$directory" x86_64 json
checks=$((checks + 1))
cmp -s "$directory/bench.svg" "$work/before.svg" && fail 'an old chart was not replaced'

# Counts are no bars.
plot 1 'nothing to draw' --plot "$work/counts" pool_flushes

plot 2 'wants a value' --plot
plot 2 'name of a directory' --plot ''
: >"$work/file"
plot 1 "cannot open the directory $work/file: Not a directory" --plot "$work/file" pt_lookup_1m
plot 1 "cannot create the directory $work/no/where: No such file" --plot "$work/no/where" pt_lookup_1m
checks=$((checks + 1))
[ -s "$work/out" ] && fail 'it was measured though nothing could be drawn'
mkdir -p "$work/taken/bench.png"
plot 1 "cannot replace $work/taken/bench.png: " --plot "$work/taken" pt_lookup_1m
mkdir -p "$work/blocked/bench.tsv.new"
plot 1 "cannot create $work/blocked/bench.tsv.new: " --plot "$work/blocked" pt_lookup_1m

# Programs of that name which fail: the old charts stay, the report is printed all the same. stand_in SCRIPT
mkdir "$work/bin"
stand_in() {
	printf '#!/bin/sh\n%s\n' "$1" >"$work/bin/gnuplot"
	chmod +x "$work/bin/gnuplot"
}
broken() {
	cp "$directory/bench.png" "$work/before.png"
	stand_in "$1"
	PATH=$work/bin:$PATH plot 1 "$2" --plot "$directory" pt_lookup_1m
	checks=$((checks + 1))
	grep -q '^pt_lookup_1m ' "$work/out" || fail 'the report is missing'
	cmp -s "$directory/bench.png" "$work/before.png" || fail 'an old chart is gone'
	[ -e "$directory/bench.png.new" ] && fail 'half a chart was left'
}
broken 'printf "\n  set x\n  ^\nline 0: bad\tthing\n" >&2; exit 2' 'gnuplot failed with exit code 2: set x \^ line 0: bad thing$'
broken 'exit 2' 'it did not say why'
broken 'echo half' 'left no whole file'
broken 'kill -9 $$' 'ended by signal 9'
# Nor is one taken from the current directory.
checks=$((checks + 1))
(cd "$work/bin" && PATH=:. "$iogate" bench --runs 1 --plot "$work/never" pt_lookup_1m >"$work/out" 2>"$work/err")
[ $? -eq 3 ] || fail 'a program in the current directory was run'

echo "$checks checks, $failed failed"
[ "$failed" -eq 0 ]
