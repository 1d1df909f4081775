package store

import (
	"context"
	"fmt"
)

// People is the local registry's shelf: sealed records by keyed digest. What they hold
// and how they are sealed is the registry's affair. It is safe for concurrent use.
type People struct{ s *Store }

// People returns the shelf of s.
func (s *Store) People() *People { return &People{s} }

// Put stores a record durably, replacing what was there.
func (p *People) Put(ctx context.Context, digest string, sealed, key []byte) error {
	err := p.s.writer.do(ctx, func(q querier) error {
		_, err := q.ExecContext(ctx, `
			insert into people (digest, data_key, sealed) values ($1, $2, $3)
			on conflict (digest) do update set data_key = excluded.data_key, sealed = excluded.sealed`,
			digest, toText(key), toText(sealed))
		return err
	})
	if err != nil {
		return fmt.Errorf("put person: %w", err)
	}
	return nil
}

// Get reads a record; absent is ekyc.ErrAbsent.
func (p *People) Get(ctx context.Context, digest string) (sealed, key []byte, err error) {
	var keyText, text string
	err = absent(p.s.read.QueryRowContext(ctx, `select data_key, sealed from people where digest = $1`, digest).Scan(&keyText, &text))
	if err == nil {
		key, err = fromText(keyText)
	}
	if err == nil {
		sealed, err = fromText(text)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read person: %w", err)
	}
	return sealed, key, nil
}

// Delete removes a record with its key. An absent one is success.
func (p *People) Delete(ctx context.Context, digest string) error {
	err := p.s.writer.do(ctx, func(q querier) error {
		_, err := q.ExecContext(ctx, `delete from people where digest = $1`, digest)
		return err
	})
	if err != nil {
		return fmt.Errorf("delete person: %w", err)
	}
	return nil
}

// Count is how many records there are.
func (p *People) Count(ctx context.Context) (int64, error) {
	var n int64
	if err := p.s.read.QueryRowContext(ctx, `select count(*) from people`).Scan(&n); err != nil {
		return 0, fmt.Errorf("count people: %w", err)
	}
	return n, nil
}
