// Package ort runs networks with ONNX Runtime. A Runtime owns the shared library; it
// opens Sessions, and a Session is described, run and closed. Nothing here knows what a
// network is for.
//
// Every session runs on the calling goroutine's thread alone (one intra-op and one
// inter-op thread): on small networks more threads cost two to three times the CPU
// and gained no time (measured 2026-11-21 on two cores).
package ort

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"

	onnx "github.com/yalue/onnxruntime_go"
)

// The library and its environment exist once in a process, and stay until it ends: unloading
// ONNX Runtime 1.30 was once seen to wait for ever in dlclose, on Linux, most likely for a thread
// of its telemetry.
var environment struct {
	sync.Mutex
	library string // "" until one is loaded
}

// quiet is how ONNX Runtime 1.30 and later is told to send nothing to its makers: their builds
// for Linux hold an uploader, which reads this variable before anything can be called.
const quiet = "ORT_DISABLE_TELEMETRY"

// Runtime is an opened ONNX Runtime library. Safe for concurrent use.
type Runtime struct {
	tensors atomic.Int64
}

// Open loads the shared library from a path, with its telemetry switched off. A process uses one
// library: Runtimes that are opened later must name the same.
func Open(library string) (*Runtime, error) {
	environment.Lock()
	defer environment.Unlock()
	switch environment.library {
	case library:
		return &Runtime{}, nil
	case "":
	default:
		return nil, fmt.Errorf("open ONNX Runtime %s: this process has %s open already", library, environment.library)
	}
	if _, err := os.Stat(library); err != nil {
		return nil, fmt.Errorf("open ONNX Runtime: %w", err)
	}
	if err := os.Setenv(quiet, "1"); err != nil {
		return nil, fmt.Errorf("open ONNX Runtime: switch its telemetry off: %w", err)
	}
	onnx.SetSharedLibraryPath(library)
	if err := onnx.InitializeEnvironment(onnx.WithLogLevelError()); err != nil {
		return nil, fmt.Errorf("open ONNX Runtime %s: %w", library, err)
	}
	if err := onnx.DisableTelemetry(); err != nil {
		return nil, fmt.Errorf("open ONNX Runtime %s: switch its telemetry off: %w", library, err)
	}
	environment.library = library
	return &Runtime{}, nil
}

// Version is the library's own version, such as "1.30.0".
func (r *Runtime) Version() string { return onnx.GetVersion() }

// Tensors is how many tensors of this runtime's sessions are allocated now. It is 0
// once all sessions are closed.
func (r *Runtime) Tensors() int { return int(r.tensors.Load()) }

// Close ends the use of the runtime, whose sessions must all be closed before. The library stays
// with the process. Closing twice is allowed.
func (r *Runtime) Close() error {
	if n := r.Tensors(); n > 0 {
		return fmt.Errorf("close ONNX Runtime: %d tensors of its sessions are still there", n)
	}
	return nil
}

// Value describes an input or output: its name and its shape, where -1 is a dimension
// that the network leaves open.
type Value struct {
	Name  string
	Shape []int64
}

// Size is the number of elements; open dimensions count as one.
func (v Value) Size() int {
	n := 1
	for _, d := range v.Shape {
		if d > 0 {
			n *= int(d)
		}
	}
	return n
}

func (v Value) String() string { return fmt.Sprintf("%s%v", v.Name, v.Shape) }

// Session is one loaded network with float32 inputs and outputs. Safe for concurrent
// use; each concurrent run holds a set of tensors of its own, and up to Options.Keep
// of them stay allocated between runs.
type Session struct {
	runtime *Runtime
	session *onnx.DynamicAdvancedSession
	input   Value
	outputs []Value
	free    chan *slot
	runs    sync.RWMutex // held for reading by runs, for writing by Close
	closed  bool
}

// slot is a set of tensors for one run.
type slot struct {
	in   *onnx.Tensor[float32]
	outs []*onnx.Tensor[float32]
	data [][]float32 // of outs
	args [2][]onnx.Value
}

// Options say how a session is opened.
type Options struct {
	// Input is the shape to run with, without open dimensions. Nil takes the network's
	// own, with open dimensions as one.
	Input []int64
	// Outputs names the outputs that are computed, in the order of Run. Nil takes all.
	Outputs []string
	// Keep is how many sets of tensors stay allocated; at least one.
	Keep int
}

