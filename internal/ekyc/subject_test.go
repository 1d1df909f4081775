package ekyc_test

import (
	"crypto/sha256"
	"crypto/sha512"
	"fmt"
	"strings"
	"testing"
	"time"

	"shiren/internal/ekyc"
	"shiren/internal/testkit"
)

// Synthetic numbers.
const (
	zhangNumber = "11010519491231002X"
	liNumber    = "440524188001010014"
)

func claimOf(t *testing.T, name, number string) ekyc.Claim {
	t.Helper()
	c, err := ekyc.ParseCommonClaim(name, number)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// acquainted makes a kit whose authority knows 张三 and 李四.
func acquainted(t *testing.T) *testkit.Kit {
	k := testkit.New(t)
	k.Authority.Add(zhangNumber, "张三", testkit.Photo(testkit.Face{Person: "zhang"}))
	k.Authority.Add(liNumber, "李四", testkit.Photo(testkit.Face{Person: "li"}))
	return k
}

func openAs(k *testkit.Kit, o ekyc.Opening) (ekyc.Session, error) {
	o.Opener = "test"
	return k.OpenAs(k.Ctx, k.App, o)
}

// certified verifies a face for a subject.
func certified(t *testing.T, k *testkit.Kit, who ekyc.SubjectID) ekyc.Session {
	t.Helper()
	ses, err := openAs(k, ekyc.Opening{Subject: who, Claim: claimOf(t, "张三", zhangNumber)})
	if err != nil {
		t.Fatal(err)
	}
	if a, err := k.Walk(ses.Token, testkit.Face{Person: "zhang"}); err != nil || a.Outcome != ekyc.Match {
		t.Fatalf("got %s, %v, want a match", a.Outcome, err)
	}
	return ses
}

func TestASubjectIsOnePerson(t *testing.T) {
	t.Parallel()
	k := acquainted(t)
	zhang, li := claimOf(t, "张三", zhangNumber), claimOf(t, "李四", liNumber)
	ses := certified(t, k, "user-1")
	for _, c := range []struct {
		name string
		app  ekyc.App
		open ekyc.Opening
		want ekyc.Code
	}{
		{"the same again", k.App, ekyc.Opening{Subject: "user-1", Claim: zhang}, ekyc.OK},
		{"somebody else under the same id", k.App, ekyc.Opening{Subject: "user-1", Claim: li}, ekyc.SubjectForeign},
		{"somebody else under another id", k.App, ekyc.Opening{Subject: "user-2", Claim: li}, ekyc.OK},
		{"a name that does not belong to the number", k.App, ekyc.Opening{Subject: "user-3", Claim: claimOf(t, "李四", zhangNumber)}, ekyc.SubjectUnverified},
		{"an unknown number", k.App, ekyc.Opening{Subject: "user-3", Claim: claimOf(t, "王五", "440524188001010030")}, ekyc.SubjectUnverified},
		{"no id", k.App, ekyc.Opening{Claim: zhang}, ekyc.BadRequest},
		{"512 characters", k.App, ekyc.Opening{Subject: ekyc.SubjectID(strings.Repeat("名", 512)), Claim: zhang}, ekyc.OK},
		{"513 characters", k.App, ekyc.Opening{Subject: ekyc.SubjectID(strings.Repeat("x", 513)), Claim: zhang}, ekyc.BadRequest},
		{"an app without a plan", k.Other, ekyc.Opening{Subject: "user-1", Claim: li}, ekyc.PlanUnknown},
		{"confirm without a verified face", k.App, ekyc.Opening{Subject: "user-2", Purpose: ekyc.PurposeConfirm}, ekyc.SubjectUnverified},
		{"disclose without a verified face", k.App, ekyc.Opening{Subject: "nobody", Purpose: ekyc.PurposeDisclose}, ekyc.SubjectUnverified},
	} {
		if _, err := k.OpenAs(k.Ctx, c.app, c.open); ekyc.CodeOf(err) != c.want {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
	}
	// The receipt belongs to app, subject and purpose.
	r := k.Receipt(ses.Token, 1)
	if strings.Contains(r, string(ses.Token[:8])) || len(r) != 44 {
		t.Errorf("the receipt %s holds the token, or has not 44 characters", r)
	}
	if a, err := k.Redeem(k.Ctx, k.App, ekyc.PurposeFace, "user-1", r); err != nil || a.Outcome != ekyc.Match {
		t.Errorf("redeem: got %s, %v", a.Outcome, err)
	}
	for name, c := range map[string]struct {
		app     ekyc.App
		purpose ekyc.Purpose
		who     ekyc.SubjectID
		receipt string
		want    ekyc.Code
	}{
		"another subject":       {k.App, ekyc.PurposeFace, "user-2", r, ekyc.SubjectForeign},
		"another app":           {k.Other, ekyc.PurposeFace, "user-1", r, ekyc.TokenInvalid},
		"another purpose":       {k.App, ekyc.PurposeConfirm, "user-1", r, ekyc.TokenInvalid},
		"an attempt to come":    {k.App, ekyc.PurposeFace, "user-1", k.Receipt(ses.Token, 2), ekyc.TokenInvalid},
		"the token alone":       {k.App, ekyc.PurposeFace, "user-1", string(ses.Token), ekyc.TokenInvalid},
		"another attempt's tag": {k.App, ekyc.PurposeFace, "user-1", k.Receipt(ses.Token, 2)[:11] + r[11:], ekyc.TokenInvalid},
		"a made-up tag":         {k.App, ekyc.PurposeFace, "user-1", strings.Repeat("A", 44), ekyc.TokenInvalid},
		"with a line end":       {k.App, ekyc.PurposeFace, "user-1", r[:9] + "\n" + r[9:], ekyc.TokenInvalid},
	} {
		if _, err := k.Redeem(k.Ctx, c.app, c.purpose, c.who, c.receipt); ekyc.CodeOf(err) != c.want {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
	k.Clock.Advance(ekyc.ResultKept + time.Minute)
	if _, err := k.Redeem(k.Ctx, k.App, ekyc.PurposeFace, "user-1", r); ekyc.CodeOf(err) != ekyc.TokenInvalid {
		t.Errorf("after three days: got %v", err)
	}
	// Once the identity is forgotten the id may be somebody else's.
	k.Clock.Advance(ekyc.SubjectKept)
	if _, err := openAs(k, ekyc.Opening{Subject: "user-1", Claim: li}); err != nil {
		t.Errorf("after %v: %v", ekyc.SubjectKept, err)
	}
	if p, err := k.Purge(k.Ctx); err != nil || p.Subjects == 0 {
		t.Errorf("purged %d subjects, %v", p.Subjects, err)
	}
}

func TestAFailedFaceCertifiesNobody(t *testing.T) {
	t.Parallel()
	k := acquainted(t)
	ses, err := openAs(k, ekyc.Opening{Subject: "user-1", Claim: claimOf(t, "张三", zhangNumber)})
	if err != nil {
		t.Fatal(err)
	}
	if a, err := k.Walk(ses.Token, testkit.Face{Person: "li"}); err != nil || a.Code != ekyc.NonMatch {
		t.Fatalf("got %s, %v", a.Code, err)
	}
	if _, err := openAs(k, ekyc.Opening{Subject: "user-1", Purpose: ekyc.PurposeDisclose}); ekyc.CodeOf(err) != ekyc.SubjectUnverified {
		t.Errorf("got %v, want subject_unverified", err)
	}
}

func TestTheDayOfASubject(t *testing.T) {
	t.Parallel()
	k := acquainted(t)
	zhang := claimOf(t, "张三", zhangNumber)
	open := func() ekyc.Code {
		_, err := openAs(k, ekyc.Opening{Subject: "user-1", Claim: zhang})
		return ekyc.CodeOf(err)
	}
	for i := range ekyc.SubjectPerDay {
		if c := open(); c != ekyc.OK {
			t.Fatalf("session %d of the day: %s", i+1, c)
		}
	}
	if c := open(); c != ekyc.LimitSubject {
		t.Errorf("one more: got %q, want limit_subject", c)
	}
	if _, err := openAs(k, ekyc.Opening{Subject: "user-2", Claim: zhang}); err != nil {
		t.Errorf("another subject: %v", err)
	}
	k.App.PerSubjectDay = ekyc.Unlimited
	k.PutApp(k.App)
	if c := open(); c != ekyc.OK {
		t.Errorf("without a limit: %s", c)
	}
	k.App.PerSubjectDay = 1
	k.PutApp(k.App)
	if c := open(); c != ekyc.LimitSubject {
		t.Errorf("with a limit of 1: %q", c)
	}
	k.Clock.Set(time.Date(2026, 3, 2, 16, 0, 0, 0, time.UTC)) // midnight in Beijing
	if c := open(); c != ekyc.OK {
		t.Errorf("on the next day: %s", c)
	}
}

func TestConfirmAndDisclose(t *testing.T) {
	t.Parallel()
	k := acquainted(t)
	certified(t, k, "user-1")
	text := ekyc.Consent{Version: "c-1", Text: map[string]string{"zh-CN": "同意。"}}
	long := func(s string) []byte { d := sha512.Sum512([]byte(s)); return d[:] }
	short := func(s string) []byte { d := sha256.Sum256([]byte(s)); return d[:] }
	for name, c := range map[string]struct {
		expect ekyc.Expectation
		want   ekyc.Code
	}{
		"SHA-512":        {ekyc.Expectation{Name: long("张三"), Number: long(zhangNumber)}, ekyc.OK},
		"SHA-256":        {ekyc.Expectation{Name: short("张三"), Number: short(zhangNumber)}, ekyc.OK},
		"another name":   {ekyc.Expectation{Name: long("李四"), Number: long(zhangNumber)}, ekyc.IdentityMismatch},
		"another number": {ekyc.Expectation{Name: long("张三"), Number: long(liNumber)}, ekyc.IdentityMismatch},
		"nothing":        {ekyc.Expectation{}, ekyc.IdentityMismatch},
	} {
		ses, err := openAs(k, ekyc.Opening{Subject: "user-1", Purpose: ekyc.PurposeConfirm, Expect: c.expect, Consent: text})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := k.Challenge(k.Ctx, ses.Token, ekyc.LivenessSilent); err == nil {
			t.Errorf("%s: a session without a camera draws a challenge", name)
		}
		if err := k.Agree(k.Ctx, ses.Token, "another text"); ekyc.CodeOf(err) != ekyc.ConsentMissing {
			t.Errorf("%s: another text: got %v", name, err)
		}
		if err := k.Agree(k.Ctx, ses.Token, "c-1"); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		a, err := k.Redeem(k.Ctx, k.App, ekyc.PurposeConfirm, "user-1", k.Receipt(ses.Token, 1))
		if err != nil || a.Code != c.want || (a.Outcome == ekyc.Match) != (c.want == ekyc.OK) {
			t.Errorf("%s: got %s %q, %v, want %q", name, a.Outcome, a.Code, err, c.want)
		}
		if err := k.Agree(k.Ctx, ses.Token, "c-1"); ekyc.CodeOf(err) != ekyc.TokenInvalid {
			t.Errorf("%s: agreed twice: got %v", name, err)
		}
	}
	ses, err := openAs(k, ekyc.Opening{Subject: "user-1", Purpose: ekyc.PurposeDisclose, Consent: text})
	if err != nil {
		t.Fatal(err)
	}
	id := k.DisclosureID(ses.Token)
	if _, err := k.Disclosed(k.Ctx, k.App, "user-1", id); ekyc.CodeOf(err) != ekyc.Undisclosed {
		t.Errorf("before the subject agreed: got %v", err)
	}
	if err := k.Agree(k.Ctx, ses.Token, "c-1"); err != nil {
		t.Fatal(err)
	}
	if c, err := k.Disclosed(k.Ctx, k.App, "user-1", id); err != nil || c.Name != "张三" || c.Number != zhangNumber || len(id) != 10 {
		t.Errorf("got %s, %v under %s", c.Name, err, id)
	}
	for name, c := range map[string]struct {
		app  ekyc.App
		who  ekyc.SubjectID
		id   string
		want ekyc.Code
	}{
		"another id": {k.App, "user-1", "0000000000", ekyc.Undisclosed}, "another subject": {k.App, "user-2", id, ekyc.SubjectForeign},
		"another app": {k.Other, "user-1", id, ekyc.SubjectForeign},
	} {
		if _, err := k.Disclosed(k.Ctx, c.app, c.who, c.id); ekyc.CodeOf(err) != c.want {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
	k.Clock.Advance(ekyc.ResultKept)
	if _, err := k.Disclosed(k.Ctx, k.App, "user-1", id); ekyc.CodeOf(err) != ekyc.Undisclosed {
		t.Errorf("after three days: got %v", err)
	}
	for _, secret := range []string{"user-1", "张三", zhangNumber, id} {
		if strings.Contains(k.Logs.String(), secret) {
			t.Errorf("the log holds %s", secret)
		}
	}
	if s := fmt.Sprintf("%v %+v %#v", ekyc.SubjectID("user-1"), ses.Subject, ses.Subject); strings.Contains(s, "user-1") {
		t.Errorf("a subject's id prints itself: %s", s)
	}
}

func TestRareCharacters(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]ekyc.Code{
		"张三": ekyc.OK, "龘䶮": ekyc.NameRare, "𠮷野": ekyc.NameRare, "\ue000": ekyc.NameRare, "李﨑": ekyc.NameRare,
		"阿卜杜拉·买买提": ekyc.OK, "7": ekyc.BadName, "": ekyc.BadName,
	} {
		if _, err := ekyc.ParseCommonClaim(name, zhangNumber); ekyc.CodeOf(err) != want {
			t.Errorf("%q: got %v, want %q", name, err, want)
		}
	}
}

func TestRequestsAreTakenOnce(t *testing.T) {
	t.Parallel()
	k := testkit.New(t)
	until := k.Clock.Now().Add(time.Minute)
	for i, c := range []struct {
		app  ekyc.AppID
		what string
		want ekyc.Code
	}{{"1", "a", ekyc.OK}, {"1", "a", ekyc.Replayed}, {"2", "a", ekyc.OK}, {"1", "b", ekyc.OK}} {
		if err := k.Once(k.Ctx, c.app, c.what, until); ekyc.CodeOf(err) != c.want {
			t.Errorf("call %d: got %v, want %q", i+1, err, c.want)
		}
	}
	k.Clock.Advance(time.Minute)
	if _, err := k.Purge(k.Ctx); err != nil {
		t.Fatal(err)
	}
	if err := k.Once(k.Ctx, "1", "a", until); err != nil {
		t.Errorf("after its time: %v", err)
	}
}

func TestGrantsByIDAreCounted(t *testing.T) {
	t.Parallel()
	k := testkit.New(t)
	grant := func(secret string) ekyc.Code {
		_, err := k.GrantByID(k.Ctx, k.App.ID, secret, time.Hour)
		return ekyc.CodeOf(err)
	}
	if _, err := k.GrantByID(k.Ctx, "1", "x", time.Hour); ekyc.CodeOf(err) != ekyc.AppUnknown {
		t.Errorf("unknown app: got %v", err)
	}
	if c := grant("wrong"); c != ekyc.SecretWrong {
		t.Errorf("wrong secret: got %q", c)
	}
	for i := 1; i < ekyc.GrantsPerWindow; i++ {
		if c := grant("sk0123456789"); c != ekyc.OK {
			t.Fatalf("grant %d: %q", i, c)
		}
	}
	if c := grant("sk0123456789"); c != ekyc.LimitRate {
		t.Errorf("one too many: got %q", c)
	}
	k.Clock.Advance(ekyc.GrantsWindow)
	if c := grant("sk0123456789"); c != ekyc.OK {
		t.Errorf("in the next window: %q", c)
	}
}

func TestAnAppHasTwoKeysOfAKind(t *testing.T) {
	t.Parallel()
	now := testkit.Start
	old := ekyc.AppKey{ID: "a", Use: ekyc.KeySign, Ours: true, Until: now}
	one, two := ekyc.AppKey{ID: "b", Use: ekyc.KeySign, Ours: true}, ekyc.AppKey{ID: "c", Use: ekyc.KeySign, Ours: true, Until: now.Add(1)}
	next := ekyc.AppKey{ID: "d", Use: ekyc.KeySign, Ours: true}
	if err := ekyc.AddKey([]ekyc.AppKey{old, one}, next, now); err != nil {
		t.Errorf("a second: %v", err)
	}
	if err := ekyc.AddKey([]ekyc.AppKey{old, one, two}, next, now); err == nil {
		t.Error("a third valid key is taken")
	}
	for name, k := range map[string]ekyc.AppKey{"another use": {ID: "d", Use: ekyc.KeyEncrypt, Ours: true}, "another owner": {ID: "d", Use: ekyc.KeySign}} {
		if err := ekyc.AddKey([]ekyc.AppKey{one, two}, k, now); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := ekyc.AddKey([]ekyc.AppKey{old}, ekyc.AppKey{ID: "a", Use: ekyc.KeyEncrypt}, now); err == nil {
		t.Error("an id is taken twice")
	}
}
