// Package store keeps sessions, apps, plans, the charge ledger and the local registry's
// records in one SQL database: SQLite inside the process, or PostgreSQL. Both read the
// same SQL text and the same migrations; rules of the service are not repeated in SQL.
//
// What it refuses to hold in the clear: tokens, names, identity numbers, templates and
// secrets. A session is one sealed document under a data key of its own, found by the
// digest of its token. Deleted SQLite content is overwritten (secure_delete); on
// PostgreSQL the remains of a deleted row stay in its files, sealed, until it vacuums.
//
// # Writing
//
// A write is durable when its call returns: SQLite in WAL mode with synchronous=FULL,
// PostgreSQL with its synchronous_commit. On SQLite one goroutine writes: it takes every
// write that waits, runs them in one transaction, each inside a savepoint of its own so
// that one that fails takes nothing with it, commits once, and only then lets the callers
// go on. Checkpoints, which copy the log into the database file and wait for the disk twice,
// are made beside the writer: see checkpointer. On PostgreSQL each write is a transaction, repeated when the server reports a
// serialisation failure or a deadlock.
//
// An update reads, runs the caller's function outside any transaction, and writes on
// condition that nobody wrote in between. If somebody did, it runs once more inside the
// write, where nobody can.
package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
	_ "github.com/mattn/go-sqlite3"    // the driver "sqlite3"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"shiren/internal/ekyc"
)

//go:embed migrations/*.sql
var migrations embed.FS

// CacheTTL is how long a read app or plan may be answered from memory after another
// process changed it; a change through this Store is seen at once. Our choice.
const CacheTTL = 2 * time.Second

// BusyTimeout is how long SQLite waits for another process's lock. Our choice.
const BusyTimeout = 5 * time.Second

// writeCache is the SQLite writer's page cache in KiB. Digests fall anywhere in an index, and
// an import of a million people would read pages back all the time from SQLite's own 2 MB.
// Our choice.
const writeCache = 64 << 10

// postgresConns bounds the connections to PostgreSQL; its own default limit is 100 for
// all clients together. Our choice.
const postgresConns = 20

// ErrClosed is what a write after Close gets.
var ErrClosed = errors.New("the store is closed")

// Config says where the data is and how it is sealed.
type Config struct {
	// DSN is "sqlite:PATH", "sqlite::memory:" (gone with the Store) or a PostgreSQL
	// address "postgres://user:password@host/database?…". It may hold a password and
	// is never repeated in an error.
	DSN string
	// Sealer seals records. The same master key must be given each time.
	Sealer ekyc.Sealer
}

// Store implements ekyc.Store. It is safe for concurrent use, also by several processes
// on one database.
type Store struct {
	sealer ekyc.Sealer
	read   *sql.DB
	writer writer
	local  bool   // reading one row takes microseconds: less than watching over a context
	lock   string // appended to a select inside a write: locks the row
	closes []func() error

	apps  cache[ekyc.AppID, ekyc.App]
	keys  cache[string, ekyc.AppID]
	plans cache[ekyc.PlanID, ekyc.Plan]
	owned cache[ekyc.AppID, []ekyc.AppKey]

	bearers  cache[string, ekyc.AppID]
	switches cache[ekyc.ChargeKind, ekyc.Switch]
	frozen   frozen
	facets   facets
	complete atomic.Bool // nothing of an older release lacks its record

	quit chan struct{}
	once sync.Once
	err  error
	wg   sync.WaitGroup
}

var _ ekyc.Store = (*Store)(nil)

// querier is what *sql.DB, *sql.Conn and *sql.Tx have in common.
type querier interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// writer runs a function inside a transaction that is durable when do returns nil; when
// do returns an error nothing was written. f may run more than once. f uses only the
// querier that it is given.
type writer interface {
	do(ctx context.Context, f func(querier) error) error
	// exec is do for one statement that fails only where the database does, and returns how
	// many rows it changed: whole or not at all by itself, it needs no savepoint.
	exec(ctx context.Context, query string, args ...any) (int64, error)
	close()
}