// Open loads a network of one input from an ONNX file's path and content. The path is
// read again only to describe the network.
func (r *Runtime) Open(path string, content []byte, o Options) (*Session, error) {
	in, outs, err := describe(path)
	if err != nil {
		return nil, err
	}
	if len(in) != 1 {
		return nil, fmt.Errorf("open network %s: %d inputs %v, want one", path, len(in), in)
	}
	s := &Session{runtime: r, input: Value{in[0].Name, closedShape(in[0].Shape)}}
	if o.Input != nil {
		if err := fits(in[0], o.Input); err != nil {
			return nil, fmt.Errorf("open network %s: %w", path, err)
		}
		s.input.Shape = o.Input
	}
	if s.outputs, err = choose(outs, o.Outputs); err != nil {
		return nil, fmt.Errorf("open network %s: %w", path, err)
	}
	opts, err := options(onnx.GraphOptimizationLevelEnableAll)
	if err != nil {
		return nil, fmt.Errorf("open network %s: %w", path, err)
	}
	defer opts.Destroy()
	names := make([]string, len(s.outputs))
	for i, v := range s.outputs {
		names[i] = v.Name
	}
	if s.session, err = onnx.NewDynamicAdvancedSessionWithONNXData(content, []string{s.input.Name}, names, opts); err != nil {
		return nil, fmt.Errorf("open network %s: %w", path, err)
	}
	s.free = make(chan *slot, max(1, o.Keep))
	first, err := s.borrow()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open network %s: %w", path, err), s.session.Destroy())
	}
	s.giveBack(first)
	return s, nil
}

// Describe returns the input and the outputs that Run computes, in its order.
func (s *Session) Describe() (input Value, outputs []Value) { return s.input, s.outputs }

// Run computes the network once: fill writes the input, read gets the outputs in the
// order of Describe. Both slices are valid during the call only; fill finds the input
// of an earlier run in place, so it must write every element.
func (s *Session) Run(fill func(in []float32), read func(outs [][]float32)) error {
	s.runs.RLock()
	defer s.runs.RUnlock()
	if s.closed {
		return fmt.Errorf("run network %s: the session is closed", s.input.Name)
	}
	t, err := s.borrow()
	if err != nil {
		return err
	}
	defer s.giveBack(t)
	fill(t.in.GetData())
	if err := s.session.Run(t.args[0], t.args[1]); err != nil {
		return fmt.Errorf("run network with input %v: %w", s.input, err)
	}
	read(t.data)
	return nil
}

// RunShaped computes the network once on an input of another shape than it was opened
// with, for networks that leave dimensions open. fill writes the input; read gets the
// outputs with their shapes, in the order of Describe, valid during the call only. Its
// tensors are not kept.
func (s *Session) RunShaped(shape []int64, fill func(in []float32), read func(outs [][]float32, shapes [][]int64)) (err error) {
	s.runs.RLock()
	defer s.runs.RUnlock()
	if s.closed {
		return fmt.Errorf("run network %s: the session is closed", s.input.Name)
	}
	in, err := onnx.NewEmptyTensor[float32](onnx.NewShape(shape...))
	if err != nil {
		return fmt.Errorf("tensor of shape %v: %w", shape, err)
	}
	s.runtime.tensors.Add(1)
	outs := make([]onnx.Value, len(s.outputs))
	defer func() {
		err = errors.Join(err, in.Destroy())
		s.runtime.tensors.Add(-1)
		for _, out := range outs {
			if out != nil {
				err = errors.Join(err, out.Destroy())
				s.runtime.tensors.Add(-1)
			}
		}
	}()
	fill(in.GetData())
	if err := s.session.Run([]onnx.Value{in}, outs); err != nil {
		return fmt.Errorf("run network with input %s%v: %w", s.input.Name, shape, err)
	}
	data, shapes := make([][]float32, len(outs)), make([][]int64, len(outs))
	for i, out := range outs {
		s.runtime.tensors.Add(1)
		t, ok := out.(*onnx.Tensor[float32])
		if !ok {
			return fmt.Errorf("run network with input %s%v: output %v is no float tensor", s.input.Name, shape, s.outputs[i])
		}
		data[i], shapes[i] = t.GetData(), t.GetShape()
	}
	read(data, shapes)
	return nil
}

// Close waits for runs under way and frees the network and its tensors. Closing twice
// is allowed.
func (s *Session) Close() error {
	s.runs.Lock()
	defer s.runs.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	var errs []error
	for len(s.free) > 0 {
		errs = append(errs, s.destroy(<-s.free))
	}
	errs = append(errs, s.session.Destroy())
	return errors.Join(errs...)
}

