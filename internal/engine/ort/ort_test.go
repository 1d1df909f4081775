package ort_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"shiren/internal/engine/enginetest"
	"shiren/internal/engine/models"
	"shiren/internal/engine/ort"
)

// open opens the runtime and the eye network, whose input is 1x1x24x24 and whose
// output is 1x2.
func open(t *testing.T, o ort.Options) (*ort.Runtime, *ort.Session, error) {
	t.Helper()
	dir := enginetest.Dir(t)
	m, err := models.Load(dir, "")
	if err != nil {
		t.Fatal(err)
	}
	lib, err := m.Library()
	if err != nil {
		t.Fatal(err)
	}
	r, err := ort.Open(filepath.Join(dir, filepath.FromSlash(lib.Path)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	eye := m.Models[models.Eyes]
	content, err := eye.Read()
	if err != nil {
		t.Fatal(err)
	}
	s, err := r.Open(eye.Path(), content, o)
	return r, s, err
}

func TestRunsManyAtOnceAndFreesAllTensors(t *testing.T) {
	r, s, err := open(t, ort.Options{Keep: 2})
	if err != nil {
		t.Fatal(err)
	}
	in, outs := s.Describe()
	if in.Size() != 24*24 || len(outs) != 1 || outs[0].Size() != 2 {
		t.Fatalf("got input %v and outputs %v, want 576 and one of 2 values", in, outs)
	}
	// The same input gives the same output, whatever runs beside it.
	run := func(level float32) (out [2]float32) {
		err := s.Run(func(x []float32) {
			for i := range x {
				x[i] = level * float32(i%24) / 24
			}
		}, func(o [][]float32) { copy(out[:], o[0]) })
		if err != nil {
			t.Error(err)
		}
		return out
	}
	var want [8][2]float32
	for i := range want {
		want[i] = run(float32(i) / 8)
	}
	if want[1] == want[7] {
		t.Fatalf("two inputs gave the same output %v", want[1])
	}
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			if got := run(float32(i%8) / 8); got != want[i%8] {
				t.Errorf("input %d beside others: got %v, want %v", i%8, got, want[i%8])
			}
		})
	}
	wg.Wait()
	if got := r.Tensors(); got < 2 || got > 4 {
		t.Errorf("got %d tensors at rest, want at most two sets of two", got)
	}
	for range 2 { // twice is allowed
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if got := r.Tensors(); got != 0 {
		t.Errorf("got %d tensors after Close, want 0", got)
	}
	if err := s.Run(func([]float32) {}, func([][]float32) {}); err == nil {
		t.Error("a closed session ran")
	}
}

func TestOpenRefuses(t *testing.T) {
	for name, o := range map[string]ort.Options{
		"an input of another shape":   {Input: []int64{1, 1, 32, 32}},
		"an input of another rank":    {Input: []int64{24, 24}},
		"an output that is not there": {Outputs: []string{"absent"}},
	} {
		r, s, err := open(t, o)
		if err == nil {
			t.Errorf("%s was accepted: %v", name, s)
		}
		if got := r.Tensors(); got != 0 {
			t.Errorf("%s: %d tensors are left, want 0", name, got)
		}
	}
	r, s, err := open(t, ort.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := ort.Open(filepath.Join(t.TempDir(), "absent.so")); err == nil {
		t.Error("a second library was opened beside the first")
	}
	junk := filepath.Join(t.TempDir(), "junk.onnx")
	if err := os.WriteFile(junk, []byte("no network"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Open(junk, []byte("no network"), ort.Options{}); err == nil {
		t.Error("junk was opened as a network")
	}
}

// A run on another shape than the session was opened with gives its tensors back too.
func TestRunShaped(t *testing.T) {
	r, s, err := open(t, ort.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var want, got [2]float32
	fill := func(x []float32) {
		for i := range x {
			x[i] = float32(i%7) / 7
		}
	}
	if err := s.Run(fill, func(o [][]float32) { copy(want[:], o[0]) }); err != nil {
		t.Fatal(err)
	}
	kept := r.Tensors()
	err = s.RunShaped([]int64{1, 1, 24, 24}, fill, func(o [][]float32, shapes [][]int64) {
		copy(got[:], o[0])
		if len(shapes) != 1 || len(shapes[0]) != 2 || shapes[0][1] != 2 {
			t.Errorf("got shapes %v, want one of 1 x 2", shapes)
		}
	})
	if err != nil || got != want {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
	if err := s.RunShaped([]int64{1, 1, 25, 24}, func([]float32) {}, func([][]float32, [][]int64) {}); err == nil {
		t.Error("a shape that the network does not take was run")
	}
	if n := r.Tensors(); n != kept {
		t.Errorf("got %d tensors after it, want %d", n, kept)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := s.RunShaped([]int64{1, 1, 24, 24}, fill, func([][]float32, [][]int64) {}); err == nil {
		t.Error("a closed session ran")
	}
}

// ONNX Runtime's builds for Linux write this file when their telemetry begins.
func TestTelemetryIsOff(t *testing.T) {
	_, s, err := open(t, ort.Options{Keep: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	begun := filepath.Join(os.TempDir(), fmt.Sprintf("mat-debug-%d.log", os.Getpid()))
	if _, err := os.Stat(begun); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is there, %v: the library's telemetry began", begun, err)
	}
}
