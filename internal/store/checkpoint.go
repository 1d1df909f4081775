package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
)

const (
	// checkpointAfter is after how many writes the log is copied into the database file: at
	// about four pages a write the 1,000 pages after which SQLite does it by default. Our choice.
	checkpointAfter = 256
	// maxLog is from what size of the log on, in pages of 4 KiB, the writer copies the rest
	// itself: while it writes without a pause, the copy beside it never ends and the log could
	// not begin again. 32 MiB; our choice.
	maxLog = 8192
)

// checkpointer copies SQLite's log into the database file on a connection of its own, so that
// no write waits for it: neither it nor the writer blocks the other (SQLite, "PASSIVE"). It
// takes nothing from durability: a write is in the log, on the disk, before its call returns.
type checkpointer struct {
	db   *sql.DB
	n    int           // writes since the last checkpoint; the writing goroutine's
	due  chan struct{} // holds one
	quit chan struct{}
	done chan struct{}
}

// newCheckpointer begins to look after the log of the database at path, whose one writing
// connection is writer's.
func newCheckpointer(ctx context.Context, path string, writer *sql.DB) (*checkpointer, error) {
	// Should the connection be made anew, SQLite's own bound holds, which is lower.
	if err := exec(ctx, writer, fmt.Sprintf("pragma wal_autocheckpoint = %d", maxLog)); err != nil {
		return nil, fmt.Errorf("set the bound of the log: %w", err)
	}
	db, err := openSQLite(path, url.Values{"_synchronous": {"FULL"}})
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	c := &checkpointer{db: db, due: make(chan struct{}, 1), quit: make(chan struct{}), done: make(chan struct{})}
	go c.run()
	return c, nil
}

// wrote counts n writes.
func (c *checkpointer) wrote(n int) {
	if c.n += n; c.n < checkpointAfter {
		return
	}
	c.n = 0
	select {
	case c.due <- struct{}{}:
	default: // one is due already
	}
}

func (c *checkpointer) run() {
	defer close(c.done)
	for {
		select {
		case <-c.due:
			// What one could not copy is left to the next, and to the writer at maxLog.
			_ = exec(context.Background(), c.db, "pragma wal_checkpoint(passive)")
		case <-c.quit:
			return
		}
	}
}

func (c *checkpointer) close() error {
	close(c.quit)
	<-c.done
	if err := c.db.Close(); err != nil {
		return errors.Join(errors.New("close the connection for checkpoints"), err)
	}
	return nil
}
