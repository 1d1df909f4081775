package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"shiren/internal/ekyc"
)

var _ ekyc.Counts = (*Store)(nil)

// spans are those that every event is counted in.
var spans = [...]time.Duration{ekyc.ShortSpan, ekyc.LongSpan}

// shards is how many rows PostgreSQL may spread one span's counts of a plan over: a row is locked
// until its transaction's commit is on the disk. Our choice: almost as many as postgresConns.
const shards = 16

// counting is what the querier of a write may be: it gathers what the write counts.
type counting interface{ count(list []ekyc.Count) }

// count adds events to those of the write that q belongs to. They are summed and written at the
// end of its transaction: on SQLite once for all writes of the batch.
func count(q querier, list []ekyc.Count) {
	if len(list) > 0 {
		q.(counting).count(list)
	}
}

// gathered holds events of one write.
type gathered struct{ counts []ekyc.Count }

func (g *gathered) count(list []ekyc.Count) { g.counts = append(g.counts, list...) }

// countRow is the row that an event is counted in.
type countRow struct {
	span, at            int64
	app, plan, protocol string
}

// line is one measure and label of a row: "MEASURE LABEL".
type line struct {
	name   string
	n, sum int64
}

// sumUp sums events by row, in the order that all transactions lock them in.
func sumUp(list []ekyc.Count) (rows []countRow, lines map[countRow][]line) {
	lines = map[countRow][]line{}
	for i := range list {
		c := &list[i]
		name := string(c.Measure) + " " + c.Label
		for _, span := range spans {
			r := countRow{span.Milliseconds(), c.At.Truncate(span).UnixMilli(), string(c.App), string(c.Plan), c.Protocol}
			if _, ok := lines[r]; !ok {
				rows = append(rows, r)
			}
			lines[r] = addLine(lines[r], line{name, c.N, c.Sum})
		}
	}
	slices.SortFunc(rows, func(a, b countRow) int {
		return cmp.Or(cmp.Compare(a.span, b.span), cmp.Compare(a.at, b.at), cmp.Compare(a.app, b.app), cmp.Compare(a.plan, b.plan), cmp.Compare(a.protocol, b.protocol))
	})
	return rows, lines
}

// addLine adds x to the line of its name.
func addLine(list []line, x line) []line {
	for i := range list {
		if list[i].name == x.name {
			list[i].n += x.n
			list[i].sum += x.sum
			return list
		}
	}
	return append(list, x)
}

// writeCounts adds events to the rows of a shard, at the end of the transaction of q. lock is
// appended to its reads.
func writeCounts(ctx context.Context, q querier, list []ekyc.Count, shard int64, lock string) error {
	rows, lines := sumUp(list)
	for _, r := range rows {
		if err := writeRow(ctx, q, r, lines[r], shard, lock); err != nil {
			return fmt.Errorf("count: %w", err)
		}
	}
	return nil
}

func writeRow(ctx context.Context, q querier, r countRow, add []line, shard int64, lock string) error {
	var doc string
	read := func() error {
		return q.QueryRowContext(ctx, `
			select doc from counts where span = $1 and at = $2 and app = $3 and plan = $4 and protocol = $5 and shard = $6`+lock,
			r.span, r.at, r.app, r.plan, r.protocol, shard).Scan(&doc)
	}
	err := read()
	if errors.Is(err, sql.ErrNoRows) {
		n, err := affected(q.ExecContext(ctx, `
			insert into counts (span, at, app, plan, protocol, shard, doc) values ($1, $2, $3, $4, $5, $6, $7)
			on conflict (span, at, app, plan, protocol, shard) do nothing`,
			r.span, r.at, r.app, r.plan, r.protocol, shard, formatLines(add)))
		if err != nil || n > 0 {
			return err
		}
		if err := read(); err != nil { // another transaction made it meanwhile
			return err
		}
	} else if err != nil {
		return err
	}
	var all []line
	if err := eachLine(doc, func(x line) { all = append(all, x) }); err != nil {
		return err
	}
	for _, x := range add {
		all = addLine(all, x)
	}
	_, err = q.ExecContext(ctx, `
		update counts set doc = $1 where span = $2 and at = $3 and app = $4 and plan = $5 and protocol = $6 and shard = $7`,
		formatLines(all), r.span, r.at, r.app, r.plan, r.protocol, shard)
	return err
}

func formatLines(list []line) string {
	b := make([]byte, 0, 40*len(list))
	for _, x := range list {
		b = append(b, x.name...)
		b = append(b, ' ')
		b = strconv.AppendInt(b, x.n, 10)
		b = append(b, ' ')
		b = strconv.AppendInt(b, x.sum, 10)
		b = append(b, '\n')
	}
	return string(b)
}

