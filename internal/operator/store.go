package operator

import (
	"context"
	"time"
)

// Reader reads what is kept. What is not there is ErrAbsent.
type Reader interface {
	Account(ctx context.Context, id string) (Account, error)
	// AccountNamed finds an account by Fold of its name.
	AccountNamed(ctx context.Context, folded string) (Account, error)
	// Accounts lists all, by Created and then ID.
	Accounts(ctx context.Context) ([]Account, error)
	SignIn(ctx context.Context, id string) (SignIn, error)
	// SignIns lists an account's, by Created and then ID, also those that have ended and were
	// not forgotten yet.
	SignIns(ctx context.Context, account string) ([]SignIn, error)
	Link(ctx context.Context, id string) (Link, error)
	// Tries of a key that is not there are zero, and no error.
	Tries(ctx context.Context, key string) (Tries, error)
	// Head is the journal's end: number and sum of the last entry, 0 and nil of none.
	Head(ctx context.Context) (seq int64, sum []byte, err error)
}

// Tx changes what is kept, as part of one transaction.
type Tx interface {
	Reader
	// PutAccount inserts or replaces by ID. A name that another account has is ErrTaken.
	PutAccount(ctx context.Context, a Account) error
	PutSignIn(ctx context.Context, s SignIn) error
	// DropSignIn ends one. One that is not there is success.
	DropSignIn(ctx context.Context, id string) error
	PutLink(ctx context.Context, l Link) error
	// DropLinks removes the links of one kind for one account ("" for those that make one).
	DropLinks(ctx context.Context, kind LinkKind, account string) error
	PutTries(ctx context.Context, t Tries) error
	DropTries(ctx context.Context, key string) error
	// Append writes an entry and makes it the journal's end.
	Append(ctx context.Context, e Entry) error
	// Forget removes sign-ins and links whose Until is not after now, and tries whose Last is
	// not after tried.
	Forget(ctx context.Context, now, tried time.Time) error
}

// Store keeps accounts, sign-ins, links, tries and the journal; all but ids, times, actions and
// objects sealed. Moments are kept to the millisecond. Safe for concurrent use, also by several
// processes.
type Store interface {
	Reader
	// Change runs f in a transaction that is durable when Change returns nil, and written not
	// at all when f fails. Changes come one after the other, over all processes. f may run more
	// than once and uses only its Tx.
	Change(ctx context.Context, f func(Tx) error) error
	// Entries lists the journal, newest first.
	Entries(ctx context.Context, q EntryQuery) ([]Entry, error)
	// EntriesFrom lists the journal from a number on, oldest first.
	EntriesFrom(ctx context.Context, seq int64, limit int) ([]Entry, error)
}

// Digester makes keyed digests; a digest made for one purpose says nothing about those of
// another.
type Digester interface {
	Digest(purpose string, data []byte) []byte
}
