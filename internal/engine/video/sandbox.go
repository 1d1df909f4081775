package video

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"shiren/internal/ekyc"
)

// Limits of one run. Our choices: decoding 25 s of 1080p takes about 6 s of CPU, and
// ffmpeg's libraries and threads map about 500 MB, of which a tenth is used.
const (
	cpuSeconds = 40
	memory     = 2 << 30  // bytes of address space
	openFiles  = 64       // descriptors
	maxEncoded = 64 << 20 // bytes of a file that Encode writes; Decode may write none
)

// nobody is the user and group that ffmpeg runs as when this process is root: the
// kernel's overflow id, which owns nothing.
const nobody = 65534

// sandbox is how a program is confined: programs that confine themselves and then become
// the next one (no further process), and what was found out about this system.
type sandbox struct {
	ffmpeg, ffprobe           string
	unshare, prlimit, setpriv string // paths; unshare may be empty
	network                   []string
	passthrough               []string // ffmpeg's option that leaves the pictures' times alone
	words                     string
}

// wrap is the whole command line of a program that may write files of up to size bytes.
func (s sandbox) wrap(size int, program string, args []string) []string {
	line := slices.Clone(s.network)
	line = append(line, s.prlimit, "--cpu="+strconv.Itoa(cpuSeconds), "--as="+strconv.Itoa(memory), "--fsize="+strconv.Itoa(size),
		"--nofile="+strconv.Itoa(openFiles), "--core=0", "--", s.setpriv, "--no-new-privs")
	if os.Geteuid() == 0 {
		id := strconv.Itoa(nobody)
		line = append(line, "--reuid="+id, "--regid="+id, "--clear-groups", "--inh-caps=-all", "--bounding-set=-all")
	}
	return append(append(line, "--", program), args...)
}

// environment is all that ffmpeg learns of its surroundings.
var environment = []string{"LC_ALL=C", "HOME=/nonexistent", "AV_LOG_FORCE_NOCOLOR=1"}

var version = regexp.MustCompile(`version n?(\d+)`)

