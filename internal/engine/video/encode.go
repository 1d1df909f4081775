package video

import (
	"bytes"
	"context"
	"image/jpeg"
	"io"
	"slices"
	"strconv"
	"time"

	"shiren/internal/ekyc"
)

// Limits of Encode, and its rate. Our choices: people look at it, and a presentation is
// at most 64 frames in a minute or two.
const (
	encodeRate      = 10 // pictures a second; each frame stands until the next
	maxEncodeFrames = 2000
	maxEncodeTime   = 5 * time.Minute
	maxEncodeBytes  = 256 << 20
)

// Encode implements ekyc.Videos: H.264 in mp4 with its index at the beginning, 4:2:0, at
// most FrameSide pixels a side, without sound and without metadata. All frames are
// brought to the first one's shape. Frames must be JPEG, in order of time.
func (f *FFmpeg) Encode(ctx context.Context, frames []ekyc.ClipFrame) ([]byte, error) {
	if len(frames) == 0 || len(frames) > maxEncodeFrames {
		return nil, ekyc.Errorf(ekyc.EngineFailed, "a video of %d frames was asked for; 1 to %d can be", len(frames), maxEncodeFrames)
	}
	if !slices.IsSortedFunc(frames, func(a, b ekyc.ClipFrame) int { return int(a.At - b.At) }) {
		return nil, ekyc.Errorf(ekyc.EngineFailed, "the frames of a video are not in order of time")
	}
	start := frames[0].At
	if long := frames[len(frames)-1].At - start; long > maxEncodeTime {
		return nil, ekyc.Errorf(ekyc.EngineFailed, "a video of %v was asked for; at most %v can be", long, maxEncodeTime)
	}
	size, err := jpeg.DecodeConfig(bytes.NewReader(frames[0].Image))
	if err != nil {
		return nil, ekyc.Wrap(ekyc.EngineFailed, "the first frame of a video is no JPEG", err)
	}
	w, h := fit(size.Width, size.Height)
	done, err := f.turn(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	out, err := f.unlinked()
	if err != nil {
		return nil, err
	}
	defer out.Close()
	shape := strconv.Itoa(w) + ":" + strconv.Itoa(h)
	args := []string{
		"-hide_banner", "-nostdin", "-loglevel", "error", "-xerror",
		"-protocol_whitelist", "pipe", "-codec_whitelist", "mjpeg", "-max_pixels", "50000000", "-threads", "1",
		"-f", "image2pipe", "-c:v", "mjpeg", "-framerate", strconv.Itoa(encodeRate), "-i", "pipe:0",
		"-vf", "scale=" + shape + ":force_original_aspect_ratio=decrease,pad=" + shape + ":(ow-iw)/2:(oh-ih)/2,setsar=1",
		"-map_metadata", "-1", "-an", "-c:v", "libx264", "-threads", "1", "-preset", "veryfast", "-crf", "25", "-pix_fmt", "yuv420p",
		"-movflags", "+faststart", "-f", "mp4", "-y", "file:/proc/self/fd/" + strconv.Itoa(inputFD),
	}
	err = f.run(ctx, task{program: f.found.ffmpeg, args: args, in: input{file: out}, stdin: film(frames), size: maxEncoded})
	if err != nil {
		return nil, err
	}
	// Its own descriptor has its own place in the file: at the beginning.
	video, err := io.ReadAll(io.LimitReader(out, maxEncoded))
	if err != nil {
		return nil, ekyc.Wrap(ekyc.EngineFailed, "the video cannot be read back", err)
	}
	return video, nil
}

// film is the frames at a steady rate, one JPEG after the other.
func film(frames []ekyc.ClipFrame) io.Reader {
	var list []io.Reader
	total := 0
	last := int((frames[len(frames)-1].At - frames[0].At) * encodeRate / time.Second)
	i := 0
	for n := range last + 1 {
		at := frames[0].At + time.Duration(n)*time.Second/encodeRate
		for i+1 < len(frames) && frames[i+1].At <= at {
			i++
		}
		if total += len(frames[i].Image); total > maxEncodeBytes {
			break
		}
		list = append(list, bytes.NewReader(frames[i].Image))
	}
	return io.MultiReader(list...)
}

// fit is a size of the same shape with at most FrameSide pixels a side, even, at least 2.
func fit(w, h int) (int, int) {
	if long := max(w, h); long > FrameSide {
		w, h = w*FrameSide/long, h*FrameSide/long
	}
	return max(2, w&^1), max(2, h&^1)
}
