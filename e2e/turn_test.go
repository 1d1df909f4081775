package e2e

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/chromedp"
)

// Verdicts here are reached in real time, with the phone, its camera and the server on one
// machine. So only two tests at a time walk, and besides them one plays before a camera:
// what others do must not decide who is let through. Tests take their turns by open and
// look and need not think of it; they are all parallel.
var (
	walking = make(chan struct{}, 2)
	playing = make(chan struct{}, 1)
	onWay   sync.Map // names of the tests that have begun to walk
)

// walk waits for the test's turn, which lasts until it ends. The second time it is the
// test's already.
func walk(t *testing.T) {
	name, _, _ := strings.Cut(t.Name(), "/")
	if _, again := onWay.LoadOrStore(name, true); again {
		return
	}
	walking <- struct{}{}
	t.Cleanup(func() { onWay.Delete(name); <-walking })
}

// play lets others walk while the test plays before a camera. alone waits until nobody
// walks, for one who was refused where others did.
func play(alone bool, do func()) {
	<-walking
	playing <- struct{}{}
	if alone {
		for range cap(walking) {
			walking <- struct{}{}
		}
	}
	defer func() {
		<-playing
		if !alone {
			walking <- struct{}{}
			return
		}
		for range cap(walking) - 1 { // one stays this test's
			<-walking
		}
	}()
	do()
}

// rest lets others walk who wait for their turn: a long walk does so now and then.
func rest() {
	<-walking
	walking <- struct{}{}
}

// tries is how often people may try before a test gives up. On a machine with other work,
// as on a poor phone, pictures come too late and somebody honest is asked to begin anew.
const tries = 5

// passes looks until the person passes, as one who tries again may, and returns how many
// tries that took. start, where given, is the way to the camera in place of begin.
func passes(t *testing.T, ctx context.Context, start ...func()) int {
	t.Helper()
	return within(t, ctx, "", start)
}

// refused looks with somebody who must not pass: no try may, and one must be refused for
// the reason. It returns how many tries that took.
func refused(t *testing.T, ctx context.Context, reason string) int {
	t.Helper()
	return within(t, ctx, reason, nil)
}

// within looks, and looks again by the page's own button, until the verdict is the one
// that is wanted: a reason, or "" for a pass.
func within(t *testing.T, ctx context.Context, want string, start []func()) int {
	t.Helper()
	by := func(alone bool, way func()) (passed bool, reason string) {
		t.Helper()
		play(alone, func() {
			t.Helper()
			way()
			passed, reason = verdict(t, ctx)
		})
		return passed, reason
	}
	var passed bool
	var reason string
	if len(start) == 0 {
		passed, reason = look(t, ctx)
	} else {
		passed, reason = by(false, start[0])
	}
	for try := 1; ; try++ {
		switch {
		case passed == (want == "") && reason == want:
			return try
		case passed:
			t.Fatalf("try %d: passed, want %s", try, want)
		case try == tries:
			t.Fatalf("try %d: refused for %q, want %q", try, reason, want)
		}
		t.Logf("try %d: refused for %q", try, reason)
		passed, reason = by(true, func() {
			t.Helper()
			do(t, ctx, "try again", chromedp.Click(id("result-retry")), chromedp.WaitVisible(id("screen-capture")))
		})
	}
}
