package main

import (
	"context"
	"errors"
	"fmt"
	"image/color"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"shiren/internal/bench"
	"shiren/internal/ekyc"
	"shiren/internal/engine/vision"
	"shiren/internal/server"
)

// cardSide is what was read from one picture; also its JSON. Words are named as in the
// truth.json of `shiren bench idcards`. Lengths are pixels of the upright picture.
type cardSide struct {
	File    string              `json:"file"`
	Asked   ekyc.CardSide       `json:"asked"`
	Side    ekyc.CardSide       `json:"side,omitempty"`
	Type    string              `json:"type,omitempty"`
	Status  ekyc.CardStatus     `json:"status"`
	Words   map[string]cardWord `json:"words,omitempty"`
	Flags   []ekyc.CardFlag     `json:"flags"`
	Expired *bool               `json:"expired,omitempty"` // on the day of reading; absent where the expiry was not surely read
	Quad    [4][2]float64       `json:"quad"`
	Width   float64             `json:"width"`
	Sharp   float64             `json:"sharp"`
	Seconds float64             `json:"seconds"`

	image []byte
	got   ekyc.CardReading
}

type cardWord struct {
	Value      string        `json:"value"`
	Confidence float64       `json:"confidence"`
	Doubtful   bool          `json:"doubtful"`
	Quad       [4][2]float64 `json:"quad"`
}

