package store

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"shiren/internal/alarm"
	"shiren/internal/ekyc"
	"shiren/internal/notify"
)

// Alarms keeps alarm rules, their states and history, webhooks and messages on their way. Safe for
// concurrent use.
type Alarms struct{ s *Store }

var (
	_ alarm.Store  = (*Alarms)(nil)
	_ notify.Queue = (*Alarms)(nil)
)

// Alarms returns the alarms of s.
func (s *Store) Alarms() *Alarms { return &Alarms{s} }

// Rules lists all rules by ID.
func (a *Alarms) Rules(ctx context.Context) ([]alarm.Rule, error) {
	rows, err := a.s.read.QueryContext(ctx, `select revision, doc from alarm_rules`)
	if err != nil {
		return nil, fmt.Errorf("list rules: %w", err)
	}
	list, err := collect(rows, func(r *sql.Rows) (alarm.Rule, error) {
		var revision int64
		var doc string
		if err := r.Scan(&revision, &doc); err != nil {
			return alarm.Rule{}, err
		}
		return decodeRule(revision, doc)
	})
	if err != nil {
		return nil, fmt.Errorf("list rules: %w", err)
	}
	slices.SortFunc(list, func(x, y alarm.Rule) int { return cmp.Compare(x.ID, y.ID) })
	return list, nil
}

// Rule reads a rule.
func (a *Alarms) Rule(ctx context.Context, id string) (alarm.Rule, error) {
	var revision int64
	var doc string
	err := a.s.read.QueryRowContext(ctx, `select revision, doc from alarm_rules where id = $1`, id).Scan(&revision, &doc)
	if err != nil {
		return alarm.Rule{}, fmt.Errorf("read rule: %w", absent(err))
	}
	return decodeRule(revision, doc)
}

func decodeRule(revision int64, doc string) (r alarm.Rule, err error) {
	if json.Unmarshal([]byte(doc), &r) != nil {
		return r, errDamaged
	}
	r.Revision = revision
	utc(&r.Changed)
	return r, nil
}

// PutRule inserts a rule whose Revision is 0, or replaces the one that has this Revision, and
// returns it with its new one. A rule that was changed starts anew: what it fired of is over, by
// change. Errors: alarm.ErrConflict where another revision is stored, ekyc.ErrAbsent where none is.
func (a *Alarms) PutRule(ctx context.Context, r alarm.Rule) (alarm.Rule, error) {
	was := r.Revision
	r.Revision++
	doc, err := marshal(r)
	if err != nil {
		return r, fmt.Errorf("put rule: %w", err)
	}
	err = a.s.writer.do(ctx, func(q querier) error {
		if was == 0 {
			var n int
			if err := q.QueryRowContext(ctx, `select count(*) from alarm_rules`).Scan(&n); err != nil {
				return err
			}
			if n >= alarm.MaxRules {
				return ekyc.Errorf(ekyc.BadRequest, "there are %d rules already, and no more are looked at: remove one first", n)
			}
			return inserted(q.ExecContext(ctx, `insert into alarm_rules (id, revision, doc) values ($1, $2, $3) on conflict (id) do nothing`, r.ID, r.Revision, string(doc)))
		}
		if err := replaced(ctx, q, `select revision from alarm_rules where id = $1`+a.s.lock, r.ID, was); err != nil {
			return err
		}
		if err := a.endEpisodes(ctx, q, r.ID, r.Changed, alarm.ByChange); err != nil {
			return err
		}
		_, err := q.ExecContext(ctx, `update alarm_rules set revision = $1, doc = $2 where id = $3`, r.Revision, string(doc), r.ID)
		return err
	})
	if err != nil {
		return r, fmt.Errorf("put rule: %w", err)
	}
	return r, nil
}

// inserted turns an insert that found its place taken into a conflict.
func inserted(res sql.Result, err error) error {
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return cmp.Or(err, alarm.ErrConflict)
	}
	return nil
}

