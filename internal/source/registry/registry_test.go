package registry_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"shiren/internal/cnid"
	"shiren/internal/ekyc"
	"shiren/internal/seal"
	"shiren/internal/source/registry"
	"shiren/internal/store"
)

// examiner finds the same good face in every picture, unless it is told otherwise.
type examiner struct {
	change func(*ekyc.Examination)
	err    error
	model  string
	looks  atomic.Int64
}

func (e *examiner) Model() string { return e.model }

func (e *examiner) Examine(_ context.Context, image []byte, _ ekyc.Want) (ekyc.Examination, error) {
	e.looks.Add(1)
	x := ekyc.Examination{Width: 480, Height: 640, Faces: []ekyc.Face{{
		Box:      ekyc.Box{X: 100, Y: 100, W: 200, H: 250},
		Pose:     ekyc.Pose{Pitch: -10},
		Quality:  ekyc.Quality{EyeDistance: 80, Sharpness: 0.6, Brightness: 0.5, Contrast: 0.2, Inside: 1, Value: 0.8},
		Template: ekyc.Template{Model: e.model, Vector: []float32{float32(len(image)), 0.5, -1}},
	}}}
	if e.change != nil {
		e.change(&x)
	}
	return x, e.err
}

func open(t testing.TB) (*registry.Registry, *examiner, string) {
	t.Helper()
	chance := rand.NewChaCha8([32]byte{1})
	s, err := seal.New(bytes.Repeat([]byte{7}, seal.MasterSize), chance)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "people.db")
	st, err := store.Open(t.Context(), store.Config{DSN: "sqlite:" + file, Sealer: s})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	e := &examiner{model: "m1"}
	return &registry.Registry{Shelf: st.People(), Sealer: s, Examiner: e}, e, file
}

// number makes a valid identity number of a made-up person: region 110101, born on a day
// of 1990 to 1999 that seq chooses.
func number(seq int) string {
	digits := fmt.Sprintf("110101199%d01%02d%03d", seq/10000%10, seq/1000%10+1, seq%1000)
	return digits + string(cnid.CheckCharacter(digits))
}

