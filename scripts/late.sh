#!/usr/bin/env bash
# Tests in a world that is late: scripts/late.sh [-race] [-count N] [-run REGEXP] PACKAGE...
#
# A third of all goroutines start up to 20 ms after they were asked to, some up to 300 ms, and a tenth
# of all reads and writes of sockets wait up to 15 ms. What holds only because a machine is quick
# fails here: a server that is closed before it listens, an answer that is looked for before it was
# given. Go's runtime is patched for that in a copy that only these tests see (go help build, -overlay).
# Nothing stands still for long, so that a test that fails for its own time limit alone may be right.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
src=$(go env GOROOT)/src

# patch FILE LINE TEXT: adds the text before the first line that is exactly LINE.
patch() {
	local from=$src/$1 to=$work/${1##*/}
	[[ -e $to ]] || cp "$from" "$to"
	if ! grep -qxF -- "$2" "$to"; then
		echo "late.sh: $from has no line \"$2\": this is not the runtime of Go 1.26 that the script was written for" >&2
		exit 1
	fi
	LINE=$2 TEXT=$3 awk '!done && $0 == ENVIRON["LINE"] { print ENVIRON["TEXT"]; done = 1 } { print }' "$to" >"$to.new"
	mv "$to.new" "$to"
}

# Goroutines of the runtime itself, and those whose clock a test holds, are left alone.
patch runtime/proc.go 'func newproc(fn *funcval) {' 'func newproc(fn *funcval) {
	gp := getg()
	if !mainStarted || gp.bubble != nil || stringslite.HasPrefix(funcname(findfunc(fn.fn)), "runtime.") || cheaprandn(100) >= 35 {
		newprocNow(fn)
		return
	}
	pc := sys.GetCallerPC()
	late := int64(cheaprandn(20_000_000))
	if cheaprandn(100) < 4 {
		late = int64(cheaprandn(300_000_000))
	}
	var newg *g
	systemstack(func() { newg = newproc1(fn, gp, pc, true, waitReasonSleep) })
	t := new(timer)
	t.init(goroutineReady, newg)
	t.reset(nanotime()+late, 0)
}
'
sed -i '0,/^func newproc(fn \*funcval) {$/! s/^func newproc(fn \*funcval) {$/func newprocNow(fn *funcval) {/' "$work/proc.go"

for f in 'func (fd *FD) Read(p []byte) (int, error) {' 'func (fd *FD) Write(p []byte) (int, error) {'; do
	name=${f#*) } name=${name%%(*}
	patch internal/poll/fd_unix.go "$f" "$f
	late(fd)
	return fd.now$name(p)
}
"
	sed -i "0,/^func (fd \*FD) $name(p/! s/^func (fd \*FD) $name(p/func (fd *FD) now$name(p/" "$work/fd_unix.go"
done
cat >"$work/late.go" <<'GO'
package poll

import _ "unsafe" // linkname

//go:linkname cheaprandn runtime.cheaprandn
func cheaprandn(n uint32) uint32

//go:linkname sleep time.Sleep
func sleep(ns int64)

func late(fd *FD) {
	if fd.IsStream && !fd.isFile && fd.pd.pollable() && cheaprandn(100) < 10 {
		sleep(int64(cheaprandn(15_000_000)))
	}
}
GO

cat >"$work/overlay.json" <<JSON
{"Replace": {"$src/runtime/proc.go": "$work/proc.go", "$src/internal/poll/fd_unix.go": "$work/fd_unix.go", "$src/internal/poll/late.go": "$work/late.go"}}
JSON
go test -vet=off -short -count=1 -timeout 40m -overlay "$work/overlay.json" "$@"
