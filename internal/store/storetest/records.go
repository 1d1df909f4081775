package storetest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"shiren/internal/cnid"
	"shiren/internal/ekyc"
)

// filed is what a record must say and be found by.
type filed struct {
	record ekyc.Record
	keys   []ekyc.RecordKey
}

// searchable is a store whose records are tested.
type searchable interface {
	ekyc.Store
	ekyc.Records
}

var (
	names   = []cnid.Name{"张三", "李四", "王小明", "欧阳明月"}
	numbers = []cnid.Number{"11010519491231002X", "440524188001010014", "810000199408230021"}
	mobiles = []string{"13800000001", "13900000002"}
)

// some draws a session as it may be stored: any number of attempts in any state.
func some(r *rand.Rand, n int) ekyc.Session {
	pick := func(list ...string) string { return list[r.IntN(len(list))] }
	s := ekyc.Session{
		Token: ekyc.Token(fmt.Sprintf("token-%018d", n)), App: ekyc.AppID(pick("1", "1", "1", "2")), Opened: base.Add(time.Duration(r.IntN(40)) * time.Minute),
		Plan: ekyc.Plan{ID: ekyc.PlanID(pick("a", "b")), Liveness: ekyc.LivenessKind(pick("flash", "silent"))}, Protocol: pick("", "one", "two"), Sandbox: r.IntN(5) == 0,
	}
	if r.IntN(3) > 0 {
		s.Claim = &ekyc.Claim{Name: names[r.IntN(len(names))], Number: numbers[r.IntN(len(numbers))]}
	}
	for i := range r.IntN(4) {
		a := ekyc.Attempt{
			Ordinal: i + 1, Begun: s.Opened.Add(time.Duration(i) * time.Minute), LogID: fmt.Sprint("log-", n, "-", i), Claim: s.Claim,
			Kind: ekyc.LivenessKind(pick("", "action")),
		}
		switch r.IntN(4) {
		case 0: // running
		case 1:
			a.Finished, a.Outcome, a.Compared, a.Score = a.Begun.Add(1234*time.Millisecond), ekyc.Match, true, 0.875
		case 2:
			a.Finished, a.Outcome, a.Code = a.Begun.Add(time.Second), ekyc.NonMatched, ekyc.Code(pick("non_match", "liveness_failed"))
		case 3:
			a.Finished, a.Outcome, a.Code = a.Begun, ekyc.Failed, "cancelled"
		}
		s.Attempts = append(s.Attempts, a)
	}
	return s
}

// records: a search finds what a look at every record would find, whatever is filtered, in
// pages of any size, while sessions change and go.
func records(t *testing.T, store ekyc.Store) {
	s, is := store.(searchable)
	if !is {
		t.Fatal("the store has no records")
	}
	ctx, r := t.Context(), rand.New(rand.NewPCG(7, 7))
	all := map[string]filed{}
	sessions := map[string]ekyc.Token{}
	put := func(ses *ekyc.Session) {
		rec := ses.Record()
		rec.Score = cmp.Or(rec.Score, 0)
		all[rec.ID] = filed{rec, append(ses.RecordKeys(nil), ekyc.RecordKey{Field: ekyc.FieldToken, Value: string(ses.Token)})}
		sessions[rec.ID] = ses.Token
	}
	for n := range 120 {
		ses := some(r, n)
		create(t, s, ses)
		put(&ses)
	}
	for n := range 60 {
		d := ekyc.Direct{
			ID: fmt.Sprint("call-", n), Ref: fmt.Sprint("order-", n/2), App: "1", Kind: ekyc.ChargeElements, At: base.Add(time.Duration(r.IntN(40)) * time.Minute),
			Protocol: "one", Answered: true, Elements: ekyc.Checked{Identity: ekyc.Match, Mobile: ekyc.NonMatched},
			Keys: []ekyc.RecordKey{
				{Field: ekyc.FieldNumber, Value: string(numbers[r.IntN(3)])}, {Field: ekyc.FieldMobile, Value: mobiles[r.IntN(2)]},
			},
		}
		ok(t, s.AddDirect(ctx, d))
		all[d.Record().ID] = filed{d.Record(), append(d.Keys, ekyc.RecordKey{Field: ekyc.FieldLogID, Value: d.ID}, ekyc.RecordKey{Field: ekyc.FieldLogID, Value: d.Ref})}
		if got, err := s.DirectByID(ctx, d.Record().ID); err != nil || got.ID != d.ID || got.Keys != nil {
			t.Fatalf("DirectByID: got %s with %d keys, %v; want %s without any", got.ID, len(got.Keys), err, d.ID)
		}
	}
	for id, token := range sessions { // changes of every kind
		switch r.IntN(3) {
		case 0:
			next := some(r, 1000)
			ses, err := s.UpdateSession(ctx, token, func(ses *ekyc.Session) error {
				ses.Attempts, ses.Claim = next.Attempts, next.Claim
				for i := range ses.Attempts {
					ses.Attempts[i].LogID = fmt.Sprint("new-", token, i)
				}
				return nil
			})
			ok(t, err)
			put(&ses)
		case 1:
			if r.IntN(4) == 0 {
				ok(t, s.Forget(ctx, token))
				delete(all, id)
				delete(sessions, id)
			}
		}
	}
	for range 400 {
		checkSearch(t, s, all, query(r, all), 1+r.IntN(30))
	}
	for id, token := range sessions {
		if got, err := s.SessionByID(ctx, id); err != nil || got.Token != token {
			t.Fatalf("SessionByID: got %v, %v", got.Token, err)
		}
	}
	for _, id := range []string{"", "none", ekyc.DirectPrefix + "none"} {
		_, a := s.SessionByID(ctx, id)
		_, b := s.DirectByID(ctx, id)
		if !errors.Is(a, ekyc.ErrAbsent) || !errors.Is(b, ekyc.ErrAbsent) {
			t.Errorf("record %q: got %v and %v, want absent", id, a, b)
		}
	}
	forgottenKeys(t, s, all, r)
}