func (a *app) idcardCmd() *cobra.Command {
	var asJSON bool
	var draw string
	cmd := &cobra.Command{
		Use:   "idcard FRONT [BACK]",
		Short: "Read an identity document",
		Long: `Read the resident identity card or the residence permit of Hong Kong, Macau and Taiwan
residents in a photograph of each side (JPEG, PNG or WebP; FRONT shows the portrait).
Prints each field with the confidence that it is right, "doubtful" where it must not be
taken as good, what kind of picture it is, and flags: number_wrong, birthday_differ,
gender_differ, dates_wrong, copy. A picture of something else is an answer, not an error.

JSON keys: front and back with file, asked, side, type (resident or permit), status,
words.FIELD (value, confidence, doubtful, quad), flags, expired, quad, width, sharp,
seconds.`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error { return a.idcard(cmd.Context(), args, draw, asJSON) },
	}
	a.setData(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().StringVar(&draw, "draw", "", "write a PNG `file` with the pictures, the documents' corners and the fields")
	return cmd
}

func (a *app) idcard(ctx context.Context, files []string, draw string, asJSON bool) error {
	cfg, err := a.load()
	if err != nil {
		return err
	}
	reader, err := server.OpenCards(cfg)
	if err != nil {
		return err
	}
	defer reader.Close()
	return a.readCards(ctx, reader, files, draw, asJSON)
}

// readCards reads the sides and prints what was read.
func (a *app) readCards(ctx context.Context, reader ekyc.CardReader, files []string, draw string, asJSON bool) error {
	var sides []*cardSide
	var errs []error
	for i, file := range files {
		s := &cardSide{File: file, Asked: []ekyc.CardSide{ekyc.CardFront, ekyc.CardBack}[i]}
		errs = append(errs, s.read(ctx, reader, a.now))
		sides = append(sides, s)
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if draw != "" {
		if err := drawCards(draw, sides); err != nil {
			return err
		}
	}
	if asJSON {
		out := map[ekyc.CardSide]*cardSide{}
		for _, s := range sides {
			out[s.Asked] = s
		}
		return printJSON(a.out, out)
	}
	for i, s := range sides {
		if i > 0 {
			fmt.Fprintln(a.out)
		}
		if err := s.print(a.out); err != nil {
			return err
		}
	}
	return nil
}

func (s *cardSide) read(ctx context.Context, reader ekyc.CardReader, now func() time.Time) error {
	var err error
	if s.image, err = readImage(s.File); err != nil {
		return err
	}
	began := now()
	if s.got, err = reader.ReadCard(ctx, s.image, s.Asked); err != nil {
		return fmt.Errorf("%s: %w", s.File, err)
	}
	s.fill(now().Sub(began), now())
	return nil
}

// fill takes over what was read.
func (s *cardSide) fill(took time.Duration, now time.Time) {
	r := s.got
	s.Side, s.Status, s.Flags, s.Width, s.Sharp, s.Seconds = r.Side, r.Status, r.Flags, r.Width, r.Sharp, took.Seconds()
	s.Quad = corners(r.Quad)
	if s.Flags == nil {
		s.Flags = []ekyc.CardFlag{}
	}
	if len(r.Words) > 0 {
		s.Type = "resident"
		if r.Type == ekyc.ResidencePermit {
			s.Type = "permit"
		}
		s.Words = map[string]cardWord{}
	}
	for _, f := range bench.CardFields() {
		if w, ok := r.Words[f.Field]; ok {
			s.Words[f.Name] = cardWord{w.Value, w.Confidence, w.Doubtful, corners(w.Quad)}
		}
	}
	if w, ok := r.Words[ekyc.CardExpires]; ok && w.Value != "" && !w.Doubtful {
		expired := r.Expired(now)
		s.Expired = &expired
	}
}

func corners(q [4]ekyc.Point) (out [4][2]float64) {
	for i, p := range q {
		out[i] = [2]float64{p.X, p.Y}
	}
	return out
}

func (s *cardSide) print(out io.Writer) error {
	what := map[string]string{"resident": ", resident identity card", "permit": ", residence permit"}[s.Type]
	if s.Side != "" {
		what += ", " + string(s.Side)
	}
	fmt.Fprintf(out, "%s: %s%s; %.0f px wide, sharpness %.2f, %.2f s\n", s.File, s.Status, what, s.Width, s.Sharp, s.Seconds)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, f := range bench.CardFields() {
		word, ok := s.Words[f.Name]
		if !ok {
			continue
		}
		value, doubt := word.Value, ""
		if value == "" {
			value = "(nothing read)"
		}
		if word.Doubtful {
			doubt = "\tdoubtful"
		}
		// The value comes last: its width in a terminal is not its count of characters.
		fmt.Fprintf(w, "  %s\t%.3f\t%s%s\n", f.Name, word.Confidence, value, doubt)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if len(s.Flags) > 0 {
		var list []string
		for _, f := range s.Flags {
			list = append(list, string(f))
		}
		fmt.Fprintf(out, "  flags: %s\n", strings.Join(list, ", "))
	}
	if s.Expired != nil && *s.Expired {
		fmt.Fprintln(out, "  expired: it is no longer valid")
	}
	return nil
}

// drawCards writes the pictures side by side with the documents' corners (green) and
// the fields (blue; doubtful ones orange).
func drawCards(path string, sides []*cardSide) error {
	var drawn []*vision.Image
	for _, s := range sides {
		im, err := vision.Decode(s.image, vision.DefaultLimits)
		if err != nil {
			return fmt.Errorf("%s: %w", s.File, err)
		}
		defer im.Release()
		x, y := im.Scale()
		outline := func(q [4]ekyc.Point, r int, c color.RGBA) {
			if q == ([4]ekyc.Point{}) {
				return // not found
			}
			for i := range q {
				q[i] = ekyc.Point{X: q[i].X / x, Y: q[i].Y / y}
			}
			im.Outline(q, r, c)
		}
		outline(s.got.Quad, 1, color.RGBA{R: 0, G: 200, B: 80, A: 255})
		for _, w := range s.got.Words {
			c := color.RGBA{R: 40, G: 90, B: 255, A: 255}
			if w.Doubtful {
				c = color.RGBA{R: 255, G: 140, B: 0, A: 255}
			}
			outline(w.Quad, 0, c)
		}
		drawn = append(drawn, im)
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(vision.EncodePNG(f, drawn...), f.Close())
}
