// Package registry is the local authority: a register of people, with their names,
// identity numbers and portraits, that a relying party keeps itself. It answers the
// core's two questions about a claim: do name and number belong together, and what does
// the person look like.
//
// A record is sealed under a data key of its own and is found by a keyed digest of the
// number, so that a copy of the shelf shows neither who is in it nor what they look
// like. It decides nothing about a comparison: that is the core's.
package registry

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"shiren/internal/cnid"
	"shiren/internal/ekyc"
)

// Shelf keeps sealed records by digest. Safe for concurrent use. Writes are durable
// when they return.
type Shelf interface {
	// Put stores a record with its wrapped key, replacing the one that was there.
	Put(ctx context.Context, digest string, sealed, key []byte) error
	// Get reads a record; absent is ekyc.ErrAbsent.
	Get(ctx context.Context, digest string) (sealed, key []byte, err error)
	// Delete removes a record. An absent one is success.
	Delete(ctx context.Context, digest string) error
	// Count counts the records.
	Count(ctx context.Context) (int64, error)
}

// Examiner measures a portrait. ekyc.Engine is one.
type Examiner interface {
	Examine(ctx context.Context, image []byte, want ekyc.Want) (ekyc.Examination, error)
}

// Registry is a register of people. All fields are required, but Examiner only by Add.
// Safe for concurrent use.
type Registry struct {
	Shelf    Shelf
	Sealer   ekyc.Sealer
	Examiner Examiner
}

var (
	_ ekyc.IdentitySource = (*Registry)(nil)
	_ ekyc.PortraitSource = (*Registry)(nil)
)

// Person is one record.
type Person struct {
	Claim    ekyc.Claim
	Portrait []byte // JPEG, PNG or WebP, as it was added
}

// record is a Person as sealed. cnid's types mask themselves when printed, not when encoded.
type record struct {
	Name     string            `json:"name"`
	Number   string            `json:"number"`
	Type     ekyc.DocumentType `json:"type"`
	Portrait []byte            `json:"portrait"`
}

// PortraitLevel is how strict Add is with a portrait's quality. The core asks for the
// same when it compares; anything stricter would refuse the 102x126 pixels that an
// identity card's chip holds. Our choice.
const PortraitLevel = ekyc.LevelLow

const portraitWants = ekyc.WantPose | ekyc.WantEyes

// Add puts a person into the register, replacing an earlier record of the same number.
// The portrait must show one face well enough to be compared with. Codes: Image*, NoFace,
// SeveralFaces and the other quality codes, EngineFailed, Busy, Internal.
func (r *Registry) Add(ctx context.Context, p Person) error {
	x, err := r.Examiner.Examine(ctx, p.Portrait, portraitWants)
	if err != nil {
		return err
	}
	if c := ekyc.Judge(x, portraitWants, PortraitLevel); c != ekyc.OK {
		return ekyc.Errorf(c, "the portrait cannot be compared with (%s); take another", c)
	}
	plain, err := json.Marshal(record{string(p.Claim.Name), string(p.Claim.Number), p.Claim.Type, p.Portrait})
	if err != nil {
		return ekyc.Wrap(ekyc.Internal, "encode person", err)
	}
	key, err := r.Sealer.NewKey()
	if err != nil {
		return ekyc.Wrap(ekyc.Internal, "make data key", err)
	}
	digest := r.digest(p.Claim.Number)
	sealed, err := r.Sealer.Seal(key, plain, sealContext(digest))
	if err != nil {
		return ekyc.Wrap(ekyc.Internal, "seal person", err)
	}
	return ekyc.Wrap(ekyc.Internal, "store person", r.Shelf.Put(ctx, digest, sealed, key))
}

// Get reads the person with a number; one who is not in the register is ekyc.ErrAbsent.
func (r *Registry) Get(ctx context.Context, n cnid.Number) (Person, error) {
	digest := r.digest(n)
	sealed, key, err := r.Shelf.Get(ctx, digest)
	if err != nil {
		return Person{}, fmt.Errorf("read person: %w", err)
	}
	plain, err := r.Sealer.Open(key, sealed, sealContext(digest))
	if err != nil {
		return Person{}, fmt.Errorf("open person: %w", err)
	}
	var rec record
	if err := json.Unmarshal(plain, &rec); err != nil {
		// The cause could quote personal data.
		return Person{}, errors.New("decode person: the record is not what this version writes")
	}
	return Person{
		Claim:    ekyc.Claim{Name: cnid.Name(rec.Name), Number: cnid.Number(rec.Number), Type: rec.Type},
		Portrait: rec.Portrait,
	}, nil
}

// Remove takes a person out. One who is not there is success.
func (r *Registry) Remove(ctx context.Context, n cnid.Number) error {
	return r.Shelf.Delete(ctx, r.digest(n))
}

// Count counts the people.
func (r *Registry) Count(ctx context.Context) (int64, error) { return r.Shelf.Count(ctx) }

// Identity says whether the claimed name and document belong to the claimed number.
func (r *Registry) Identity(ctx context.Context, c ekyc.Claim) (ekyc.Outcome, error) {
	p, err := r.Get(ctx, c.Number)
	switch {
	case errors.Is(err, ekyc.ErrAbsent):
		return ekyc.NoRecord, nil
	case err != nil:
		return ekyc.NotRun, ekyc.Wrap(ekyc.SourceFailed, "ask the registry", err)
	case p.Claim.Name != c.Name || p.Claim.Type != c.Type:
		return ekyc.NonMatched, nil
	}
	return ekyc.Match, nil
}

// Portrait returns the portrait of the person with the claimed number.
func (r *Registry) Portrait(ctx context.Context, c ekyc.Claim) ([]byte, error) {
	p, err := r.Get(ctx, c.Number)
	switch {
	case errors.Is(err, ekyc.ErrAbsent) || (err == nil && len(p.Portrait) == 0):
		return nil, ekyc.Errorf(ekyc.PortraitNone, "the registry has no portrait of this person")
	case err != nil:
		return nil, ekyc.Wrap(ekyc.SourceFailed, "ask the registry", err)
	}
	return p.Portrait, nil
}

func (r *Registry) digest(n cnid.Number) string {
	return hex.EncodeToString(r.Sealer.Digest("registry number", []byte(n)))
}

func sealContext(digest string) []byte { return []byte("registry " + digest) }