// replaced reports why the row of a query has not the revision that a change was made of. The
// query locks it.
func replaced(ctx context.Context, q querier, query, id string, was int64) error {
	var have int64
	if err := q.QueryRowContext(ctx, query, id).Scan(&have); err != nil {
		return absent(err)
	}
	if have != was {
		return alarm.ErrConflict
	}
	return nil
}

// RemoveRule erases a rule with its state; its history stays. An absent one is success.
func (a *Alarms) RemoveRule(ctx context.Context, id string, now time.Time) error {
	err := a.s.writer.do(ctx, func(q querier) error {
		// First, so that no look's Step comes between.
		if _, err := q.ExecContext(ctx, `delete from alarm_rules where id = $1`, id); err != nil {
			return err
		}
		return a.endEpisodes(ctx, q, id, now, alarm.ByRemoval)
	})
	if err != nil {
		return fmt.Errorf("remove rule: %w", err)
	}
	return nil
}

// endEpisodes ends what a rule fires of, and forgets its states.
func (a *Alarms) endEpisodes(ctx context.Context, q querier, rule string, now time.Time, why alarm.Because) error {
	rows, err := q.QueryContext(ctx, `select doc from alarm_episodes where rule = $1 and ended = 0`, rule)
	if err != nil {
		return err
	}
	list, err := collect(rows, scanEpisode)
	if err != nil {
		return err
	}
	for _, e := range list {
		e.Ended, e.Why = now, why
		if err := putEpisode(ctx, q, e); err != nil {
			return err
		}
	}
	_, err = q.ExecContext(ctx, `delete from alarm_states where rule = $1`, rule)
	return err
}

func scanEpisode(r *sql.Rows) (e alarm.Episode, err error) {
	var doc string
	if err := r.Scan(&doc); err != nil {
		return e, err
	}
	return decodeEpisode(doc)
}

func decodeEpisode(doc string) (e alarm.Episode, err error) {
	if json.Unmarshal([]byte(doc), &e) != nil {
		return e, errDamaged
	}
	for _, t := range []*time.Time{&e.Began, &e.Ended, &e.First.At, &e.Last.At, &e.Rule.Changed} {
		utc(t)
	}
	return e, nil
}

func putEpisode(ctx context.Context, q querier, e alarm.Episode) error {
	doc, err := marshal(e)
	if err != nil {
		return err
	}
	_, err = q.ExecContext(ctx, `
		insert into alarm_episodes (id, rule, began, ended, doc) values ($1, $2, $3, $4, $5)
		on conflict (id) do update set ended = excluded.ended, doc = excluded.doc`,
		e.ID, e.Rule.ID, e.Began.UnixMilli(), milli(e.Ended), string(doc))
	return err
}

// States lists the states of all rules.
func (a *Alarms) States(ctx context.Context) ([]alarm.State, error) {
	rows, err := a.s.read.QueryContext(ctx, `select rule, node, version, phase, since, episode, told, sent, worst from alarm_states`)
	if err != nil {
		return nil, fmt.Errorf("list states: %w", err)
	}
	list, err := collect(rows, func(r *sql.Rows) (s alarm.State, err error) {
		var since, told, sent int64
		err = r.Scan(&s.Rule, &s.Node, &s.Version, &s.Phase, &since, &s.Episode, &told, &sent, &s.Worst)
		s.Since, s.Told, s.Sent = moment(since), told != 0, moment(sent)
		return s, err
	})
	if err != nil {
		return nil, fmt.Errorf("list states: %w", err)
	}
	slices.SortFunc(list, func(x, y alarm.State) int {
		return cmp.Or(cmp.Compare(x.Rule, y.Rule), cmp.Compare(x.Node, y.Node))
	})
	return list, nil
}

// errStale ends a transaction that found what it stands on changed.
var errStale = errors.New("changed meanwhile")

