package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"shiren/internal/config"
	"shiren/internal/ekyc"
	"shiren/internal/engine"
	"shiren/internal/server"
)

// readImage reads a file that should be an image, bounded.
func readImage(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, ekyc.MaxImage+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return b, nil
}

// side is what was found in one of two images; also its JSON. Lengths are pixels of the
// upright image, angles degrees.
type side struct {
	File       string       `json:"file"`
	Width      int          `json:"width"`
	Height     int          `json:"height"`
	Faces      int          `json:"faces"`
	Box        box          `json:"box"`
	Confidence float64      `json:"confidence"`
	Landmarks  [][2]float64 `json:"landmarks"`
	Pose       pose         `json:"pose"`
	EyesClosed [2]float64   `json:"eyes_closed"`
	Live       ekyc.Score   `json:"live"`
	Quality    quality      `json:"quality"`
	Problem    ekyc.Code    `json:"problem,omitempty"` // the first quality limit of the plan that is not reached

	image []byte // as read
	found ekyc.Examination
}

// The core's types as JSON.
type (
	box struct {
		X float64 `json:"x"`
		Y float64 `json:"y"`
		W float64 `json:"w"`
		H float64 `json:"h"`
	}
	pose struct {
		Yaw   float64 `json:"yaw"`
		Pitch float64 `json:"pitch"`
		Roll  float64 `json:"roll"`
	}
	quality struct {
		EyeDistance float64 `json:"eye_distance"`
		Sharpness   float64 `json:"sharpness"`
		Brightness  float64 `json:"brightness"`
		Contrast    float64 `json:"contrast"`
		Inside      float64 `json:"inside"`
		Value       float64 `json:"value"`
	}
)

// compared is the answer of compare; also its JSON.
type compared struct {
	Score      ekyc.Score `json:"score"`
	Similarity float64    `json:"similarity"`
	FMR        float64    `json:"fmr"`
	// Extrapolated: FMR lies beyond what the calibration table was measured at.
	Extrapolated bool       `json:"fmr_extrapolated"`
	Threshold    ekyc.Score `json:"threshold"`
	Match        bool       `json:"match"`
	Plan         string     `json:"plan,omitempty"`
	Model        string     `json:"model"`
	A            side       `json:"a"`
	B            side       `json:"b"`
}

func (a *app) compareCmd() *cobra.Command {
	var asJSON bool
	var draw, plan string
	cmd := &cobra.Command{
		Use:   "compare A B",
		Short: "Compare the faces of two pictures",
		Long: `Compare the largest faces of two pictures (JPEG, PNG or WebP): the comparison score
from 0 to 1, the false match rate (FMR) at that score, and the verdict at a plan's
threshold. 0.8 means that one pair of different people in 10,000 scores as high, on the
population that the calibration table was measured on.`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.compare(cmd.Context(), [2]string(args), plan, draw, asJSON)
		},
	}
	a.setData(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().StringVar(&draw, "draw", "", "write a PNG `file` with both pictures, boxes and landmarks")
	cmd.Flags().StringVar(&plan, "plan", "", "`id` of the plan whose threshold and quality level apply (default: 0.8, low)")
	return cmd
}

