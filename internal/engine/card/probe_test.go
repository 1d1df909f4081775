package card

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"shiren/internal/ekyc"
	"shiren/internal/engine/vision"
)

type truthCase struct {
	File, Level, Side string
	Truth             map[string]any
	Aug               struct {
		Quad [4][2]float64
		CW   float64
	}
}

func TestProbe(t *testing.T) {
	dir := os.Getenv("CARDS")
	if dir == "" {
		t.Skip()
	}
	r, err := Open(Config{Models: "../../../data/models"})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	data, _ := os.ReadFile(filepath.Join(dir, "truth.json"))
	var cases []truthCase
	if err := json.Unmarshal(data, &cases); err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		if m := os.Getenv("LEVEL"); m != "" && c.Level != m {
			continue
		}
		b, _ := os.ReadFile(filepath.Join(dir, c.File))
		im, err := vision.Decode(b, vision.DefaultLimits)
		if err != nil {
			t.Fatal(err)
		}
		var q quad
		for i, p := range c.Aug.Quad {
			q[i] = ekyc.Point{X: p[0], Y: p[1]}
		}
		start := cpu()
		lines, err := r.lines(im)
		if err != nil {
			t.Fatal(err)
		}
		el := cpu() - start
		p := place(lines)
		if p == nil {
			fmt.Println("==", c.File, el, "NOT PLACED")
			for _, l := range lines {
				fmt.Println("    ", l.text(), l.mean())
			}
			continue
		}
		worst := 0.0
		cs := p.corners()
		for i := range q {
			worst = max(worst, dist(q[i], cs[i])/c.Aug.CW*cardWidth)
		}
		fmt.Printf("== %s %v side %s permit %v support %v worst corner %.2f mm\n", c.File, el, p.face.side, p.face.permit, p.support, worst)
		if os.Getenv("LINES") != "" {
			for _, l := range lines {
				fmt.Println("    ", p.span(l.quad), l.text(), l.mean())
			}
		}
	}
}

func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
