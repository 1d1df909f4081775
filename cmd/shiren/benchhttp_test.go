package main

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestSteadyCountsFromWhenDue lets the first call stall: the calls behind it were due
// meanwhile, and their time counts from then.
func TestSteadyCountsFromWhenDue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var n atomic.Int64
		l, err := steady(t.Context(), time.Now, 10, 2*time.Second, func(context.Context) error {
			n.Add(1)
			time.Sleep(50 * time.Millisecond)
			return nil
		})
		if err != nil || n.Load() != 20 || len(l.took) != 20 {
			t.Fatalf("%d calls, %d times, %v; want 20", n.Load(), len(l.took), err)
		}
		if p := l.quantile(0.95); p < 50*time.Millisecond || p > 150*time.Millisecond {
			t.Errorf("p95 %v of calls that take 50 ms and wait for at most one tick", p)
		}
	})
}

func TestSaturate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, err := saturate(t.Context(), time.Now, 4, time.Second, func(context.Context) error {
			time.Sleep(100 * time.Millisecond)
			return nil
		})
		if err != nil || l.perSecond < 39 || l.perSecond > 41 {
			t.Errorf("%v calls a second, %v; 4 workers with 100 ms each make 40", l.perSecond, err)
		}
	})
}

func TestLoadEndsWithTheFirstError(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	var n atomic.Int64
	if _, err := repeat(t.Context(), time.Now, 1, 1000, func(context.Context) error {
		if n.Add(1) == 3 {
			return broken
		}
		return nil
	}); !errors.Is(err, broken) || n.Load() != 3 {
		t.Errorf("%v after %d calls, want broken after 3", err, n.Load())
	}
}
