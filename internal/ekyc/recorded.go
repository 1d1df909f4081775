package ekyc

import (
	"bytes"
	"context"
	"slices"
	"time"
)

// Limits of a recording. Our choices; what reads recordings may set narrower ones.
const (
	MaxRecording = 20 << 20 // bytes
	// RecordingMax and RecordingMin are how long a recording lasts.
	RecordingMax = 25 * time.Second
	RecordingMin = 2 * time.Second
	// recordingRate is how many frames of a second of a recording are looked at.
	recordingRate = 10
)

// Record makes one attempt of an upload of a recorded kind: a webm or mp4 recording, or
// a picture for RecordedPicture. The challenge is used up even if the recording cannot be
// read: that attempt ends as failed with a Video or Image code and does not spend the
// token. Codes: those of Session.Answer; BadRequest, VideoTooLarge, ImageTooLarge and
// NotSwitchedOn before an attempt begins.
func (s *Service) Record(ctx context.Context, t Token, challenge string, recording []byte, c Client) (Attempt, error) {
	ses, err := s.session(ctx, t)
	if err != nil {
		return Attempt{}, err
	}
	kind := LivenessKind("")
	if ses.Challenge != nil {
		kind = ses.Challenge.Kind
	}
	switch {
	case ses.Challenge != nil && !kind.Recorded():
		return Attempt{}, Errorf(BadRequest, "the session's challenge is not of a recorded kind")
	case len(recording) == 0:
		return Attempt{}, Errorf(BadRequest, "the recording is empty")
	case kind == RecordedPicture && len(recording) > MaxImage:
		return Attempt{}, Errorf(ImageTooLarge, "the picture exceeds %d bytes", MaxImage)
	case len(recording) > MaxRecording:
		return Attempt{}, Errorf(VideoTooLarge, "the recording exceeds %d bytes", MaxRecording)
	case kind != RecordedPicture && s.Videos == nil:
		return Attempt{}, Errorf(NotSwitchedOn, "this server reads no recordings")
	}
	return s.attempt(ctx, t, challenge, kind, func(ctx context.Context, ses *Session, ordinal int, ch Challenge) Findings {
		p := Presented{Challenge: ch.ID, Kind: kind, Client: c, Started: s.Now().UTC()}
		if kind == RecordedPicture {
			p.Frames = []Frame{{Image: recording, At: p.Started}}
			p.All = p.Frames
			return s.findings(ctx, ses, ordinal, ch.asked(p.Started, nil), p, recording)
		}
		if err := s.watchRecording(ctx, ses.Plan, recording, &p); err != nil {
			var f Findings
			s.fail(ctx, &f, EngineFailed, "read recording", err)
			return f
		}
		return s.findings(ctx, ses, ordinal, ch.asked(p.Started, nil), p, recording)
	})
}

// watchRecording decodes a recording and examines its frames.
func (s *Service) watchRecording(ctx context.Context, plan Plan, recording []byte, p *Presented) error {
	clip, err := s.Videos.Decode(ctx, recording, recordingRate)
	switch {
	case err != nil:
		return err
	case clip.Duration > RecordingMax:
		return Errorf(VideoTooLong, "the recording lasts %v; at most %v are accepted", clip.Duration.Round(time.Second), RecordingMax)
	case clip.Duration < RecordingMin || len(clip.Frames) == 0:
		return Errorf(VideoTooShort, "the recording lasts %v; at least %v are needed", clip.Duration.Round(time.Millisecond), RecordingMin)
	case p.Kind == RecordedDigits && !clip.Audio:
		return Errorf(VideoSilent, "the recording has no sound")
	}
	most := int(RecordingMax/time.Second) * recordingRate
	frames := clip.Frames[:min(len(clip.Frames), most)]
	xs := make([]Examination, len(frames))
	errs := make([]error, len(frames))
	few(len(frames), func(i int) { xs[i], errs[i] = s.Engine.Examine(ctx, frames[i].Image, wants(p.Kind)) })
	var good, any []rated
	stride := (len(frames) + KeptFrames - 1) / KeptFrames
	for i, c := range frames {
		if errs[i] != nil {
			return errs[i]
		}
		f := Frame{Image: c.Image, At: p.Started.Add(c.At), Seq: i + 1, Sent: c.At}
		p.Samples = append(p.Samples, sampleOf(f, xs[i]))
		if i%stride == 0 {
			p.All = append(p.All, f)
		}
		if len(xs[i].Faces) == 0 {
			continue
		}
		r := rated{f, xs[i].Faces[0].Quality.Value}
		any = append(any, r)
		if Judge(xs[i], wants(p.Kind), plan.QualityLevel) == OK {
			good = append(good, r)
		}
	}
	if len(good) == 0 {
		good = any // the probe will say what is wrong with them
	}
	if p.Frames = bestFrames(good); len(p.Frames) == 0 {
		return Errorf(NoFace, "no frame of the recording shows a face")
	}
	return nil
}

