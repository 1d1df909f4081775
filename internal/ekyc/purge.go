package ekyc

import (
	"context"
	"errors"
)

// Purged reports what Purge erased.
type Purged struct {
	Sessions int // records with all that they held
	Evidence int // images
	Subjects int // records of apps' users
	Failed   int // sessions that could not be erased wholly and stay due
}

// purgeBatch is how many due sessions are read at once. Our choice.
const purgeBatch = 200

// Purge erases everything that is due: single evidence items at their time, whole
// sessions at theirs. It may be repeated and interrupted; one session that fails does
// not stop the next. Charges stay, without personal data.
//
// A session's images are deleted before its record, so that an interrupted purge finds
// them again; if an image cannot be deleted, the record with its data key goes all the
// same, which leaves the image's bytes unreadable.
func (s *Service) Purge(ctx context.Context) (Purged, error) {
	s.sightings.expire(s.Now())
	s.rehearsed.expire(s.Now())
	var p Purged
	var errs []error
	if s.Subjects != nil {
		n, err := s.Subjects.ForgetSubjects(ctx, s.Now())
		p.Subjects = n
		errs = append(errs, err)
	}
	if s.Requests != nil {
		_, err := s.Requests.ForgetRequests(ctx, s.Now())
		errs = append(errs, err)
	}
	if s.Counts != nil {
		_, err := s.Counts.ForgetCounts(ctx, s.Now().Add(-ShortKept))
		errs = append(errs, err)
	}
	if s.Records != nil {
		_, err := s.Records.ForgetKeys(ctx, s.Now().Add(-ResultKept))
		errs = append(errs, err)
	}
	seen := map[string]bool{}
	for {
		// What failed stays due and comes first again: ask for that many more.
		due, err := s.Store.Due(ctx, s.Now(), purgeBatch+p.Failed)
		if err != nil {
			return p, Wrap(Internal, "list what is due", err)
		}
		progress := false
		for i := range due {
			if id := due[i].Token.Digest(); seen[id] {
				continue
			} else {
				seen[id] = true
			}
			progress = true
			if err := s.purgeOne(ctx, &due[i], &p); err != nil {
				p.Failed++
				errs = append(errs, err)
			}
			if ctx.Err() != nil {
				return p, ctx.Err()
			}
		}
		if !progress {
			return p, errors.Join(errs...)
		}
	}
}

func (s *Service) purgeOne(ctx context.Context, ses *Session, p *Purged) error {
	now := s.Now()
	var failed error
	drop := func(ref string) {
		if err := s.Blobs.Delete(ctx, ref); err != nil {
			failed = err
			return
		}
		p.Evidence++
	}
	if ses.State(now) == Gone {
		for _, e := range ses.Evidence {
			drop(e.Ref)
		}
		if ses.Reference != nil {
			drop(ses.Reference.Evidence.Ref)
		}
		for _, a := range ses.Attempts { // what an interrupted attempt left behind
			if a.Code == Interrupted || a.Finished.IsZero() {
				if err := s.Blobs.Delete(ctx, s.blobRef(ses.Token, EvidenceVideo, a.Ordinal, 0)); err != nil {
					failed = err
				}
				for i := range MediaImages {
					kind := EvidenceFrame
					if i == 0 {
						kind = EvidenceFace
					}
					if err := s.Blobs.Delete(ctx, s.blobRef(ses.Token, kind, a.Ordinal, int64(i))); err != nil {
						failed = err
					}
				}
			}
		}
		for try := range ses.Tries { // and what an interrupted reading did
			for _, kind := range []EvidenceKind{EvidenceCardFront, EvidenceCardBack, EvidenceCardPortrait} {
				if err := s.Blobs.Delete(ctx, s.blobRef(ses.Token, kind, 0, int64(try+1))); err != nil {
					failed = err
				}
			}
		}
		if err := s.Store.Forget(ctx, ses.Token); err != nil {
			return err
		}
		p.Sessions++
		return failed
	}
	dropped := map[string]bool{}
	for _, e := range ses.Evidence {
		if !now.Before(e.Until) {
			drop(e.Ref)
			if failed == nil {
				dropped[e.Ref] = true
			}
		}
	}
	_, err := s.Store.UpdateSession(ctx, ses.Token, func(ses *Session) error {
		var keep []Evidence
		for _, e := range ses.Evidence {
			if !dropped[e.Ref] {
				keep = append(keep, e)
			}
		}
		ses.Evidence = keep
		return nil
	})
	return errors.Join(failed, err)
}