// Step writes a look's changes, unless the rule or its state were changed meanwhile.
func (a *Alarms) Step(ctx context.Context, s alarm.Step) (bool, error) {
	err := a.s.writer.do(ctx, func(q querier) error {
		// The rule's row stands for its states: who holds it may write them.
		var revision, version int64
		err := q.QueryRowContext(ctx, `select revision from alarm_rules where id = $1`+a.s.lock, s.Rule).Scan(&revision)
		if errors.Is(err, sql.ErrNoRows) || err == nil && revision != s.Revision {
			return errStale
		}
		if err != nil {
			return err
		}
		err = q.QueryRowContext(ctx, `select version from alarm_states where rule = $1 and node = $2`, s.Rule, s.State.Node).Scan(&version)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if version != s.Was {
			return errStale
		}
		x := s.State
		_, err = q.ExecContext(ctx, `
			insert into alarm_states (rule, node, version, phase, since, episode, told, sent, worst) values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
			on conflict (rule, node) do update set version = excluded.version, phase = excluded.phase, since = excluded.since,
				episode = excluded.episode, told = excluded.told, sent = excluded.sent, worst = excluded.worst`,
			s.Rule, x.Node, s.Was+1, string(x.Phase), milli(x.Since), x.Episode, flag(x.Told), milli(x.Sent), x.Worst)
		if err != nil {
			return err
		}
		if err := putEpisode(ctx, q, s.Episode); err != nil {
			return err
		}
		for _, d := range s.Queue {
			if err := addDelivery(ctx, q, d); err != nil {
				return err
			}
		}
		return nil
	})
	switch {
	case errors.Is(err, errStale):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("write an alarm: %w", err)
	}
	return true, nil
}

// Episode reads a line of the history.
func (a *Alarms) Episode(ctx context.Context, id string) (alarm.Episode, error) {
	var doc string
	err := a.s.read.QueryRowContext(ctx, `select doc from alarm_episodes where id = $1`, id).Scan(&doc)
	if err != nil {
		return alarm.Episode{}, fmt.Errorf("read an alarm: %w", absent(err))
	}
	return decodeEpisode(doc)
}

// pageLimit is how many lines a page has where the query does not say, and mostLimit at most.
const (
	pageLimit = 50
	mostLimit = 200
)

func limited(n int) int {
	if n <= 0 {
		return pageLimit
	}
	return min(n, mostLimit)
}

// Episodes lists the history, newest first.
func (a *Alarms) Episodes(ctx context.Context, q alarm.EpisodeQuery) ([]alarm.Episode, error) {
	before, id := int64(math.MaxInt64), ""
	if q.After != nil {
		before, id = q.After.Began.UnixMilli(), q.After.ID
	}
	query, args := `select doc from alarm_episodes where (began, id) < ($1, $2)`, []any{before, id}
	if q.Rule != "" {
		query += ` and rule = $3`
		args = append(args, q.Rule)
	}
	args = append(args, limited(q.Limit))
	rows, err := a.s.read.QueryContext(ctx, query+fmt.Sprintf(` order by began desc, id desc limit $%d`, len(args)), args...)
	if err != nil {
		return nil, fmt.Errorf("list alarms: %w", err)
	}
	list, err := collect(rows, scanEpisode)
	if err != nil {
		return nil, fmt.Errorf("list alarms: %w", err)
	}
	return list, nil
}

// ForgetAlarms erases episodes that ended, and deliveries that were made, before a moment each.
func (a *Alarms) ForgetAlarms(ctx context.Context, episodes, deliveries time.Time) error {
	err := a.s.writer.do(ctx, func(q querier) error {
		if _, err := q.ExecContext(ctx, `delete from alarm_episodes where ended <> 0 and ended < $1`, episodes.UnixMilli()); err != nil {
			return err
		}
		if _, err := q.ExecContext(ctx, `delete from delivery_tries where delivery in (select id from deliveries where created < $1 and state <> $2)`,
			deliveries.UnixMilli(), string(notify.Waiting)); err != nil {
			return err
		}
		_, err := q.ExecContext(ctx, `delete from deliveries where created < $1 and state <> $2`, deliveries.UnixMilli(), string(notify.Waiting))
		return err
	})
	if err != nil {
		return fmt.Errorf("erase old alarms: %w", err)
	}
	return nil
}