// eachLine calls f with each line of a doc. Names are parts of doc.
func eachLine(doc string, f func(x line)) error {
	for doc != "" {
		text, rest, _ := strings.Cut(doc, "\n")
		doc = rest
		sum := strings.LastIndexByte(text, ' ')
		if sum < 0 {
			return errDamaged
		}
		n := strings.LastIndexByte(text[:sum], ' ')
		if n < 0 {
			return errDamaged
		}
		x := line{name: text[:n]}
		var err1, err2 error
		x.n, err1 = strconv.ParseInt(text[n+1:sum], 10, 64)
		x.sum, err2 = strconv.ParseInt(text[sum+1:], 10, 64)
		if err1 != nil || err2 != nil || strings.IndexByte(x.name, ' ') < 0 {
			return errDamaged
		}
		f(x)
	}
	return nil
}

// countGroup is what sums are kept apart by, besides measure and label.
type countGroup struct {
	at                  int64
	app, plan, protocol string
}

// Counts returns sums of what was counted.
func (s *Store) Counts(ctx context.Context, q ekyc.CountQuery) ([]ekyc.Count, error) {
	list, err := s.counts(ctx, q)
	if err != nil {
		return nil, fmt.Errorf("read counts: %w", err)
	}
	return list, nil
}

func (s *Store) counts(ctx context.Context, q ekyc.CountQuery) ([]ekyc.Count, error) {
	since, before, span := int64(math.MinInt64), int64(math.MaxInt64), ekyc.LongSpan
	if !q.Since.IsZero() {
		since = ceilMilli(q.Since)
	}
	if !q.Before.IsZero() {
		before = ceilMilli(q.Before)
	}
	if q.Short {
		span = ekyc.ShortSpan
	}
	query, args := `select at, app, plan, protocol, doc from counts where span = $1 and at >= $2 and at < $3`, []any{span.Milliseconds(), since, before}
	for _, c := range []struct{ column, want string }{{"app", string(q.App)}, {"plan", string(q.Plan)}, {"protocol", q.Protocol}} {
		if c.want != "" {
			args = append(args, c.want)
			query += fmt.Sprintf(" and %s = $%d", c.column, len(args))
		}
	}
	rows, err := s.read.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	wanted := map[string]bool{}
	for _, m := range q.Measures {
		wanted[string(m)] = true
	}
	sums := map[countGroup]map[string]*line{}
	into := map[int64]int64{}
	var g countGroup
	var doc sql.RawBytes
	for rows.Next() {
		if err := rows.Scan(&g.at, &g.app, &g.plan, &g.protocol, &doc); err != nil {
			return nil, err
		}
		fold(&g, &q, into)
		sum := sums[g]
		if sum == nil {
			sum = map[string]*line{}
			sums[g] = sum
		}
		err := eachLine(string(doc), func(x line) {
			if len(wanted) > 0 {
				if m, _, _ := strings.Cut(x.name, " "); !wanted[m] {
					return
				}
			}
			if old := sum[x.name]; old != nil {
				old.n += x.n
				old.sum += x.sum
				return
			}
			x.name = strings.Clone(x.name) // not the whole doc
			sum[x.name] = &x
		})
		if err != nil {
			return nil, err
		}
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	return unfold(sums, q.By.Time), nil
}

// fold empties what a query does not keep apart. into remembers what q.Into said.
func fold(g *countGroup, q *ekyc.CountQuery, into map[int64]int64) {
	switch {
	case !q.By.Time:
		g.at = 0
	case q.Into != nil:
		at, ok := into[g.at]
		if !ok {
			at = q.Into(time.UnixMilli(g.at).UTC()).UnixMilli()
			into[g.at] = at
		}
		g.at = at
	}
	if !q.By.App {
		g.app = ""
	}
	if !q.By.Plan {
		g.plan = ""
	}
	if !q.By.Protocol {
		g.protocol = ""
	}
}

// unfold lists sums in their order.
func unfold(sums map[countGroup]map[string]*line, timed bool) []ekyc.Count {
	var list []ekyc.Count
	for g, lines := range sums {
		c := ekyc.Count{App: ekyc.AppID(g.app), Plan: ekyc.PlanID(g.plan), Protocol: g.protocol}
		if timed {
			c.At = time.UnixMilli(g.at).UTC()
		}
		for _, x := range lines {
			m, label, _ := strings.Cut(x.name, " ")
			c.Measure, c.Label, c.N, c.Sum = ekyc.Measure(m), label, x.n, x.sum
			list = append(list, c)
		}
	}
	slices.SortFunc(list, func(a, b ekyc.Count) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Measure, b.Measure), cmp.Compare(a.Label, b.Label),
			cmp.Compare(a.App, b.App), cmp.Compare(a.Plan, b.Plan), cmp.Compare(a.Protocol, b.Protocol))
	})
	return list
}

// ceilMilli is the first whole millisecond that is not before t.
func ceilMilli(t time.Time) int64 {
	ms := t.UnixMilli()
	if time.UnixMilli(ms).Before(t) {
		ms++
	}
	return ms
}

// ForgetCounts erases the short spans that begin before a moment.
func (s *Store) ForgetCounts(ctx context.Context, before time.Time) (int, error) {
	var n int64
	err := s.writer.do(ctx, func(q querier) (err error) {
		n, err = affected(q.ExecContext(ctx, `delete from counts where span = $1 and at < $2`, ekyc.ShortSpan.Milliseconds(), ceilMilli(before)))
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("forget counts: %w", err)
	}
	return int(n), nil
}
