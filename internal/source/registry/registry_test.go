package registry_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"shiren/internal/cnid"
	"shiren/internal/ekyc"
	"shiren/internal/seal"
	"shiren/internal/source/registry"
)

// shelf is a Shelf in memory.
type shelf struct {
	mu   sync.Mutex
	rows map[string][2][]byte
	err  error
}

func (s *shelf) Put(_ context.Context, digest string, sealed, key []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rows[digest] = [2][]byte{sealed, key}
	return s.err
}

func (s *shelf) Get(_ context.Context, digest string) (sealed, key []byte, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	row, ok := s.rows[digest]
	if s.err != nil {
		return nil, nil, s.err
	}
	if !ok {
		return nil, nil, ekyc.ErrAbsent
	}
	return row[0], row[1], nil
}

func (s *shelf) Delete(_ context.Context, digest string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.rows, digest)
	return s.err
}

func (s *shelf) Count(context.Context) (int64, error) { return int64(len(s.rows)), s.err }

type examiner func() (ekyc.Examination, error)

func (e examiner) Examine(context.Context, []byte, ekyc.Want) (ekyc.Examination, error) { return e() }

func goodFace() (ekyc.Examination, error) {
	return ekyc.Examination{Width: 480, Height: 640, Faces: []ekyc.Face{{
		Box:     ekyc.Box{X: 100, Y: 100, W: 200, H: 250},
		Pose:    ekyc.Pose{Pitch: -10},
		Quality: ekyc.Quality{EyeDistance: 80, Sharpness: 0.6, Brightness: 0.5, Contrast: 0.2, Inside: 1, Value: 0.8},
	}}}, nil
}

func open(t *testing.T) (*registry.Registry, *shelf) {
	t.Helper()
	chance := rand.NewChaCha8([32]byte{1})
	s, err := seal.New(bytes.Repeat([]byte{7}, seal.MasterSize), chance)
	if err != nil {
		t.Fatal(err)
	}
	sh := &shelf{rows: map[string][2][]byte{}}
	return &registry.Registry{Shelf: sh, Sealer: s, Examiner: examiner(goodFace)}, sh
}

// number makes a valid identity number of a made-up person: region 110101, born 1990-01-01.
func number(seq int) string {
	digits := fmt.Sprintf("11010119900101%03d", seq)
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

func TestPersonComesAndGoes(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	r, sh := open(t)
	zhang, portrait := claim(t, "张三", 1), []byte("portrait of Zhang San")

	if out, err := r.Identity(ctx, zhang); out != ekyc.NoRecord || err != nil {
		t.Errorf("before adding: %s, %v; want no_record", out, err)
	}
	if _, err := r.Portrait(ctx, zhang); ekyc.CodeOf(err) != ekyc.PortraitNone {
		t.Errorf("portrait before adding: %v, want %s", err, ekyc.PortraitNone)
	}
	if err := r.Add(ctx, registry.Person{Claim: zhang, Portrait: portrait}); err != nil {
		t.Fatal(err)
	}
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
	for digest, row := range sh.rows {
		all := digest + string(row[0]) + string(row[1])
		for _, secret := range []string{"张三", string(zhang.Number), string(portrait)} {
			if strings.Contains(all, secret) {
				t.Errorf("the shelf shows %q in the clear", secret)
			}
		}
	}
	newer := []byte("a newer portrait")
	if err := r.Add(ctx, registry.Person{Claim: zhang, Portrait: newer}); err != nil {
		t.Fatal(err)
	}
	if n, err := r.Count(ctx); n != 1 || err != nil {
		t.Errorf("count after replacing: %d, %v; want 1", n, err)
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
			r, sh := open(t)
			r.Examiner = examiner(func() (ekyc.Examination, error) {
				x, err := goodFace()
				tt.change(&x)
				return x, err
			})
			err := r.Add(t.Context(), registry.Person{Claim: claim(t, "张三", 1), Portrait: []byte("p")})
			if ekyc.CodeOf(err) != tt.want {
				t.Errorf("add: %v, want code %s", err, tt.want)
			}
			if len(sh.rows) != 0 {
				t.Errorf("a refused portrait was stored")
			}
		})
	}
}

func TestTrouble(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	r, sh := open(t)
	a, b := claim(t, "张三", 1), claim(t, "李四", 2)
	for _, c := range []ekyc.Claim{a, b} {
		if err := r.Add(ctx, registry.Person{Claim: c, Portrait: []byte("p")}); err != nil {
			t.Fatal(err)
		}
	}
	// Somebody with access to the shelf swaps two people's records.
	var digests []string
	for d := range sh.rows {
		digests = append(digests, d)
	}
	sh.rows[digests[0]], sh.rows[digests[1]] = sh.rows[digests[1]], sh.rows[digests[0]]
	if out, err := r.Identity(ctx, a); ekyc.CodeOf(err) != ekyc.SourceFailed {
		t.Errorf("swapped records: %s, %v; want %s", out, err, ekyc.SourceFailed)
	}
	sh.err = errors.New("disk on fire")
	if _, err := r.Portrait(ctx, a); ekyc.CodeOf(err) != ekyc.SourceFailed {
		t.Errorf("broken shelf: %v, want %s", err, ekyc.SourceFailed)
	}
}