func hookContext(id string) string { return "webhook " + id }

// Endpoints lists all webhooks by creation, then ID.
func (a *Alarms) Endpoints(ctx context.Context) ([]notify.Endpoint, error) {
	rows, err := a.s.read.QueryContext(ctx, `select id, revision, data_key, doc from webhooks`)
	if err != nil {
		return nil, fmt.Errorf("list webhooks: %w", err)
	}
	list, err := collect(rows, func(r *sql.Rows) (e notify.Endpoint, err error) {
		var id, key, doc string
		var revision int64
		if err := r.Scan(&id, &revision, &key, &doc); err != nil {
			return e, err
		}
		return a.openEndpoint(id, revision, key, doc)
	})
	if err != nil {
		return nil, fmt.Errorf("list webhooks: %w", err)
	}
	slices.SortFunc(list, func(x, y notify.Endpoint) int {
		return cmp.Or(x.Created.Compare(y.Created), cmp.Compare(x.ID, y.ID))
	})
	return list, nil
}

// Endpoint reads a webhook.
func (a *Alarms) Endpoint(ctx context.Context, id string) (notify.Endpoint, error) {
	var key, doc string
	var revision int64
	err := a.s.read.QueryRowContext(ctx, `select revision, data_key, doc from webhooks where id = $1`, id).Scan(&revision, &key, &doc)
	if err != nil {
		return notify.Endpoint{}, fmt.Errorf("read webhook: %w", absent(err))
	}
	e, err := a.openEndpoint(id, revision, key, doc)
	if err != nil {
		return notify.Endpoint{}, fmt.Errorf("read webhook %s: %w", id, err)
	}
	return e, nil
}

func (a *Alarms) openEndpoint(id string, revision int64, key, doc string) (e notify.Endpoint, err error) {
	_, plain, err := a.s.unseal(key, doc, hookContext(id))
	if err != nil {
		return e, err
	}
	if json.Unmarshal(plain, &e) != nil {
		return notify.Endpoint{}, errDamaged
	}
	e.Revision = revision
	utc(&e.Created)
	for i := range e.Secrets {
		utc(&e.Secrets[i].Created)
		utc(&e.Secrets[i].Until)
	}
	return e, nil
}

// MaxEndpoints bounds the webhooks. Our choice.
const MaxEndpoints = 50

// PutEndpoint inserts a webhook whose Revision is 0, or replaces the one that has this Revision,
// sealed under a new data key, and returns it with its new one. Errors are PutRule's.
func (a *Alarms) PutEndpoint(ctx context.Context, e notify.Endpoint) (notify.Endpoint, error) {
	was := e.Revision
	e.Revision++
	plain, err := marshal(e)
	if err != nil {
		return e, fmt.Errorf("put webhook: %w", err)
	}
	key, doc, err := a.s.seal(nil, plain, hookContext(e.ID))
	if err != nil {
		return e, fmt.Errorf("put webhook: %w", err)
	}
	err = a.s.writer.do(ctx, func(q querier) error {
		if was == 0 {
			var n int
			if err := q.QueryRowContext(ctx, `select count(*) from webhooks`).Scan(&n); err != nil {
				return err
			}
			if n >= MaxEndpoints {
				return ekyc.Errorf(ekyc.BadRequest, "there are %d webhooks already: remove one first", n)
			}
			return inserted(q.ExecContext(ctx, `
				insert into webhooks (id, revision, data_key, doc) values ($1, $2, $3, $4) on conflict (id) do nothing`, e.ID, e.Revision, key, doc))
		}
		if err := replaced(ctx, q, `select revision from webhooks where id = $1`+a.s.lock, e.ID, was); err != nil {
			return err
		}
		_, err := q.ExecContext(ctx, `update webhooks set revision = $1, data_key = $2, doc = $3 where id = $4`, e.Revision, key, doc, e.ID)
		return err
	})
	if err != nil {
		return e, fmt.Errorf("put webhook: %w", err)
	}
	return e, nil
}

