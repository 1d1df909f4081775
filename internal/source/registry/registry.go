// Package registry is the local authority: a register of people, with their names,
// identity numbers, portraits and mobile numbers, that a relying party keeps itself. It
// answers the core's questions about a claim: do name and number belong together, what
// does the person look like, and is a mobile number theirs.
//
// A record is sealed under a data key of its own and is found by a keyed digest of the
// number, so that a copy of the shelf shows neither who is in it nor what they look
// like. It decides nothing about a comparison: that is the core's.
//
// A portrait is measured once, when it comes in: its quality, and its embedding, which is
// kept with the name of its model. The image is kept too, sealed apart, unless the
// operator wants embeddings only; then a new model means that everybody must be enrolled
// again, while images are embedded anew in the background (Renew).
package registry

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"

	"shiren/internal/cnid"
	"shiren/internal/ekyc"
)

// Row is a record as the shelf keeps it.
type Row struct {
	Digest   string // keyed, of the identity number
	Key      []byte // wrapped data key
	Sealed   []byte // the person
	Portrait []byte // sealed image; nil where none is kept, or where it was not read
	// Model names the embedding model inside Sealed, "" where there is no embedding.
	Model   string
	Mobiles []string // keyed digests of the mobile numbers; written, not read back
	// KeepPortrait leaves the portrait that is on the shelf as it is; Key must stay too.
	KeepPortrait bool
	// New promises that no record has this Digest, which saves a look.
	New bool
}

// Stats counts what is on a shelf.
type Stats struct {
	People, Portraits, Mobiles int64
	Models                     map[string]int64 // embeddings by their model
}

// Shelf keeps sealed records by digest. Safe for concurrent use. Writes are durable
// when they return. Absent is ekyc.ErrAbsent.
type Shelf interface {
	// Put stores records in one transaction, each replacing the one that was there.
	Put(ctx context.Context, rows ...Row) error
	// Get reads a record without its portrait.
	Get(ctx context.Context, digest string) (Row, error)
	// Find reads several records without their portraits, in no order, without absent ones.
	Find(ctx context.Context, digests []string) ([]Row, error)
	// Portrait reads the sealed portrait of a record; none is absent.
	Portrait(ctx context.Context, digest string) ([]byte, error)
	// Owners lists at most limit records that have a mobile number, by digest.
	Owners(ctx context.Context, mobile string, limit int) ([]string, error)
	// Delete removes a record. An absent one is success.
	Delete(ctx context.Context, digest string) error
	// List reads records by digest from after on, without portraits.
	List(ctx context.Context, after string, limit int) ([]Row, error)
	// Stale reads records that have a portrait and no embedding of model, by digest from
	// after on, with their portraits.
	Stale(ctx context.Context, model, after string, limit int) ([]Row, error)
	// Renew replaces a record's sealed person and model unless it changed since old was read.
	Renew(ctx context.Context, old Row, sealed []byte, model string) error
	Stats(ctx context.Context) (Stats, error)
}

// Examiner measures a portrait. ekyc.Engine is one.
type Examiner interface {
	Examine(ctx context.Context, image []byte, want ekyc.Want) (ekyc.Examination, error)
	Model() string
}

// Registry is a register of people. Shelf and Sealer are required, Examiner where
// portraits come in or are embedded anew. Safe for concurrent use.
type Registry struct {
	Shelf    Shelf
	Sealer   ekyc.Sealer
	Examiner Examiner
	// EmbeddingOnly keeps embeddings and no images of people who come in from now on.
	EmbeddingOnly bool
}

var (
	_ ekyc.IdentitySource = (*Registry)(nil)
	_ ekyc.PortraitSource = (*Registry)(nil)
	_ ekyc.TemplateSource = (*Registry)(nil)
	_ ekyc.MobileSource   = (*Registry)(nil)
)

