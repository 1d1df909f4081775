package baidu

import (
	"bytes"
	"context"
	"encoding/json"
	"time"

	"shiren/internal/ekyc"
	"shiren/internal/testkit"
)

var webm = []byte{0x1a, 0x45, 0xdf, 0xa3}

// tape is scripted video: a recording is webm's first bytes and a testkit.Face that is
// seen for three seconds, with sound; its Fault is the error that reading it gives.
type tape struct{}

func (tape) Decode(_ context.Context, recording []byte, fps float64) (ekyc.Clip, error) {
	var f testkit.Face
	if err := json.Unmarshal(bytes.TrimPrefix(recording, webm), &f); err != nil {
		return ekyc.Clip{}, ekyc.Errorf(ekyc.VideoFormat, "not a recording")
	}
	if f.Fault != "" {
		return ekyc.Clip{}, ekyc.Errorf(f.Fault, "scripted")
	}
	c := ekyc.Clip{Duration: 3 * time.Second, Audio: true}
	for i := range int(3 * fps) {
		f.Serial = i
		c.Frames = append(c.Frames, ekyc.ClipFrame{Image: testkit.Photo(f), At: time.Duration(float64(i) / fps * float64(time.Second))})
	}
	return c, nil
}

// Encode makes bytes that begin like an mp4 and hold the frames.
func (tape) Encode(_ context.Context, frames []ekyc.ClipFrame) ([]byte, error) {
	b := []byte("\x00\x00\x00\x18ftypisom\x00\x00\x00\x00isommp42")
	for _, f := range frames {
		b = append(b, f.Image...)
	}
	return b, nil
}

// submit is testkit's, with what the page says of itself.
func (w *world) submit(t ekyc.Token, frames []ekyc.Frame) {
	w.T.Helper()
	p, err := w.Present(t, frames)
	w.Must(err)
	p.Client = w.client
	_, err = w.Submit(w.Ctx, t, p)
	w.Must(err)
}

func (w *world) record(t ekyc.Token, kind ekyc.LivenessKind, f testkit.Face) {
	w.T.Helper()
	w.Consent(t)
	c, err := w.Challenge(w.Ctx, t, kind)
	w.Must(err)
	recording := testkit.Photo(f)
	if kind != ekyc.RecordedPicture {
		b, err := json.Marshal(f)
		w.Must(err)
		recording = append(bytes.Clone(webm), b...)
	}
	_, err = w.Record(w.Ctx, t, c.ID, recording, w.client)
	w.Must(err)
}

// flash is a presentation before a screen that shows the challenge's colours: the skin
// answers each 200 ms later, the wall behind hardly; or, unmet, neither does.
func (w *world) flash(t ekyc.Token, met bool, f testkit.Face) {
	w.T.Helper()
	w.Consent(t)
	c, err := w.Challenge(w.Ctx, t, ekyc.LivenessFlash)
	w.Must(err)
	start := w.Clock.Now()
	last := c.Cues[len(c.Cues)-1]
	p := ekyc.Presented{Challenge: c.ID, Kind: c.Kind, Started: start, Frames: w.Frames(f, 5), Client: w.client}
	p.All = p.Frames
	n := 0
	for at := -time.Second; at < last.After+last.For+time.Second; at += 100 * time.Millisecond {
		n++
		s := ekyc.Sample{At: start.Add(at), Seq: n, Sent: at + 3*time.Second + time.Duration(n*n%7)*time.Millisecond, Faces: 1}
		s.Face.Box, s.Face.Confidence = ekyc.Box{X: 220, Y: 120, W: 200, H: 240}, 0.99
		light := [3]float64{}
		for _, cue := range c.Cues {
			if since := at - 200*time.Millisecond - cue.After; met && since >= 0 && since < cue.For {
				for k, v := range cue.Colour {
					light[k] = float64(v) / 255
				}
			}
		}
		for k, v := range light {
			noise := 1 + 0.002*float64((n*n*(k+3))%11-5) // of the camera
			s.Face.Skin[k] = (0.3 + 0.06*v) * noise
			s.Face.Back[k] = (0.2 + 0.002*v) * noise
		}
		p.Samples = append(p.Samples, s)
	}
	w.Clock.Advance(last.After + last.For + time.Second)
	_, err = w.Submit(w.Ctx, t, p)
	w.Must(err)
}

// card shows a side to the session's page. A picture that is refused is part of the story.
func (w *world) card(t ekyc.Token, c testkit.Card) {
	w.T.Helper()
	side := ekyc.CardFront
	if c.Authority != "" {
		side = ekyc.CardBack
	}
	w.Consent(t)
	if _, err := w.ReadCard(w.Ctx, t, side, testkit.CardPhoto(c)); err != nil && ekyc.CodeOf(err) == ekyc.Internal {
		w.T.Fatal(err)
	}
}
