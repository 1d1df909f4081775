package huawei

import (
	"bytes"
	"crypto/ecdsa"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/emmansun/gmsm/sm2"
	"github.com/emmansun/gmsm/smx509"
)

// PublicKey is an SM2 public key. Safe for concurrent use.
type PublicKey struct{ key *ecdsa.PublicKey }

// PrivateKey is an SM2 private key. It masks itself when printed. Safe for concurrent use.
type PrivateKey struct{ key *sm2.PrivateKey }

func (*PrivateKey) String() string       { return "********" }
func (*PrivateKey) GoString() string     { return "********" }
func (*PrivateKey) LogValue() slog.Value { return slog.StringValue("********") }

// Errors of the key parsers. They hold nothing of the key.
var (
	ErrPublicKey  = errors.New("not an SM2 public key: want SubjectPublicKeyInfo as PEM, hex or base64, or an uncompressed point as hex")
	ErrPrivateKey = errors.New("not an SM2 private key: want PKCS #8 or SEC 1 as PEM, hex or base64, or 32 bytes as hex")
	ErrCipher     = errors.New("not a text that was encrypted with SM2 (C1C3C2, hex) for this key")
)

// GenerateKey makes a key pair. rand must be crypto/rand.Reader or as good.
func GenerateKey(rand io.Reader) (*PrivateKey, error) {
	k, err := sm2.GenerateKey(rand)
	if err != nil {
		return nil, fmt.Errorf("make an SM2 key: %w", err)
	}
	return &PrivateKey{k}, nil
}

// unwrap reads PEM, hex or base64.
func unwrap(text string) []byte {
	text = strings.TrimSpace(text)
	for rest := []byte(text); ; { // an EC PARAMETERS block may come first
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if strings.HasSuffix(block.Type, "KEY") {
			return block.Bytes
		}
	}
	if b, err := hex.DecodeString(text); err == nil {
		return b
	}
	b, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), ""))
	if err != nil {
		return nil
	}
	return b
}

// ParsePublicKey reads a public key: SubjectPublicKeyInfo (the 91 bytes of the vendor's
// console) as PEM, hex or base64, or the uncompressed point (65 bytes) alike.
func ParsePublicKey(text string) (*PublicKey, error) { return PublicKeyOf(unwrap(text)) }

// PublicKeyOf is ParsePublicKey of the bytes themselves.
func PublicKeyOf(b []byte) (*PublicKey, error) {
	if len(b) == 65 && b[0] == 4 {
		k, err := sm2.NewPublicKey(b)
		if err != nil {
			return nil, ErrPublicKey
		}
		return &PublicKey{k}, nil
	}
	k, err := smx509.ParsePKIXPublicKey(b)
	if err != nil || !sm2.IsSM2PublicKey(k) {
		return nil, ErrPublicKey
	}
	return &PublicKey{k.(*ecdsa.PublicKey)}, nil
}

// ParsePrivateKey reads a private key: PKCS #8, SEC 1 (OpenHarmony's 51 bytes are that,
// without the public half), or the number itself in 32 bytes; as PEM, hex or base64.
func ParsePrivateKey(text string) (*PrivateKey, error) { return PrivateKeyOf(unwrap(text)) }

// PrivateKeyOf is ParsePrivateKey of the bytes themselves.
func PrivateKeyOf(b []byte) (*PrivateKey, error) {
	if len(b) == 32 {
		if k, err := sm2.NewPrivateKey(b); err == nil {
			return &PrivateKey{k}, nil
		}
		return nil, ErrPrivateKey
	}
	if k, err := smx509.ParsePKCS8PrivateKey(b); err == nil {
		if k, ok := k.(*sm2.PrivateKey); ok {
			return &PrivateKey{k}, nil
		}
		return nil, ErrPrivateKey
	}
	k, err := smx509.ParseSM2PrivateKey(b)
	if err != nil {
		return nil, ErrPrivateKey
	}
	return &PrivateKey{k}, nil
}

// Public is the key's public half.
func (k *PrivateKey) Public() *PublicKey { return &PublicKey{&k.key.PublicKey} }

// PKCS8 is the key in the form that ParsePrivateKey reads.
func (k *PrivateKey) PKCS8() ([]byte, error) { return smx509.MarshalPKCS8PrivateKey(k.key) }

// SPKI is the key as SubjectPublicKeyInfo: the vendor's form, 91 bytes, shown as hex.
func (p *PublicKey) SPKI() ([]byte, error) { return smx509.MarshalPKIXPublicKey(p.key) }

// Sign signs a text: SM2 over SM3 with the default user id, DER, base64.
func Sign(rand io.Reader, key *PrivateKey, text string) (string, error) {
	// The library signs no empty message, but its digest: a body without fields has one.
	digest, err := sm2.CalculateSM2Hash(&key.key.PublicKey, []byte(text), nil)
	if err != nil {
		return "", fmt.Errorf("sign: %w", err)
	}
	sig, err := sm2.SignASN1(rand, key.key, digest, nil)
	if err != nil {
		return "", fmt.Errorf("sign: %w", err)
	}
	return base64.StdEncoding.EncodeToString(sig), nil
}

// Verify reports whether sig is key's signature of text, as Sign makes it.
func Verify(key *PublicKey, text, sig string) bool {
	der, err := base64.StdEncoding.DecodeString(sig)
	if err != nil {
		return false
	}
	digest, err := sm2.CalculateSM2Hash(key.key, []byte(text), nil)
	return err == nil && sm2.VerifyASN1(key.key, digest, der)
}

var plain = sm2.NewPlainEncrypterOpts(sm2.MarshalUncompressed, sm2.C1C3C2)

// Encrypt encrypts a field: SM2, C1C3C2 with the leading 04, lower-case hex. An empty text
// cannot be encrypted.
func Encrypt(rand io.Reader, key *PublicKey, text string) (string, error) {
	if text == "" {
		return "", errors.New("encrypt: an empty text cannot be encrypted with SM2; leave the field out")
	}
	c, err := sm2.Encrypt(rand, key.key, []byte(text), plain)
	if err != nil {
		return "", fmt.Errorf("encrypt: %w", err)
	}
	return hex.EncodeToString(c), nil
}

// cipherHead is the size of what precedes C2: the point (65 bytes) and C3, SM3's 32.
const cipherHead = 65 + 32

// Decrypt reverses Encrypt. Some libraries (npm sm-crypto) leave the leading 04 out; both
// are read. Its error is ErrCipher, whatever was wrong.
func Decrypt(key *PrivateKey, text string) (string, error) {
	c, err := hex.DecodeString(strings.TrimSpace(text))
	if err != nil {
		return "", ErrCipher
	}
	if len(c) > cipherHead && c[0] == 4 {
		if b, err := sm2.Decrypt(key.key, c); err == nil {
			return string(b), nil
		}
	}
	if len(c) >= cipherHead {
		if b, err := sm2.Decrypt(key.key, append(bytes.Clone([]byte{4}), c...)); err == nil {
			return string(b), nil
		}
	}
	return "", ErrCipher
}
