package store

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"

	"shiren/internal/ekyc"
)

// docFormat is the first byte of a session's document before it is sealed.
//
// Format 1: the length of a JSON text as a uvarint, the JSON text, and the reference's
// template as little-endian float32. JSON, because a reader skips fields that it does not
// know and leaves those that it misses at zero, so that a session can outlive an upgrade;
// the template apart, because 512 numbers cost more as JSON than the whole rest.
const docFormat = 1

// encodeSession writes s without its Key, which has a column of its own.
func encodeSession(s *ekyc.Session) ([]byte, error) {
	c := *s
	c.Key = nil
	var vector []float32
	if c.Reference != nil {
		r := *c.Reference
		vector, r.Template.Vector = r.Template.Vector, nil
		c.Reference = &r
	}
	text, err := marshal(&c)
	if err != nil {
		return nil, err
	}
	doc := make([]byte, 0, 1+binary.MaxVarintLen64+len(text)+4*len(vector))
	doc = append(doc, docFormat)
	doc = binary.AppendUvarint(doc, uint64(len(text)))
	doc = append(doc, text...)
	for _, v := range vector {
		doc = binary.LittleEndian.AppendUint32(doc, math.Float32bits(v))
	}
	return doc, nil
}

func decodeSession(doc []byte) (ekyc.Session, error) {
	if len(doc) == 0 || doc[0] != docFormat {
		return ekyc.Session{}, errors.New("the record has a format that this release does not know")
	}
	n, size := binary.Uvarint(doc[1:])
	rest := doc[1+max(size, 0):]
	if size <= 0 || n > uint64(len(rest)) || (uint64(len(rest))-n)%4 != 0 {
		return ekyc.Session{}, errors.New("the record is damaged")
	}
	var s ekyc.Session
	if err := json.Unmarshal(rest[:n], &s); err != nil {
		return ekyc.Session{}, fmt.Errorf("the record is damaged: %w", err)
	}
	if raw := rest[n:]; len(raw) > 0 && s.Reference != nil {
		v := make([]float32, len(raw)/4)
		for i := range v {
			v[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
		}
		s.Reference.Template.Vector = v
	}
	toUTC(&s)
	return s, nil
}

// toUTC gives every moment of s the form in which it is read back: UTC, and without the
// process's monotonic clock. Instants do not change.
func toUTC(s *ekyc.Session) {
	utc(&s.Opened)
	utc(&s.Plan.Created)
	if s.Agreement != nil {
		utc(&s.Agreement.At)
	}
	if s.Reference != nil {
		utc(&s.Reference.Evidence.Until)
	}
	for i := range s.Attempts {
		a := &s.Attempts[i]
		utc(&a.Begun)
		utc(&a.Lease)
		utc(&a.Finished)
		for j := range a.Charges {
			utc(&a.Charges[j].At)
		}
	}
	for i := range s.Evidence {
		utc(&s.Evidence[i].Until)
	}
	for i := range s.Calls {
		utc(&s.Calls[i].At)
	}
}

func utc(t *time.Time) { *t = t.Round(0).UTC() }

// marshal is json.Marshal without its escapes for HTML, which addresses are full of.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// Bytes are kept as text, which both databases call the same.

func toText(b []byte) string { return base64.RawStdEncoding.EncodeToString(b) }

func fromText(s string) ([]byte, error) { return base64.RawStdEncoding.DecodeString(s) }

// seal encrypts doc under key for the record that context names. Without a key it makes one.
func (s *Store) seal(key, doc []byte, context string) (keyText, docText string, err error) {
	if key == nil {
		if key, err = s.sealer.NewKey(); err != nil {
			return "", "", fmt.Errorf("make a data key: %w", err)
		}
	}
	sealed, err := s.sealer.Seal(key, doc, []byte(context))
	if err != nil {
		return "", "", fmt.Errorf("seal: %w", err)
	}
	return toText(key), toText(sealed), nil
}

// unseal reverses seal.
func (s *Store) unseal(keyText, docText, context string) (key, doc []byte, err error) {
	if key, err = fromText(keyText); err != nil {
		return nil, nil, fmt.Errorf("read the data key: %w", err)
	}
	sealed, err := fromText(docText)
	if err != nil {
		return nil, nil, fmt.Errorf("read the record: %w", err)
	}
	doc, err = s.sealer.Open(key, sealed, []byte(context))
	return key, doc, err
}