// Person is one record.
type Person struct {
	Claim    ekyc.Claim
	Portrait []byte        // JPEG, PNG or WebP, as it was added; nil where none is kept
	Template ekyc.Template // of the portrait; zero where there is none
	Mobiles  []Mobile
}

// Mobile is a mobile number with its carrier, which is "" where the record names none.
type Mobile struct {
	Number  cnid.Mobile
	Carrier ekyc.Carrier
}

// PortraitLevel is how strict Add is with a portrait's quality. The core asks for the
// same when it compares; anything stricter would refuse the 102x126 pixels that an
// identity card's chip holds. Our choice.
const PortraitLevel = ekyc.LevelLow

const portraitWants = ekyc.WantPose | ekyc.WantEyes | ekyc.WantTemplate

// Add puts a person into the register, replacing an earlier record of the same number.
// A portrait, if there is one, must show one face well enough to be compared with; the
// Template is made of it. Codes: Image*, NoFace, SeveralFaces and the other quality codes,
// EngineFailed, Busy, Internal.
func (r *Registry) Add(ctx context.Context, p Person) error {
	p.Template = ekyc.Template{}
	if len(p.Portrait) > 0 {
		var err error
		if p.Template, err = r.embed(ctx, p.Portrait); err != nil {
			return err
		}
	}
	row, err := r.seal(p, origin{}, nil)
	if err != nil {
		return err
	}
	return ekyc.Wrap(ekyc.Internal, "store person", r.Shelf.Put(ctx, row))
}

// embed checks a portrait's quality and returns its embedding.
func (r *Registry) embed(ctx context.Context, portrait []byte) (ekyc.Template, error) {
	if r.Examiner == nil {
		return ekyc.Template{}, ekyc.Errorf(ekyc.EngineFailed, "no engine looks at portraits here")
	}
	x, err := r.Examiner.Examine(ctx, portrait, portraitWants)
	if err != nil {
		return ekyc.Template{}, err
	}
	if c := ekyc.Judge(x, portraitWants, PortraitLevel); c != ekyc.OK {
		return ekyc.Template{}, ekyc.Errorf(c, "the portrait cannot be compared with (%s); take another", c)
	}
	return x.Faces[0].Template, nil
}

// Get reads the person with a number, with their portrait; one who is not in the register
// is ekyc.ErrAbsent.
func (r *Registry) Get(ctx context.Context, n cnid.Number) (Person, error) {
	p, row, err := r.read(ctx, n)
	if err != nil {
		return Person{}, err
	}
	if err := r.portrait(ctx, &p, row); err != nil {
		return Person{}, err
	}
	return p.Person, nil
}

// read reads and opens a record without its portrait.
func (r *Registry) read(ctx context.Context, n cnid.Number) (record, Row, error) {
	return r.byDigest(ctx, r.digest(n))
}

// portrait adds the image to an opened record that has one.
func (r *Registry) portrait(ctx context.Context, p *record, row Row) error {
	if !p.kept {
		return nil
	}
	sealed, err := r.Shelf.Portrait(ctx, row.Digest)
	if err != nil {
		return fmt.Errorf("read portrait: %w", err)
	}
	if p.Portrait, err = r.Sealer.Open(row.Key, sealed, portraitContext(row.Digest)); err != nil {
		return fmt.Errorf("open portrait: %w", err)
	}
	return nil
}

// Remove takes a person out. One who is not there is success.
func (r *Registry) Remove(ctx context.Context, n cnid.Number) error {
	return r.Shelf.Delete(ctx, r.digest(n))
}

// Stats counts people, portraits, embeddings and mobile numbers.
func (r *Registry) Stats(ctx context.Context) (Stats, error) { return r.Shelf.Stats(ctx) }

