package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/image/draw"

	"shiren/api/juhe"
)

// juheFigures is what `shiren bench http --protocol juhe` measures.
type juheFigures struct {
	Date      string  `json:"date"`
	Machine   string  `json:"machine"`
	Command   string  `json:"command"`
	ImageKB   float64 `json:"image_kb"`
	QueryMS   float64 `json:"query_ms"`  // CPU of one query
	PerSecond float64 `json:"queries_s"` // at saturation
	HalfP50   float64 `json:"half_p50_ms"`
	HalfP95   float64 `json:"half_p95_ms"`
	IdleMB    float64 `json:"idle_mb"`
	LoadedMB  float64 `json:"loaded_mb"`
}

// benchPerson is whom the benchmark asks about: the example of GB 11643-1999, and a number
// that the plan of numbering gives to nobody's telephone.
const (
	benchName   = "张三"
	benchNumber = "11010519491231002X"
	benchMobile = "19900000000"
	benchBearer = "benchmarkBearerKey0123456789"
)

// juheImage is the most bytes of the benchmark's image. Seed: "大小最佳在16~20K之间".
const juheImage = 20_000

// small encodes a picture in at most most bytes, at the best quality that fits.
func small(picture []byte, most int) ([]byte, error) {
	src, err := jpeg.Decode(bytes.NewReader(picture))
	if err != nil {
		return nil, err
	}
	for _, width := range []int{640, 480, 320, 240} {
		dst := image.NewRGBA(image.Rect(0, 0, width, width*src.Bounds().Dy()/src.Bounds().Dx()))
		draw.CatmullRom.Scale(dst, dst.Bounds(), src, src.Bounds(), draw.Src, nil)
		for quality := 90; quality >= 50; quality -= 5 {
			var b bytes.Buffer
			if err := jpeg.Encode(&b, dst, &jpeg.Options{Quality: quality}); err != nil {
				return nil, err
			}
			if b.Len() <= most {
				return b.Bytes(), nil
			}
		}
	}
	return nil, fmt.Errorf("the picture does not fit into %d bytes", most)
}

// benchJuhe measures the four-element check: one picture against the portrait of another in
// the registry of a server of its own.
func (a *app) benchJuhe(ctx context.Context, h httpBench) error {
	cfg, err := a.load()
	if err != nil {
		return err
	}
	pictures, err := h.pictures(cfg)
	if err != nil {
		return err
	}
	probe, err := small(pictures[0], juheImage)
	if err != nil {
		return err
	}
	say := func(format string, args ...any) { fmt.Fprintf(a.err, "bench: "+format+"\n", args...) }
	f := juheFigures{
		Date: a.now().UTC().Format(time.DateOnly), Machine: machine(), ImageKB: float64(len(probe)) / 1000,
		Command: fmt.Sprintf("shiren bench http --protocol juhe --for %s", h.span),
	}
	target, err := a.startTarget(ctx, cfg)
	if err != nil {
		return err
	}
	defer target.stop()
	if err := target.register(ctx, pictures[1]); err != nil {
		return err
	}
	if f.IdleMB, err = target.memory(); err != nil {
		return err
	}
	client := &juhe.Client{Base: target.base, Key: benchBearer, HTTP: target.client}
	query := func(ctx context.Context) error {
		r, err := client.Query(ctx, juhe.Request{RealName: benchName, IDCard: benchNumber, Mobile: benchMobile, Image: probe})
		if err == nil && !r.Res.Compared() {
			err = fmt.Errorf("no portraits were compared: result %d %s", r.Res, r.ResMsg)
		}
		return err
	}
	m, err := a.measure(ctx, target, h, say, "a query", "queries", query)
	if err != nil {
		return err
	}
	f.QueryMS, f.PerSecond, f.LoadedMB, f.HalfP50, f.HalfP95 = m.callMS, m.perSecond, m.loadedMB, m.halfP50, m.halfP95
	if err := target.stop(); err != nil {
		return err
	}
	if h.asJSON {
		return printJSON(a.out, f)
	}
	return f.print(a.out)
}

func (f *juheFigures) print(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "Measured on %s with `%s`, on %s. The load came from the same machine.\n\n", f.Date, f.Command, f.Machine)
	b.WriteString("| figure | measured | target |\n|---|---|---|\n")
	row := func(name, value, target string) { fmt.Fprintf(&b, "| %s | %s | %s |\n", name, value, target) }
	row(fmt.Sprintf("CPU of one `verifyface_mobile/query` with an image of %.1f KB", f.ImageKB), fmt.Sprintf("%.1f ms", f.QueryMS), "")
	row("queries a second, saturated", fmt.Sprintf("%.1f", f.PerSecond), "≥ 25")
	row("latency at half that load, p50 / p95", fmt.Sprintf("%.0f / %.0f ms", f.HalfP50, f.HalfP95), "p95 ≤ 150 ms")
	row("resident memory, idle / after saturation", fmt.Sprintf("%.0f / %.0f MB", f.IdleMB, f.LoadedMB), "≤ 400 / 600 MB")
	_, err := io.WriteString(w, b.String())
	return err
}

// register puts the benchmark's person into the target's registry, by its own command.
func (t *target) register(ctx context.Context, portrait []byte) error {
	file := filepath.Join(t.dir, "portrait.jpg")
	if err := os.WriteFile(file, portrait, 0o600); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, self, "registry", "add", "--config", filepath.Join(t.dir, "shiren.toml"),
		"--name", benchName, "--number", benchNumber, "--portrait", file)
	cmd.Env = t.cmd.Env
	if out, err := cmd.CombinedOutput(); err != nil {
		return errors.Join(fmt.Errorf("register a person: %s", bytes.TrimSpace(out)), err)
	}
	return nil
}
