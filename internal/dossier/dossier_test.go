package dossier_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"shiren/internal/dossier"
	"shiren/internal/ekyc"
	"shiren/internal/testkit"
)

const (
	number = "11010519491231002X" // GB 11643's own example
	name   = "张三丰"
)

// flashed is a kit with a session of a known person, a flash challenge answered.
func flashed(t *testing.T) (*testkit.Kit, ekyc.Filed) {
	t.Helper()
	k := testkit.New(t)
	k.Authority.Add(number, name, testkit.Photo(testkit.Face{Person: "zhang"}))
	p, err := k.Store.Plan(k.Ctx, "6")
	if err != nil {
		t.Fatal(err)
	}
	p.ID, p.Comparison, p.Identity, p.Risk = "60", ekyc.CompareAuthority, ekyc.IdentityDeclared, true
	k.PutPlan(p)
	ses, err := k.Open(k.Ctx, k.App, "60", ekyc.Redirect{Success: "https://example.com/done?user=zhangsanfeng#x"})
	if err != nil {
		t.Fatal(err)
	}
	c, err := ekyc.ParseClaim(name, number, ekyc.IDCard)
	if err != nil {
		t.Fatal(err)
	}
	if err := k.Declare(k.Ctx, k.App, ses.Token, c); err != nil {
		t.Fatal(err)
	}
	if a, err := k.Walk(ses.Token, testkit.Face{Person: "zhang"}); err != nil || a.Outcome != ekyc.Match {
		t.Fatalf("attempt: %s %s, %v", a.Outcome, a.Code, err)
	}
	f, err := k.ReadRecord(k.Ctx, ses.Token.Digest())
	if err != nil {
		t.Fatal(err)
	}
	return k, f
}

