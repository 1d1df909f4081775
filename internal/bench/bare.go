package bench

import (
	"context"
	"fmt"
	"syscall"
	"time"

	"shiren/internal/ekyc"
	"shiren/internal/engine"
)

// Bare measures the CPU time of the networks alone that one full comparison of two
// images runs: detection, landmarks, pose, eyes, silent PAD and embedding of each. It
// is the floor that a comparison over HTTP is measured against. The process should do
// nothing else meanwhile: its whole CPU time is counted.
func Bare(ctx context.Context, e *engine.Engine, a, b []byte, comparisons int) (time.Duration, error) {
	for _, image := range [][]byte{a, b} { // puts real inputs into the networks
		x, err := e.Examine(ctx, image, ekyc.WantAll)
		if err != nil {
			return 0, fmt.Errorf("bench: %w", err)
		}
		if len(x.Faces) == 0 {
			return 0, fmt.Errorf("bench: an image shows no face")
		}
	}
	return perRun(comparisons, func() error {
		for range 2 {
			if err := e.RunNetworks(ekyc.WantAll); err != nil {
				return err
			}
		}
		return nil
	})
}

// Full measures the CPU time of one full comparison in the engine, decoding included,
// without HTTP.
func Full(ctx context.Context, e *engine.Engine, a, b []byte, comparisons int) (time.Duration, error) {
	return perRun(comparisons, func() error {
		var t [2]ekyc.Template
		for i, image := range [][]byte{a, b} {
			x, err := e.Examine(ctx, image, ekyc.WantAll)
			if err != nil {
				return fmt.Errorf("bench: %w", err)
			}
			if len(x.Faces) == 0 {
				return fmt.Errorf("bench: an image shows no face")
			}
			t[i] = x.Faces[0].Template
		}
		_, err := e.Compare(t[0], t[1])
		return err
	})
}

// perRun is the process's CPU time a run, after one run to warm up.
func perRun(n int, run func() error) (time.Duration, error) {
	if n < 1 {
		return 0, fmt.Errorf("bench: %d runs", n)
	}
	if err := run(); err != nil {
		return 0, err
	}
	before, err := cpuTime()
	if err != nil {
		return 0, err
	}
	for range n {
		if err := run(); err != nil {
			return 0, err
		}
	}
	after, err := cpuTime()
	return (after - before) / time.Duration(n), err
}

// cpuTime is the CPU time that this process has used, user and system.
func cpuTime() (time.Duration, error) {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0, fmt.Errorf("bench: CPU time: %w", err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), nil
}
