package ekyc

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"shiren/internal/cnid"
)

// What an operator does with records: find, read, look at evidence, erase. Who may do it, and
// the journal of it, are the affair of whoever calls.

// Filed is all that is kept of a record: a session or a direct call.
type Filed struct {
	Record
	Session *Session // nil of a direct call
	Call    *Direct  // nil of a session
}

// SearchRecords lists records that are not due, newest first. Keys are taken as people type
// them; a FieldLogID may be a receipt. Codes: BadRequest, BadName, BadIDNumber, BadMobile.
func (s *Service) SearchRecords(ctx context.Context, q RecordQuery) ([]Record, error) {
	q.Now = s.Now()
	keys := q.Keys
	q.Keys = nil
	for _, k := range keys {
		k, err := k.parse()
		if err != nil {
			return nil, err
		}
		if k.Field == FieldLogID {
			if t, _, ok := s.receiptOf(k.Value); ok {
				k = RecordKey{FieldToken, string(t)}
			}
		}
		q.Keys = append(q.Keys, k)
	}
	list, err := s.Records.Search(ctx, q)
	return list, Wrap(Internal, "search records", err)
}

// RecordsComplete reports whether every record can be found: see Records.Complete.
func (s *Service) RecordsComplete(ctx context.Context) (bool, error) {
	done, err := s.Records.Complete(ctx)
	return done, Wrap(Internal, "read the state of the records", err)
}

// ReadRecord reads all that is kept of a record; what is due is ErrAbsent.
func (s *Service) ReadRecord(ctx context.Context, id string) (Filed, error) {
	if strings.HasPrefix(id, DirectPrefix) {
		d, err := s.Records.DirectByID(ctx, id)
		if err != nil {
			return Filed{}, absentOr("read direct call", err)
		}
		return Filed{Record: d.Record(), Call: &d}, nil
	}
	ses, err := s.Records.SessionByID(ctx, id)
	if err == nil && ses.State(s.Now()) == Gone {
		err = ErrAbsent
	}
	if err != nil {
		return Filed{}, absentOr("read session", err)
	}
	return Filed{Record: ses.Record(), Session: &ses}, nil
}

func absentOr(doing string, err error) error {
	if errors.Is(err, ErrAbsent) {
		return err
	}
	return Wrap(Internal, doing, err)
}

// Shown are the evidence items of a session that may still be opened at now, the relying
// party's reference first.
func (s *Session) Shown(now time.Time) []Evidence {
	var list []Evidence
	if s.Reference != nil && s.Reference.Evidence.Ref != "" {
		list = append(list, s.Reference.Evidence)
	}
	list = append(list, s.Evidence...)
	return slices.DeleteFunc(list, func(e Evidence) bool { return !now.Before(e.Until) })
}

// RecordEvidence opens one evidence item of a record. Codes: EvidenceGone; a record that is
// due is ErrAbsent.
func (s *Service) RecordEvidence(ctx context.Context, id, ref string) ([]byte, Evidence, error) {
	f, err := s.ReadRecord(ctx, id)
	if err != nil {
		return nil, Evidence{}, err
	}
	if f.Session != nil {
		for _, e := range f.Session.Shown(s.Now()) {
			if e.Ref == ref {
				data, err := s.open(ctx, f.Session, e)
				return data, e, err
			}
		}
	}
	return nil, Evidence{}, Errorf(EvidenceGone, "the image was not kept, or was erased when it was due")
}

// Erasure says what was erased before it was due. It holds no personal data.
type Erasure struct {
	At time.Time
	// Person is the keyed digest that stands for the number that was asked for, the same each
	// time; "" where one record was. Only the holder of the master key can make it from a number.
	Person   string
	Records  []string // Record.ID of the sessions that were erased, at most ErasureListed
	Sessions int
	Evidence int // images and videos
	Subjects int // what was kept of apps' users
	Calls    int // direct calls that cannot be found by the person any more; their records hold nothing personal
	// Noise counts the sessions of which an image could not be deleted. Its key is gone, so
	// that nobody can open it.
	Noise int
}

// Summary says how much was erased, in a line for the journal.
func (e Erasure) Summary() string {
	return fmt.Sprintf("sessions %d, images %d, subjects %d, calls %d, undeleted %d", e.Sessions, e.Evidence, e.Subjects, e.Calls, e.Noise)
}

// ErasureListed bounds Erasure.Records. Our choice.
const ErasureListed = 1000

// PersonDigest is the Erasure.Person of a number.
func (s *Service) PersonDigest(n cnid.Number) string {
	return hex.EncodeToString(s.Sealer.Digest("erased person", []byte(n)))
}

// EraseRecord erases one record before it is due: a session with its images, or what a direct
// call is found by. Charges stay. A record that is not there is ErrAbsent. It may be repeated,
// and what is under way in the session ends without an answer and without a charge.
func (s *Service) EraseRecord(ctx context.Context, id string) (Erasure, error) {
	e := Erasure{At: s.Now().UTC()}
	if strings.HasPrefix(id, DirectPrefix) {
		if _, err := s.Records.DirectByID(ctx, id); err != nil {
			return e, absentOr("read direct call", err)
		}
		err := s.Records.Unkey(ctx, id)
		e.Calls = 1
		return e, Wrap(Internal, "erase what a call is found by", err)
	}
	return e, s.eraseSession(ctx, id, nil, &e)
}