func text(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestDossier: what an operator is told of a record, cue by cue, masked and not.
func TestDossier(t *testing.T) {
	t.Parallel()
	k, f := flashed(t)
	now := k.Clock.Now()
	d := dossier.Of(f, true, now)
	masked := text(t, d)
	for _, secret := range []string{name, number, string(f.Session.Token), "zhangsanfeng"} {
		if strings.Contains(masked, secret) {
			t.Errorf("the masked dossier holds %q", secret)
		}
	}
	open := text(t, dossier.Of(f, false, now))
	for _, said := range []string{name, number} {
		if !strings.Contains(open, said) {
			t.Errorf("the open dossier does not say %q", said)
		}
	}
	if strings.Contains(open, string(f.Session.Token)) {
		t.Error("the open dossier holds the token, which is a key")
	}
	if len(d.Timeline) != 1 || d.Timeline[0].Score == nil || d.Timeline[0].FMR == nil || d.Timeline[0].Risk == nil || len(d.Timeline[0].Checks) != 3 {
		t.Fatalf("the attempt: %+v", d.Timeline)
	}
	c := d.Timeline[0].Challenge
	if c == nil || len(c.Cues) != ekyc.FlashCues || c.Code != "" || c.Chance == 0 {
		t.Fatalf("the challenge: %+v", c)
	}
	for _, q := range c.Cues {
		if q.Colour == nil || !q.Answered || q.Seen == nil || *q.Seen == [2]float64{} {
			t.Fatalf("cue %d has not both what was shown and what was seen: %+v", q.N, q)
		}
	}
	if d.Claim == nil || d.Agreement == nil || d.Plan == nil || len(d.Evidence) == 0 || len(d.Charges) != 1 || d.Redirects[0] != "https://example.com/done" {
		t.Errorf("the rest: %s", masked)
	}
	parts := map[string]bool{}
	for _, e := range d.Erasure {
		parts[e.Part] = e.At != nil
	}
	if kept, ok := parts["charges"]; kept || !ok || !parts["record"] || !parts["face"] || !parts["frame"] {
		t.Errorf("when each part goes: %v", parts)
	}
	k.Clock.Advance(ekyc.MediaKept)
	for _, e := range dossier.Of(f, true, k.Clock.Now()).Evidence {
		if e.Kind == string(ekyc.EvidenceFrame) {
			t.Error("a frame is shown after its time")
		}
	}
}

// TestSignedFile: what is signed can be read and checked, and nothing of it changed.
func TestSignedFile(t *testing.T) {
	t.Parallel()
	k, f := flashed(t)
	signer := dossier.NewSigner(k.Sealer)
	d := dossier.Of(f, false, k.Clock.Now())
	if err := d.Attach(func(ref string) ([]byte, error) {
		b, _, err := k.RecordEvidence(k.Ctx, f.ID, ref)
		return b, err
	}); err != nil {
		t.Fatal(err)
	}
	file, err := signer.Sign(dossier.TypeRecord, dossier.FileOf(d, k.Clock.Now()))
	if err != nil {
		t.Fatal(err)
	}
	c, err := dossier.Verify(file, signer.Public())
	if err != nil || c.Type != dossier.TypeRecord {
		t.Fatalf("verify: %q, %v", c.Type, err)
	}
	var back dossier.File
	if err := json.Unmarshal(c.Payload, &back); err != nil || back.Record.Claim.Number != number || !bytes.Contains(back.Record.Evidence[0].Data, []byte("zhang")) {
		t.Errorf("what is in the file: %v, %+v", err, back.Record.Claim)
	}
	for _, key := range []string{dossier.JWK(signer.Public()), dossier.PEM(signer.Public())} {
		if got, err := dossier.ParseKey(key); err != nil || !got.Equal(signer.Public()) {
			t.Errorf("the key %s is read as %v, %v", key, got, err)
		}
	}
	var parts map[string]string
	if err := json.Unmarshal(file, &parts); err != nil {
		t.Fatal(err)
	}
	for part, value := range parts {
		changed := map[string]string{}
		for k, v := range parts {
			changed[k] = v
		}
		raw, err := base64.RawURLEncoding.DecodeString(value)
		if err != nil {
			t.Fatal(err)
		}
		raw[len(raw)/2] ^= 1
		changed[part] = base64.RawURLEncoding.EncodeToString(raw)
		if _, err := dossier.Verify([]byte(text(t, changed)), signer.Public()); err == nil {
			t.Errorf("a file whose %s was changed is taken", part)
		}
	}
	other := dossier.NewSigner(testkit.New(t).Sealer)
	if _, err := dossier.Verify(file, other.Public()); err != nil {
		t.Fatalf("the same master key makes another key: %v", err) // kits of one test share their seed
	}
	t.Run("another master key", func(t *testing.T) {
		stranger := dossier.NewSigner(testkit.New(t).Sealer)
		if _, err := dossier.Verify(file, stranger.Public()); !errors.Is(err, dossier.ErrSignature) {
			t.Errorf("a stranger's key: %v, want %v", err, dossier.ErrSignature)
		}
	})
}

// TestCSV: every record has its row, however many pages, and no cell is a formula.
func TestCSV(t *testing.T) {
	t.Parallel()
	const n = 1203
	search := func(_ context.Context, q ekyc.RecordQuery) (list []ekyc.Record, err error) {
		first := 0
		if q.After != nil {
			fmt.Sscanf(q.After.ID, "id-%d", &first)
			first++
		}
		for i := first; i < n && len(list) < q.Limit; i++ {
			list = append(list, ekyc.Record{ID: fmt.Sprint("id-", i), Plan: ekyc.PlanID([]string{"=1+1", "-a", "@b", "+c", "plain"}[i%5]), At: time.Unix(int64(n-i), 0)})
		}
		return list, nil
	}
	var b bytes.Buffer
	rows, err := dossier.CSV(t.Context(), &b, search, ekyc.RecordQuery{}, nil)
	if err != nil || rows != n {
		t.Fatalf("%d rows, %v; want %d", rows, err, n)
	}
	all, err := csv.NewReader(&b).ReadAll()
	if err != nil || len(all) != n+1 {
		t.Fatalf("%d lines, %v", len(all), err)
	}
	for i, row := range all[1:] {
		if row[0] != fmt.Sprint("id-", i) {
			t.Fatalf("row %d is %s", i, row[0])
		}
		for _, cell := range row {
			if cell != "" && strings.ContainsAny(cell[:1], "=+-@\t\r") {
				t.Fatalf("row %d has the formula %q", i, cell)
			}
		}
	}
}
