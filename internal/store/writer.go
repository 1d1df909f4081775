package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/jackc/pgx/v5/pgconn"

	"shiren/internal/ekyc"
)

// maxBatch bounds the writes of one transaction, so that the first of them does not wait
// for long: at about 50 µs a write (BenchmarkUpdate, 2-core EPYC) 13 ms. Our choice.
const maxBatch = 256

// group is SQLite's writer: see "Writing" in the package comment.
type group struct {
	db    *sql.DB
	wrote func(n int) // is told how many writes a transaction had; nil for nobody
	queue chan *op    // unbuffered: what is handed over is run
	quit  chan struct{}
	done  chan struct{}
}

// op is one caller's write.
type op struct {
	ctx      context.Context
	f        func(querier) error
	single   bool // one statement: see writer.exec
	err      error
	panicked any
	done     chan struct{}
}

func newGroup(db *sql.DB, wrote func(n int)) *group {
	g := &group{db: db, wrote: wrote, queue: make(chan *op), quit: make(chan struct{}), done: make(chan struct{})}
	go g.run()
	return g
}

// do hands f to the writing goroutine and waits for the commit. A context that ends
// before f's turn means that f does not run; afterwards the outcome is waited for, so
// that an error always means "not written".
func (g *group) do(ctx context.Context, f func(querier) error) error {
	return g.wait(&op{ctx: ctx, f: f})
}

func (g *group) exec(ctx context.Context, query string, args ...any) (n int64, err error) {
	err = g.wait(&op{ctx: ctx, single: true, f: func(q querier) (err error) {
		n, err = affected(q.ExecContext(ctx, query, args...))
		return err
	}})
	return n, err
}

func (g *group) wait(o *op) error {
	o.done = make(chan struct{})
	select {
	case g.queue <- o:
	case <-o.ctx.Done():
		return o.ctx.Err()
	case <-g.quit:
		return ErrClosed
	}
	<-o.done
	if o.panicked != nil {
		panic(o.panicked) // in the caller's goroutine, where its handler stands
	}
	return o.err
}

func (g *group) close() {
	close(g.quit)
	<-g.done
}

func (g *group) run() {
	defer close(g.done)
	for {
		select {
		case first := <-g.queue:
			batch := g.gather(first)
			if err := g.transact(batch); err != nil {
				for _, o := range batch {
					if o.err == nil {
						o.err = err
					}
				}
			}
			for _, o := range batch {
				close(o.done)
			}
			if g.wrote != nil {
				g.wrote(len(batch))
			}
		case <-g.quit:
			return
		}
	}
}

func (g *group) gather(first *op) []*op {
	batch := []*op{first}
	for len(batch) < maxBatch {
		select {
		case o := <-g.queue:
			batch = append(batch, o)
		default:
			return batch
		}
	}
	return batch
}

// transact runs a batch in one transaction. Its error means that nothing of the batch
// was written. Statements run without the callers' contexts: one that gives up must not
// interrupt the others' transaction.
func (g *group) transact(batch []*op) (err error) {
	ctx := context.Background()
	conn, err := g.db.Conn(ctx)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer conn.Close()
	if err := exec(ctx, conn, "begin immediate"); err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	defer func() {
		if err != nil {
			// After some errors SQLite has rolled back itself and says so here.
			exec(ctx, conn, "rollback")
		}
	}()
	var counts []ekyc.Count
	for _, o := range batch {
		if o.err = o.ctx.Err(); o.err != nil {
			continue
		}
		w := &whole{conn: conn}
		if len(batch) == 1 { // the transaction is its savepoint
			if o.err = o.call(w); o.err != nil || o.panicked != nil {
				if err := exec(ctx, conn, "rollback"); err != nil {
					return fmt.Errorf("roll back: %w", err)
				}
				return nil
			}
			counts = w.counts
			continue
		}
		if o.single {
			if o.err = o.call(w); o.err != nil {
				return o.err // SQLite may have rolled back the others' writes, too
			}
			continue
		}
		if err := exec(ctx, conn, "savepoint op"); err != nil {
			return fmt.Errorf("savepoint: %w", err)
		}
		if o.err = o.call(w); o.err != nil || o.panicked != nil {
			if err := exec(ctx, conn, "rollback to op"); err != nil {
				return fmt.Errorf("roll back: %w", err)
			}
		} else {
			counts = append(counts, w.counts...)
		}
		if err := exec(ctx, conn, "release op"); err != nil {
			return fmt.Errorf("release: %w", err)
		}
	}
	if err := writeCounts(ctx, conn, counts, 0, ""); err != nil {
		return err
	}
	if err := exec(ctx, conn, "commit"); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// whole runs statements to their end: SQLite answers an interrupted write by rolling the
// whole transaction back, the others' writes too.
type whole struct {
	conn *sql.Conn
	gathered
}

func (w *whole) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	return w.conn.ExecContext(context.WithoutCancel(ctx), query, args...)
}

func (w *whole) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	return w.conn.QueryContext(context.WithoutCancel(ctx), query, args...)
}

func (w *whole) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	return w.conn.QueryRowContext(context.WithoutCancel(ctx), query, args...)
}

func (o *op) call(q querier) error {
	defer func() { o.panicked = recover() }()
	return o.f(q)
}

func exec(ctx context.Context, q querier, query string) error {
	_, err := q.ExecContext(ctx, query)
	return err
}

// maxRepeats bounds how often PostgreSQL may ask for a transaction to be repeated. Our choice.
const maxRepeats = 10

// postgres writes each function in a transaction of its own.
type postgres struct {
	db   *sql.DB
	turn atomic.Int64 // of shards
}

// transaction is one of PostgreSQL's, and what is counted in it.
type transaction struct {
	*sql.Tx
	gathered
}

func (p *postgres) do(ctx context.Context, f func(querier) error) error {
	for n := 1; ; n++ {
		err := p.once(ctx, f)
		var pg *pgconn.PgError
		if n < maxRepeats && errors.As(err, &pg) && (pg.Code == "40001" || pg.Code == "40P01") {
			continue // serialization_failure, deadlock_detected
		}
		return err
	}
}

func (p *postgres) exec(ctx context.Context, query string, args ...any) (n int64, err error) {
	err = p.do(ctx, func(q querier) (err error) {
		n, err = affected(q.ExecContext(ctx, query, args...))
		return err
	})
	return n, err
}

func (p *postgres) once(ctx context.Context, f func(querier) error) error {
	tx, err := p.db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	defer tx.Rollback() // after a commit it does nothing
	w := &transaction{Tx: tx}
	if err := f(w); err != nil {
		return err
	}
	if err := writeCounts(ctx, tx, w.counts, p.turn.Add(1)%shards, " for update"); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

func (p *postgres) close() {}
