package registry

import (
	"context"

	"shiren/internal/ekyc"
)

// Renewed counts what Renew did.
type Renewed struct {
	Done   int // embedded anew
	Failed int // whose portrait the new model could not use; they are compared by image, or not at all
}

// renewAtOnce is how many portraits are held in memory: at 100 KB 3 MB. Our choice.
const renewAtOnce = 32

// Renew embeds every kept portrait anew whose embedding is of another model than the
// examiner's, one at a time, so that it can go on beside other work. It may be broken off
// and repeated; said is told of each portrait. Until a portrait's turn comes, the core is
// given the image in place of the embedding, so that models are never mixed.
func (r *Registry) Renew(ctx context.Context, said func(Renewed)) (Renewed, error) {
	var n Renewed
	model, after := r.Examiner.Model(), ""
	for {
		rows, err := r.Shelf.Stale(ctx, model, after, renewAtOnce)
		if err != nil || len(rows) == 0 {
			return n, err
		}
		for _, row := range rows {
			after = row.Digest
			if err := ctx.Err(); err != nil {
				return n, err
			}
			switch err := r.renew(ctx, row); ekyc.CodeOf(err) {
			case ekyc.OK:
				n.Done++
			case ekyc.EngineFailed, ekyc.Busy, ekyc.Internal:
				return n, err
			default: // the portrait's own fault
				n.Failed++
			}
			if said != nil {
				said(n)
			}
		}
	}
}

func (r *Registry) renew(ctx context.Context, row Row) error {
	rec, err := r.open(row)
	if err != nil {
		return err
	}
	image, err := r.Sealer.Open(row.Key, row.Portrait, portraitContext(row.Digest))
	if err != nil {
		return ekyc.Wrap(ekyc.Internal, "open portrait", err)
	}
	if rec.Template, err = r.embed(ctx, image); err != nil {
		return err
	}
	sealed, err := r.sealRecord(row, rec)
	if err != nil {
		return err
	}
	return ekyc.Wrap(ekyc.Internal, "store person", r.Shelf.Renew(ctx, row, sealed, rec.Template.Model))
}
