// Package video reads and writes recordings with ffmpeg, which runs as a subprocess in a
// sandbox: without a network where the system allows that, with limits on CPU time,
// memory and files, as an unprivileged user, and with nothing but the file descriptors
// that it is handed. It measures nothing in the pictures and decides nothing.
//
// A recording comes from a stranger. Before any of it is decoded its first bytes must be
// those of webm or mp4, and only that demuxer is then allowed, so that a playlist or
// another text in disguise is never followed; references to other files are off; only
// the listed codecs are opened; and a picture may have no more than MaxSide x MaxSide
// pixels, whatever the header says. ffprobe reads the header, ffmpeg all of the rest, once.
//
// No file with a name holds a recording: what needs seeking lies in a file that is
// unlinked before a byte is written, so that nothing stays behind a crash.
package video

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"time"

	"shiren/internal/ekyc"
)

// Limits of a recording. Our choices, but MaxBytes and MaxDuration must hold what a phone
// records in the longest recorded kind: 25 s of 720p at up to 6 Mbit/s. The core may set
// narrower ones.
const (
	MaxBytes    = 20 << 20
	MinDuration = time.Second
	MaxDuration = 25 * time.Second
	MaxSide     = 1920 // pixels
	MinSide     = 64   // pixels
	FrameSide   = 640  // longest side of a decoded frame, pixels: the port's promise
	MaxStreams  = 8    // phones add tracks of motion data to picture and sound
	MaxRate     = 30   // frames a second that Decode gives
)

// grace is what a recorder's own clock may add to MaxDuration.
const grace = 500 * time.Millisecond

// Config says how ffmpeg is run. The zero value is usable.
type Config struct {
	FFmpeg, FFprobe string        // programs; empty means those in PATH
	Temp            string        // folder of the unlinked files; empty means the system's
	Parallel        int           // runs at a time, others wait; 0 means half of the CPUs
	Timeout         time.Duration // of one run; 0 means 30 s
}

// FFmpeg implements ekyc.Videos. Safe for concurrent use.
type FFmpeg struct {
	cfg   Config
	turns chan struct{}

	once  sync.Once
	found sandbox
	err   error // of finding it
}

var _ ekyc.Videos = (*FFmpeg)(nil)

// New prepares a reader and writer. It looks for ffmpeg when it is first needed, or when
// Available asks.
func New(cfg Config) *FFmpeg {
	if cfg.FFmpeg == "" {
		cfg.FFmpeg = "ffmpeg"
	}
	if cfg.FFprobe == "" {
		cfg.FFprobe = "ffprobe"
	}
	if cfg.Parallel <= 0 {
		cfg.Parallel = max(1, runtime.NumCPU()/2)
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = 30 * time.Second
	}
	return &FFmpeg{cfg: cfg, turns: make(chan struct{}, cfg.Parallel)}
}

// Available reports why recordings cannot be read or written here, and what to install;
// nil when they can.
func (f *FFmpeg) Available() error {
	f.once.Do(func() { f.found, f.err = find(f.cfg) })
	return f.err
}

// Sandbox says in words how ffmpeg is confined here, for the operator; empty where it is
// not available.
func (f *FFmpeg) Sandbox() string {
	if f.Available() != nil {
		return ""
	}
	return f.found.words
}

// turn waits for a free run. The caller calls done.
func (f *FFmpeg) turn(ctx context.Context) (done func(), err error) {
	if err := f.Available(); err != nil {
		return nil, ekyc.Wrap(ekyc.EngineFailed, "recordings cannot be read here; `shiren doctor` says why", err)
	}
	select {
	case f.turns <- struct{}{}:
		return func() { <-f.turns }, nil
	case <-ctx.Done():
		return nil, ekyc.Wrap(ekyc.Busy, "no recording could be read in time", ctx.Err())
	}
}

// container is a kind of file that is read, by ffmpeg's name of its demuxer.
type container string

const (
	webm container = "matroska" // also the .mkv that some browsers record
	mp4  container = "mov"      // also QuickTime, which iPhones record
)

// sniff tells the container by the first bytes.
func sniff(b []byte) (container, bool) {
	switch {
	case len(b) >= 4 && string(b[:4]) == "\x1A\x45\xDF\xA3": // EBML, RFC 8794
		return webm, true
	case len(b) >= 12 && string(b[4:8]) == "ftyp": // ISO/IEC 14496-12
		return mp4, true
	}
	return "", false
}

// Codecs that are opened. Browsers and phones record these; everything else is refused.
var (
	pictureCodecs = []string{"vp8", "vp9", "h264", "hevc"}
	soundCodecs   = []string{"opus", "vorbis", "aac", "mp3", "pcm_s16le", "pcm_f32le"}
)