func claim(t *testing.T, name string, seq int) ekyc.Claim {
	t.Helper()
	c, err := ekyc.ParseClaim(name, number(seq), ekyc.IDCard)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func mustAdd(t *testing.T, r *registry.Registry, p registry.Person) {
	t.Helper()
	if err := r.Add(t.Context(), p); err != nil {
		t.Fatal(err)
	}
}

func TestPersonComesAndGoes(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	r, _, file := open(t)
	zhang, portrait := claim(t, "张三", 1), []byte("portrait of Zhang San")

	if out, err := r.Identity(ctx, zhang); out != ekyc.NoRecord || err != nil {
		t.Errorf("before adding: %s, %v; want no_record", out, err)
	}
	if _, err := r.Portrait(ctx, zhang); ekyc.CodeOf(err) != ekyc.PortraitNone {
		t.Errorf("portrait before adding: %v, want %s", err, ekyc.PortraitNone)
	}
	mustAdd(t, r, registry.Person{Claim: zhang, Portrait: portrait, Mobiles: []registry.Mobile{{Number: "13800138000"}}})
	if out, err := r.Identity(ctx, zhang); out != ekyc.Match || err != nil {
		t.Errorf("right name: %s, %v; want match", out, err)
	}
	if out, err := r.Identity(ctx, claim(t, "李四", 1)); out != ekyc.NonMatched || err != nil {
		t.Errorf("wrong name: %s, %v; want non_match", out, err)
	}
	if out, err := r.Identity(ctx, claim(t, "张三", 2)); out != ekyc.NoRecord || err != nil {
		t.Errorf("other number: %s, %v; want no_record", out, err)
	}
	if got, err := r.Portrait(ctx, zhang); string(got) != string(portrait) || err != nil {
		t.Errorf("portrait: %q, %v; want %q", got, err, portrait)
	}
	got, ok, err := r.Template(ctx, zhang, "m1")
	if !ok || err != nil || got.Model != "m1" || len(got.Vector) != 3 || got.Vector[0] != float32(len(portrait)) {
		t.Errorf("template: %v, %v, %v; want the portrait's, of m1", got, ok, err)
	}
	if _, ok, err := r.Template(ctx, zhang, "m2"); ok || err != nil {
		t.Errorf("template of another model: %v, %v; want none", ok, err)
	}
	for _, name := range []string{file, file + "-wal"} {
		all := read(t, name)
		for _, secret := range []string{"张三", string(zhang.Number), "13800138000", string(portrait)} {
			if strings.Contains(all, secret) {
				t.Errorf("%s shows %q in the clear", name, secret)
			}
		}
	}
	newer := []byte("a newer portrait")
	mustAdd(t, r, registry.Person{Claim: zhang, Portrait: newer})
	if n, err := r.Stats(ctx); n.People != 1 || n.Portraits != 1 || n.Mobiles != 0 || n.Models["m1"] != 1 || err != nil {
		t.Errorf("stats after replacing: %+v, %v; want one person with a portrait", n, err)
	}
	if got, _ := r.Portrait(ctx, zhang); string(got) != string(newer) {
		t.Errorf("portrait after replacing: %q, want %q", got, newer)
	}
	for range 2 { // a repeat is success
		if err := r.Remove(ctx, zhang.Number); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := r.Get(ctx, zhang.Number); !errors.Is(err, ekyc.ErrAbsent) {
		t.Errorf("after removal: %v, want ErrAbsent", err)
	}
}

func TestMobileNumbers(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	r, _, _ := open(t)
	zhang, li, wang := claim(t, "张三", 1), claim(t, "李四", 2), claim(t, "王五", 3)
	mustAdd(t, r, registry.Person{Claim: zhang, Mobiles: []registry.Mobile{
		{Number: "13800138000", Carrier: ekyc.ChinaTelecom}, {Number: "18912345678"},
	}})
	mustAdd(t, r, registry.Person{Claim: li, Mobiles: []registry.Mobile{{Number: "18912345678"}}}) // they share a telephone
	for _, tt := range []struct {
		what    string
		claim   ekyc.Claim
		number  cnid.Mobile
		want    ekyc.Outcome
		carrier ekyc.Carrier
	}{
		{"theirs, taken to another carrier", zhang, "13800138000", ekyc.Match, ekyc.ChinaTelecom},
		{"theirs, by its segment", zhang, "18912345678", ekyc.Match, ekyc.ChinaTelecom},
		{"a shared one", li, "18912345678", ekyc.Match, ekyc.ChinaTelecom},
		{"somebody else's", li, "13800138000", ekyc.NonMatched, ekyc.ChinaTelecom},
		{"somebody else's, of one who is not there", wang, "13800138000", ekyc.NonMatched, ekyc.ChinaTelecom},
		{"theirs under another name", claim(t, "张四", 1), "13800138000", ekyc.NonMatched, ekyc.ChinaTelecom},
		{"nobody's", zhang, "19212345678", ekyc.NoRecord, ekyc.ChinaBroadcast},
		{"nobody's, in no segment", zhang, "14112345678", ekyc.NoRecord, ""},
	} {
		out, carrier, err := r.Mobile(ctx, tt.claim, tt.number)
		if out != tt.want || carrier != tt.carrier || err != nil {
			t.Errorf("%s: got %s of %q, %v; want %s of %q", tt.what, out, carrier, err, tt.want, tt.carrier)
		}
	}
}

func TestCarriers(t *testing.T) {
	t.Parallel()
	for n, want := range map[cnid.Mobile]ekyc.Carrier{
		"13488888888": ekyc.ChinaMobile, "13498888888": ekyc.ChinaTelecom, "17012345678": ekyc.ChinaTelecom,
		"17051234567": ekyc.ChinaMobile, "17091234567": ekyc.ChinaUnicom, "18612345678": ekyc.ChinaUnicom,
		"19212345678": ekyc.ChinaBroadcast, "15412345678": "", "138": "",
	} {
		if got := registry.CarrierOf(n); got != want {
			t.Errorf("%s: got %q, want %q", string(n), got, want)
		}
	}
}

func TestPoorPortraitIsRefused(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		change func(*ekyc.Examination)
		want   ekyc.Code
	}{
		{"no face", func(x *ekyc.Examination) { x.Faces = nil }, ekyc.NoFace},
		{"two faces", func(x *ekyc.Examination) { x.Faces = append(x.Faces, x.Faces[0]) }, ekyc.SeveralFaces},
		{"tiny face", func(x *ekyc.Examination) { x.Faces[0].Quality.EyeDistance = 9 }, ekyc.FaceSmall},
		{"profile", func(x *ekyc.Examination) { x.Faces[0].Pose.Yaw = 70 }, ekyc.FaceTurned},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r, e, _ := open(t)
			e.change = tt.change
			err := r.Add(t.Context(), registry.Person{Claim: claim(t, "张三", 1), Portrait: []byte("p")})
			if ekyc.CodeOf(err) != tt.want {
				t.Errorf("add: %v, want code %s", err, tt.want)
			}
			if n, err := r.Stats(t.Context()); n.People != 0 || err != nil {
				t.Errorf("a refused portrait was stored: %+v, %v", n, err)
			}
		})
	}
}

