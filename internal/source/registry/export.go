package registry

import (
	"context"
	"encoding/csv"
	"io"
	"strings"

	"shiren/internal/ekyc"
)

// exportAtOnce is how many people are held in memory. Our choice.
const exportAtOnce = 500

// Export writes all people as a file that Import reads, in no order that means anything.
// portrait, when given, is handed each image that is kept and returns the name that the
// file has for it. said is told how many people were written.
func (r *Registry) Export(ctx context.Context, w io.Writer, portrait func(p Person) (string, error), said func(n int)) (int, error) {
	out := csv.NewWriter(w)
	if err := out.Write([]string{"name", "number", "type", "mobile", "carrier", "portrait"}); err != nil {
		return 0, err
	}
	n, after := 0, ""
	for {
		rows, err := r.Shelf.List(ctx, after, exportAtOnce)
		if err != nil || len(rows) == 0 {
			out.Flush()
			if err == nil {
				err = out.Error()
			}
			return n, err
		}
		for _, row := range rows {
			after = row.Digest
			rec, err := r.open(row)
			if err != nil {
				return n, err
			}
			image := ""
			if portrait != nil {
				if err := r.portrait(ctx, &rec, row); err != nil {
					return n, err
				}
				if len(rec.Portrait) > 0 {
					if image, err = portrait(rec.Person); err != nil {
						return n, err
					}
				}
			}
			if err := out.Write(fields(rec.Person, image)); err != nil {
				return n, err
			}
			n++
		}
		if said != nil {
			said(n)
		}
	}
}

func fields(p Person, image string) []string {
	kind := "id-card"
	if p.Claim.Type == ekyc.ResidencePermit {
		kind = "residence-permit"
	}
	var numbers, names []string
	named := false
	for _, m := range p.Mobiles {
		carrier := string(m.Carrier)
		if carrier == "" {
			carrier = noCarrier
		}
		named = named || m.Carrier != ""
		numbers, names = append(numbers, string(m.Number)), append(names, carrier)
	}
	if !named {
		names = nil
	}
	return []string{string(p.Claim.Name), string(p.Claim.Number), kind, strings.Join(numbers, ";"), strings.Join(names, ";"), image}
}

// noCarrier stands in a list of carriers for a number whose record names none.
const noCarrier = "-"