func (a *app) compare(ctx context.Context, files [2]string, planID, draw string, asJSON bool) error {
	cfg, err := a.load()
	if err != nil {
		return err
	}
	p, err := a.findPlan(ctx, cfg, planID)
	if err != nil {
		return err
	}
	e, err := server.OpenEngine(cfg)
	if err != nil {
		return err
	}
	defer e.Close()
	c := compared{Threshold: p.MatchAt, Plan: planID, Model: e.Model()}
	sides := [2]*side{&c.A, &c.B}
	var errs []error
	for i, s := range sides {
		errs = append(errs, s.examine(ctx, e, files[i], p.QualityLevel))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if draw != "" {
		if err := writeDrawing(e, draw, sides); err != nil {
			return err
		}
	}
	r, err := e.Compare(c.A.found.Faces[0].Template, c.B.found.Faces[0].Template)
	if err != nil {
		return err
	}
	c.Score, c.Similarity, c.FMR, c.Extrapolated, c.Match = r.Score, r.Similarity, r.FMR, r.Extrapolated, r.Score >= p.MatchAt
	if asJSON {
		return printJSON(a.out, c)
	}
	return c.print(a.out)
}

// findPlan finds the plan that a flag names: in the configuration, else in the database.
func (a *app) findPlan(ctx context.Context, cfg config.Config, id string) (ekyc.Plan, error) {
	if id == "" {
		return config.DefaultPlan().Record(a.now()), nil
	}
	for _, p := range cfg.Plans {
		if p.ID == id {
			return p.Record(a.now()), nil
		}
	}
	d, err := server.Open(ctx, a.quiet(cfg))
	if err != nil {
		return ekyc.Plan{}, err
	}
	defer d.Close()
	p, err := d.Store.Plan(ctx, ekyc.PlanID(id))
	if errors.Is(err, ekyc.ErrAbsent) {
		return p, fmt.Errorf("there is no plan %q; `shiren plan list` shows what there is", id)
	}
	return p, err
}

func (s *side) examine(ctx context.Context, e *engine.Engine, path string, level ekyc.Level) error {
	data, err := readImage(path)
	if err != nil {
		return err
	}
	x, err := e.Examine(ctx, data, ekyc.WantAll)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if len(x.Faces) == 0 {
		return fmt.Errorf("%s: no face was found; use a picture in which one is larger and upright", path)
	}
	f := x.Faces[0]
	*s = side{
		File: path, Width: x.Width, Height: x.Height, Faces: len(x.Faces), Box: box(f.Box), Confidence: f.Confidence,
		Pose: pose(f.Pose), EyesClosed: f.EyesClosed, Live: f.Live, Quality: quality(f.Quality),
		Problem: ekyc.Judge(x, ekyc.WantAll, level), image: data, found: x,
	}
	for _, p := range f.Landmarks {
		s.Landmarks = append(s.Landmarks, [2]float64{p.X, p.Y})
	}
	return nil
}

func writeDrawing(e *engine.Engine, path string, sides [2]*side) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	err = e.Draw(f, [][]byte{sides[0].image, sides[1].image}, []ekyc.Examination{sides[0].found, sides[1].found})
	return errors.Join(err, f.Close())
}

func (c *compared) print(out io.Writer) error {
	verdict := "non-match"
	if c.Match {
		verdict = "match"
	}
	at := fmt.Sprintf("at threshold %.2f", float64(c.Threshold))
	if c.Plan != "" {
		at += " of plan " + c.Plan
	}
	beyond := ""
	if c.Extrapolated {
		beyond = "   (extrapolated: beyond the rates that the calibration table was measured at)"
	}
	fmt.Fprintf(out, "score    %.4f   (%.2f of 100; cosine %.4f)\nFMR      %.2g%s\nverdict  %s %s\n\n",
		float64(c.Score), 100*float64(c.Score), c.Similarity, c.FMR, beyond, verdict, at)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	row := func(name string, value func(s *side) string) {
		fmt.Fprintf(w, "%s\t%s\t%s\n", name, value(&c.A), value(&c.B))
	}
	row("", func(s *side) string { return s.File })
	row("image", func(s *side) string { return fmt.Sprintf("%d x %d", s.Width, s.Height) })
	row("faces", func(s *side) string { return fmt.Sprint(s.Faces) })
	row("face", func(s *side) string {
		return fmt.Sprintf("%.0f x %.0f at %.0f,%.0f", s.Box.W, s.Box.H, s.Box.X, s.Box.Y)
	})
	row("quality", func(s *side) string { return fmt.Sprintf("%.2f", s.Quality.Value) })
	row("eyes apart", func(s *side) string { return fmt.Sprintf("%.0f px", s.Quality.EyeDistance) })
	row("sharpness", func(s *side) string { return fmt.Sprintf("%.2f", s.Quality.Sharpness) })
	row("brightness", func(s *side) string { return fmt.Sprintf("%.2f", s.Quality.Brightness) })
	row("pose", func(s *side) string {
		return fmt.Sprintf("yaw %.0f, pitch %.0f, roll %.0f", s.Pose.Yaw, s.Pose.Pitch, s.Pose.Roll)
	})
	row("eyes closed", func(s *side) string { return fmt.Sprintf("%.2f, %.2f", s.EyesClosed[0], s.EyesClosed[1]) })
	row("silent PAD", func(s *side) string { return fmt.Sprintf("%.2f", float64(s.Live)) })
	row("problem", func(s *side) string {
		if s.Problem == ekyc.OK {
			return "none"
		}
		return string(s.Problem)
	})
	return w.Flush()
}

func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