// TestNewModel is the story of a register whose engine gets a new embedding model: images
// are embedded anew, embeddings without an image are of no use any more, and neither is
// ever handed out as what it is not.
func TestNewModel(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	r, e, _ := open(t)
	kept, only := claim(t, "张三", 1), claim(t, "李四", 2)
	mustAdd(t, r, registry.Person{Claim: kept, Portrait: []byte("an image")})
	r.EmbeddingOnly = true
	mustAdd(t, r, registry.Person{Claim: only, Portrait: []byte("an image")})
	if n, err := r.Stats(ctx); n.Portraits != 1 || n.Models["m1"] != 2 || err != nil {
		t.Fatalf("stats: %+v, %v; want one image and two embeddings", n, err)
	}
	if _, ok, err := r.Template(ctx, only, "m1"); !ok || err != nil {
		t.Errorf("the embedding alone: %v, %v; want it", ok, err)
	}
	e.model = "m2"
	for _, c := range []ekyc.Claim{kept, only} {
		if _, ok, err := r.Template(ctx, c, "m2"); ok || err != nil {
			t.Errorf("before renewing: %v, %v; want no embedding of m2", ok, err)
		}
	}
	if image, err := r.Portrait(ctx, kept); string(image) != "an image" || err != nil {
		t.Errorf("before renewing: %q, %v; want the image", image, err)
	}
	for want := 1; want >= 0; want-- { // the second time there is nothing to do
		if n, err := r.Renew(ctx, nil); n.Done != want || n.Failed != 0 || err != nil {
			t.Errorf("renew: %+v, %v; want %d done", n, err, want)
		}
	}
	if got, ok, err := r.Template(ctx, kept, "m2"); !ok || err != nil || got.Model != "m2" {
		t.Errorf("after renewing: %v, %v, %v; want m2's", got, ok, err)
	}
	_, err := r.Portrait(ctx, only)
	if ekyc.CodeOf(err) != ekyc.PortraitNone || !strings.Contains(ekyc.DetailOf(err), "enrol this person again") {
		t.Errorf("an embedding of an old model alone: %v, want %s and what to do", err, ekyc.PortraitNone)
	}
	e.model, e.change = "m3", func(x *ekyc.Examination) { x.Faces = nil }
	if n, err := r.Renew(ctx, nil); n.Failed != 1 || err != nil {
		t.Errorf("a portrait that the model cannot use: %+v, %v; want 1 failed", n, err)
	}
	e.err = ekyc.Errorf(ekyc.EngineFailed, "out of order")
	if _, err := r.Renew(ctx, nil); ekyc.CodeOf(err) != ekyc.EngineFailed {
		t.Errorf("a broken engine: %v, want %s", err, ekyc.EngineFailed)
	}
}

// badShelf is a shelf in trouble.
type badShelf struct {
	registry.Shelf
	err  error
	swap map[string]string // reads another record than was asked for
}

func (s *badShelf) Get(ctx context.Context, digest string) (registry.Row, error) {
	if s.err != nil {
		return registry.Row{}, s.err
	}
	row, err := s.Shelf.Get(ctx, s.swap[digest])
	row.Digest = digest
	return row, err
}

func TestTrouble(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	r, _, _ := open(t)
	a, b := claim(t, "张三", 1), claim(t, "李四", 2)
	for _, c := range []ekyc.Claim{a, b} {
		mustAdd(t, r, registry.Person{Claim: c, Portrait: []byte("p")})
	}
	rows, err := r.Shelf.List(ctx, "", 2)
	if err != nil || len(rows) != 2 {
		t.Fatal(rows, err)
	}
	// Somebody with access to the shelf swaps two people's records.
	one, two := rows[0].Digest, rows[1].Digest
	sh := &badShelf{Shelf: r.Shelf, swap: map[string]string{one: two, two: one}}
	r.Shelf = sh
	if out, err := r.Identity(ctx, a); ekyc.CodeOf(err) != ekyc.SourceFailed {
		t.Errorf("swapped records: %s, %v; want %s", out, err, ekyc.SourceFailed)
	}
	sh.err = errors.New("disk on fire")
	if _, err := r.Portrait(ctx, a); ekyc.CodeOf(err) != ekyc.SourceFailed {
		t.Errorf("broken shelf: %v, want %s", err, ekyc.SourceFailed)
	}
	if _, _, err := r.Template(ctx, a, "m1"); ekyc.CodeOf(err) != ekyc.SourceFailed {
		t.Errorf("broken shelf: %v, want %s", err, ekyc.SourceFailed)
	}
}