// video gives, later, the video of a presentation that its plan keeps: the upload, or a
// film of the frames; nil where none is kept or could be made. A film that cannot be made
// is logged and costs nobody their verification.
func (s *Service) video(ctx context.Context, plan Plan, p Presented, recording []byte) <-chan []byte {
	out := make(chan []byte, 1)
	switch {
	case !plan.KeepMedia || p.Kind == RecordedPicture:
		out <- nil
	case recording != nil:
		out <- recording
	case s.Videos == nil || len(p.All) == 0:
		out <- nil
	default:
		frames := make([]ClipFrame, len(p.All))
		for i, f := range p.All {
			frames[i] = ClipFrame{Image: f.Image, At: f.At.Sub(p.All[0].At)}
		}
		go func() {
			film, err := s.Videos.Encode(ctx, frames)
			if err != nil {
				s.Log.WarnContext(ctx, "the presentation's video could not be made; it is not kept", "err", err)
				film = nil
			}
			out <- film
		}()
	}
	return out
}

// Continuity of one face. Our choices: a comparison score of 0.4 is a false match rate
// of 1e-2 on the engine's calibration table (of the default model a cosine of about .39);
// frames of one capture score far above it (.69 median genuine cosine even between
// different photographs), and a swapped face passes one comparison in a hundred.
const (
	sameFaceScore    Score = 0.4
	continuityFrames int   = 6
	// A face turned further than this is not compared, degrees.
	continuityYaw, continuityPitch float64 = 20, 18
)

// changed reports that frames spread over a presentation do not show the face of its best
// frame. Frames without a frontal face are left out: movement is no change.
func (s *Service) changed(ctx context.Context, probe []Template, p Presented) (bool, error) {
	templates := slices.Clone(probe[1:])
	frames := frontal(p)
	xs := make([]Examination, len(frames))
	errs := make([]error, len(frames))
	few(len(frames), func(i int) { xs[i], errs[i] = s.Engine.Examine(ctx, frames[i].Image, WantTemplate) })
	for i, x := range xs {
		if errs[i] != nil {
			return false, errs[i]
		}
		// A frame too poor to be compared says nothing.
		if len(x.Faces) > 0 && Judge(x, WantTemplate, LevelLow) == OK {
			templates = append(templates, x.Faces[0].Template)
		}
	}
	for _, t := range templates {
		c, err := s.Engine.Compare(probe[0], t)
		if err != nil {
			return false, err
		}
		if c.Score < sameFaceScore {
			return true, nil
		}
	}
	return false, nil
}

// frontal picks frames for continuity, spread over the presentation: of each of
// continuityFrames equal parts the frame whose face is turned least.
func frontal(p Presented) []Frame {
	if p.Kind == RecordedPicture || len(p.All) == 0 {
		return nil
	}
	turn := map[time.Time]float64{}
	rest := median(p.Samples, func(s Sample) float64 { return s.Face.Pose.Pitch })
	for _, s := range p.Samples {
		if s.Faces > 0 {
			turn[s.At] = max(abs(s.Face.Pose.Yaw)/continuityYaw, abs(s.Face.Pose.Pitch-rest)/continuityPitch)
		}
	}
	first, span := p.All[0].At, p.All[len(p.All)-1].At.Sub(p.All[0].At)+1
	var best [continuityFrames]*Frame
	for i := range p.All {
		f := &p.All[i]
		v, seen := turn[f.At]
		if !seen || v > 1 {
			continue
		}
		k := int(int64(f.At.Sub(first)) * int64(continuityFrames) / int64(span))
		if b := best[k]; b == nil || v < turn[b.At] {
			best[k] = f
		}
	}
	var list []Frame
	for _, b := range best {
		if b != nil {
			list = append(list, *b)
		}
	}
	return list
}

// videoType names the MIME type of a recording that was read.
func videoType(b []byte) string {
	switch {
	case len(b) > 8 && string(b[4:8]) == "ftyp":
		return "video/mp4"
	case bytes.HasPrefix(b, []byte{0x1a, 0x45, 0xdf, 0xa3}):
		return "video/webm"
	}
	return "application/octet-stream"
}