// forgottenKeys: what direct calls are found by goes at its time, the calls stay.
func forgottenKeys(t *testing.T, s searchable, all map[string]filed, r *rand.Rand) {
	ctx, before, want := t.Context(), base.Add(20*time.Minute), 0
	unkeyed := func(id string) {
		f := all[id]
		f.keys = f.keys[2:] // number and mobile
		all[id] = f
	}
	var one string
	for id, f := range all {
		switch {
		case !f.record.Direct:
		case !f.record.At.Truncate(time.Millisecond).After(before.Truncate(time.Millisecond)):
			unkeyed(id)
			want++
		default:
			one = id
		}
	}
	n, err := s.ForgetKeys(ctx, before)
	ok(t, err)
	again, err := s.ForgetKeys(ctx, before)
	ok(t, err)
	if n != want || again != 0 || n == 0 {
		t.Errorf("keys of %d and then %d direct calls were forgotten, want %d and none", n, again, want)
	}
	ok(t, s.Unkey(ctx, one))
	ok(t, s.Unkey(ctx, one))
	ok(t, s.Unkey(ctx, "none"))
	unkeyed(one)
	for range 200 {
		checkSearch(t, s, all, query(r, all), 50)
	}
	if done, err := s.Complete(ctx); !done || err != nil {
		t.Errorf("a new database is complete: %v, %v", done, err)
	}
}

// query draws a search; often one that finds something.
func query(r *rand.Rand, all map[string]filed) (q ekyc.RecordQuery) {
	ids := make([]string, 0, len(all))
	for id := range all {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	like := all[ids[r.IntN(len(ids))]]
	half := func() bool { return r.IntN(3) == 0 }
	if half() {
		q.App = like.record.App
	}
	if half() {
		q.Plan = like.record.Plan
	}
	if half() {
		q.Protocol = like.record.Protocol
	}
	if half() {
		q.Kind = like.record.Kind
	}
	if half() {
		q.Outcome = like.record.Outcome
		q.Undecided = q.Outcome == ekyc.NotRun
	}
	if half() {
		q.Code = like.record.Code
	}
	if half() {
		q.Sandbox = new(like.record.Sandbox)
	}
	if half() {
		q.Since = like.record.At.Truncate(time.Millisecond)
	}
	if half() {
		q.Before = like.record.At.Add(10 * time.Minute).Truncate(time.Millisecond)
	}
	if half() {
		q.Now = like.record.At.Add(ekyc.ResultKept).Truncate(time.Millisecond)
	}
	for range r.IntN(3) {
		if len(like.keys) > 0 {
			q.Keys = append(q.Keys, like.keys[r.IntN(len(like.keys))])
		}
	}
	if r.IntN(20) == 0 {
		q.Keys = append(q.Keys, ekyc.RecordKey{Field: ekyc.FieldName, Value: "无人"})
	}
	return q
}

func checkSearch(t *testing.T, s ekyc.Records, all map[string]filed, q ekyc.RecordQuery, limit int) {
	t.Helper()
	var want []string
	for id, f := range all {
		if fits(q, f) {
			want = append(want, id)
		}
	}
	var got []string
	last := time.Time{}
	page := q
	for page.Limit = limit; ; {
		list, err := s.Search(context.Background(), page)
		ok(t, err)
		for i, r := range list {
			w := all[r.ID].record
			w.At, w.Until, w.Took = milli(w.At), milli(w.Until), w.Took.Truncate(time.Millisecond)
			same(t, "a record", r, w)
			if !last.IsZero() && r.At.After(last) {
				t.Errorf("%+v: record %d of a page is newer than the one before", q, i)
			}
			last = r.At
			got = append(got, r.ID)
		}
		if len(list) < limit {
			break
		}
		page.After = &list[len(list)-1]
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Fatalf("%+v in pages of %d: got %d records, want %d:\n%q\n%q", q, limit, len(got), len(want), got, want)
	}
}

func milli(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return time.UnixMilli(t.UnixMilli()).UTC()
}

// fits looks at one record, without any index.
func fits(q ekyc.RecordQuery, f filed) bool {
	r := f.record
	at := milli(r.At)
	switch {
	case !q.Since.IsZero() && at.Before(milli(q.Since)), !q.Before.IsZero() && !at.Before(milli(q.Before)),
		q.App != "" && q.App != r.App, q.Plan != "" && q.Plan != r.Plan, q.Protocol != "" && q.Protocol != r.Protocol,
		q.Kind != "" && q.Kind != r.Kind, q.Outcome != "" && q.Outcome != r.Outcome, q.Undecided && r.Outcome != "",
		q.Code != "" && q.Code != r.Code, q.Sandbox != nil && *q.Sandbox != r.Sandbox,
		!q.Now.IsZero() && !r.Until.IsZero() && !milli(r.Until).After(milli(q.Now)):
		return false
	}
	for _, k := range q.Keys {
		if !slices.Contains(f.keys, k) {
			return false
		}
		person := k.Field != ekyc.FieldToken && k.Field != ekyc.FieldLogID
		if person && r.Direct && !q.Now.IsZero() && !at.After(milli(q.Now.Add(-ekyc.ResultKept))) {
			return false
		}
	}
	return true
}
