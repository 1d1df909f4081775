package store

import (
	"cmp"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"shiren/internal/ekyc"
)

// Records are what operators search: a line for each session and direct call, written in the
// transaction that writes what it tells of.
//
// # How a search stays quick
//
// What records are filtered by (protocol, app, plan, kind, outcome, code, sandbox) has few
// combinations that occur: some thousands, however many records there are. Each is a facet.
// A search first looks at the newest lines, as many as a common filter needs. Where these do
// not fill the page, it looks up which facets fit, finds the newest line of each, one step into
// an index by facet and time, and reads the page from the facets with the newest lines, of none
// more than a page. So its cost depends on the number of facets and the length of the page,
// never on the number of records or on how the filters happen to lie to each other; an index
// for each filter would have to read all of one common app's lines to find that a common code
// never occurred in it.
//
// Names, numbers, mobile numbers and log ids lead to lines by keyed digest and time.

var _ ekyc.Records = (*Store)(nil)

// facet is what lines are filtered by.
type facet struct {
	direct, sandbox                          bool
	protocol, app, plan, kind, outcome, code string
}

func facetOf(r ekyc.Record) facet {
	return facet{r.Direct, r.Sandbox, r.Protocol, string(r.App), string(r.Plan), r.Kind, string(r.Outcome), string(r.Code)}
}

// id follows from the facet, so that any process finds it without asking: 64 bits of a
// digest, of which some thousands do not meet.
func (f facet) id() int64 {
	return number64(fmt.Appendf(nil, "facet\x00%d\x00%d\x00%s\x00%s\x00%s\x00%s\x00%s\x00%s",
		bit(f.direct), bit(f.sandbox), f.protocol, f.app, f.plan, f.kind, f.outcome, f.code))
}

// seqOf is the number of a record in the indexes. Two records that share one cannot both be
// written; of a hundred million that happens to one pair in 4,000 deployments.
func seqOf(id string) int64 { return number64([]byte("record\x00" + id)) }

func number64(b []byte) int64 {
	h := sha256.Sum256(b)
	return int64(binary.BigEndian.Uint64(h[:]))
}

// keyHash is the name under which a value leads to its records.
func (s *Store) keyHash(k ekyc.RecordKey) int64 {
	return int64(binary.BigEndian.Uint64(s.sealer.Digest("record "+string(k.Field), []byte(k.Value))))
}

func packKeys(list []int64) string {
	b := make([]byte, 0, 8*len(list))
	for _, k := range list {
		b = binary.BigEndian.AppendUint64(b, uint64(k))
	}
	return toText(b)
}

func unpackKeys(text string) ([]int64, error) {
	b, err := fromText(text)
	if err != nil || len(b)%8 != 0 {
		return nil, errDamaged
	}
	list := make([]int64, len(b)/8)
	for i := range list {
		list[i] = int64(binary.BigEndian.Uint64(b[8*i:]))
	}
	return list, nil
}

// facets keeps the facets that were read or written: they never change and never go. The zero
// value is ready; safe for concurrent use.
type facets struct {
	mu sync.RWMutex
	m  map[int64]facet
}

func (f *facets) get(id int64) (facet, bool) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	v, ok := f.m[id]
	return v, ok
}

func (f *facets) put(id int64, v facet) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.m == nil {
		f.m = map[int64]facet{}
	}
	f.m[id] = v
}

// entry is what is written of one record.
type entry struct {
	record ekyc.Record
	keys   []ekyc.RecordKey
}

func (s *Store) sessionLine(ses *ekyc.Session) entry {
	return entry{ses.Record(), ses.RecordKeys(s.sealer)}
}

// same reports whether a line stands already.
func (l entry) same(m entry) bool {
	return l.record == m.record && slices.Equal(l.keys, m.keys)
}

