package demo_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"shiren/internal/blob/file"
	"shiren/internal/demo"
	"shiren/internal/ekyc"
	"shiren/internal/seal"
	"shiren/internal/store"
)

var now = time.Date(2026, 3, 20, 7, 30, 0, 0, time.UTC)

func kept(t *testing.T, sessions, days int) demo.Config {
	t.Helper()
	sealer, err := seal.New(bytes.Repeat([]byte{7}, seal.MasterSize), rand.NewChaCha8([32]byte{7}))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	s, err := store.Open(t.Context(), store.Config{DSN: "sqlite:" + filepath.Join(dir, "shiren.db"), Sealer: sealer})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	blobs, err := file.Open(filepath.Join(dir, "evidence"))
	if err != nil {
		t.Fatal(err)
	}
	return demo.Config{Store: s, Blobs: blobs, Sealer: sealer, Now: now, Seed: 1, Sessions: sessions, Days: days}
}

// TestSeedIsWhole: every protocol, liveness kind and step occurs, everything is marked, counts agree
// with records, and nothing is left after Remove.
func TestSeedIsWhole(t *testing.T) {
	t.Parallel()
	c := kept(t, 1200, 2)
	made, err := demo.Seed(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if made.Sessions != 1200 || made.Past != 0 || made.Directs < 300 {
		t.Errorf("made %+v, want 1200 sessions, none of them past, and a direct call with every third", made)
	}
	sessions, err := c.Store.Due(t.Context(), now.Add(10*ekyc.ResultKept), 2000)
	if err != nil || len(sessions) != 1200 {
		t.Fatalf("got %d sessions, %v", len(sessions), err)
	}
	number := regexp.MustCompile(`^99\d{4}\d{8}99[0-5][\dX]$`)
	want := map[string]int64{}
	pictures := 0
	for _, s := range sessions {
		if !strings.HasPrefix(string(s.Token), "DEMO") || !strings.HasPrefix(string(s.App), "0") || !strings.Contains(s.Plan.Name, "示例") {
			t.Errorf("session %v of app %s, plan %q is not marked", s.Token, s.App, s.Plan.Name)
		}
		if s.Claim != nil && (!strings.HasPrefix(string(s.Claim.Name), "示例·") || !number.MatchString(string(s.Claim.Number))) {
			t.Errorf("the person of %v is not marked", s.Token)
		}
		for _, e := range s.Evidence {
			data, err := c.Blobs.Get(t.Context(), e.Ref)
			if err == nil {
				_, err = c.Sealer.Open(s.Key, data, []byte(e.Ref))
			}
			if err != nil {
				t.Errorf("picture %s: %v", e.Kind, err)
			}
			pictures++
		}
		if s.Sandbox {
			continue
		}
		want["session "+string(s.Protocol)]++
		for _, a := range s.Attempts {
			if !a.Finished.IsZero() {
				want["attempt "+string(a.Outcome)+"/"+string(a.Code)]++
				want["kind "+string(a.Kind)]++
			}
		}
		for _, x := range s.Charges() {
			want["charge "+string(x.Kind)]++
		}
	}
	if pictures < 8 {
		t.Errorf("%d pictures, want a handful", pictures)
	}
	for _, k := range ekyc.Kinds() {
		if want["kind "+string(k)] == 0 {
			t.Errorf("no attempt of liveness %s", k)
		}
	}
	directs, err := c.Store.Directs(t.Context(), ekyc.DirectQuery{Limit: 2000})
	if err != nil || len(directs) != made.Directs {
		t.Fatalf("got %d direct calls, %v", len(directs), err)
	}
	for _, d := range directs {
		if !d.Sandbox {
			want["direct "+d.Protocol]++
			for _, x := range d.Charges() {
				want["charge "+string(x.Kind)]++
			}
		}
	}
	counts, err := c.Store.Counts(t.Context(), ekyc.CountQuery{By: ekyc.GroupBy{Protocol: true}})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int64{}
	steps := map[string]int64{}
	for _, x := range counts {
		switch x.Measure {
		case ekyc.CountOpened:
			got["session "+x.Protocol] += x.N
		case ekyc.CountAttempt:
			got["attempt "+x.Label] += x.N
		case ekyc.CountCharge:
			got["charge "+x.Label] += x.N
		case ekyc.CountDirect:
			got["direct "+x.Protocol] += x.N
		case ekyc.CountFunnel:
			steps[x.Label] += x.N
		}
	}
	for k, n := range want {
		if got[k] != n && !strings.HasPrefix(k, "kind ") {
			t.Errorf("%s: counted %d, kept %d", k, got[k], n)
		}
	}
	for _, k := range []string{"session baidu", "session huawei", "direct baidu", "direct juhe", "charge verify", "charge match", "charge live", "charge ocr", "charge elements"} {
		if want[k] == 0 {
			t.Errorf("nothing of %s", k)
		}
	}
	last := int64(1 << 62)
	for _, s := range ekyc.Steps() {
		if n := steps[string(s)]; n == 0 || n > last {
			t.Errorf("step %s: %d sessions after %d", s, n, last)
		}
		last = steps[string(s)]
	}
	if n, err := c.Store.Charged(t.Context(), "0901", ekyc.ChargeVerify); err != nil || n == 0 {
		t.Errorf("total of charges %d, %v", n, err)
	}

	if _, err := demo.Seed(t.Context(), c); !errors.Is(err, demo.ErrThere) {
		t.Errorf("a second time: %v, want ErrThere", err)
	}
	gone, err := demo.Remove(t.Context(), c.Store, c.Blobs)
	if err != nil || gone.Sessions != 1200 || gone.Directs != made.Directs {
		t.Errorf("removed %+v, %v", gone, err)
	}
	for _, s := range sessions {
		for _, e := range s.Evidence {
			if _, err := c.Blobs.Get(t.Context(), e.Ref); !errors.Is(err, ekyc.ErrAbsent) {
				t.Errorf("picture %s is still there: %v", e.Kind, err)
			}
		}
	}
	counts, err = c.Store.Counts(t.Context(), ekyc.CountQuery{})
	apps, err2 := c.Store.Apps(t.Context())
	plans, err3 := c.Store.Plans(t.Context())
	if err = errors.Join(err, err2, err3); err != nil || len(counts)+len(apps)+len(plans) > 0 {
		t.Errorf("left are %d counts, %d apps, %d plans, %v", len(counts), len(apps), len(plans), err)
	}
	if _, err := demo.Seed(t.Context(), c); err != nil {
		t.Errorf("seeding again: %v", err)
	}
}

// TestSeedAges: what a purge would have erased is not there, what outlives it is; and the same
// seed makes the same.
func TestSeedAges(t *testing.T) {
	t.Parallel()
	c := kept(t, 1000, 90)
	c2 := kept(t, 1000, 90)
	made, err := demo.Seed(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if made.Sessions+made.Past != 1000 || made.Sessions < 15 || made.Sessions > 100 {
		t.Errorf("made %+v, want the sessions of about three days of ninety", made)
	}
	if due, err := c.Store.Due(t.Context(), now, 1000); err != nil {
		t.Fatal(err)
	} else {
		for _, s := range due {
			if !s.Until().After(now) {
				t.Errorf("a session opened %v should have been erased", s.Opened)
			}
		}
	}
	counts, err := c.Store.Counts(t.Context(), ekyc.CountQuery{Measures: []ekyc.Measure{ekyc.CountOpened}, By: ekyc.GroupBy{Time: true}})
	if err != nil {
		t.Fatal(err)
	}
	first, sum := now, int64(0)
	for _, x := range counts {
		if x.At.Before(first) {
			first = x.At
		}
		sum += x.N
	}
	if age := now.Sub(first); age < 80*24*time.Hour || sum < 900 {
		t.Errorf("counted %d sessions since %v", sum, first)
	}
	if _, err := demo.Seed(t.Context(), c2); err != nil {
		t.Fatal(err)
	}
	all := ekyc.CountQuery{By: ekyc.GroupBy{Time: true, App: true, Plan: true, Protocol: true}}
	a, err1 := c.Store.Counts(t.Context(), all)
	b, err2 := c2.Store.Counts(t.Context(), all)
	if err := errors.Join(err1, err2); err != nil || len(a) != len(b) {
		t.Fatalf("the same seed made %d and %d counts, %v", len(a), len(b), err)
	}
	for i := range a {
		if a[i] != b[i] {
			t.Fatalf("the same seed made %+v and %+v", a[i], b[i])
		}
	}
}

// TestSeedKeepsAway: a database in use is left alone, unless it is forced.
func TestSeedKeepsAway(t *testing.T) {
	t.Parallel()
	c := kept(t, 10, 1)
	if err := c.Store.PutApp(t.Context(), ekyc.App{ID: "100001", Key: "one"}); err != nil {
		t.Fatal(err)
	}
	if err := c.Store.AddDirect(t.Context(), ekyc.Direct{ID: "1", App: "100001", Kind: ekyc.ChargeMatch, At: now}); err != nil {
		t.Fatal(err)
	}
	if _, err := demo.Seed(t.Context(), c); !errors.Is(err, demo.ErrReal) {
		t.Errorf("got %v, want ErrReal", err)
	}
	c.Force = true
	if _, err := demo.Seed(t.Context(), c); err != nil {
		t.Errorf("forced: %v", err)
	}
	if _, err := demo.Remove(t.Context(), c.Store, c.Blobs); err != nil {
		t.Fatal(err)
	}
	if list, err := c.Store.Directs(t.Context(), ekyc.DirectQuery{}); err != nil || len(list) != 1 {
		t.Errorf("%d direct calls of the other app are left, %v", len(list), err)
	}
}