// Open connects, migrates to this release's schema, and checks that the Sealer's master
// key is the one that the database was written with. A SQLite file is created when
// absent, mode 0600, with its folder.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	if cfg.Sealer == nil {
		return nil, errors.New("open store: no sealer")
	}
	s := &Store{sealer: cfg.Sealer, quit: make(chan struct{})}
	err := s.open(ctx, cfg.DSN)
	if err == nil {
		err = s.checkMaster(ctx)
	}
	if err != nil {
		s.Close()
		return nil, fmt.Errorf("open store: %w", err)
	}
	s.wg.Go(s.expire)
	if err := s.startCatchUp(ctx); err != nil {
		s.Close()
		return nil, fmt.Errorf("open store: %w", err)
	}
	return s, nil
}

func (s *Store) open(ctx context.Context, dsn string) error {
	if path, ok := strings.CutPrefix(dsn, "sqlite:"); ok {
		return s.openSQLite(ctx, path)
	}
	if strings.HasPrefix(dsn, "postgres://") || strings.HasPrefix(dsn, "postgresql://") {
		return s.openPostgres(ctx, dsn)
	}
	return errors.New(`the address must start with "sqlite:" or "postgres://"`)
}

func (s *Store) openSQLite(ctx context.Context, path string) error {
	memory := path == ":memory:"
	switch {
	case memory:
	case path == "":
		return errors.New(`"sqlite:" needs a path, such as sqlite:./data/shiren.db`)
	default:
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		// SQLite would create the file by the umask; its -wal and -shm take its mode.
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return err
		}
		if err := f.Close(); err != nil {
			return err
		}
	}
	db, err := openSQLite(path, url.Values{
		"_journal_mode":  {"WAL"},
		"_synchronous":   {"FULL"},
		"_secure_delete": {"on"},
		"_txlock":        {"immediate"},
		"_cache_size":    {fmt.Sprint(-writeCache)},
	})
	if err != nil {
		return err
	}
	s.closes = append(s.closes, db.Close)
	db.SetMaxOpenConns(1)
	if err := migrateSQLite(ctx, db); err != nil {
		return err
	}
	s.read, s.local = db, true
	if !memory { // a database in memory is its connection
		if s.read, err = openSQLite(path, url.Values{"_query_only": {"on"}}); err != nil {
			return err
		}
		s.closes = append(s.closes, s.read.Close)
		n := max(4, 2*runtime.GOMAXPROCS(0))
		s.read.SetMaxOpenConns(n)
		s.read.SetMaxIdleConns(n)
	}
	var wrote func(int)
	if !memory {
		c, err := newCheckpointer(ctx, path, db)
		if err != nil {
			return err
		}
		s.closes = append(s.closes, c.close)
		wrote = c.wrote
	}
	s.writer = newGroup(db, wrote)
	return nil
}

// openSQLite opens a pool of connections that share settings.
func openSQLite(path string, settings url.Values) (*sql.DB, error) {
	settings.Set("_foreign_keys", "on")
	settings.Set("_busy_timeout", fmt.Sprint(BusyTimeout.Milliseconds()))
	settings.Set("_stmt_cache_size", "64") // more than there are statements
	escaped := strings.NewReplacer("%", "%25", "?", "%3f", "#", "%23").Replace(path)
	return sql.Open("sqlite3", "file:"+escaped+"?"+settings.Encode())
}

func (s *Store) openPostgres(ctx context.Context, dsn string) error {
	db, err := sql.Open("pgx", dsn)
	if err != nil {
		return err
	}
	s.closes = append(s.closes, db.Close)
	db.SetMaxOpenConns(postgresConns)
	db.SetMaxIdleConns(postgresConns)
	locker, err := lock.NewPostgresSessionLocker() // several nodes may start at once
	if err != nil {
		return err
	}
	if _, err := migrate(ctx, db, goose.DialectPostgres, goose.WithSessionLocker(locker)); err != nil {
		return err
	}
	s.read, s.writer, s.lock = db, &postgres{db: db}, " for update"
	return nil
}

