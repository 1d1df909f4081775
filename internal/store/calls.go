package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"shiren/internal/ekyc"
	"shiren/internal/source/upstream"
)

// Calls is the journal of paid calls. It is safe for concurrent use.
type Calls struct{ s *Store }

var _ upstream.Journal = (*Calls)(nil)

// Calls returns the journal of s.
func (s *Store) Calls() *Calls { return &Calls{s} }

// BeginCall writes a call down before it is made, durably.
func (c *Calls) BeginCall(ctx context.Context, x upstream.Call) error {
	err := c.s.writer.do(ctx, func(q querier) error {
		_, err := q.ExecContext(ctx, `
			insert into source_calls (id, source, call, log_id, begun, ended, took, code, charged, cost) values ($1, $2, $3, $4, $5, 0, 0, '', $6, $7)`,
			x.ID, x.Source, x.Name, x.LogID, x.Begun.UnixMilli(), flag(x.Charged), x.Cost)
		return err
	})
	if err != nil {
		return fmt.Errorf("journal: begin a call: %w", err)
	}
	return nil
}

// EndCall writes down how a call ended.
func (c *Calls) EndCall(ctx context.Context, x upstream.Call) error {
	_, err := c.s.writer.exec(ctx, `update source_calls set ended = $1, took = $2, code = $3, charged = $4, cost = $5 where id = $6`,
		x.Ended.UnixMilli(), x.Took.Microseconds(), string(x.Code), flag(x.Charged), x.Cost, x.ID)
	if err != nil {
		return fmt.Errorf("journal: end a call: %w", err)
	}
	return nil
}

func flag(b bool) int {
	if b {
		return 1
	}
	return 0
}

// List reads the calls that were begun from a moment on, newest first, at most limit;
// logID, when given, are those made for it.
func (c *Calls) List(ctx context.Context, from time.Time, logID string, limit int) ([]upstream.Call, error) {
	rows, err := c.s.read.QueryContext(ctx, `
		select id, source, call, log_id, begun, ended, took, code, charged, cost from source_calls
		where begun >= $1 and (log_id = $2 or $2 = '') order by begun desc, id limit $3`, milli(from), logID, limit)
	if err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	list, err := collect(rows, func(r *sql.Rows) (x upstream.Call, err error) {
		var begun, ended, took int64
		var charged int
		var code string
		err = r.Scan(&x.ID, &x.Source, &x.Name, &x.LogID, &begun, &ended, &took, &code, &charged, &x.Cost)
		x.Begun, x.Took, x.Code, x.Charged = time.UnixMilli(begun).UTC(), time.Duration(took)*time.Microsecond, ekyc.Code(code), charged != 0
		if ended != 0 {
			x.Ended = time.UnixMilli(ended).UTC()
		}
		return x, err
	})
	if err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	return list, nil
}

func milli(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// CallTotals sums the calls of one source.
type CallTotals struct {
	Source      string
	Calls       int64
	Unfinished  int64 // under way, or the server died
	Failed      int64 // without an answer
	Charged     int64
	Cost        int64         // millionths
	Mean, Worst time.Duration // of finished calls
}

// Totals sums the calls that were begun from a moment on, by source.
func (c *Calls) Totals(ctx context.Context, from time.Time) ([]CallTotals, error) {
	rows, err := c.s.read.QueryContext(ctx, `
		select source, count(*), sum(case when ended = 0 then 1 else 0 end),
			sum(case when code in ($1, $2, $3) then 1 else 0 end), sum(charged), sum(cost),
			coalesce(cast(avg(case when ended <> 0 then took end) as bigint), 0), max(took)
		from source_calls where begun >= $4 group by source order by source`,
		string(ekyc.SourceFailed), string(ekyc.Busy), string(ekyc.Internal), milli(from))
	if err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	list, err := collect(rows, func(r *sql.Rows) (t CallTotals, err error) {
		var mean, worst int64
		err = r.Scan(&t.Source, &t.Calls, &t.Unfinished, &t.Failed, &t.Charged, &t.Cost, &mean, &worst)
		t.Mean, t.Worst = time.Duration(mean)*time.Microsecond, time.Duration(worst)*time.Microsecond
		return t, err
	})
	if err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	return list, nil
}