// RemoveEndpoint erases a webhook with its secrets. Its deliveries stay. An absent one is success.
func (a *Alarms) RemoveEndpoint(ctx context.Context, id string) error {
	if _, err := a.s.writer.exec(ctx, `delete from webhooks where id = $1`, id); err != nil {
		return fmt.Errorf("remove webhook: %w", err)
	}
	return nil
}

// fixed is what does not change of a delivery.
type fixed struct {
	About, Event, Subject, Text string
	Body                        []byte
}

func addDelivery(ctx context.Context, q querier, d notify.Delivery) error {
	doc, err := marshal(fixed{d.About, d.Event, d.Subject, d.Text, d.Body})
	if err != nil {
		return err
	}
	_, err = q.ExecContext(ctx, `
		insert into deliveries (id, channel, receiver, created, state, tries, due, until_at, doc) values ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		d.ID, string(d.Channel), d.To, d.Created.UnixMilli(), string(d.State), d.Tries, milli(d.Due), d.Until.UnixMilli(), string(doc))
	return err
}

func addTry(ctx context.Context, q querier, id string, t notify.Try) error {
	_, err := q.ExecContext(ctx, `insert into delivery_tries (delivery, n, at, took, status, error) values ($1, $2, $3, $4, $5, $6)`,
		id, t.N, t.At.UnixMilli(), t.Took.Milliseconds(), t.Status, t.Err)
	return err
}

// PutTried adds a delivery that was tried already, with its try.
func (a *Alarms) PutTried(ctx context.Context, d notify.Delivery, t notify.Try) error {
	err := a.s.writer.do(ctx, func(q querier) error {
		if err := addDelivery(ctx, q, d); err != nil {
			return err
		}
		return addTry(ctx, q, d.ID, t)
	})
	if err != nil {
		return fmt.Errorf("add a delivery: %w", err)
	}
	return nil
}

const deliveryColumns = `id, channel, receiver, created, state, tries, due, until_at, doc`

func scanDelivery(r interface{ Scan(...any) error }) (d notify.Delivery, err error) {
	var created, due, until int64
	var doc string
	var f fixed
	if err := r.Scan(&d.ID, &d.Channel, &d.To, &created, &d.State, &d.Tries, &due, &until, &doc); err != nil {
		return d, err
	}
	if json.Unmarshal([]byte(doc), &f) != nil {
		return d, errDamaged
	}
	d.About, d.Event, d.Subject, d.Text, d.Body = f.About, f.Event, f.Subject, f.Text, f.Body
	d.Created, d.Due, d.Until = moment(created), moment(due), moment(until)
	return d, nil
}

// ClaimDeliveries takes what is due, each by an update on condition that nobody did before.
func (a *Alarms) ClaimDeliveries(ctx context.Context, now, until time.Time, n int) ([]notify.Delivery, error) {
	rows, err := a.s.read.QueryContext(ctx, `
		select `+deliveryColumns+` from deliveries where state = $1 and due <= $2 order by due, id limit $3`, string(notify.Waiting), now.UnixMilli(), n)
	if err != nil {
		return nil, fmt.Errorf("list what is due: %w", err)
	}
	due, err := collect(rows, func(r *sql.Rows) (notify.Delivery, error) { return scanDelivery(r) })
	if err != nil {
		return nil, fmt.Errorf("list what is due: %w", err)
	}
	if len(due) == 0 {
		return nil, nil
	}
	var mine []notify.Delivery
	err = a.s.writer.do(ctx, func(q querier) error {
		mine = nil // it may run again
		for _, d := range due {
			res, err := q.ExecContext(ctx, `update deliveries set due = $1 where id = $2 and state = $3 and due = $4 and tries = $5`,
				until.UnixMilli(), d.ID, string(notify.Waiting), milli(d.Due), d.Tries)
			if err != nil {
				return err
			}
			if n, err := res.RowsAffected(); err != nil {
				return err
			} else if n == 1 {
				d.Due = until
				mine = append(mine, d)
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("claim what is due: %w", err)
	}
	return mine, nil
}

// EndTry writes what a try came to.
func (a *Alarms) EndTry(ctx context.Context, was, d notify.Delivery, t notify.Try) (bool, error) {
	err := a.s.writer.do(ctx, func(q querier) error {
		res, err := q.ExecContext(ctx, `update deliveries set state = $1, tries = $2, due = $3 where id = $4 and tries = $5 and until_at = $6`,
			string(d.State), d.Tries, milli(d.Due), d.ID, was.Tries, was.Until.UnixMilli())
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return cmp.Or(err, errStale)
		}
		return addTry(ctx, q, d.ID, t)
	})
	switch {
	case errors.Is(err, errStale):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("write a try: %w", err)
	}
	return true, nil
}

// Deliveries lists deliveries, newest first.
func (a *Alarms) Deliveries(ctx context.Context, q notify.DeliveryQuery) ([]notify.Delivery, error) {
	before, id := int64(math.MaxInt64), ""
	if q.After != nil {
		before, id = q.After.Created.UnixMilli(), q.After.ID
	}
	query, args := `select `+deliveryColumns+` from deliveries where (created, id) < ($1, $2)`, []any{before, id}
	for _, c := range []struct{ column, want string }{{"channel", string(q.Channel)}, {"receiver", q.To}, {"state", string(q.State)}} {
		if c.want != "" {
			args = append(args, c.want)
			query += fmt.Sprintf(" and %s = $%d", c.column, len(args))
		}
	}
	args = append(args, limited(q.Limit))
	rows, err := a.s.read.QueryContext(ctx, query+fmt.Sprintf(" order by created desc, id desc limit $%d", len(args)), args...)
	if err != nil {
		return nil, fmt.Errorf("list deliveries: %w", err)
	}
	list, err := collect(rows, func(r *sql.Rows) (notify.Delivery, error) { return scanDelivery(r) })
	if err != nil {
		return nil, fmt.Errorf("list deliveries: %w", err)
	}
	return list, nil
}

// Delivery reads a delivery with its tries, the last one first, at most mostLimit.
func (a *Alarms) Delivery(ctx context.Context, id string) (notify.Delivery, []notify.Try, error) {
	d, err := scanDelivery(a.s.read.QueryRowContext(ctx, `select `+deliveryColumns+` from deliveries where id = $1`, id))
	if err != nil {
		return d, nil, fmt.Errorf("read delivery: %w", absent(err))
	}
	rows, err := a.s.read.QueryContext(ctx, `select n, at, took, status, error from delivery_tries where delivery = $1 order by n desc limit $2`, id, mostLimit)
	if err != nil {
		return d, nil, fmt.Errorf("read delivery: %w", err)
	}
	tries, err := collect(rows, func(r *sql.Rows) (t notify.Try, err error) {
		var at, took int64
		err = r.Scan(&t.N, &at, &took, &t.Status, &t.Err)
		t.At, t.Took = moment(at), time.Duration(took)*time.Millisecond
		return t, err
	})
	if err != nil {
		return d, nil, fmt.Errorf("read delivery: %w", err)
	}
	return d, tries, nil
}

// Replay makes a delivery due now, once more from the beginning, with the same id.
func (a *Alarms) Replay(ctx context.Context, id string, now time.Time) (notify.Delivery, error) {
	d, _, err := a.Delivery(ctx, id)
	if err != nil {
		return d, err
	}
	d = d.Again(now)
	_, err = a.s.writer.exec(ctx, `update deliveries set state = $1, due = $2, until_at = $3 where id = $4`,
		string(d.State), milli(d.Due), d.Until.UnixMilli(), id)
	if err != nil {
		return d, fmt.Errorf("replay delivery: %w", err)
	}
	return d, nil
}
