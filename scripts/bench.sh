#!/usr/bin/env bash
# The figures of docs/BENCHMARKS.md, on this machine, as Markdown.
#
#   SPAN=20s   how long each load lasts
#   SOAK=0     comparisons of the memory test; the recorded one has 100000
#   PAIRS=DIR  a folder with pairs.csv
set -euo pipefail
cd "$(dirname "$0")/.."
pairs=${PAIRS:-../shared/eval/lfw}

echo "## Server"
echo
bin/shiren bench http --for "${SPAN:-20s}" --soak "${SOAK:-0}"
bin/shiren bench http --protocol juhe --for "${SPAN:-20s}"
echo
echo "## Faces"
echo
if [[ -f $pairs/pairs.csv ]]; then
	echo "\`bin/shiren bench faces $pairs\`"
	echo
	echo '```'
	bin/shiren bench faces "$pairs"
	echo '```'
else
	echo "Skipped: there is no $pairs/pairs.csv. Set PAIRS to a folder that has one."
fi
echo
echo "## Parts"
echo
echo '```'
go test -run '^$' -bench . -benchmem ./internal/... ./api/... | grep -E '^(Benchmark|pkg:)'
echo '```'