// Decode implements ekyc.Videos. Frames have the time since the first one; where the
// recording has fewer a second than asked for, each is given once.
func (f *FFmpeg) Decode(ctx context.Context, recording []byte, fps float64) (ekyc.Clip, error) {
	if !(fps > 0 && fps <= MaxRate) {
		return ekyc.Clip{}, ekyc.Errorf(ekyc.EngineFailed, "frames at %v a second were asked for; more than 0 and at most %d can be", fps, MaxRate)
	}
	if len(recording) > MaxBytes {
		return ekyc.Clip{}, ekyc.Errorf(ekyc.VideoTooLarge, "the recording has %d bytes, at most %d are read", len(recording), MaxBytes)
	}
	kind, ok := sniff(recording)
	if !ok {
		return ekyc.Clip{}, ekyc.Errorf(ekyc.VideoFormat, "the recording is neither webm nor mp4")
	}
	if kind == webm && !whole(recording) {
		return ekyc.Clip{}, ekyc.Errorf(ekyc.VideoDamaged, "the recording is cut off")
	}
	done, err := f.turn(ctx)
	if err != nil {
		return ekyc.Clip{}, err
	}
	defer done()
	in, err := f.input(kind, recording)
	if err != nil {
		return ekyc.Clip{}, err
	}
	defer in.close()
	h, err := f.header(ctx, in)
	if err != nil {
		return ekyc.Clip{}, err
	}
	sound, err := h.check()
	if err != nil {
		return ekyc.Clip{}, err
	}
	clip, err := f.frames(ctx, in, fps, sound)
	if err != nil {
		return ekyc.Clip{}, err
	}
	switch said := h.picture().seconds(); {
	case clip.Duration > MaxDuration+grace:
		return ekyc.Clip{}, tooLong
	case said-clip.Duration.Seconds() > cutOff:
		return ekyc.Clip{}, ekyc.Errorf(ekyc.VideoDamaged, "the recording says that it lasts %.1f s but ends after %.1f s", said, clip.Duration.Seconds())
	case clip.Duration < MinDuration:
		return ekyc.Clip{}, ekyc.Errorf(ekyc.VideoTooShort, "the recording lasts %.2f s, at least %v are needed", clip.Duration.Seconds(), MinDuration)
	}
	return clip, nil
}

var tooLong = ekyc.Errorf(ekyc.VideoTooLong, "the recording lasts more than %v", MaxDuration)

// cutOff is how many seconds of an announced length may be missing: headers round, and
// count the last picture's time.
const cutOff = 0.75

// header is what ffprobe says of a recording: what its writer claims.
type header struct {
	Streams []stream `json:"streams"`
	Format  struct {
		Duration string `json:"duration"`
	} `json:"format"`
}

type stream struct {
	Type     string `json:"codec_type"`
	Codec    string `json:"codec_name"`
	Width    int    `json:"width"`
	Height   int    `json:"height"`
	Duration string `json:"duration"`
}

// seconds is the stream's announced length; 0 where it announces none.
func (s stream) seconds() float64 { return seconds(s.Duration) }

func seconds(text string) float64 {
	v, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(v) || v < 0 {
		return 0
	}
	return v
}

// picture is the first picture stream; check has made sure that there is one.
func (h header) picture() stream {
	return h.Streams[slices.IndexFunc(h.Streams, func(s stream) bool { return s.Type == "video" })]
}

// header asks ffprobe for the streams.
func (f *FFmpeg) header(ctx context.Context, in input) (header, error) {
	args := slices.Concat([]string{"-hide_banner", "-loglevel", "error"}, in.options(), []string{
		"-print_format", "json", "-show_entries", "stream=codec_type,codec_name,width,height,duration:format=duration", "-i", in.name,
	})
	out := &bounded{limit: 64 << 10}
	if err := f.run(ctx, task{program: f.found.ffprobe, args: args, in: in, stdout: out}); err != nil {
		return header{}, err
	}
	var h header
	if err := json.Unmarshal(out.data, &h); err != nil {
		return header{}, ekyc.Wrap(ekyc.EngineFailed, "ffprobe's answer cannot be read", err)
	}
	return h, nil
}

// check refuses what is not read, by what the header claims, and tells whether there is
// sound to listen to.
func (h header) check() (sound bool, err error) {
	if len(h.Streams) == 0 {
		return false, ekyc.Errorf(ekyc.VideoDamaged, "the recording holds nothing but a header")
	}
	if len(h.Streams) > MaxStreams {
		return false, ekyc.Errorf(ekyc.VideoFormat, "the recording has %d tracks, at most %d are read", len(h.Streams), MaxStreams)
	}
	var pictures []stream
	heard := false
	for _, s := range h.Streams {
		switch {
		case s.Type == "video":
			pictures = append(pictures, s)
		case s.Type == "audio" && !heard: // the first one counts
			heard, sound = true, slices.Contains(soundCodecs, s.Codec)
		}
	}
	if len(pictures) != 1 {
		return false, ekyc.Errorf(ekyc.VideoFormat, "the recording has %d picture tracks, want one", len(pictures))
	}
	p := pictures[0]
	switch {
	case !slices.Contains(pictureCodecs, p.Codec):
		return false, ekyc.Errorf(ekyc.VideoFormat, "the recording's pictures are coded in %q; VP8, VP9, H.264 and HEVC are read", p.Codec)
	case max(p.Width, p.Height) > MaxSide || min(p.Width, p.Height) < MinSide:
		return false, ekyc.Errorf(ekyc.VideoFormat, "the recording has %d x %d pixels; %d to %d a side are read", p.Width, p.Height, MinSide, MaxSide)
	case max(p.seconds(), seconds(h.Format.Duration)) > (MaxDuration + grace).Seconds():
		return false, tooLong
	}
	return sound, nil
}

