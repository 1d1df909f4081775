package operator

import (
	"context"
	"crypto/hmac"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Entry is one line of the journal: who saw or changed what, when, from where and why.
// It holds no personal data of capture subjects: Object names a record, never a person.
type Entry struct {
	ID      string // Seq, in decimal
	Seq     int64  // 1 is the first
	At      time.Time
	Account string // id; "" before anybody signed in, and for the command line
	Name    string // of the account, as it was
	Address string
	Action  string // for example "record.reveal", "plan.change", "sign_in.refused"
	Object  string // what it was done to
	Reason  string // given by the person, where one is asked for
	Detail  string // what changed, in short; no secrets, no personal data
	Sum     []byte // keyed digest of all the above and of the entry before
	Damaged bool   // it cannot be opened: somebody changed it where it is kept
}

// Longest texts of an entry, in runes; what is longer is cut. Our choice.
const (
	maxShort  = 200
	maxReason = 500
	maxDetail = 1000
)

// minReason is the shortest reason, in runes. Our choice: shorter ones say nothing.
const minReason = 4

// What is wrong with a reason.
var (
	ErrNoReason   = fmt.Errorf("say why, in at least %d characters; the journal keeps it", minReason)
	ErrLongReason = fmt.Errorf("the reason is longer than %d characters", maxReason)
)

// CheckReason returns the reason that a person gave, as the journal keeps it. Errors: ErrNoReason,
// ErrLongReason.
func CheckReason(text string) (string, error) {
	text = strings.TrimSpace(text)
	switch n := utf8.RuneCountInString(text); {
	case n < minReason:
		return "", ErrNoReason
	case n > maxReason:
		return "", ErrLongReason
	}
	return text, nil
}

// ended is put where a text was cut.
const ended = "…"

// tidy makes a text fit for one line of at most n runes.
func tidy(s string, n int) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "�"))
	if utf8.RuneCountInString(s) > n {
		s = string([]rune(s)[:n-1]) + ended
	}
	return s
}

// sum is the keyed digest of e behind an entry whose own is prev.
func (e Entry) sum(d Digester, prev []byte) []byte {
	b := binary.BigEndian.AppendUint64(nil, uint64(e.Seq))
	b = binary.BigEndian.AppendUint64(b, uint64(e.At.UnixMilli()))
	for _, s := range []string{string(prev), e.Account, e.Name, e.Address, e.Action, e.Object, e.Reason, e.Detail} {
		b = binary.BigEndian.AppendUint32(b, uint32(len(s)))
		b = append(b, s...)
	}
	return d.Digest("operator journal", b)
}

// note writes e behind the journal's last entry, as part of tx.
func (s *Service) note(ctx context.Context, tx Tx, e Entry) error {
	seq, prev, err := tx.Head(ctx)
	if err != nil {
		return err
	}
	e.Seq, e.At = seq+1, s.now()
	e.ID = strconv.FormatInt(e.Seq, 10)
	e.Account, e.Name, e.Address = tidy(e.Account, maxShort), tidy(e.Name, maxShort), tidy(e.Address, maxShort)
	e.Action, e.Object = tidy(e.Action, maxShort), tidy(e.Object, maxShort)
	e.Reason, e.Detail = tidy(e.Reason, maxReason), tidy(e.Detail, maxDetail)
	e.Sum = e.sum(s.Digester, prev)
	return tx.Append(ctx, e)
}

// Note writes a journal entry durably. Its ID, Seq, At and Sum are set here; control characters
// become spaces, and texts that are too long are cut.
func (s *Service) Note(ctx context.Context, e Entry) error {
	err := s.Store.Change(ctx, func(tx Tx) error { return s.note(ctx, tx, e) })
	if err != nil {
		return fmt.Errorf("write the journal: %w", err)
	}
	return nil
}

// EntryQuery selects entries. Zero fields select everything.
type EntryQuery struct {
	Since, Before time.Time // [Since, Before) of Entry.At
	Account       string    // id
	Action        string    // one, or those that begin with it where it ends in "."
	Object        string
	After         int64 // Seq of the last entry of the page before
	Limit         int   // 0 means 50; at most 1000
}

