package dossier

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"time"

	"shiren/internal/ekyc"
)

// Signed files are JSON Web Signatures in the flattened JSON form (RFC 7515, 7.2.2), signed with
// Ed25519 (RFC 8037), so that any library for them can check one. The protected header names the
// key with its RFC 7638 thumbprint and carries it; whoever checks must know by another way that
// the key is this server's: `shiren record key` prints it.

// Types of what is signed: the header's "typ".
const (
	TypeRecord  = "shiren-record"  // payload: File
	TypeErasure = "shiren-erasure" // payload: Receipt
)

// MaxFile bounds the signed files that are read. Our choice: a recording of 20 MB, four images
// and the document, base64 twice.
const MaxFile = 128 << 20

// File is the payload of an exported record.
type File struct {
	Format string    `json:"format"` // "shiren record 1"
	Made   time.Time `json:"made"`
	Record Dossier   `json:"record"`
}

// Receipt is the payload of what is given for an erasure. It holds no personal data.
type Receipt struct {
	Format   string    `json:"format"` // "shiren erasure 1"
	At       time.Time `json:"at"`
	Person   string    `json:"person"`  // keyed digest of the number; "" where one record was erased
	Record   string    `json:"record"`  // the one; "" where a person's were
	Records  []string  `json:"records"` // sessions that were erased
	Sessions int       `json:"sessions"`
	Evidence int       `json:"evidence"` // images and videos
	Subjects int       `json:"subjects"`
	Calls    int       `json:"calls"` // direct calls that cannot be found by the person any more
	Noise    int       `json:"noise"` // sessions with an image that was not deleted and that nobody can open
	Kept     []string  `json:"kept"`  // what is not part of an erasure
}

// ReceiptOf tells an erasure; record is the one that was asked for, "" where a person's were.
func ReceiptOf(e ekyc.Erasure, record string) Receipt {
	return Receipt{
		Format: "shiren erasure 1", At: e.At, Person: e.Person, Record: record, Records: append([]string{}, e.Records...), Sessions: e.Sessions,
		Evidence: e.Evidence, Subjects: e.Subjects, Calls: e.Calls, Noise: e.Noise,
		Kept: []string{"charges", "records of direct calls, which hold no personal data", "the registry"},
	}
}

// FileOf makes the payload of an export.
func FileOf(d Dossier, made time.Time) File { return File{"shiren record 1", made.UTC(), d} }

// Digester derives keys; ekyc.Sealer is one.
type Digester interface {
	Digest(purpose string, data []byte) []byte
}

// Signer signs with the key that follows from the master key. Safe for concurrent use.
type Signer struct{ key ed25519.PrivateKey }

// NewSigner derives the key.
func NewSigner(d Digester) *Signer {
	return &Signer{ed25519.NewKeyFromSeed(d.Digest("record signing key", []byte("ed25519 1"))[:ed25519.SeedSize])}
}

// Public is the key that checks.
func (s *Signer) Public() ed25519.PublicKey { return s.key.Public().(ed25519.PublicKey) }

// jwk is a public key as RFC 8037 writes it, its members in the order of the thumbprint.
type jwk struct {
	Curve string `json:"crv"`
	Type  string `json:"kty"`
	X     string `json:"x"`
}

func jwkOf(k ed25519.PublicKey) jwk {
	return jwk{"Ed25519", "OKP", base64.RawURLEncoding.EncodeToString(k)}
}