// frames runs ffmpeg over the recording: pictures as JPEG on its standard output, their
// times on descriptor 3, and the sound as 8 kHz samples on descriptor 4.
func (f *FFmpeg) frames(ctx context.Context, in input, fps float64, sound bool) (ekyc.Clip, error) {
	rate := strconv.FormatFloat(fps, 'f', -1, 64)
	// At most one picture for each step of 1/fps seconds: the first in it.
	filter := "select='isnan(prev_selected_t)+gt(floor(t*" + rate + "),floor(prev_selected_t*" + rate + "))'," +
		"scale='if(gt(iw,ih),min(iw,640),-2)':'if(gt(iw,ih),-2,min(ih,640))'," +
		// metadata prints the times of pictures that carry some
		`metadata=add:key=t:value=1,metadata=print:file=pipe\\:3`
	// Browsers record when they find time: two pictures may come within a step of the average
	// rate, in which ffmpeg would count them, and would refuse the second.
	ticks := []string{"-enc_time_base", "1:90000"}
	args := slices.Concat([]string{"-hide_banner", "-nostdin", "-loglevel", "error", "-xerror"}, in.options(),
		[]string{"-threads", "2", "-t", strconv.FormatFloat((MaxDuration + 2*grace).Seconds(), 'f', -1, 64), "-i", in.name},
		[]string{"-map", "0:v:0", "-vf", filter}, f.found.passthrough, ticks, []string{"-pix_fmt", "yuvj420p", "-q:v", "3", "-f", "mpjpeg", "pipe:1"})
	if sound {
		args = append(args, "-map", "0:a:0", "-ac", "1", "-ar", strconv.Itoa(soundRate), "-f", "s16le", "pipe:4")
	}
	pictures, times, samples := &bounded{limit: maxDecoded}, &bounded{limit: 1 << 20}, &bounded{limit: 2 << 20}
	err := f.run(ctx, task{program: f.found.ffmpeg, args: args, in: in, stdout: pictures, more: []*bounded{times, samples}})
	if err != nil {
		return ekyc.Clip{}, err
	}
	images, err := split(pictures.data)
	if err != nil {
		return ekyc.Clip{}, ekyc.Wrap(ekyc.EngineFailed, "ffmpeg's pictures cannot be read", err)
	}
	at, err := stamps(times.data)
	if err != nil {
		return ekyc.Clip{}, ekyc.Wrap(ekyc.EngineFailed, "ffmpeg's times cannot be read", err)
	}
	if len(images) == 0 {
		return ekyc.Clip{}, ekyc.Errorf(ekyc.VideoDamaged, "the recording holds no picture that can be decoded")
	}
	if len(at) != len(images) {
		return ekyc.Clip{}, ekyc.Errorf(ekyc.EngineFailed, "ffmpeg gave %d pictures and %d times", len(images), len(at))
	}
	clip := ekyc.Clip{Audio: sound && audible(samples.data)}
	for i, image := range images {
		clip.Frames = append(clip.Frames, ekyc.ClipFrame{Image: image, At: at[i] - at[0]})
	}
	clip.Duration = clip.Frames[len(images)-1].At + time.Duration(float64(time.Second)/fps)
	return clip, nil
}

// maxDecoded bounds the JPEGs of one recording: 750 of about 90 KB, twice what real
// pictures of 640 pixels take.
const maxDecoded = 64 << 20

// find looks for the programs and tries the sandbox, strictest first.
func find(cfg Config) (sandbox, error) {
	var s sandbox
	var missing []string
	for _, p := range []struct {
		name string
		path *string
	}{{cfg.FFmpeg, &s.ffmpeg}, {cfg.FFprobe, &s.ffprobe}, {"prlimit", &s.prlimit}, {"setpriv", &s.setpriv}} {
		path, err := exec.LookPath(p.name)
		if err != nil {
			missing = append(missing, p.name)
		}
		*p.path = path
	}
	if len(missing) > 0 {
		return s, fmt.Errorf("%v cannot be found; install the packages ffmpeg and util-linux (Debian: apt-get install ffmpeg util-linux)", missing)
	}
	if path, err := exec.LookPath("unshare"); err == nil {
		s.unshare = path
	}
	return s, errors.Join(s.try(cfg.Timeout))
}