// try finds out how much of the sandbox this system allows, and what ffmpeg can do.
func (s *sandbox) try(timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	run := func(program string, args ...string) (string, error) {
		line := s.wrap(0, program, args)
		cmd := exec.CommandContext(ctx, line[0], line[1:]...)
		cmd.Env, cmd.Dir = environment, "/"
		var out, trouble bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &trouble
		if err := cmd.Run(); err != nil {
			return "", fmt.Errorf("%s: %w: %s", program, err, strings.TrimSpace(trouble.String()))
		}
		return out.String(), nil
	}
	who := "as this server's user"
	if os.Geteuid() == 0 {
		who = "as user " + strconv.Itoa(nobody)
	}
	var tries [][]string
	if s.unshare != "" {
		tries = [][]string{{s.unshare, "--net", "--ipc", "--"}, {s.unshare, "--user", "--net", "--ipc", "--"}}
	}
	var about string
	var err error
	for _, network := range append(tries, nil) {
		s.network = network
		s.words = who + ", limits on CPU, memory and files, no network"
		if network == nil {
			s.words = who + ", limits on CPU, memory and files; the network is not cut off, because this system does not allow unshare"
		}
		if about, err = run(s.ffmpeg, "-version"); err == nil {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("ffmpeg cannot be run confined (%w); run the server as an unprivileged user, or as root with the capabilities SETUID and SETGID", err)
	}
	s.passthrough = []string{"-fps_mode", "passthrough"}
	if m := version.FindStringSubmatch(about); m != nil && len(m[1]) == 1 && m[1] < "6" {
		s.passthrough = []string{"-vsync", "passthrough"} // before 5.1 it had no other name
	}
	for _, need := range []struct{ option, what string }{
		{"-decoders", " vp8 "},
		{"-decoders", " vp9 "},
		{"-decoders", " h264 "},
		{"-decoders", " hevc "},
		{"-encoders", " libx264 "},
		{"-muxers", " mpjpeg "},
	} {
		list, err := run(s.ffmpeg, "-hide_banner", need.option)
		if err != nil {
			return err
		}
		if !strings.Contains(list, need.what) {
			return fmt.Errorf("%s has no%sin its %s; install a full build of ffmpeg (Debian: apt-get install ffmpeg)", s.ffmpeg, need.what, need.option[1:])
		}
	}
	return nil
}

// input is a recording as ffmpeg is given it.
type input struct {
	kind container
	name string   // ffmpeg's name of it
	data []byte   // on standard input
	file *os.File // or on descriptor inputFD
}

// inputFD is the descriptor of an input's file: after the three standard ones and two of outputs.
const inputFD = 5

// input hands webm over on standard input and mp4, whose index may stand at its end, in
// an unlinked file.
func (f *FFmpeg) input(kind container, recording []byte) (input, error) {
	if kind == webm {
		return input{kind: kind, name: "pipe:0", data: recording}, nil
	}
	file, err := f.unlinked()
	if err != nil {
		return input{}, err
	}
	if _, err := file.Write(recording); err != nil {
		return input{}, ekyc.Wrap(ekyc.EngineFailed, "the recording cannot be laid down", errors.Join(err, file.Close()))
	}
	return input{kind: kind, name: "file:/proc/self/fd/" + strconv.Itoa(inputFD), file: file}, nil
}

func (in input) close() {
	if in.file != nil {
		in.file.Close()
	}
}

// options are what stands before -i: what ffmpeg may open and how much of it.
func (in input) options() []string {
	o := []string{
		"-protocol_whitelist", map[container]string{webm: "pipe", mp4: "file"}[in.kind],
		"-codec_whitelist", strings.Join(slices.Concat(pictureCodecs, soundCodecs), ","),
		"-max_pixels", strconv.Itoa(MaxSide * MaxSide),
		"-max_streams", strconv.Itoa(2 * MaxStreams),
		"-f", string(in.kind),
	}
	if in.kind == mp4 {
		o = append(o, "-enable_drefs", "0", "-use_absolute_path", "0")
	}
	return o
}

// unlinked makes an empty file without a name that ffmpeg's user may open by its descriptor.
func (f *FFmpeg) unlinked() (*os.File, error) {
	file, err := os.CreateTemp(f.cfg.Temp, "shiren-*.mp4")
	if err != nil {
		return nil, ekyc.Wrap(ekyc.EngineFailed, "no temporary file can be made", err)
	}
	err = os.Remove(file.Name())
	if err == nil && os.Geteuid() == 0 {
		err = file.Chown(nobody, nobody)
	}
	if err != nil {
		return nil, ekyc.Wrap(ekyc.EngineFailed, "no temporary file can be made", errors.Join(err, file.Close()))
	}
	return file, nil
}

// bounded keeps what is written to it and refuses more than its limit.
type bounded struct {
	data  []byte
	limit int
	over  bool
}

var errOver = errors.New("more output than allowed")

func (b *bounded) Write(p []byte) (int, error) {
	if len(b.data)+len(p) > b.limit {
		b.over = true
		return 0, errOver
	}
	b.data = append(b.data, p...)
	return len(p), nil
}

// tail keeps the beginning of what is written to it and drops the rest.
type tail struct{ bounded }

func (t *tail) Write(p []byte) (int, error) {
	t.bounded.Write(p[:min(len(p), t.limit-len(t.data))])
	return len(p), nil
}

// task is one run of a program in the sandbox.
type task struct {
	program string
	args    []string
	in      input
	stdin   io.Reader // instead of in's
	stdout  *bounded
	more    []*bounded // of descriptors 3 and 4
	size    int        // bytes of a file that it may write
}

// run runs a program. Trouble that the program has with its input carries VideoDamaged.
func (f *FFmpeg) run(ctx context.Context, t task) error {
	limited, cancel := context.WithTimeout(ctx, f.cfg.Timeout)
	defer cancel()
	line := f.found.wrap(t.size, t.program, t.args)
	cmd := exec.CommandContext(limited, line[0], line[1:]...)
	cmd.Env, cmd.Dir, cmd.WaitDelay = environment, "/", 2*time.Second
	trouble := &tail{bounded{limit: 4 << 10}}
	cmd.Stderr = trouble
	if t.stdout != nil {
		cmd.Stdout = t.stdout
	}
	switch {
	case t.stdin != nil:
		cmd.Stdin = t.stdin
	case t.in.data != nil:
		cmd.Stdin = bytes.NewReader(t.in.data)
	}
	// Descriptors 3 and 4 are pipes, 5 the input's or output's file. Those that a task
	// does not use are closed pipes or nothing.
	var readers sync.WaitGroup
	var ours, theirs []*os.File
	closeAll := func(list []*os.File) {
		for _, file := range list {
			file.Close()
		}
	}
	for i := range inputFD - 3 {
		r, w, err := os.Pipe()
		if err != nil {
			closeAll(ours)
			closeAll(theirs)
			return ekyc.Wrap(ekyc.EngineFailed, "no pipe can be made", err)
		}
		ours, theirs = append(ours, r), append(theirs, w)
		if i < len(t.more) {
			readers.Go(func() {
				io.Copy(t.more[i], r) // over the limit it ends, and the program with a broken pipe
				r.Close()
			})
		}
	}
	cmd.ExtraFiles = theirs
	if t.in.file != nil {
		cmd.ExtraFiles = append(slices.Clone(theirs), t.in.file)
	}
	err := cmd.Start()
	closeAll(theirs)
	if err == nil {
		err = cmd.Wait()
	}
	readers.Wait()
	closeAll(ours) // twice for those that were read: the second does nothing
	return f.explain(ctx, limited, t, err, strings.TrimSpace(string(trouble.data)))
}

// explain makes a run's end an error with a code.
func (f *FFmpeg) explain(ctx, limited context.Context, t task, err error, said string) error {
	var exit *exec.ExitError
	cause := fmt.Errorf("%w: %s", err, said)
	switch {
	case ctx.Err() != nil:
		return ekyc.Wrap(ekyc.Busy, "the recording was given up", ctx.Err())
	case t.over():
		return ekyc.Wrap(ekyc.VideoDamaged, "the recording decodes to more than a real one does", cause)
	case err == nil:
		return nil
	case limited.Err() != nil:
		return ekyc.Wrap(ekyc.VideoDamaged, "the recording takes longer to decode than "+f.cfg.Timeout.String(), cause)
	case !errors.As(err, &exit) || t.in.kind == "":
		return ekyc.Wrap(ekyc.EngineFailed, "ffmpeg failed", cause)
	case strings.Contains(said, "not on whitelist"):
		return ekyc.Wrap(ekyc.VideoFormat, "the recording has a codec that is not read; VP8, VP9, H.264 and HEVC are", cause)
	}
	return ekyc.Wrap(ekyc.VideoDamaged, "the recording is truncated or damaged", cause)
}

func (t task) over() bool {
	return t.stdout != nil && t.stdout.over || slices.ContainsFunc(t.more, func(b *bounded) bool { return b.over })
}
