package ekyc_test

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"shiren/internal/ekyc"
	"shiren/internal/testkit"
)

// Synthetic: the number is GB 11643's own example with another sequence.
var (
	front = testkit.Card{Name: "赵六", Number: number, Nation: "汉", Address: "某省某市某街道1号", Person: "zhao"}
	back  = testkit.Card{Authority: "某市公安局", Issued: "20200101", Expires: "20400101"}
)

func read(k *testkit.Kit, t ekyc.Token, c testkit.Card) (ekyc.CardReading, error) {
	side := ekyc.CardFront
	if c.Authority != "" {
		side = ekyc.CardBack
	}
	return k.ReadCard(k.Ctx, t, side, testkit.CardPhoto(c))
}

func mustRead(t *testing.T, k *testkit.Kit, tok ekyc.Token, cards ...testkit.Card) {
	t.Helper()
	for _, c := range cards {
		if _, err := read(k, tok, c); err != nil {
			t.Fatal(err)
		}
	}
}

func attend(t *testing.T, k *testkit.Kit, tok ekyc.Token) ekyc.Session {
	t.Helper()
	s, err := k.Attend(k.Ctx, tok)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// The person photographs both sides, confirms, and is compared with the authority.
func TestIdentityIsReadFromADocument(t *testing.T) {
	t.Parallel()
	k := testkit.New(t)
	k.Authority.Add(number, "赵六", testkit.Photo(testkit.Face{Person: "zhao"}))
	tok := k.OpenPlan("11").Token
	_, err := read(k, tok, front)
	wantCode(t, "a reading before the consent", err, ekyc.ConsentMissing)
	k.Consent(tok)
	r, err := read(k, tok, front)
	if err != nil || r.Words[ekyc.CardName].Value != "赵六" || r.Words[ekyc.CardBirthday].Value != "19491231" {
		t.Fatalf("the front: got %+v, %v", r.Words, err)
	}
	_, err = k.Challenge(k.Ctx, tok, ekyc.LivenessSilent)
	wantCode(t, "a capture before the document was confirmed", err, ekyc.ClaimMissing)
	wantCode(t, "confirming before the back was read", k.ConfirmCard(k.Ctx, tok, nil), ekyc.ClaimMissing)
	mustRead(t, k, tok, back)
	if err := k.ConfirmCard(k.Ctx, tok, nil); err != nil {
		t.Fatalf("confirming what was surely read: %v", err)
	}
	a := walk(t, k, tok, testkit.Face{Person: "zhao"})
	if a.Outcome != ekyc.Match || a.Claim == nil || a.Claim.Name != "赵六" || a.Claim.Number != number || a.Claim.Type != ekyc.IDCard {
		t.Errorf("got %s %s, want a match of the claim that the document makes", a.Outcome, a.Code)
	}
	c, ok := a.Check(ekyc.CheckDocument)
	if !ok || c.Outcome != ekyc.Match || c.Score != 1 {
		t.Errorf("the portrait on the document: got %+v, %v, want a score of 1", c, ok)
	}
	if a.Document == nil || a.Document.Back == nil || a.Document.Confirmed[ekyc.CardGender] != "女" && a.Document.Confirmed[ekyc.CardGender] != "男" {
		t.Errorf("the attempt does not hold the document as it stood: %+v", a.Document)
	}

	s := attend(t, k, tok)
	calls, charges := s.Readings(0, 1)
	if len(calls) != 2 || len(charges) != 2 || charges[0].Kind != ekyc.ChargeOCR || charges[0].ID == charges[1].ID {
		t.Errorf("got calls %+v and charges %+v, want two of OCR", calls, charges)
	}
	if n, err := k.Store.Charged(k.Ctx, k.App.ID, ekyc.ChargeOCR); err != nil || n != 2 {
		t.Errorf("the ledger has %d OCR charges, %v, want 2", n, err)
	}
	for _, ref := range []string{s.Document.Front.Crop, s.Document.Front.Portrait, s.Document.Back.Crop} {
		if data, e, err := k.Evidence(k.Ctx, tok, ref); err != nil || len(data) != e.Size {
			t.Errorf("evidence of the document: %v", err)
		}
	}
	if s.Document.Back.Portrait != "" || s.Document.Front.Reading.Crop != nil {
		t.Errorf("the record holds an image itself, or a portrait of the back: %+v", s.Document)
	}
	for _, secret := range []string{"赵六", number, "某街道"} {
		if strings.Contains(k.Logs.String(), secret) {
			t.Errorf("the log holds %s", secret)
		}
	}
	k.Clock.Advance(ekyc.ResultKept)
	if p, err := k.Purge(k.Ctx); err != nil || p.Sessions != 1 || p.Evidence != 4 {
		t.Errorf("purge: got %+v, %v, want the session with the document's three pictures and the face", p, err)
	}
	if left := blobs(t, k); left != 0 {
		t.Errorf("%d blobs are left", left)
	}
}

// What was not surely read must be confirmed; what was corrected stands beside it.
func TestDoubtfulFieldsMustBeConfirmed(t *testing.T) {
	t.Parallel()
	k := testkit.New(t)
	tok := k.OpenPlan("10").Token
	k.Consent(tok)
	c := front
	c.Name, c.Address = "赵大", "某省某市某街1号"
	c.Doubtful = []ekyc.CardField{ekyc.CardName, ekyc.CardAddress, ekyc.CardBirthday}
	mustRead(t, k, tok, c)
	confirm := func(kv ...string) error {
		m := map[ekyc.CardField]string{}
		for i := 0; i < len(kv); i += 2 {
			m[ekyc.CardField(kv[i])] = kv[i+1]
		}
		return k.ConfirmCard(k.Ctx, tok, m)
	}
	wantCode(t, "nothing confirmed", confirm(), ekyc.DocumentDoubtful)
	wantCode(t, "the name alone", confirm("name", "赵六"), ekyc.DocumentDoubtful)
	wantCode(t, "no name", confirm("name", " ", "address", "x"), ekyc.BadName)
	wantCode(t, "a wrong number", confirm("name", "赵六", "address", "x", "number", "110105194912310029"), ekyc.BadIDNumber)
	wantCode(t, "an endless address", confirm("name", "赵六", "address", strings.Repeat("路", 200)), ekyc.BadDocumentField)
	wantCode(t, "a field of the back", confirm("name", "赵六", "address", "x", "expires", "20300101"), ekyc.BadRequest)
	wantCode(t, "a field that is none", confirm("name", "赵六", "address", "x", "colour", "red"), ekyc.BadRequest)
	if err := confirm("name", "赵六", "address", "某省某市某街道1号"); err != nil {
		t.Fatal(err)
	}
	d := attend(t, k, tok).Document
	for f, want := range map[ekyc.CardField][3]string{ // read, confirmed, presented
		ekyc.CardName:     {"赵大", "赵六", "赵六"},
		ekyc.CardAddress:  {"某省某市某街1号", "某省某市某街道1号", "某省某市某街道1号"},
		ekyc.CardNation:   {"汉", "汉", "汉"},
		ekyc.CardBirthday: {"19491231", "19491231", "19491231"},
	} {
		if got := [3]string{d.Read(f).Value, d.Confirmed[f], d.Surely(f)}; got != want {
			t.Errorf("%s: got %v, want %v", f, got, want)
		}
	}
	if a := walk(t, k, tok, testkit.Face{Person: "somebody"}); a.Outcome != ekyc.Match {
		t.Errorf("got %s, want a match: the portrait on the document decides nothing", a.Code)
	} else if c, ok := a.Check(ekyc.CheckDocument); !ok || c.Outcome != ekyc.NonMatched || c.Score >= 0.8 {
		t.Errorf("the portrait on the document: got %+v, %v, want a non-match that is recorded", c, ok)
	}
	wantCode(t, "confirming after the end", confirm("name", "赵六"), ekyc.TokenInvalid)
}

// Whatever is wrong with a picture has its code, its count, and no charge.
func TestPicturesThatAreNoReading(t *testing.T) {
	t.Parallel()
	k := testkit.New(t)
	tok := k.OpenPlan("11").Token
	k.Consent(tok)
	expired, copied := back, front
	expired.Expires = k.Clock.Now().AddDate(0, 0, -1).Format("20060102")
	copied.Flags = []ekyc.CardFlag{ekyc.CardCopy}
	with := func(st ekyc.CardStatus) testkit.Card { c := front; c.Status = st; return c }
	for _, c := range []struct {
		what  string
		card  testkit.Card
		side  ekyc.CardSide
		code  ekyc.Code
		costs int
	}{
		{"not a card", with(ekyc.CardNone), ekyc.CardFront, ekyc.DocumentNone, 0},
		{"another card", with(ekyc.CardOther), ekyc.CardFront, ekyc.DocumentOther, 0},
		{"blurred", with(ekyc.CardBlurred), ekyc.CardFront, ekyc.DocumentBlurred, 0},
		{"cut off", with(ekyc.CardCut), ekyc.CardFront, ekyc.DocumentCut, 0},
		{"glare", with(ekyc.CardGlare), ekyc.CardFront, ekyc.DocumentGlare, 0},
		{"dark", with(ekyc.CardDark), ekyc.CardFront, ekyc.DocumentDark, 0},
		{"a status of tomorrow", with("folded"), ekyc.CardFront, ekyc.DocumentNone, 0},
		{"the other side", back, ekyc.CardFront, ekyc.DocumentWrongSide, 0},
		{"a broken picture", testkit.Card{Fault: ekyc.ImageDamaged}, ekyc.CardFront, ekyc.ImageDamaged, 0},
		{"an error without a code", testkit.Card{Fault: ekyc.Internal}, ekyc.CardFront, ekyc.EngineFailed, 0},
		{"an expired document", expired, ekyc.CardBack, ekyc.DocumentExpired, 1},
		{"a copy", copied, ekyc.CardFront, ekyc.DocumentCopy, 1},
	} {
		s := attend(t, k, tok)
		before, calls := len(s.Read), len(s.Calls)
		_, err := k.ReadCard(k.Ctx, tok, c.side, testkit.CardPhoto(c.card))
		wantCode(t, c.what, err, c.code)
		s = attend(t, k, tok)
		if got := len(s.Read) - before; got != c.costs {
			t.Errorf("%s: %d charges, want %d", c.what, got, c.costs)
		}
		if len(s.Calls) != calls+1 || s.Calls[calls].Code != c.code || s.Calls[calls].Interface != ekyc.CallOCR {
			t.Errorf("%s: counted as %+v, want one OCR call with %s", c.what, s.Calls[calls:], c.code)
		}
		if s.Document != nil || len(s.Evidence) != 0 {
			t.Errorf("%s: something was kept: %+v", c.what, s.Document)
		}
	}
	_, err := k.ReadCard(k.Ctx, tok, ekyc.CardFront, make([]byte, ekyc.MaxImage+1))
	wantCode(t, "11 MB", err, ekyc.ImageTooLarge)
	// Without 身份证风控 a copy is as good as the document.
	tok = k.OpenPlan("10").Token
	k.Consent(tok)
	mustRead(t, k, tok, copied)
	_, err = read(k, tok, back)
	wantCode(t, "a side that the plan does not read", err, ekyc.NotSwitchedOn)
}

// A side may be read again: the earlier picture goes, and so does what was confirmed.
func TestReadingAgainVoidsWhatWasConfirmed(t *testing.T) {
	t.Parallel()
	k := testkit.New(t)
	k.Authority.Add(number, "赵六", testkit.Photo(testkit.Face{Person: "zhao"}))
	tok := k.OpenPlan("11").Token
	k.Consent(tok)
	mustRead(t, k, tok, front, back)
	if err := k.ConfirmCard(k.Ctx, tok, map[ekyc.CardField]string{ekyc.CardName: "赵七"}); err != nil {
		t.Fatal(err)
	}
	if a := walk(t, k, tok, testkit.Face{Person: "zhao"}); a.Code != ekyc.IdentityMismatch {
		t.Fatalf("another name: got %s, want identity_mismatch", a.Code)
	}
	again := front
	again.Serial = 2
	mustRead(t, k, tok, again)
	s := attend(t, k, tok)
	if s.Claim != nil || s.Document.Confirmed != nil || s.Attempts[0].Document.Confirmed[ekyc.CardName] != "赵七" {
		t.Errorf("after reading again: claim %v, confirmed %v; want neither, and the attempt as it was", s.Claim, s.Document.Confirmed)
	}
	if _, ok := s.Item(s.Attempts[0].Document.Front.Crop); !ok {
		t.Error("the picture that the first attempt stood on is gone")
	}
	n := blobs(t, k)
	again.Serial = 3
	mustRead(t, k, tok, again)
	if got := blobs(t, k); got != n {
		t.Errorf("%d blobs after another reading, want %d: the one in between belongs to no attempt", got, n)
	}
	if err := k.ConfirmCard(k.Ctx, tok, nil); err != nil {
		t.Fatal(err)
	}
	if a := walk(t, k, tok, testkit.Face{Person: "zhao"}); a.Outcome != ekyc.Match {
		t.Errorf("the right name: got %s, want a match", a.Code)
	}
	s = attend(t, k, tok)
	for i, want := range []int{2, 2} {
		if calls, charges := s.Readings(i, i+1); len(calls) != want || len(charges) != want {
			t.Errorf("attempt %d: %d calls, %d charges, want %d of each", i+1, len(calls), len(charges), want)
		}
	}
	k.Clock.Advance(ekyc.ResultKept)
	if _, err := k.Purge(k.Ctx); err != nil || blobs(t, k) != 0 {
		t.Errorf("purge: %v, %d blobs are left", err, blobs(t, k))
	}
}

// Readings are bounded by tries, also at once, and by quota.
func TestReadingsAreBounded(t *testing.T) {
	t.Parallel()
	k := testkit.New(t)
	tok := k.OpenPlan("10").Token
	k.Consent(tok)
	var wg sync.WaitGroup
	codes := make([]ekyc.Code, ekyc.MaxReadings+5)
	for i := range codes {
		wg.Go(func() { _, err := read(k, tok, front); codes[i] = ekyc.CodeOf(err) })
	}
	wg.Wait()
	slices.Sort(codes)
	if k.Reader.Calls() != ekyc.MaxReadings || codes[ekyc.MaxReadings-1] != ekyc.OK || codes[ekyc.MaxReadings] != ekyc.DocumentTries {
		t.Errorf("%d readings were made; got %v, want %d and 5 refusals", k.Reader.Calls(), codes, ekyc.MaxReadings)
	}
	for i := range ekyc.MaxWatches + 1 {
		if err := k.WatchCard(k.Ctx, tok, ekyc.CardFront); (err == nil) != (i < ekyc.MaxWatches) {
			t.Fatalf("watching for the %dth time: %v", i+1, err)
		}
	}
	wantCode(t, "watching for the back", k.WatchCard(k.Ctx, k.OpenPlan("10").Token, ekyc.CardBack), ekyc.ConsentMissing)
	k.App.Quota = map[ekyc.ChargeKind]int64{ekyc.ChargeOCR: int64(ekyc.MaxReadings)}
	k.PutApp(k.App)
	tok = k.OpenPlan("10").Token
	k.Consent(tok)
	_, err := read(k, tok, front)
	wantCode(t, "the quota is used up", err, ekyc.LimitTotal)
	_, err = k.Result(k.Ctx, k.App, tok)
	wantCode(t, "results without quota", err, ekyc.LimitTotal)
	if s := attend(t, k, tok); len(s.Read) != 0 || len(s.Calls) != 1 || s.Calls[0].Code != ekyc.LimitTotal {
		t.Errorf("got %+v and %+v, want the refused call counted and no charge", s.Read, s.Calls)
	}
}

// A server without a reader refuses what it cannot do, at the door.
func TestWithoutAReader(t *testing.T) {
	t.Parallel()
	k := testkit.New(t)
	k.Cards = nil
	_, err := k.Open(k.Ctx, k.App, "10", ekyc.Redirect{})
	wantCode(t, "a plan that reads documents", err, ekyc.SourceMissing)
	_, err = k.Recognise(k.Ctx, k.App, testkit.CardPhoto(front), ekyc.CardFront, "1")
	wantCode(t, "the direct call", err, ekyc.NotSwitchedOn)
	_, err = k.GlanceCard(k.Ctx, testkit.CardPhoto(front), ekyc.CardFront)
	wantCode(t, "a glance", err, ekyc.NotSwitchedOn)
}

// An expiry that only the correction tells ends the document as well.
func TestExpiryThatWasCorrected(t *testing.T) {
	t.Parallel()
	k := testkit.New(t)
	tok := k.OpenPlan("11").Token
	k.Consent(tok)
	b := back
	b.Expires, b.Doubtful = "20990101", []ekyc.CardField{ekyc.CardExpires}
	mustRead(t, k, tok, front, b)
	set := func(v string) error {
		return k.ConfirmCard(k.Ctx, tok, map[ekyc.CardField]string{ekyc.CardExpires: v})
	}
	today := k.Clock.Now().Format("20060102")
	wantCode(t, "yesterday", set(k.Clock.Now().AddDate(0, 0, -1).Format("20060102")), ekyc.DocumentExpired)
	wantCode(t, "no date", set("20230230"), ekyc.BadDocumentField)
	wantCode(t, "today", set(today), ekyc.OK)
	wantCode(t, "for ever", set(ekyc.CardForever), ekyc.OK)
	k.Clock.Advance(24 * time.Hour)
	wantCode(t, "after the token's time", set(ekyc.CardForever), ekyc.TokenInvalid)
}

// The residence permit's type follows from its number.
func TestResidencePermitIsRead(t *testing.T) {
	t.Parallel()
	k := testkit.New(t)
	tok := k.OpenPlan("10").Token
	k.Consent(tok)
	mustRead(t, k, tok, testkit.Card{Name: "陈某", Number: "810000199408230021", Type: ekyc.ResidencePermit})
	if err := k.ConfirmCard(k.Ctx, tok, nil); err != nil {
		t.Fatal(err)
	}
	if c := attend(t, k, tok).Claim; c == nil || c.Type != ekyc.ResidencePermit {
		t.Errorf("got claim %v, want one of a residence permit", c)
	}
}

func TestDirectReading(t *testing.T) {
	t.Parallel()
	k := testkit.New(t)
	charged := func() int64 {
		n, err := k.Store.Charged(k.Ctx, k.App.ID, ekyc.ChargeOCR)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	r, err := k.Recognise(k.Ctx, k.App, testkit.CardPhoto(front), ekyc.CardFront, k.LogID())
	if err != nil || r.Words[ekyc.CardNumber].Value != number || charged() != 1 {
		t.Errorf("the front: got %+v, %v, %d charges", r, err, charged())
	}
	r, err = k.Recognise(k.Ctx, k.App, testkit.CardPhoto(back), ekyc.CardFront, k.LogID())
	if err != nil || r.Status != ekyc.CardWrongSide || r.Words[ekyc.CardAuthority].Value == "" || charged() != 2 {
		t.Errorf("the other side: got %s, %v, %d charges, want it read and charged", r.Status, err, charged())
	}
	r, err = k.Recognise(k.Ctx, k.App, testkit.Photo(testkit.Face{}), ekyc.CardFront, k.LogID())
	if err != nil || r.Status != ekyc.CardNone || charged() != 2 {
		t.Errorf("a face: got %s, %v, %d charges, want a status and no charge", r.Status, err, charged())
	}
	_, err = k.Recognise(k.Ctx, k.App, []byte("noise"), ekyc.CardFront, k.LogID())
	wantCode(t, "noise", err, ekyc.ImageFormat)
	k.App.Quota = map[ekyc.ChargeKind]int64{ekyc.ChargeOCR: 0}
	_, err = k.Recognise(k.Ctx, k.App, testkit.CardPhoto(front), ekyc.CardFront, k.LogID())
	wantCode(t, "not opened", err, ekyc.QuotaNone)
}

// A hand brings the document into view; the picture is taken once it is whole, near and still.
func TestCardWatch(t *testing.T) {
	t.Parallel()
	w := ekyc.CardWatch{Side: ekyc.CardFront}
	at := testkit.Start
	see := func(x, width float64, change ...func(*ekyc.CardGlance)) ekyc.CardAdvice {
		at = at.Add(200 * time.Millisecond)
		g := ekyc.CardGlance{Side: ekyc.CardFront, Status: ekyc.CardReadable, Width: width, Sharp: 0.8}
		for i := range g.Quad {
			g.Quad[i].X = x + float64(i)
		}
		for _, c := range change {
			c(&g)
		}
		return w.Observe(g, at)
	}
	status := func(s ekyc.CardStatus) func(*ekyc.CardGlance) {
		return func(g *ekyc.CardGlance) { g.Status = s }
	}
	for want, a := range map[ekyc.Hint]ekyc.CardAdvice{
		ekyc.HintNoCard:    see(0, 0, status(ekyc.CardNone)),
		ekyc.HintOtherCard: see(0, 600, status(ekyc.CardOther)),
		ekyc.HintWrongSide: see(0, 600, func(g *ekyc.CardGlance) { g.Side = ekyc.CardBack }),
		ekyc.HintWhole:     see(0, 600, status(ekyc.CardCut)),
		ekyc.HintCloser:    see(0, 200, status(ekyc.CardBlurred)),
		ekyc.HintGlare:     see(0, 600, status(ekyc.CardGlare)),
		ekyc.HintLight:     see(0, 0, status(ekyc.CardDark)),
		ekyc.HintStill:     see(0, 600, func(g *ekyc.CardGlance) { g.Sharp = 0.05 }),
	} {
		if a.Hint != want || a.Take || a.Progress != 0 {
			t.Errorf("got %+v, want %s", a, want)
		}
	}
	see(0, 600)
	if a := see(200, 600); a.Hint != ekyc.HintStill || a.Take {
		t.Errorf("a hand that moves: got %+v, want hold_still", a)
	}
	var takes int
	for i := range 4 {
		if a := see(200+float64(i), 600); a.Take {
			takes++
			if i < 2 {
				t.Errorf("the picture was taken after %d still glances", i+1)
			}
		}
	}
	if takes != 1 {
		t.Errorf("%d pictures were taken, want 1", takes)
	}
}
