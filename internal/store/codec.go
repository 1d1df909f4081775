package store

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"sync"
	"time"

	"shiren/internal/ekyc"
)

// The first byte of a session's document before it is sealed is its format.
//
// Format 2: the lengths of two JSON texts in 4 bytes each, little-endian, the frozen plan's
// JSON text, the JSON text of the rest, and the reference's template as little-endian float32.
// JSON, because a reader skips fields that it does not know and leaves those that it misses
// at zero, so that a session can outlive an upgrade; the template apart, because 512 numbers
// cost more as JSON than all the rest; the plan apart, because all of a plan's sessions have
// the same one, whose consent texts are most of what there is to read: see frozen.
//
// Format 1, which is read and not written: one length, and the plan inside the one JSON text.
const (
	docFormat1 = 1
	docFormat  = 2
)

// Sizes of what precedes the JSON texts.
const (
	docHead1 = 1 + 4
	docHead  = 1 + 4 + 4
)

// planless is a session without the two fields that are kept elsewhere: they lie less deep
// than the session's own and take their place.
type planless struct {
	*ekyc.Session
	Plan, Key *struct{} `json:",omitempty"`
}

// encodeSession writes s without its Key, which has a column of its own.
func encodeSession(s *ekyc.Session) ([]byte, error) {
	c := *s
	var vector []float32
	if c.Reference != nil {
		r := *c.Reference
		vector, r.Template.Vector = r.Template.Vector, nil
		c.Reference = &r
	}
	var doc bytes.Buffer
	doc.Grow(4096 + 4*len(vector)) // most sessions
	doc.Write(make([]byte, docHead))
	if err := encodeJSON(&doc, &c.Plan); err != nil {
		return nil, err
	}
	plan := doc.Len() - docHead
	if err := encodeJSON(&doc, planless{Session: &c}); err != nil {
		return nil, err
	}
	head := doc.Bytes()[:docHead]
	head[0] = docFormat
	binary.LittleEndian.PutUint32(head[1:], uint32(plan))
	binary.LittleEndian.PutUint32(head[5:], uint32(doc.Len()-docHead-plan))
	out := doc.Bytes()
	for _, v := range vector {
		out = binary.LittleEndian.AppendUint32(out, math.Float32bits(v))
	}
	return out, nil
}

// decodeSession reads what encodeSession wrote, this release's or an older one's.
func decodeSession(doc []byte, plans *frozen) (ekyc.Session, error) {
	var s ekyc.Session
	var into any = &s
	if len(doc) == 0 {
		return ekyc.Session{}, errFormat
	}
	head := docHead
	switch doc[0] {
	case docFormat:
		into = &planless{Session: &s}
	case docFormat1:
		head = docHead1
	default:
		return ekyc.Session{}, errFormat
	}
	if len(doc) < head {
		return ekyc.Session{}, errDamaged
	}
	n, rest := uint64(binary.LittleEndian.Uint32(doc[head-4:])), doc[head:]
	if head == docHead {
		m := uint64(binary.LittleEndian.Uint32(doc[1:]))
		if m > uint64(len(rest)) {
			return ekyc.Session{}, errDamaged
		}
		var err error
		if s.Plan, err = plans.read(rest[:m]); err != nil {
			return ekyc.Session{}, err
		}
		rest = rest[m:]
	}
	if n > uint64(len(rest)) || (uint64(len(rest))-n)%4 != 0 {
		return ekyc.Session{}, errDamaged
	}
	if err := json.Unmarshal(rest[:n], into); err != nil {
		return ekyc.Session{}, errDamaged // the cause may quote the record
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

// maxFrozen bounds the plans that frozen keeps, a few KB each. A deployment has some dozens
// of plans, and of each as many forms as it was changed within ekyc.ResultKept. Our choice.
const maxFrozen = 256

// frozen keeps the plans of sessions in the form that they are worked with, by their JSON
// text. The text decides everything, so that nothing here grows old. It holds nothing
// personal. The zero value is ready; safe for concurrent use.
type frozen struct {
	mu    sync.RWMutex
	plans map[string]ekyc.Plan
}

// read returns the plan of a JSON text, the caller's own.
func (f *frozen) read(text []byte) (ekyc.Plan, error) {
	f.mu.RLock()
	p, ok := f.plans[string(text)]
	f.mu.RUnlock()
	if !ok {
		if json.Unmarshal(text, &p) != nil {
			return ekyc.Plan{}, errDamaged
		}
		f.mu.Lock()
		if f.plans == nil || len(f.plans) >= maxFrozen {
			f.plans = map[string]ekyc.Plan{}
		}
		f.plans[string(text)] = p
		f.mu.Unlock()
	}
	p.Actions, p.Sources, p.NextOn = slices.Clone(p.Actions), slices.Clone(p.Sources), slices.Clone(p.NextOn)
	p.Consent.Text = maps.Clone(p.Consent.Text)
	return p, nil
}

// toUTC gives every moment of s the form in which it is read back: UTC, and without the
// process's monotonic clock. Instants do not change.
func toUTC(s *ekyc.Session) {
	utc(&s.Opened)
	utc(&s.Attended)
	utc(&s.Plan.Created)
	if c := s.Challenge; c != nil {
		utc(&c.Drawn)
		utc(&c.Until)
		utc(&c.Started)
	}
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
	for i := range s.Read {
		utc(&s.Read[i].At)
	}
	for i := range s.Calls {
		utc(&s.Calls[i].At)
	}
}

func utc(t *time.Time) { *t = t.Round(0).UTC() }

var errFormat = errors.New("the record has a format that this release does not know")

// errDamaged takes the place of encoding/json's errors, which may quote what they read.
var errDamaged = errors.New("the record is damaged")

// encodeJSON is json.Marshal without its escapes for HTML, which addresses are full of.
func encodeJSON(b *bytes.Buffer, v any) error {
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	b.Truncate(b.Len() - 1) // Encode ends with a line end
	return nil
}

func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	err := encodeJSON(&b, v)
	return b.Bytes(), err
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
