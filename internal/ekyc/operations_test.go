package ekyc_test

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"shiren/internal/ekyc"
	"shiren/internal/testkit"
)

// images counts the sealed images in a kit's folder.
func images(t *testing.T, k *testkit.Kit) (n int) {
	t.Helper()
	err := filepath.WalkDir(k.BlobDir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			n++
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// declared opens a session of plan 3 for the known person.
func declared(t *testing.T, k *testkit.Kit) ekyc.Token {
	t.Helper()
	tok := k.OpenPlan("3").Token
	if err := k.Declare(k.Ctx, k.App, tok, claim(t)); err != nil {
		t.Fatal(err)
	}
	return tok
}

func find(t *testing.T, k *testkit.Kit, q ekyc.RecordQuery) (ids []string) {
	t.Helper()
	list, err := k.SearchRecords(k.Ctx, q)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range list {
		ids = append(ids, r.ID)
	}
	return ids
}

func by(field ekyc.RecordField, value string) ekyc.RecordQuery {
	return ekyc.RecordQuery{Keys: []ekyc.RecordKey{{Field: field, Value: value}}}
}

// TestRecordsAreFound: a session and a direct call are found by all that names them, each as
// long as it may be.
func TestRecordsAreFound(t *testing.T) {
	t.Parallel()
	k := known(t)
	k.Ctx = ekyc.Via(k.Ctx, "one")
	tok := declared(t, k)
	a := walk(t, k, tok, testkit.Face{Person: "zhang"})
	k.Clock.Advance(time.Second)
	if _, err := elements(t, k, testkit.Face{Person: "zhang"}); err != nil {
		t.Fatal(err)
	}
	call := directs(t, k)[0]
	session, direct := tok.Digest(), ekyc.DirectPrefix+call.ID
	check := func(what string, q ekyc.RecordQuery, want ...string) {
		t.Helper()
		if got := find(t, k, q); strings.Join(got, " ") != strings.Join(want, " ") {
			t.Errorf("by %s: got %q, want %q", what, got, want)
		}
	}
	check("nothing", ekyc.RecordQuery{}, direct, session)
	check("name", by(ekyc.FieldName, " "+name), direct, session)
	check("number", by(ekyc.FieldNumber, strings.ToLower(number)), direct, session)
	check("mobile", by(ekyc.FieldMobile, "+86 138-0013-8000"), direct)
	check("token", by(ekyc.FieldToken, string(tok)), session)
	check("another token", by(ekyc.FieldToken, string(tok)+"x"))
	check("log id", by(ekyc.FieldLogID, a.LogID), session)
	check("receipt", by(ekyc.FieldLogID, k.Receipt(tok, 1)), session)
	check("call's log id", by(ekyc.FieldLogID, call.ID), direct)
	check("order id", by(ekyc.FieldLogID, "JH1"), direct)
	check("protocol and outcome", ekyc.RecordQuery{Protocol: "one", Outcome: ekyc.Match}, direct, session)
	check("number and kind", ekyc.RecordQuery{Keys: by(ekyc.FieldNumber, number).Keys, Kind: "elements"}, direct)
	for field, code := range map[ekyc.RecordField]ekyc.Code{ekyc.FieldName: ekyc.BadName, ekyc.FieldNumber: ekyc.BadIDNumber, ekyc.FieldMobile: ekyc.BadMobile, "x": ekyc.BadRequest} {
		_, err := k.SearchRecords(k.Ctx, by(field, "1"))
		wantCode(t, "a search by a bad "+string(field), err, code)
	}

	k.Clock.Advance(ekyc.ResultKept)
	check("name when all is due", by(ekyc.FieldName, name))
	check("log id when all is due", by(ekyc.FieldLogID, a.LogID))
	check("call's log id then", by(ekyc.FieldLogID, call.ID), direct)
	if _, err := k.ReadRecord(k.Ctx, session); !errors.Is(err, ekyc.ErrAbsent) {
		t.Errorf("a session that is due: %v, want absent", err)
	}
	if _, err := k.Purge(k.Ctx); err != nil {
		t.Fatal(err)
	}
	check("nothing, after the purge", ekyc.RecordQuery{}, direct)
	// Without a clock: the keys themselves are gone.
	if list, err := k.Kept.Search(k.Ctx, by(ekyc.FieldNumber, number)); len(list) != 0 || err != nil {
		t.Errorf("after the purge the number finds %d records, %v", len(list), err)
	}
}

// TestErasePerson: everything of one person goes, of every app, and nothing of another.
func TestErasePerson(t *testing.T) {
	t.Parallel()
	k := known(t)
	a, b, other := declared(t, k), declared(t, k), k.OpenPlan("1").Token
	walk(t, k, a, testkit.Face{Person: "zhang"})
	walk(t, k, other, testkit.Face{Person: "li"})
	if _, err := elements(t, k, testkit.Face{Person: "zhang"}); err != nil {
		t.Fatal(err)
	}
	direct := ekyc.DirectPrefix + directs(t, k)[0].ID
	if _, err := k.Kept.UpdateSubject(k.Ctx, "known", func(u *ekyc.Subject) error {
		c := claim(t)
		u.Claim, u.Until = &c, k.Clock.Now().Add(time.Hour)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	charged, kept := charges(t, k), images(t, k)

	if e, err := k.ErasePerson(k.Ctx, "李四", number); err != nil || e.Sessions+e.Calls+e.Subjects != 0 {
		t.Fatalf("another name: %+v, %v; want nothing erased", e, err)
	}
	e, err := k.ErasePerson(k.Ctx, name, number)
	if err != nil {
		t.Fatal(err)
	}
	if e.Sessions != 2 || len(e.Records) != 2 || e.Evidence != 1 || e.Subjects != 1 || e.Calls != 1 || e.Noise != 0 || !e.At.Equal(k.Clock.Now()) {
		t.Errorf("name and number: %+v", e)
	}
	e, err = k.ErasePerson(k.Ctx, "", number)
	if err != nil || e.Sessions+e.Calls+e.Subjects != 0 || e.Person != k.PersonDigest(number) || strings.Contains(e.Person, number) {
		t.Errorf("again, by number: %+v, %v", e, err)
	}
	for _, tok := range []ekyc.Token{a, b} {
		_, err := k.Result(k.Ctx, k.App, tok)
		wantCode(t, "the result of an erased session", err, ekyc.TokenInvalid)
	}
	if got := find(t, k, by(ekyc.FieldNumber, number)); len(got) != 0 {
		t.Errorf("the number still finds %q", got)
	}
	if _, err := k.Kept.Subject(k.Ctx, "known"); !errors.Is(err, ekyc.ErrAbsent) {
		t.Errorf("the subject: %v, want absent", err)
	}
	if got := find(t, k, ekyc.RecordQuery{}); len(got) != 2 || got[0] != direct && got[1] != direct {
		t.Errorf("what is left: %q, want the direct call and another person's session", got)
	}
	if now := charges(t, k); now != charged {
		t.Errorf("%d charges are left of %d", now, charged)
	}
	if now := images(t, k); now != kept-1 {
		t.Errorf("%d images are left of %d, want one less", now, kept)
	}
	walk(t, k, k.OpenPlan("1").Token, testkit.Face{Person: "li"})
}

// TestErasePersonOfApp: what an app knows of its user goes with all of the user's sessions, also
// those in which nobody is named.
func TestErasePersonOfApp(t *testing.T) {
	t.Parallel()
	k := known(t)
	ses, err := k.OpenAs(k.Ctx, k.App, ekyc.Opening{Opener: "one", Subject: "user-1", Claim: claim(t)})
	if err != nil {
		t.Fatal(err)
	}
	walk(t, k, ses.Token, testkit.Face{Person: "zhang"})
	var tokens []ekyc.Token
	for _, who := range []ekyc.SubjectID{"user-1", "user-2"} {
		next, err := k.OpenAs(k.Ctx, k.App, ekyc.Opening{
			Opener: "one", Subject: who, Purpose: ekyc.PurposeDisclose,
			Consent: ekyc.Consent{Version: "1", Text: map[string]string{"zh-CN": "同意"}},
		})
		if who == "user-2" {
			wantCode(t, "a disclosure of somebody who was not verified", err, ekyc.SubjectUnverified)
			continue
		} else if err != nil {
			t.Fatal(err)
		}
		if err := k.Agree(k.Ctx, next.Token, "1"); err != nil {
			t.Fatal(err)
		}
		tokens = append(tokens, next.Token)
	}
	id := k.DisclosureID(tokens[0])
	if got := find(t, k, by(ekyc.FieldLogID, id)); len(got) != 1 || got[0] != tokens[0].Digest() {
		t.Errorf("the disclosure's id finds %q", got)
	}
	if c, err := k.Disclosed(k.Ctx, k.App, "user-1", id); err != nil || c.Number != number {
		t.Fatalf("disclosed before: %v", err)
	}
	e, err := k.ErasePerson(k.Ctx, "", number)
	if err != nil || e.Sessions != 2 || e.Subjects != 1 {
		t.Errorf("erased %+v, %v; want two sessions and a subject", e, err)
	}
	_, err = k.Disclosed(k.Ctx, k.App, "user-1", id)
	wantCode(t, "the disclosure of an erased person", err, ekyc.SubjectForeign)
	if got := find(t, k, ekyc.RecordQuery{}); len(got) != 0 {
		t.Errorf("what is left: %q", got)
	}
}

// TestEraseUnderWay: an attempt that runs while its session is erased leaves nothing.
func TestEraseUnderWay(t *testing.T) {
	t.Parallel()
	k := known(t)
	tok := declared(t, k)
	var once atomic.Bool
	k.Consent(tok)
	p, err := k.Present(tok, k.Frames(testkit.Face{Person: "zhang"}, 3))
	if err != nil {
		t.Fatal(err)
	}
	k.Engine.Hook = func() error {
		if once.CompareAndSwap(false, true) { // frames are examined side by side
			e, err := k.EraseRecord(k.Ctx, tok.Digest())
			if err != nil || e.Sessions != 1 {
				t.Errorf("erase while an attempt runs: %+v, %v", e, err)
			}
		}
		return nil
	}
	_, err = k.Submit(k.Ctx, tok, p)
	wantCode(t, "the attempt of an erased session", err, ekyc.TokenInvalid)
	if !once.Load() {
		t.Fatal("nothing was erased meanwhile")
	}
	if n := images(t, k); n != 0 {
		t.Errorf("%d images are left", n)
	}
	if _, err := k.EraseRecord(k.Ctx, tok.Digest()); !errors.Is(err, ekyc.ErrAbsent) {
		t.Errorf("erased again: %v, want absent", err)
	}
}

// deaf cannot delete blobs.
type deaf struct{ ekyc.Blobs }

func (deaf) Delete(context.Context, string) error { return errors.New("disk gone") }

// TestEraseInterrupted: what an erasure could not do, the next purge does; an image that
// cannot be deleted loses its key all the same.
func TestEraseInterrupted(t *testing.T) {
	t.Parallel()
	k := known(t)
	tok := declared(t, k)
	walk(t, k, tok, testkit.Face{Person: "zhang"})
	st := k.Service.Store
	k.Service.Store = &stickyStore{Store: st}
	if _, err := k.EraseRecord(k.Ctx, tok.Digest()); err == nil {
		t.Fatal("a session was erased that could not be")
	}
	if got := find(t, k, ekyc.RecordQuery{}); len(got) != 0 {
		t.Errorf("a session whose erasure began is found: %q", got)
	}
	_, err := k.Result(k.Ctx, k.App, tok)
	wantCode(t, "the result of a session whose erasure began", err, ekyc.TokenInvalid)
	k.Service.Store = st
	if p, err := k.Purge(k.Ctx); err != nil || p.Sessions != 1 {
		t.Errorf("the next purge: %+v, %v; want one session", p, err)
	}

	tok = declared(t, k)
	walk(t, k, tok, testkit.Face{Person: "zhang"})
	b := k.Service.Blobs
	k.Service.Blobs = deaf{b}
	e, err := k.ErasePerson(k.Ctx, "", number)
	if err != nil || e.Sessions != 1 || e.Noise != 1 {
		t.Errorf("without a disk for images: %+v, %v; want one session and noise", e, err)
	}
	if _, err := k.Kept.SessionByID(k.Ctx, tok.Digest()); !errors.Is(err, ekyc.ErrAbsent) {
		t.Errorf("its record with its key: %v, want absent", err)
	}
}

// TestRecordKeysOfDocuments: what was read and what was confirmed leads to the session.
func TestRecordKeysOfDocuments(t *testing.T) {
	t.Parallel()
	word := func(v string) ekyc.CardWord { return ekyc.CardWord{Value: v} }
	s := ekyc.Session{Document: &ekyc.Document{
		Front:     &ekyc.CardRecord{Reading: ekyc.CardReading{Side: ekyc.CardFront, Words: map[ekyc.CardField]ekyc.CardWord{ekyc.CardName: word("张三丰"), ekyc.CardNumber: word("110105194912310021")}}},
		Confirmed: map[ekyc.CardField]string{ekyc.CardName: "张三", ekyc.CardNumber: number},
	}}
	want := []ekyc.RecordKey{{Field: ekyc.FieldName, Value: "张三"}, {Field: ekyc.FieldName, Value: "张三丰"}, {Field: ekyc.FieldNumber, Value: number}}
	got := s.RecordKeys(nil)
	if len(got) != len(want) {
		t.Fatalf("got %d keys, want %d: a number with a wrong check character is none", len(got), len(want))
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("key %d is of %v, want %v", i, got[i].Field, want[i].Field)
		}
	}
}
