package bench

import (
	"bytes"
	"fmt"
	"html/template"
	"image/color"
	"io"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
)

var (
	genuineColour  = color.NRGBA{R: 20, G: 130, B: 70, A: 150}
	impostorColour = color.NRGBA{R: 190, G: 50, B: 40, A: 150}
)

// Report writes one HTML page with the figures, the ROC and the histogram of scores.
// It refers to nothing outside itself.
func (r Result) Report(w io.Writer) error {
	if len(r.genuine) == 0 || len(r.impostor) == 0 {
		return errNoScores
	}
	roc, err := r.roc()
	if err != nil {
		return fmt.Errorf("draw ROC: %w", err)
	}
	hist, err := r.histogram()
	if err != nil {
		return fmt.Errorf("draw histogram: %w", err)
	}
	var text bytes.Buffer
	if err := r.Write(&text); err != nil {
		return err
	}
	return page.Execute(w, struct {
		Model, Text    string
		ROC, Histogram template.HTML
	}{r.Model, text.String(), roc, hist})
}

var page = template.Must(template.New("report").Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>shiren: face comparison</title>
<style>body{font:16px/1.5 sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}svg{max-width:100%;height:auto}pre{background:#f4f4f4;padding:1rem;overflow:auto}</style>
</head><body><h1>Face comparison</h1><p>Embedding network {{.Model}}</p><pre>{{.Text}}</pre>
<h2>ROC</h2>{{.ROC}}<h2>Comparison scores</h2><p>Green: genuine pairs; red: impostor pairs; share of each by cosine.</p>{{.Histogram}}</body></html>
`))

// roc draws TAR over FMR, FMR from one impostor pair up.
func (r Result) roc() (template.HTML, error) {
	p := plot.New()
	p.X.Label.Text, p.Y.Label.Text = "FMR", "TAR"
	p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, plot.LogTicks{Prec: -1}
	n := len(r.impostor)
	var xy plotter.XYs
	for k := 1; k <= n; k += max(1, k/50) {
		tar := float64(atLeast(r.genuine, r.impostor[n-k])) / float64(len(r.genuine))
		xy = append(xy, plotter.XY{X: float64(k) / float64(n), Y: tar})
	}
	line, err := plotter.NewLine(xy)
	if err != nil {
		return "", err
	}
	line.Color, line.Width = genuineColour, vg.Points(1.5)
	p.Add(plotter.NewGrid(), line)
	p.X.Min, p.X.Max = 1/float64(n), 1
	p.Y.Max, p.Y.Min = 1, math.Min(0.9, xy[0].Y)
	return svg(p)
}

func (r Result) histogram() (template.HTML, error) {
	p := plot.New()
	p.X.Label.Text, p.Y.Label.Text = "cosine", "share"
	for _, s := range []struct {
		list   []float64
		colour color.Color
	}{{r.genuine, genuineColour}, {r.impostor, impostorColour}} {
		const bins, low, high = 60, -0.4, 1.0
		h := &plotter.Histogram{Width: (high - low) / bins, FillColor: s.colour}
		for i := range bins {
			a := low + float64(i)*h.Width
			b := a + h.Width
			from, to := atLeast(s.list, a), atLeast(s.list, b)
			if i == 0 {
				from = len(s.list)
			}
			if i == bins-1 {
				to = 0
			}
			h.Bins = append(h.Bins, plotter.HistogramBin{Min: a, Max: b, Weight: float64(from-to) / float64(len(s.list))})
		}
		p.Add(h)
	}
	return svg(p)
}

func svg(p *plot.Plot) (template.HTML, error) {
	c, err := p.WriterTo(16*vg.Centimeter, 10*vg.Centimeter, "svg")
	if err != nil {
		return "", err
	}
	var b bytes.Buffer
	if _, err := c.WriteTo(&b); err != nil {
		return "", err
	}
	// The element alone; what precedes it belongs to a file of its own.
	data := b.Bytes()
	if i := bytes.Index(data, []byte("<svg")); i > 0 {
		data = data[i:]
	}
	return template.HTML(data), nil // made above from numbers only
}