// migrateSQLite tries again when processes that open one file at once get in each other's way:
// the one that lost finds another's step done. It goes on for as long as the schema moves, and
// gives up after three tries (our choice) at which it stood still.
func migrateSQLite(ctx context.Context, db *sql.DB) error {
	at, err := migrate(ctx, db, goose.DialectSQLite3)
	for still := 0; err != nil && still < 3 && ctx.Err() == nil; still++ {
		was := at
		if at, err = migrate(ctx, db, goose.DialectSQLite3); at > was {
			still = -1
		}
	}
	return err
}

// migrate brings the schema to this release's version, and returns the version that it has
// then, also where a step failed; 0 where it cannot be read.
func migrate(ctx context.Context, db *sql.DB, dialect goose.Dialect, opts ...goose.ProviderOption) (at int64, err error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return 0, err
	}
	p, err := goose.NewProvider(dialect, db, files, append(opts, goose.WithDisableGlobalRegistry(true))...)
	if err != nil {
		return 0, fmt.Errorf("prepare migrations: %w", err)
	}
	_, up := p.Up(ctx)
	at, err = p.GetDBVersion(ctx)
	switch sources := p.ListSources(); {
	case up != nil:
		return at, fmt.Errorf("migrate: %w", up)
	case err != nil:
		return 0, fmt.Errorf("read the schema's version: %w", err)
	case at > sources[len(sources)-1].Version:
		return at, fmt.Errorf("the database has schema version %d and this release knows %d: use the newer release", at, sources[len(sources)-1].Version)
	}
	return at, nil
}

// checkMaster opens one sealed record, so that a server with the wrong master key stops
// at its start and not at its first request.
func (s *Store) checkMaster(ctx context.Context) error {
	var id, key, doc string
	err := s.read.QueryRowContext(ctx, `select id, data_key, doc from apps limit 1`).Scan(&id, &key, &doc)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	if _, err := s.openApp(id, key, doc); err != nil {
		return fmt.Errorf("the master key does not open this database: %w", err)
	}
	return nil
}

// startCatchUp makes the first of what an older release left to make, and goes on beside the
// service if that was not all.
func (s *Store) startCatchUp(ctx context.Context) error {
	done, err := s.Complete(ctx)
	if err == nil && !done {
		done, err = s.catchUp(ctx)
	}
	if err != nil || done {
		return err
	}
	s.wg.Go(func() {
		ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
		defer cancel()
		s.wg.Go(func() {
			select {
			case <-s.quit:
				cancel()
			case <-ctx.Done():
			}
		})
		for !done && err == nil { // after an error the next start goes on
			done, err = s.catchUp(ctx)
		}
	})
	return nil
}

// expire forgets cached apps and plans every CacheTTL, for the changes of other processes.
func (s *Store) expire() {
	tick := time.NewTicker(CacheTTL)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			s.forgetCached()
		case <-s.quit:
			return
		}
	}
}

func (s *Store) forgetCached() {
	s.apps.clear()
	s.keys.clear()
	s.plans.clear()
	s.bearers.clear()
	s.switches.clear()
	s.owned.clear()
}

// Close lets running writes finish and closes the database. Later writes get ErrClosed.
// It may be called again.
func (s *Store) Close() error {
	s.once.Do(func() {
		close(s.quit)
		s.wg.Wait()
		if s.writer != nil {
			s.writer.close()
		}
		var errs []error
		for i := len(s.closes) - 1; i >= 0; i-- {
			errs = append(errs, s.closes[i]())
		}
		s.err = errors.Join(errs...)
	})
	return s.err
}