// Entries lists entries, newest first: by At and then Seq.
func (s *Service) Entries(ctx context.Context, q EntryQuery) ([]Entry, error) {
	if q.Limit <= 0 {
		q.Limit = 50
	}
	q.Limit = min(q.Limit, 1000)
	return s.Store.Entries(ctx, q)
}

// Chain is what Verify found of a journal that is whole.
type Chain struct {
	Last int64  // number of the last entry, and of entries; 0 of an empty journal
	Sum  string // of the last entry, hexadecimal; "" of an empty journal
}

// Mark is Chain as people note it elsewhere: NUMBER:SUM.
func (c Chain) Mark() string { return strconv.FormatInt(c.Last, 10) + ":" + c.Sum }

// ParseMark reads what Mark wrote.
func ParseMark(text string) (Chain, error) {
	number, sum, _ := strings.Cut(strings.TrimSpace(text), ":")
	n, err := strconv.ParseInt(number, 10, 64)
	b, herr := hex.DecodeString(sum)
	if err != nil || herr != nil || n < 0 || (n == 0) != (len(b) == 0) {
		return Chain{}, refuse(Invalid, "the mark is not of the form NUMBER:SUM that an earlier verification printed")
	}
	return Chain{Last: n, Sum: hex.EncodeToString(b)}, nil
}

// BrokenError says where a journal was tampered with.
type BrokenError struct {
	Seq  int64 // of the entry where it shows first
	What string
}

func (e *BrokenError) Error() string {
	return fmt.Sprintf("the journal is not whole at entry %d: %s", e.Seq, e.What)
}

// Verify reads the whole journal and computes every sum anew. marks are those of earlier
// verifications that were kept where whoever can change the database cannot change them: each
// must still lie in the journal. A *BrokenError says where it does not hold. Entries that are
// written meanwhile are left for the next time.
func (s *Service) Verify(ctx context.Context, marks ...Chain) (Chain, error) {
	end, last, err := s.Store.Head(ctx)
	if err != nil {
		return Chain{}, fmt.Errorf("read the journal's end: %w", err)
	}
	var at int64
	var prev []byte
	for at < end {
		list, err := s.Store.EntriesFrom(ctx, at+1, int(min(end-at, 1000)))
		if err != nil {
			return Chain{}, fmt.Errorf("read the journal: %w", err)
		}
		if len(list) == 0 {
			return Chain{}, &BrokenError{at + 1, "it is missing"}
		}
		for _, e := range list {
			at++
			if e.Seq != at {
				return Chain{}, &BrokenError{at, "it is missing"}
			}
			if e.Damaged {
				return Chain{}, &BrokenError{at, "it cannot be opened"}
			}
			if prev = e.sum(s.Digester, prev); !hmac.Equal(prev, e.Sum) {
				return Chain{}, &BrokenError{at, "it, or one before it, was changed, removed or put in"}
			}
			for _, m := range marks {
				if m.Last == at && m.Sum != hex.EncodeToString(prev) {
					return Chain{}, &BrokenError{at, "it is not the one that was marked"}
				}
			}
		}
	}
	if !hmac.Equal(prev, last) {
		return Chain{}, &BrokenError{end, "its end was changed"}
	}
	if more, err := s.Store.EntriesFrom(ctx, end+1, 1); err != nil {
		return Chain{}, fmt.Errorf("read the journal: %w", err)
	} else if now, _, err := s.Store.Head(ctx); err != nil {
		return Chain{}, fmt.Errorf("read the journal's end: %w", err)
	} else if len(more) > 0 && now < more[0].Seq {
		return Chain{}, &BrokenError{more[0].Seq, "it lies behind the end"}
	}
	for _, m := range marks {
		if m.Last > end {
			return Chain{}, &BrokenError{end + 1, "entries up to " + strconv.FormatInt(m.Last, 10) + " were marked, and are missing"}
		}
	}
	return Chain{Last: end, Sum: hex.EncodeToString(prev)}, nil
}
