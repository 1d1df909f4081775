package registry

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"math"

	"shiren/internal/cnid"
	"shiren/internal/ekyc"
)

// origin says which line of which imported file a record was made of, so that an import
// that is repeated or goes on finds what it did, and a number that stands on two lines.
type origin struct {
	File string `json:"file,omitempty"` // of the file's content
	Line int    `json:"line,omitempty"`
}

// record is a Person as opened.
type record struct {
	Person
	kept   bool   // an image is on the shelf
	sum    []byte // of the image that Template was made of
	origin origin
}

// recordFormat is the first byte of a record before it is sealed. Then: the length of a
// JSON text in 4 bytes, little-endian, the JSON text, and the embedding as little-endian
// float32. Records that begin with '{' are from before there were embeddings.
const (
	recordFormat = 1
	recordHead   = 5
)

// plain is the JSON text of a record. cnid's types mask themselves when printed, not when
// encoded.
type plain struct {
	Name    string            `json:"name"`
	Number  string            `json:"number"`
	Type    ekyc.DocumentType `json:"type,omitempty"`
	Mobiles []plainMobile     `json:"mobiles,omitempty"`
	Model   string            `json:"model,omitempty"`
	Kept    bool              `json:"kept,omitempty"`
	Sum     []byte            `json:"sum,omitempty"`
	origin
	Portrait []byte `json:"portrait,omitempty"` // of records from before there were embeddings
}

type plainMobile struct {
	Number  string       `json:"number"`
	Carrier ekyc.Carrier `json:"carrier,omitempty"`
}

func (rec record) encode() ([]byte, error) {
	p := plain{
		Name: string(rec.Claim.Name), Number: string(rec.Claim.Number), Type: rec.Claim.Type,
		Model: rec.Template.Model, Kept: rec.kept, Sum: rec.sum, origin: rec.origin,
	}
	for _, m := range rec.Mobiles {
		p.Mobiles = append(p.Mobiles, plainMobile{string(m.Number), m.Carrier})
	}
	text, err := json.Marshal(p)
	if err != nil {
		return nil, err
	}
	out := make([]byte, recordHead, recordHead+len(text)+4*len(rec.Template.Vector))
	out[0] = recordFormat
	binary.LittleEndian.PutUint32(out[1:], uint32(len(text)))
	out = append(out, text...)
	for _, v := range rec.Template.Vector {
		out = binary.LittleEndian.AppendUint32(out, math.Float32bits(v))
	}
	return out, nil
}

// errRecord takes the place of causes, which could quote personal data.
var errRecord = errors.New("decode person: the record is not what this version writes")

func decode(b []byte) (record, error) {
	text, vector := b, []byte(nil)
	if !bytes.HasPrefix(b, []byte("{")) {
		if len(b) < recordHead || b[0] != recordFormat {
			return record{}, errRecord
		}
		n := binary.LittleEndian.Uint32(b[1:])
		if uint64(n) > uint64(len(b)-recordHead) || (len(b)-recordHead-int(n))%4 != 0 {
			return record{}, errRecord
		}
		text, vector = b[recordHead:recordHead+n], b[recordHead+n:]
	}
	var p plain
	if err := json.Unmarshal(text, &p); err != nil {
		return record{}, errRecord
	}
	rec := record{
		Person: Person{
			Claim:    ekyc.Claim{Name: cnid.Name(p.Name), Number: cnid.Number(p.Number), Type: p.Type},
			Portrait: p.Portrait,
		},
		kept: p.Kept, sum: p.Sum, origin: p.origin,
	}
	for _, m := range p.Mobiles {
		rec.Mobiles = append(rec.Mobiles, Mobile{cnid.Mobile(m.Number), m.Carrier})
	}
	if len(vector) > 0 {
		rec.Template = ekyc.Template{Model: p.Model, Vector: make([]float32, len(vector)/4)}
		for i := range rec.Template.Vector {
			rec.Template.Vector[i] = math.Float32frombits(binary.LittleEndian.Uint32(vector[4*i:]))
		}
	}
	return rec, nil
}

// seal makes the row of a person whose Template is of their Portrait. over is the record
// that is there already, where that is known: a person who comes without a portrait keeps
// the one that they had.
func (r *Registry) seal(p Person, from origin, over *found) (Row, error) {
	if over != nil && len(p.Portrait) == 0 {
		p.Portrait = over.rec.Portrait // of a record from before images were kept apart
	}
	rec := record{Person: p, origin: from}
	row := Row{Digest: r.digest(p.Claim.Number), Model: p.Template.Model}
	switch {
	case len(p.Portrait) > 0:
		rec.sum, rec.kept = sumOf(p.Portrait), !r.EmbeddingOnly || p.Template.Model == ""
	case over != nil:
		rec.Template, rec.sum, rec.kept = over.rec.Template, over.rec.sum, over.rec.kept
		row.Key, row.Model, row.KeepPortrait = over.row.Key, rec.Template.Model, rec.kept
	}
	var err error
	if row.Key == nil {
		if row.Key, err = r.Sealer.NewKey(); err != nil {
			return row, ekyc.Wrap(ekyc.Internal, "make data key", err)
		}
	}
	if row.Sealed, err = r.sealRecord(row, rec); err != nil {
		return row, err
	}
	if rec.kept && len(p.Portrait) > 0 {
		if row.Portrait, err = r.Sealer.Seal(row.Key, p.Portrait, portraitContext(row.Digest)); err != nil {
			return row, ekyc.Wrap(ekyc.Internal, "seal portrait", err)
		}
	}
	for _, m := range p.Mobiles {
		row.Mobiles = append(row.Mobiles, r.mobileDigest(m.Number))
	}
	return row, nil
}

func (r *Registry) sealRecord(row Row, rec record) ([]byte, error) {
	text, err := rec.encode()
	if err != nil {
		return nil, ekyc.Wrap(ekyc.Internal, "encode person", err)
	}
	sealed, err := r.Sealer.Seal(row.Key, text, sealContext(row.Digest))
	return sealed, ekyc.Wrap(ekyc.Internal, "seal person", err)
}

// open opens a row without its portrait.
func (r *Registry) open(row Row) (record, error) {
	text, err := r.Sealer.Open(row.Key, row.Sealed, sealContext(row.Digest))
	if err != nil {
		return record{}, ekyc.Wrap(ekyc.Internal, "open person", err)
	}
	return decode(text)
}

// sumOf tells portraits apart: 128 bits, kept sealed.
func sumOf(portrait []byte) []byte {
	d := sha256.Sum256(portrait)
	return d[:16]
}