func (s *Store) hashes(list []ekyc.RecordKey) []int64 {
	out := make([]int64, len(list))
	for i, k := range list {
		out[i] = s.keyHash(k)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// columns are a line's values in the order of writeLine.
func (l entry) columns() (until int64, score sql.NullFloat64) {
	until = math.MaxInt64
	if !l.record.Until.IsZero() {
		until = l.record.Until.UnixMilli()
	}
	return until, sql.NullFloat64{Float64: float64(l.record.Score), Valid: l.record.Compared}
}

// addFacet writes the facet of a line if it is not known to be there.
func (s *Store) addFacet(ctx context.Context, q querier, l entry) (int64, error) {
	f := facetOf(l.record)
	id := f.id()
	if _, ok := s.facets.get(id); ok {
		return id, nil
	}
	_, err := q.ExecContext(ctx, `
		insert into record_facets (id, direct, protocol, app, plan, kind, outcome, code, sandbox)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9) on conflict (id) do nothing`,
		id, bit(f.direct), f.protocol, f.app, f.plan, f.kind, f.outcome, f.code, bit(f.sandbox))
	return id, err
}

// addLine writes a line that is not there. One that is there is left as it is.
func (s *Store) addLine(ctx context.Context, q querier, l entry) error {
	id, err := s.addFacet(ctx, q, l)
	if err != nil {
		return fmt.Errorf("write record: %w", err)
	}
	until, score := l.columns()
	hashes, keyed := s.hashes(l.keys), sql.NullInt64{}
	if l.record.Direct && len(hashes) > 0 {
		keyed = sql.NullInt64{Int64: l.record.At.UnixMilli(), Valid: true}
	}
	seq, at := seqOf(l.record.ID), l.record.At.UnixMilli()
	n, err := affected(q.ExecContext(ctx, `
		insert into records (seq, id, facet, at, until, attempts, score, took, keys, keyed)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) on conflict (seq) do nothing`,
		seq, l.record.ID, id, at, until, l.record.Attempts, score, l.record.Took.Milliseconds(), packKeys(hashes), keyed))
	if err == nil && n > 0 {
		err = addKeys(ctx, q, seq, at, hashes)
	}
	if err != nil {
		return fmt.Errorf("write record: %w", err)
	}
	return nil
}

func addKeys(ctx context.Context, q querier, seq, at int64, hashes []int64) error {
	for _, h := range hashes {
		if _, err := q.ExecContext(ctx, `
			insert into record_keys (hash, at, record) values ($1, $2, $3) on conflict (hash, at, record) do nothing`, h, at, seq); err != nil {
			return err
		}
	}
	return nil
}

func dropKeys(ctx context.Context, q querier, seq, at int64, hashes []int64) error {
	for _, h := range hashes {
		if _, err := q.ExecContext(ctx, `delete from record_keys where hash = $1 and at = $2 and record = $3`, h, at, seq); err != nil {
			return err
		}
	}
	return nil
}

// changeLine writes what became of a line. One that was not there, of an older release, is added.
func (s *Store) changeLine(ctx context.Context, q querier, from, to entry) error {
	if from.same(to) {
		return nil
	}
	id, err := s.addFacet(ctx, q, to)
	if err != nil {
		return fmt.Errorf("write record: %w", err)
	}
	until, score := to.columns()
	seq, at := seqOf(to.record.ID), to.record.At.UnixMilli()
	var n int64
	if slices.Equal(from.keys, to.keys) {
		n, err = affected(q.ExecContext(ctx, `
			update records set facet = $1, at = $2, until = $3, attempts = $4, score = $5, took = $6 where seq = $7`,
			id, at, until, to.record.Attempts, score, to.record.Took.Milliseconds(), seq))
	} else {
		was, is := s.hashes(from.keys), s.hashes(to.keys)
		n, err = affected(q.ExecContext(ctx, `
			update records set facet = $1, at = $2, until = $3, attempts = $4, score = $5, took = $6, keys = $7 where seq = $8`,
			id, at, until, to.record.Attempts, score, to.record.Took.Milliseconds(), packKeys(is), seq))
		before := from.record.At.UnixMilli()
		without := func(list, other []int64) []int64 {
			if at != before { // a session's moment does not change; if it does, its keys move
				return list
			}
			return slices.DeleteFunc(slices.Clone(list), func(h int64) bool { return slices.Contains(other, h) })
		}
		if err == nil && n > 0 {
			err = dropKeys(ctx, q, seq, before, without(was, is))
		}
		if err == nil && n > 0 {
			err = addKeys(ctx, q, seq, at, without(is, was))
		}
	}
	switch {
	case err != nil:
		return fmt.Errorf("write record: %w", err)
	case n == 0:
		return s.addLine(ctx, q, to)
	}
	return nil
}

// dropLine removes a line and its keys. An absent one is success.
func dropLine(ctx context.Context, q querier, id string) error {
	seq := seqOf(id)
	var at int64
	var text string
	err := q.QueryRowContext(ctx, `select at, keys from records where seq = $1`, seq).Scan(&at, &text)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	var hashes []int64
	if err == nil {
		hashes, err = unpackKeys(text)
	}
	if err == nil {
		err = dropKeys(ctx, q, seq, at, hashes)
	}
	if err == nil {
		_, err = q.ExecContext(ctx, `delete from records where seq = $1`, seq)
	}
	if err != nil {
		return fmt.Errorf("remove record: %w", err)
	}
	return nil
}

// remember notes that a line's facet is there, once it was written.
func (s *Store) remember(l entry) {
	f := facetOf(l.record)
	s.facets.put(f.id(), f)
}

// place is where a record stands in the order of records.
type place struct{ at, seq int64 }

func (p place) before(q place) bool {
	return cmp.Or(cmp.Compare(p.at, q.at), cmp.Compare(p.seq, q.seq)) < 0
}

// found is a line that was read.
type found struct {
	ekyc.Record
	place
	facet int64
}

const lineColumns = `r.seq, r.id, r.facet, r.at, r.until, r.attempts, r.score, r.took`

func scanLine(r *sql.Rows) (v found, err error) {
	var until, took int64
	var score sql.NullFloat64
	err = r.Scan(&v.seq, &v.ID, &v.facet, &v.at, &until, &v.Attempts, &score, &took)
	v.At, v.Took = time.UnixMilli(v.at).UTC(), time.Duration(took)*time.Millisecond
	v.Compared, v.Score = score.Valid, ekyc.Score(score.Float64)
	if until != math.MaxInt64 {
		v.Until = time.UnixMilli(until).UTC()
	}
	return v, err
}

// hunt is one search.
type hunt struct {
	s     *Store
	q     ekyc.RecordQuery
	limit int
	below place // records lie before it in time: (at, seq) < below
	since int64
	now   int64 // records whose until is not after it are left out
	keyed int64 // and what direct calls from before it are found by
}

// Search lists records, newest first; see ekyc.Records. Since, Before and After are taken in
// whole milliseconds.
func (s *Store) Search(ctx context.Context, q ekyc.RecordQuery) ([]ekyc.Record, error) {
	h := hunt{s: s, q: q, limit: q.Limit, below: place{math.MaxInt64, math.MaxInt64}, since: math.MinInt64, now: math.MinInt64, keyed: math.MinInt64}
	switch {
	case h.limit <= 0:
		h.limit = 50
	case h.limit > ekyc.MaxRecords:
		h.limit = ekyc.MaxRecords
	}
	if !q.Since.IsZero() {
		h.since = q.Since.UnixMilli()
	}
	if !q.Before.IsZero() {
		h.below = place{q.Before.UnixMilli(), math.MinInt64}
	}
	if q.After != nil {
		if p := (place{q.After.At.UnixMilli(), seqOf(q.After.ID)}); p.before(h.below) {
			h.below = p
		}
	}
	if !q.Now.IsZero() {
		h.now, h.keyed = q.Now.UnixMilli(), q.Now.Add(-ekyc.ResultKept).UnixMilli()
	}
	list, err := h.run(ctx)
	if err == nil {
		list, err = h.name(ctx, list)
	}
	if err != nil {
		return nil, fmt.Errorf("search records: %w", err)
	}
	out := make([]ekyc.Record, len(list))
	for i := range list {
		out[i] = list[i].Record
	}
	return out, nil
}

func (h *hunt) run(ctx context.Context) ([]found, error) {
	var single, many []ekyc.RecordKey
	for _, k := range h.q.Keys {
		switch k.Field {
		case ekyc.FieldToken, ekyc.FieldLogID:
			single = append(single, k)
		default:
			many = append(many, k)
		}
	}
	// A number is one person's, a mobile number some people's, a name many people's.
	order := []ekyc.RecordField{ekyc.FieldNumber, ekyc.FieldMobile, ekyc.FieldName}
	slices.SortStableFunc(many, func(a, b ekyc.RecordKey) int {
		return slices.Index(order, a.Field) - slices.Index(order, b.Field)
	})
	switch {
	case len(single) > 0:
		return h.byID(ctx, single, many)
	case len(many) > 0:
		return h.byKey(ctx, many)
	}
	page, done, err := h.newest(ctx)
	if err != nil || done {
		return page, err
	}
	return h.byFacet(ctx)
}

// How many of the newest lines are looked at before facets are asked. Our choices: a line is
// read in about the time of a step into the index, and some thousands of facets take as long
// as probeMost.
const (
	probe     = 4 // pages
	probeMost = 8000
)

// newest looks at the newest lines only; done tells that the page is whole.
func (h *hunt) newest(ctx context.Context) (page []found, done bool, err error) {
	for n := probe * h.limit; ; {
		rows, err := h.s.read.QueryContext(ctx, `
			select `+lineColumns+` from records r
			where (r.at, r.seq) < ($1, $2) and r.at >= $3 and r.until > $4 order by r.at desc, r.seq desc limit $5`,
			h.below.at, h.below.seq, h.since, h.now, n)
		if err != nil {
			return nil, false, err
		}
		list, err := collect(rows, scanLine)
		if err != nil {
			return nil, false, err
		}
		page = page[:0]
		for _, v := range list {
			f, err := h.s.facet(ctx, v.facet)
			if err != nil {
				return nil, false, err
			}
			if h.fits(f) {
				if page = append(page, v); len(page) == h.limit {
					return page, true, nil
				}
			}
		}
		if len(list) < n {
			return page, true, nil
		}
		// So many are likely to hold a page, if it can be said at all.
		more := 2 * n * h.limit / max(1, len(page))
		if len(page) == 0 || more > probeMost || more <= n {
			return nil, false, nil
		}
		n = more
	}
}

// terms collects the conditions of a statement and their values.
type terms struct {
	text []string
	args []any
}

// add adds a condition; each $ in it takes the next value.
func (t *terms) add(text string, args ...any) {
	for _, a := range args {
		t.args = append(t.args, a)
		text = strings.Replace(text, "$", fmt.Sprintf("\x00%d", len(t.args)), 1)
	}
	t.text = append(t.text, strings.ReplaceAll(text, "\x00", "$"))
}

func (t *terms) where() string { return strings.Join(t.text, " and ") }

// facets adds the conditions on a facet f; it adds none where the query has none.
func (h *hunt) facets(t *terms) {
	for _, c := range []struct{ column, want string }{
		{"protocol", h.q.Protocol},
		{"app", string(h.q.App)},
		{"plan", string(h.q.Plan)},
		{"kind", h.q.Kind},
		{"outcome", string(h.q.Outcome)},
		{"code", string(h.q.Code)},
	} {
		if c.want != "" {
			t.add("f."+c.column+" = $", c.want)
		}
	}
	if h.q.Undecided {
		t.add("f.outcome = $", "")
	}
	if h.q.Sandbox != nil {
		t.add("f.sandbox = $", bit(*h.q.Sandbox))
	}
}

// fits reports the same of a facet that was read.
func (h *hunt) fits(f facet) bool {
	for _, c := range [][2]string{
		{f.protocol, h.q.Protocol},
		{f.app, string(h.q.App)},
		{f.plan, string(h.q.Plan)},
		{f.kind, h.q.Kind},
		{f.outcome, string(h.q.Outcome)},
		{f.code, string(h.q.Code)},
	} {
		if c[1] != "" && c[0] != c[1] {
			return false
		}
	}
	return (!h.q.Undecided || f.outcome == "") && (h.q.Sandbox == nil || f.sandbox == *h.q.Sandbox)
}

// byFacet reads the page from the facets that fit: see the top of the file.
func (h *hunt) byFacet(ctx context.Context) ([]found, error) {
	type newest struct{ facet, at int64 }
	var t terms
	t.add("r.facet = f.id")
	t.add("(r.at, r.seq) < ($, $)", h.below.at, h.below.seq)
	t.add("r.at >= $", h.since)
	t.add("r.until > $", h.now)
	query := `select f.id, (select r.at from records r where ` + t.where() + ` order by r.at desc, r.seq desc limit 1) from record_facets f`
	t.text = nil
	if h.facets(&t); len(t.text) > 0 {
		query += ` where ` + t.where()
	}
	rows, err := h.s.read.QueryContext(ctx, query, t.args...)
	if err != nil {
		return nil, err
	}
	list, err := collect(rows, func(r *sql.Rows) (v newest, err error) {
		var at sql.NullInt64
		err = r.Scan(&v.facet, &at)
		if v.at = at.Int64; !at.Valid {
			v.facet = 0
		}
		return v, err
	})
	if err != nil {
		return nil, err
	}
	list = slices.DeleteFunc(list, func(v newest) bool { return v.facet == 0 })
	slices.SortFunc(list, func(a, b newest) int { return cmp.Compare(b.at, a.at) })
	var page []found
	least := h.since
	for i, v := range list {
		// The page is full, and what it ends with is newer than all that is left.
		if v.at < least {
			break
		}
		if i == h.limit-1 { // at least so many records are as new as this one
			least = max(least, v.at)
		}
		rows, err := h.s.read.QueryContext(ctx, `
			select `+lineColumns+` from records r
			where r.facet = $1 and (r.at, r.seq) < ($2, $3) and r.at >= $4 and r.until > $5
			order by r.at desc, r.seq desc limit $6`, v.facet, h.below.at, h.below.seq, least, h.now, h.limit)
		if err != nil {
			return nil, err
		}
		more, err := collect(rows, scanLine)
		if err != nil {
			return nil, err
		}
		if page = h.cut(append(page, more...)); len(page) == h.limit {
			least = max(least, page[len(page)-1].at)
		}
	}
	return page, nil
}

// cut orders lines and keeps a page of them.
func (h *hunt) cut(page []found) []found {
	slices.SortFunc(page, func(a, b found) int {
		return cmp.Or(cmp.Compare(b.at, a.at), cmp.Compare(b.seq, a.seq))
	})
	return page[:min(len(page), h.limit)]
}

// byKey follows the first key in the order of time and wants the others of each line.
func (h *hunt) byKey(ctx context.Context, keys []ekyc.RecordKey) ([]found, error) {
	var t terms
	t.add("r.seq = k.record")
	t.add("k.hash = $", h.s.keyHash(keys[0]))
	t.add("(k.at, k.record) < ($, $)", h.below.at, h.below.seq)
	t.add("k.at >= $", h.since)
	for _, k := range keys[1:] {
		t.add("exists (select 1 from record_keys x where x.hash = $ and x.at = k.at and x.record = k.record)", h.s.keyHash(k))
	}
	t.add("r.until > $", h.now)
	t.add("(r.keyed is null or r.keyed > $)", h.keyed)
	n := len(t.text)
	if h.facets(&t); len(t.text) > n {
		filter := strings.Join(t.text[n:], " and ")
		t.text = append(t.text[:n:n], `r.facet in (select f.id from record_facets f where `+filter+`)`)
	}
	t.args = append(t.args, h.limit)
	// "cross join" keeps SQLite from beginning with the facets.
	rows, err := h.s.read.QueryContext(ctx, `
		select `+lineColumns+` from record_keys k cross join records r where `+t.where()+
		fmt.Sprintf(` order by k.at desc, k.record desc limit $%d`, len(t.args)), t.args...)
	if err != nil {
		return nil, err
	}
	return collect(rows, scanLine)
}

// byID looks at the few records that a token or a log id names.
func (h *hunt) byID(ctx context.Context, single, many []ekyc.RecordKey) ([]found, error) {
	var seqs []int64
	for i, k := range single {
		var named []int64
		var err error
		if k.Field == ekyc.FieldToken {
			named = []int64{seqOf(ekyc.Token(k.Value).Digest())}
		} else {
			named, err = h.byLogID(ctx, k)
		}
		if err != nil {
			return nil, err
		}
		if i == 0 {
			seqs = named
		}
		seqs = slices.DeleteFunc(seqs, func(n int64) bool { return !slices.Contains(named, n) })
	}
	var page []found
	for _, seq := range seqs {
		rows, err := h.s.read.QueryContext(ctx, `
			select `+lineColumns+` from records r where r.seq = $1 and (r.at, r.seq) < ($2, $3) and r.at >= $4 and r.until > $5`,
			seq, h.below.at, h.below.seq, h.since, h.now)
		if err != nil {
			return nil, err
		}
		lines, err := collect(rows, scanLine)
		if err != nil {
			return nil, err
		}
		for _, v := range lines {
			f, err := h.s.facet(ctx, v.facet)
			if err != nil {
				return nil, err
			}
			ok := h.fits(f)
			for _, k := range many {
				if ok {
					ok, err = h.has(ctx, v, f, k)
				}
			}
			if err != nil {
				return nil, err
			}
			if ok {
				page = append(page, v)
			}
		}
	}
	return h.cut(page), nil
}

// byLogID finds sessions by digest, and direct calls, which hold theirs in the clear.
func (h *hunt) byLogID(ctx context.Context, k ekyc.RecordKey) ([]int64, error) {
	rows, err := h.s.read.QueryContext(ctx, `select record from record_keys where hash = $1 limit $2`, h.s.keyHash(k), ekyc.MaxRecords)
	if err != nil {
		return nil, err
	}
	list, err := collect(rows, func(r *sql.Rows) (n int64, err error) { return n, r.Scan(&n) })
	if err != nil {
		return nil, err
	}
	rows, err = h.s.read.QueryContext(ctx, `
		select id from directs where id = $1 union select id from directs where ref = $2 limit $3`, k.Value, k.Value, ekyc.MaxRecords)
	if err != nil {
		return nil, err
	}
	direct, err := collect(rows, func(r *sql.Rows) (id string, err error) { return id, r.Scan(&id) })
	for _, id := range direct {
		list = append(list, seqOf(ekyc.DirectPrefix+id))
	}
	slices.Sort(list)
	return slices.Compact(list), err
}

// has reports whether a line has a key.
func (h *hunt) has(ctx context.Context, v found, f facet, k ekyc.RecordKey) (bool, error) {
	if f.direct && v.at <= h.keyed {
		return false, nil
	}
	var one int
	err := h.s.read.QueryRowContext(ctx, `select 1 from record_keys where hash = $1 and at = $2 and record = $3`, h.s.keyHash(k), v.at, v.seq).Scan(&one)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

// name fills in what lines' facets say.
func (h *hunt) name(ctx context.Context, list []found) ([]found, error) {
	for i := range list {
		f, err := h.s.facet(ctx, list[i].facet)
		if err != nil {
			return nil, err
		}
		r := &list[i].Record
		r.Direct, r.Sandbox, r.Protocol, r.App, r.Plan = f.direct, f.sandbox, f.protocol, ekyc.AppID(f.app), ekyc.PlanID(f.plan)
		r.Kind, r.Outcome, r.Code = f.kind, ekyc.Outcome(f.outcome), ekyc.Code(f.code)
	}
	return list, nil
}

// facet reads a facet, from memory or the database.
func (s *Store) facet(ctx context.Context, id int64) (facet, error) {
	f, ok := s.facets.get(id)
	if ok {
		return f, nil
	}
	var direct, sandbox int64
	err := s.read.QueryRowContext(ctx, `select direct, protocol, app, plan, kind, outcome, code, sandbox from record_facets where id = $1`, id).
		Scan(&direct, &f.protocol, &f.app, &f.plan, &f.kind, &f.outcome, &f.code, &sandbox)
	if err != nil {
		return f, fmt.Errorf("read a record's facet: %w", err)
	}
	f.direct, f.sandbox = direct != 0, sandbox != 0
	s.facets.put(id, f)
	return f, nil
}

// SessionByID reads the session of a Record.ID; absent is ekyc.ErrAbsent.
func (s *Store) SessionByID(ctx context.Context, id string) (ekyc.Session, error) {
	ses, _, err := s.session(ctx, s.read, id, "")
	return ses, err
}

// DirectByID reads the direct call of a Record.ID; absent is ekyc.ErrAbsent.
func (s *Store) DirectByID(ctx context.Context, id string) (d ekyc.Direct, err error) {
	var doc string
	id, ok := strings.CutPrefix(id, ekyc.DirectPrefix)
	if !ok {
		return d, fmt.Errorf("read direct call: %w", ekyc.ErrAbsent)
	}
	err = absent(s.read.QueryRowContext(ctx, `select doc from directs where id = $1`, id).Scan(&doc))
	if err == nil {
		d, err = decodeDirect(doc)
	}
	if err != nil {
		return ekyc.Direct{}, fmt.Errorf("read direct call: %w", err)
	}
	return d, nil
}

// unkeyAtOnce bounds the direct calls whose keys one transaction erases. Our choice.
const unkeyAtOnce = 200

// ForgetKeys erases what direct calls are found by that were made before a moment.
func (s *Store) ForgetKeys(ctx context.Context, before time.Time) (int, error) {
	total := 0
	for {
		n := 0
		err := s.writer.do(ctx, func(q querier) (err error) {
			n, err = unkey(ctx, q, `select seq, at, keys from records where keyed <= $1 order by keyed limit $2`, before.UnixMilli(), unkeyAtOnce)
			return err
		})
		if err != nil {
			return total, fmt.Errorf("forget keys of direct calls: %w", err)
		}
		if total += n; n < unkeyAtOnce {
			return total, nil
		}
	}
}

// Unkey erases what one direct call is found by.
func (s *Store) Unkey(ctx context.Context, id string) error {
	err := s.writer.do(ctx, func(q querier) error {
		_, err := unkey(ctx, q, `select seq, at, keys from records where seq = $1 and keyed is not null`, seqOf(id))
		return err
	})
	if err != nil {
		return fmt.Errorf("forget keys of a direct call: %w", err)
	}
	return nil
}

// unkey erases the keys of the lines that a query names, and counts them.
func unkey(ctx context.Context, q querier, query string, args ...any) (int, error) {
	type keyed struct {
		seq, at int64
		keys    string
	}
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return 0, err
	}
	list, err := collect(rows, func(r *sql.Rows) (v keyed, err error) { return v, r.Scan(&v.seq, &v.at, &v.keys) })
	if err != nil {
		return 0, err
	}
	for _, v := range list {
		hashes, err := unpackKeys(v.keys)
		if err == nil {
			err = dropKeys(ctx, q, v.seq, v.at, hashes)
		}
		if err == nil {
			_, err = q.ExecContext(ctx, `update records set keys = '', keyed = null where seq = $1`, v.seq)
		}
		if err != nil {
			return 0, err
		}
	}
	return len(list), nil
}

func decodeDirect(doc string) (d ekyc.Direct, err error) {
	if err := json.Unmarshal([]byte(doc), &d); err != nil {
		return ekyc.Direct{}, errDamaged
	}
	utc(&d.At)
	return d, nil
}