// KeyID is a key's thumbprint (RFC 7638).
func KeyID(k ed25519.PublicKey) string {
	text, err := json.Marshal(jwkOf(k))
	if err != nil {
		panic(err) // three strings
	}
	sum := sha256.Sum256(text)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// JWK is a key as JSON.
func JWK(k ed25519.PublicKey) string {
	text, err := json.Marshal(jwkOf(k))
	if err != nil {
		panic(err) // three strings
	}
	return string(text)
}

// PEM is a key as SubjectPublicKeyInfo.
func PEM(k ed25519.PublicKey) string {
	der, err := x509.MarshalPKIXPublicKey(k)
	if err != nil {
		panic(err) // of a kind that is known
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// ParseKey reads a key as JWK or PEM.
func ParseKey(text string) (ed25519.PublicKey, error) {
	text = strings.TrimSpace(text)
	if strings.HasPrefix(text, "{") {
		var k jwk
		if err := json.Unmarshal([]byte(text), &k); err != nil {
			return nil, errors.New("the key is no JSON Web Key")
		}
		return k.key()
	}
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil, errors.New("the key is neither a JSON Web Key nor PEM")
	}
	k, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, errors.New("the PEM text holds no public key")
	}
	e, ok := k.(ed25519.PublicKey)
	if !ok {
		return nil, errors.New("the key is not one of Ed25519")
	}
	return e, nil
}

func (k jwk) key() (ed25519.PublicKey, error) {
	x, err := base64.RawURLEncoding.DecodeString(k.X)
	if err != nil || k.Type != "OKP" || k.Curve != "Ed25519" || len(x) != ed25519.PublicKeySize {
		return nil, errors.New("the key is not one of Ed25519")
	}
	return x, nil
}

// header is a signed file's protected header.
type header struct {
	Algorithm string `json:"alg"`
	Type      string `json:"typ"`
	KeyID     string `json:"kid"`
	Key       jwk    `json:"jwk"`
}

// signedFile is a signed file.
type signedFile struct {
	Payload   string `json:"payload"`
	Protected string `json:"protected"`
	Signature string `json:"signature"`
}

// Sign makes a signed file of a payload.
func (s *Signer) Sign(typ string, payload any) ([]byte, error) {
	body, err := marshal(payload)
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	head, err := marshal(header{"EdDSA", typ, KeyID(s.Public()), jwkOf(s.Public())})
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	f := signedFile{Payload: base64.RawURLEncoding.EncodeToString(body), Protected: base64.RawURLEncoding.EncodeToString(head)}
	f.Signature = base64.RawURLEncoding.EncodeToString(ed25519.Sign(s.key, []byte(f.Protected+"."+f.Payload)))
	out, err := marshal(f)
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	return append(out, '\n'), nil
}

// marshal is json.Marshal without its escapes for HTML.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// Checked is a signed file whose signature is good.
type Checked struct {
	Type    string // Type…
	Key     ed25519.PublicKey
	Payload []byte // JSON
}

// ErrSignature: the file is not as it was signed.
var ErrSignature = errors.New("the signature does not belong to what the file says: it was changed, or another key signed it")

// Verify checks a signed file against the key that it should be signed with. A file without a
// good signature of that key is ErrSignature.
func Verify(file []byte, key ed25519.PublicKey) (Checked, error) {
	var f signedFile
	if err := json.Unmarshal(file, &f); err != nil || f.Payload == "" || f.Protected == "" || f.Signature == "" {
		return Checked{}, errors.New("the file is no signed file: it needs payload, protected and signature (RFC 7515)")
	}
	head, err := base64.RawURLEncoding.DecodeString(f.Protected)
	var h header
	if err != nil || json.Unmarshal(head, &h) != nil {
		return Checked{}, errors.New("the file's header cannot be read")
	}
	if h.Algorithm != "EdDSA" {
		return Checked{}, fmt.Errorf("the file is signed by %q; want EdDSA", h.Algorithm)
	}
	body, err := base64.RawURLEncoding.DecodeString(f.Payload)
	if err != nil {
		return Checked{}, errors.New("the file's payload is not base64url")
	}
	signature, err := base64.RawURLEncoding.DecodeString(f.Signature)
	if err != nil || !ed25519.Verify(key, []byte(f.Protected+"."+f.Payload), signature) {
		return Checked{}, ErrSignature
	}
	return Checked{h.Type, key, body}, nil
}
