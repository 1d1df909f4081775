#!/usr/bin/env bash
# Everything that must hold: lint, import rules, the pages, unit and conformance tests
# under the race detector, and walks in a browser beside them. Runs all of it even when
# something fails, ends with counts, and fails if anything did.
set -uo pipefail
cd "$(dirname "$0")/.." || exit
started=$SECONDS
mkdir -p bin
work=$(mktemp -d)
walks='' whole=''
trap 'kill -- ${walks:+"-$walks"} ${whole:+"-$whole"} 2>/dev/null; rm -rf "$work"' EXIT

failed=() unsteady=() passed=0 skipped=0 broken=0

# check NAME COMMAND...: one check; its output is shown only when it fails.
check() {
	local name=$1 at=$SECONDS
	shift
	if "$@" >"$work/out" 2>&1; then
		((passed += 1))
		printf 'ok    %-28s %ss\n' "$name" $((SECONDS - at))
	else
		((broken += 1))
		failed+=("$name")
		printf 'FAIL  %-28s %ss\n' "$name" $((SECONDS - at))
		sed 's/^/      /' "$work/out"
	fi
}

# Without these nothing below means anything, so a failure here ends the run.
# Compilers and downloads leave each other room.
make --no-print-directory setup-test || exit 1
make --no-print-directory -j4 build tools models-test e2e/client/node_modules/.package-lock.json e2e/smclient/node_modules/.package-lock.json || exit 1
tools=$PWD/bin/tools

# go_tests NAME WHAT PACKAGES FLAGS... : one run of tests; tally NAME adds its counts to the others'.
# gotestsum tells its counts to the command that it runs afterwards. Vet has its own check.
# What plays before cameras in real time, waits for other programs, or is slowed by the race
# detector may fail for want of a processor: a few such tests are run once more by themselves
# and named at the end. After a race nothing is run again.
cat >"$work/counts.sh" <<'COUNTS'
#!/bin/sh
echo "$TESTS_TOTAL $TESTS_FAILED $TESTS_SKIPPED $TESTS_ERRORS" >"$SHIREN_TEST_COUNTS"
COUNTS
chmod +x "$work/counts.sh"
go_tests() {
	echo "$2"
	SHIREN_TEST_COUNTS=$work/$1 "$tools/gotestsum" --format pkgname --format-hide-empty-pkg --packages "$3" --post-run-command "$work/counts.sh" \
		--rerun-fails=1 --rerun-fails-max-failures=6 --rerun-fails-abort-on-data-race --rerun-fails-report "$work/$1.again" -- -vet=off -timeout 25m "${@:4}" || touch "$work/$1.failed"
}
tally() {
	local total bad skip errors
	[[ ! -e $work/$1.failed ]] || failed+=("$1")
	read -r total bad skip errors <"$work/$1" || { total=0 bad=1 skip=0 errors=0; }
	((passed += total - bad - skip))
	((skipped += skip))
	if [[ -e $work/$1.failed ]]; then
		((broken += bad + errors))
	elif [[ -s $work/$1.again ]]; then # what is counted as bad passed the second time
		unsteady+=("$(sed 's/^/  /' "$work/$1.again")")
	fi
}

# What people do before a camera takes its time, however fast the machine, and must not be
# hurried: it begins at once, and all else has only what it leaves of the processors.
# These tests take turns by themselves.
set -m # process groups of their own, so that they end with this script
go_tests walks "walks in a browser, in real time:" ./e2e -parallel 16 >"$work/walks.out" 2>&1 &
walks=$!
renice -n 10 -p $$ >/dev/null 2>&1

# What measures costs, plays many sessions, reads many pictures, runs whole programs or sends one
# request after another is too slow under the race detector: all that it calls is raced by other
# packages' tests. Simulations are short there, and whole here.
# It waits for clocks half of its time, so that it runs beside what follows.
long='^shiren/(cmd/shiren|conformance/.*|internal/arch|internal/bench(/.*)?|internal/engine/card|internal/explorer)$'
mapfile -t raced < <(go list ./... | grep -Ev "^shiren/e2e$|$long")
mapfile -t plain < <(go list ./... | grep -E "$long")
go_tests whole "go tests that are long or whole, without the race detector:" "${plain[*]} ./internal/ekyc" >"$work/whole.out" 2>&1 &
whole=$!
set +m

# Findings, if any, are this command's failure.
quiet() { local out; out=$("$@" 2>&1) || { echo "$out"; return 1; }; [[ -z $out ]] || { echo "$out"; return 1; }; }
go_files() { git ls-files --cached --others --exclude-standard '*.go'; }
formatted() { go_files | xargs "$tools/gofumpt" -l; }
# An example without output is compiled and never run, so it is no dead code.
dead() { "$tools/deadcode" -test ./... | grep -v '_test\.go:.* func: Example' || true; }
scripts() { shellcheck scripts/*.sh .ci/run; }

check "go.mod complete" go list -mod=readonly -deps ./...
check gofumpt quiet formatted
check "go vet" go vet ./...
check staticcheck "$tools/staticcheck" ./...
check deadcode quiet dead
if command -v shellcheck >/dev/null; then
	check shellcheck scripts
else
	echo "skip  shellcheck                   not installed"
	((skipped += 1))
fi
for script in lint size; do
	check "web $script" npm run --silent --prefix web "$script"
done

at=$SECONDS
if npm run --silent --prefix web test -- --reporter=json --outputFile="$work/web.json" >"$work/out" 2>&1; then
	printf 'ok    %-28s %ss\n' "web tests" $((SECONDS - at))
else
	printf 'FAIL  %-28s %ss\n' "web tests" $((SECONDS - at))
	failed+=("web tests")
	sed 's/^/      /' "$work/out"
fi
count() { node -p "(JSON.parse(require('fs').readFileSync('$work/web.json'))['$1'] || 0)" 2>/dev/null || echo 0; }
((passed += $(count numPassedTests)))
((skipped += $(count numPendingTests)))
web_failed=$(count numFailedTests)
[[ -s $work/web.json ]] || web_failed=1
((broken += web_failed))

# The detector looks at Go: SQLite is compiled for it in half of the time. No package takes two
# minutes there, so that what takes ten is stuck.
CGO_CFLAGS="-O1 -g0" go_tests raced "go tests, under the race detector:" "${raced[*]}" -race -short -timeout 10m
wait "$whole"
cat "$work/whole.out"
wait "$walks"
cat "$work/walks.out"
for run in raced whole walks; do tally "$run"; done

echo
echo "took $((SECONDS - started))s"
if ((${#unsteady[@]})); then
	echo "failed, and passed when they were run once more:"
	printf '%s\n' "${unsteady[@]}"
fi
if ((${#failed[@]})); then
	printf 'failed: %s\n' "${failed[*]}"
	((broken > 0)) || broken=${#failed[@]}
fi
echo "$passed passed, $broken failed, $skipped skipped"
((broken == 0))
