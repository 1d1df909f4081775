package testkit

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"

	"shiren/internal/ekyc"
)

// Card scripts what the reader finds in a picture of an identity document. The zero value
// with Number set is a front without fault; one with Authority set is a back.
type Card struct {
	Name, Number, Gender, Nation, Birthday, Address string // front; Birthday and Gender follow from Number where they are empty
	Authority, Issued, Expires                      string // back
	Type                                            ekyc.DocumentType
	Status                                          ekyc.CardStatus  // "" is readable
	Doubtful                                        []ekyc.CardField `json:",omitempty"`
	Flags                                           []ekyc.CardFlag  `json:",omitempty"`
	Person                                          string           // whose portrait is printed
	Faint                                           bool             // the portrait shows no face
	Width                                           float64          // pixels; 0 means 900
	Shift                                           float64          // pixels to the right
	Fault                                           ekyc.Code        // the reader refuses the picture with this code
	Serial                                          int              // makes otherwise equal pictures differ
}

var cardMagic = append(bytes.Clone(magic), "card"...)

// CardPhoto makes a picture that the kit's reader understands. It begins like a JPEG and is none.
func CardPhoto(c Card) []byte {
	b, err := json.Marshal(c)
	if err != nil {
		panic(err)
	}
	return append(bytes.Clone(cardMagic), b...)
}

// CardReader is the scripted reader of documents. Hook, when set, is called before each
// reading and may return an error in its place. Safe for concurrent use once set up.
type CardReader struct {
	Hook  func() error
	mu    sync.Mutex
	calls int
}

// Calls counts readings; glances are not counted.
func (r *CardReader) Calls() int { r.mu.Lock(); defer r.mu.Unlock(); return r.calls }

func (r *CardReader) open(image []byte) (c Card, is bool, err error) {
	text, is := bytes.CutPrefix(image, cardMagic)
	switch {
	case len(image) == 0:
		return c, false, ekyc.Errorf(ekyc.ImageEmpty, "the image is empty")
	case !bytes.HasPrefix(image, magic):
		return c, false, ekyc.Errorf(ekyc.ImageFormat, "the bytes are no image")
	case !is && !json.Valid(image[len(magic):]):
		return c, false, ekyc.Errorf(ekyc.ImageDamaged, "the image is damaged")
	case !is: // a picture of something else
		return c, false, nil
	case json.Unmarshal(text, &c) != nil:
		return c, false, ekyc.Errorf(ekyc.ImageDamaged, "the image is damaged")
	case c.Fault != "":
		return c, false, ekyc.Errorf(c.Fault, "scripted")
	}
	return c, true, nil
}

func (c Card) side() ekyc.CardSide {
	if c.Authority != "" {
		return ekyc.CardBack
	}
	return ekyc.CardFront
}

func (c Card) status(want ekyc.CardSide) ekyc.CardStatus {
	switch {
	case c.Status != "":
		return c.Status
	case c.side() != want:
		return ekyc.CardWrongSide
	}
	return ekyc.CardReadable
}

func (c Card) quad() [4]ekyc.Point {
	w := c.width()
	x, y := 40+c.Shift, 30.0
	return [4]ekyc.Point{{X: x, Y: y}, {X: x + w, Y: y}, {X: x + w, Y: y + w*54/85.6}, {X: x, Y: y + w*54/85.6}}
}

func (c Card) width() float64 {
	if c.Width == 0 {
		return 900
	}
	return c.Width
}

// ReadCard finds what the picture says.
func (r *CardReader) ReadCard(_ context.Context, image []byte, side ekyc.CardSide) (ekyc.CardReading, error) {
	r.mu.Lock()
	r.calls++
	r.mu.Unlock()
	if r.Hook != nil {
		if err := r.Hook(); err != nil {
			return ekyc.CardReading{}, err
		}
	}
	c, is, err := r.open(image)
	if err != nil {
		return ekyc.CardReading{}, err
	}
	if !is {
		return ekyc.CardReading{Status: ekyc.CardNone}, nil
	}
	out := ekyc.CardReading{
		Side: c.side(), Type: c.Type, Status: c.status(side), Flags: c.Flags, Quad: c.quad(), Width: c.width(), Sharp: 0.8,
	}
	if out.Status != ekyc.CardReadable && out.Status != ekyc.CardWrongSide {
		return out, nil
	}
	out.Crop = append(bytes.Clone(magic), fmt.Sprintf(`crop of %s %d`, c.side(), c.Serial)...)
	values := map[ekyc.CardField]string{
		ekyc.CardAuthority: c.Authority, ekyc.CardIssued: c.Issued, ekyc.CardExpires: c.Expires,
	}
	if c.side() == ekyc.CardFront {
		out.Portrait = Photo(Face{Person: c.Person, None: c.Faint, Serial: c.Serial})
		if len(c.Number) == 18 {
			if c.Birthday == "" {
				c.Birthday = c.Number[6:14]
			}
			if c.Gender == "" {
				c.Gender = map[bool]string{true: "男", false: "女"}[c.Number[16]%2 == 1]
			}
		}
		values = map[ekyc.CardField]string{
			ekyc.CardName: c.Name, ekyc.CardGender: c.Gender, ekyc.CardNation: c.Nation, ekyc.CardBirthday: c.Birthday,
			ekyc.CardAddress: c.Address, ekyc.CardNumber: c.Number,
		}
	}
	out.Words = map[ekyc.CardField]ekyc.CardWord{}
	for i, f := range c.side().Fields() {
		v, printed := values[f]
		if !printed || v == "" && !slices.Contains(c.Doubtful, f) {
			continue
		}
		w := ekyc.CardWord{Value: v, Confidence: 0.99}
		if slices.Contains(c.Doubtful, f) {
			w.Confidence, w.Doubtful = 0.4, true
		}
		x, y := 100.0, 60+50*float64(i)
		w.Quad = [4]ekyc.Point{{X: x, Y: y}, {X: x + 200, Y: y}, {X: x + 200, Y: y + 30}, {X: x, Y: y + 30}}
		out.Words[f] = w
	}
	return out, nil
}

// GlanceCard finds what the frame says.
func (r *CardReader) GlanceCard(_ context.Context, image []byte, side ekyc.CardSide) (ekyc.CardGlance, error) {
	c, is, err := r.open(image)
	if err != nil || !is {
		return ekyc.CardGlance{Status: ekyc.CardNone}, err
	}
	return ekyc.CardGlance{Side: c.side(), Status: c.status(side), Quad: c.quad(), Width: c.width(), Sharp: 0.8}, nil
}
