package registry

import (
	"context"
	"errors"
	"fmt"

	"shiren/internal/cnid"
	"shiren/internal/ekyc"
)

// Entry is a person as an operator finds them. ID is the keyed digest of their number, by which
// a record is named where the number itself must not stand.
type Entry struct {
	ID string
	Person
	Portrayed bool // an image is kept
}

// List reads people by ID from after on, without their portraits.
func (r *Registry) List(ctx context.Context, after string, limit int) ([]Entry, error) {
	rows, err := r.Shelf.List(ctx, after, limit)
	if err != nil {
		return nil, err
	}
	return r.entries(rows)
}

// ByNumber finds the person with an identity number, without their portrait: one or nobody.
func (r *Registry) ByNumber(ctx context.Context, n cnid.Number) ([]Entry, error) {
	rows, err := r.Shelf.Find(ctx, []string{r.digest(n)})
	if err != nil {
		return nil, err
	}
	return r.entries(rows)
}

// ByMobile finds people with a mobile number, without their portraits: at most ownersAtOnce.
func (r *Registry) ByMobile(ctx context.Context, n cnid.Mobile) ([]Entry, error) {
	owners, err := r.Shelf.Owners(ctx, r.mobileDigest(n), ownersAtOnce)
	if err != nil {
		return nil, err
	}
	rows, err := r.Shelf.Find(ctx, owners)
	if err != nil {
		return nil, err
	}
	return r.entries(rows)
}

func (r *Registry) entries(rows []Row) ([]Entry, error) {
	list := make([]Entry, 0, len(rows))
	for _, row := range rows {
		rec, err := r.open(row)
		if err != nil {
			return nil, err
		}
		list = append(list, Entry{row.Digest, rec.Person, rec.kept || len(rec.Portrait) > 0})
	}
	return list, nil
}

// ByID reads a person with their portrait; one who is not there is ekyc.ErrAbsent.
func (r *Registry) ByID(ctx context.Context, id string) (Entry, error) {
	rec, row, err := r.byDigest(ctx, id)
	if err == nil {
		err = r.portrait(ctx, &rec, row)
	}
	return Entry{id, rec.Person, len(rec.Portrait) > 0}, err
}

func (r *Registry) byDigest(ctx context.Context, digest string) (record, Row, error) {
	row, err := r.Shelf.Get(ctx, digest)
	if err != nil {
		return record{}, row, fmt.Errorf("read person: %w", err)
	}
	rec, err := r.open(row)
	return rec, row, err
}

// Put adds a person, or changes the one who has the number: their portrait stays where p has
// none. It tells whether somebody was there. Codes: those of Add.
func (r *Registry) Put(ctx context.Context, p Person) (id string, there bool, err error) {
	var over *found
	switch rec, row, err := r.byDigest(ctx, r.digest(p.Claim.Number)); {
	case err == nil:
		over = &found{row, rec}
	case !errors.Is(err, ekyc.ErrAbsent):
		return "", false, ekyc.Wrap(ekyc.Internal, "read person", err)
	}
	p.Template = ekyc.Template{}
	if len(p.Portrait) > 0 {
		if p.Template, err = r.embed(ctx, p.Portrait); err != nil {
			return "", false, err
		}
	}
	row, err := r.seal(p, origin{}, over)
	if err != nil {
		return "", false, err
	}
	return row.Digest, over != nil, ekyc.Wrap(ekyc.Internal, "store person", r.Shelf.Put(ctx, row))
}

// RemoveID takes a person out. One who is not there is success.
func (r *Registry) RemoveID(ctx context.Context, id string) error { return r.Shelf.Delete(ctx, id) }