// Identity says whether the claimed name and document belong to the claimed number.
func (r *Registry) Identity(ctx context.Context, c ekyc.Claim) (ekyc.Outcome, error) {
	p, _, err := r.read(ctx, c.Number)
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

// Template returns the embedding of the person with the claimed number, if it is of model.
func (r *Registry) Template(ctx context.Context, c ekyc.Claim, model string) (ekyc.Template, bool, error) {
	p, _, err := r.read(ctx, c.Number)
	switch {
	case errors.Is(err, ekyc.ErrAbsent):
		return ekyc.Template{}, false, nil
	case err != nil:
		return ekyc.Template{}, false, ekyc.Wrap(ekyc.SourceFailed, "ask the registry", err)
	case model == "" || p.Template.Model != model:
		return ekyc.Template{}, false, nil
	}
	return p.Template, true, nil
}

// Portrait returns the portrait of the person with the claimed number. A record that kept
// only an embedding is PortraitNone: whoever asks for the image cannot use the embedding,
// and the person must be enrolled again.
func (r *Registry) Portrait(ctx context.Context, c ekyc.Claim) ([]byte, error) {
	p, err := r.Get(ctx, c.Number)
	switch {
	case errors.Is(err, ekyc.ErrAbsent):
		return nil, ekyc.Errorf(ekyc.PortraitNone, "the registry has no portrait of this person")
	case err != nil:
		return nil, ekyc.Wrap(ekyc.SourceFailed, "ask the registry", err)
	case len(p.Portrait) == 0 && p.Template.Model != "":
		return nil, ekyc.Errorf(ekyc.PortraitNone, "the registry kept only an embedding of the model %s; enrol this person again", p.Template.Model)
	case len(p.Portrait) == 0:
		return nil, ekyc.Errorf(ekyc.PortraitNone, "the registry has no portrait of this person")
	}
	return p.Portrait, nil
}

// ownersAtOnce bounds how many people of one mobile number are looked at: numbers are
// shared in families. Our choice.
const ownersAtOnce = 16

// Mobile says whether the number is on the claimed person's record. One that is on
// somebody else's only does not match; one on nobody's is NoRecord. The carrier is what a
// record names, else what the number's segment was assigned to.
func (r *Registry) Mobile(ctx context.Context, c ekyc.Claim, n cnid.Mobile) (ekyc.Outcome, ekyc.Carrier, error) {
	owners, err := r.Shelf.Owners(ctx, r.mobileDigest(n), ownersAtOnce)
	if err != nil {
		return ekyc.NotRun, "", ekyc.Wrap(ekyc.SourceFailed, "ask the registry", err)
	}
	out, carrier := ekyc.NoRecord, CarrierOf(n)
	mine := r.digest(c.Number)
	rows, err := r.Shelf.Find(ctx, owners)
	if err != nil {
		return ekyc.NotRun, "", ekyc.Wrap(ekyc.SourceFailed, "ask the registry", err)
	}
	for _, row := range rows {
		p, err := r.open(row)
		if err != nil {
			return ekyc.NotRun, "", ekyc.Wrap(ekyc.SourceFailed, "ask the registry", err)
		}
		if out == ekyc.NoRecord {
			out = ekyc.NonMatched
		}
		if row.Digest == mine && p.Claim.Name == c.Name && p.Claim.Type == c.Type {
			out = ekyc.Match
		}
		for _, m := range p.Mobiles {
			if m.Number == n && m.Carrier != "" {
				carrier = m.Carrier
			}
		}
	}
	return out, carrier, nil
}

func (r *Registry) digest(n cnid.Number) string {
	return hex.EncodeToString(r.Sealer.Digest("registry number", []byte(n)))
}

// mobileDigest is half as long as a person's: it is an index, and who is found is opened
// and compared.
func (r *Registry) mobileDigest(n cnid.Mobile) string {
	return hex.EncodeToString(r.Sealer.Digest("registry mobile", []byte(n))[:16])
}

func sealContext(digest string) []byte     { return []byte("registry " + digest) }
func portraitContext(digest string) []byte { return []byte("registry portrait " + digest) }