// ErasePerson erases all that is kept of a person before it is due: sessions of every app with
// that number, and with name too where it is not "", whole, whoever else they name; what is
// known of apps' users who were verified with the number, with all sessions of theirs, also
// those that name nobody; and what direct calls are found by.
// Charges, the registry and the keys of evidence that was copied elsewhere are no part of it.
// On an error what was erased so far stays erased, and the call may be repeated. Code: Busy
// while records of an older release are still being made searchable.
func (s *Service) ErasePerson(ctx context.Context, name cnid.Name, number cnid.Number) (Erasure, error) {
	e := Erasure{At: s.Now().UTC(), Person: s.PersonDigest(number)}
	switch done, err := s.Records.Complete(ctx); {
	case err != nil:
		return e, Wrap(Internal, "read the state of the records", err)
	case !done:
		return e, Errorf(Busy, "the records of an older release are still being made searchable; try again in some minutes")
	}
	keys := []RecordKey{{FieldNumber, string(number)}}
	if name != "" {
		keys = append(keys, RecordKey{FieldName, string(name)})
	}
	err := errors.Join(s.eraseFound(ctx, keys, &e), s.eraseSubjects(ctx, name, number, &e))
	return e, Wrap(Internal, "erase a person's data", err)
}

// eraseFound erases the records that have all of some keys.
func (s *Service) eraseFound(ctx context.Context, keys []RecordKey, e *Erasure) error {
	has := func(ses *Session) bool {
		held := ses.RecordKeys(s.Sealer)
		return !slices.ContainsFunc(keys, func(k RecordKey) bool { return !slices.Contains(held, k) })
	}
	q := RecordQuery{Keys: keys, Limit: MaxRecords}
	var errs []error
	for {
		// Without Now: what is due and not yet purged is erased too.
		list, err := s.Records.Search(ctx, q)
		if err != nil {
			return errors.Join(append(errs, err)...)
		}
		for _, r := range list {
			switch {
			case ctx.Err() != nil:
				return errors.Join(append(errs, ctx.Err())...)
			case r.Direct:
				if err = s.Records.Unkey(ctx, r.ID); err == nil {
					e.Calls++
				}
			default:
				err = s.eraseSession(ctx, r.ID, has, e)
				if errors.Is(err, ErrAbsent) { // somebody else was quicker
					err = nil
				}
			}
			if err != nil {
				errs = append(errs, err)
			}
		}
		if len(list) < q.Limit {
			return errors.Join(errs...)
		}
		q.After = &list[len(list)-1]
	}
}

// eraseSession erases a session if has, where it is given, says that it is one of those meant.
func (s *Service) eraseSession(ctx context.Context, id string, has func(*Session) bool, e *Erasure) error {
	ses, err := s.Records.SessionByID(ctx, id)
	if err != nil {
		return absentOr("read session", err)
	}
	// From this update on nothing can be added to the session, and nothing of it is shown. If
	// this process dies afterwards, the next purge does the rest.
	mine := true
	ses, err = s.Store.UpdateSession(ctx, ses.Token, func(ses *Session) error {
		if mine = has == nil || has(ses); mine {
			ses.Erased = true
		}
		return nil
	})
	if err != nil {
		return absentOr("erase session", err)
	}
	if !mine {
		return nil
	}
	s.forgetSightings(&ses)
	var p Purged
	failed := s.purgeOne(ctx, &ses, &p)
	e.Evidence += p.Evidence
	if p.Sessions == 0 {
		return Wrap(Internal, "erase session", failed)
	}
	if failed != nil {
		s.Log.ErrorContext(ctx, "an image of an erased session was not deleted; it cannot be opened", "err", failed)
		e.Noise++
	}
	e.Sessions++
	if len(e.Records) < ErasureListed {
		e.Records = append(e.Records, id)
	}
	return nil
}

// forgetSightings drops what the process remembers of a session's presentations.
func (s *Service) forgetSightings(ses *Session) {
	d := binary.BigEndian.Uint64(s.Sealer.Digest("risk session", []byte(ses.Token)))
	s.sightings.drop(d)
	s.rehearsed.drop(d)
}

func (s *Service) eraseSubjects(ctx context.Context, name cnid.Name, number cnid.Number, e *Erasure) error {
	if s.Subjects == nil {
		return nil
	}
	list, err := s.Subjects.SubjectsOf(ctx, number)
	if err != nil {
		return err
	}
	for _, key := range list {
		u, err := s.Subjects.Subject(ctx, key)
		switch {
		case errors.Is(err, ErrAbsent):
			continue
		case err != nil:
			return err
		case u.Claim == nil || u.Claim.Number != number || name != "" && u.Claim.Name != name:
			continue
		}
		if err := s.eraseFound(ctx, []RecordKey{subjectRecord(u.App, u.ID)}, e); err != nil {
			return err // the subject leads to its sessions the next time
		}
		if err := s.Subjects.ForgetSubject(ctx, key); err != nil {
			return err
		}
		e.Subjects++
	}
	return nil
}