func (s *Session) borrow() (*slot, error) {
	select {
	case t := <-s.free:
		return t, nil
	default:
	}
	t := &slot{}
	in, err := onnx.NewEmptyTensor[float32](onnx.NewShape(s.input.Shape...))
	if err != nil {
		return nil, fmt.Errorf("tensor for input %v: %w", s.input, err)
	}
	s.runtime.tensors.Add(1)
	t.in, t.args[0] = in, []onnx.Value{in}
	for _, v := range s.outputs {
		out, err := onnx.NewEmptyTensor[float32](onnx.NewShape(v.Shape...))
		if err != nil {
			return nil, errors.Join(fmt.Errorf("tensor for output %v: %w", v, err), s.destroy(t))
		}
		s.runtime.tensors.Add(1)
		t.outs = append(t.outs, out)
		t.data = append(t.data, out.GetData())
		t.args[1] = append(t.args[1], out)
	}
	return t, nil
}

func (s *Session) giveBack(t *slot) {
	select {
	case s.free <- t:
	default:
		// More runs at a time than Keep: these tensors are not kept. Destroy only
		// releases memory; its error has no remedy.
		_ = s.destroy(t)
	}
}

func (s *Session) destroy(t *slot) error {
	errs := []error{t.in.Destroy()}
	for _, out := range t.outs {
		errs = append(errs, out.Destroy())
	}
	s.runtime.tensors.Add(-int64(1 + len(t.outs)))
	return errors.Join(errs...)
}

// describe reads a network's inputs and outputs without optimising it.
func describe(path string) (in, outs []Value, err error) {
	opts, err := options(onnx.GraphOptimizationLevelDisableAll)
	if err != nil {
		return nil, nil, fmt.Errorf("describe network %s: %w", path, err)
	}
	defer opts.Destroy()
	ins, results, err := onnx.GetInputOutputInfoWithOptions(path, opts)
	if err != nil {
		return nil, nil, fmt.Errorf("describe network %s: %w", path, err)
	}
	convert := func(list []onnx.InputOutputInfo) []Value {
		var vs []Value
		for _, x := range list {
			if x.OrtValueType == onnx.ONNXTypeTensor && x.DataType == onnx.TensorElementDataTypeFloat {
				vs = append(vs, Value{x.Name, x.Dimensions})
			}
		}
		return vs
	}
	return convert(ins), convert(results), nil
}

func options(level onnx.GraphOptimizationLevel) (*onnx.SessionOptions, error) {
	o, err := onnx.NewSessionOptions()
	if err != nil {
		return nil, err
	}
	for _, err := range []error{
		o.SetIntraOpNumThreads(1), o.SetInterOpNumThreads(1), o.SetExecutionMode(onnx.ExecutionModeSequential),
		o.SetGraphOptimizationLevel(level), o.SetCpuMemArena(true), o.SetMemPattern(true),
	} {
		if err != nil {
			return nil, errors.Join(err, o.Destroy())
		}
	}
	return o, nil
}

func closedShape(shape []int64) []int64 {
	s := make([]int64, len(shape))
	for i, d := range shape {
		s[i] = max(d, 1)
	}
	return s
}

// fits reports why a shape cannot be an input, or nil.
func fits(v Value, shape []int64) error {
	ok := len(shape) == len(v.Shape)
	for i := 0; ok && i < len(shape); i++ {
		ok = shape[i] > 0 && (v.Shape[i] <= 0 || v.Shape[i] == shape[i])
	}
	if !ok {
		return fmt.Errorf("the input %v cannot take the shape %v", v, shape)
	}
	return nil
}

func choose(all []Value, names []string) ([]Value, error) {
	var chosen []Value
	if names == nil {
		chosen = append(chosen, all...)
	}
	for _, name := range names {
		i := 0
		for i < len(all) && all[i].Name != name {
			i++
		}
		if i == len(all) {
			list := make([]string, len(all))
			for j, v := range all {
				list[j] = v.String()
			}
			return nil, fmt.Errorf("no float output %q; it has %s", name, strings.Join(list, ", "))
		}
		chosen = append(chosen, all[i])
	}
	if len(chosen) == 0 {
		return nil, errors.New("no float output")
	}
	for i := range chosen {
		chosen[i].Shape = closedShape(chosen[i].Shape)
	}
	return chosen, nil
}
