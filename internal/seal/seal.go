// Package seal encrypts evidence and records: each session has a data key of its own,
// and a data key exists outside memory only wrapped, that is encrypted by a key that
// derives from the operator's master key. Erasing a wrapped data key therefore erases
// everything that was sealed under it, in backups too, as long as the wrapped key itself
// was in none of them.
//
// Nothing here is home-made: AES-256-GCM (NIST SP 800-38D) encrypts, HKDF-SHA256
// (RFC 5869) derives, HMAC-SHA256 (RFC 2104) digests. The package keeps no state beside
// the master key and never prints key material.
//
// # Formats
//
// Both start with a version byte, so that another cipher or key hierarchy can be
// introduced while what exists stays readable:
//
//	wrapped key   0x01 | master id, 4 bytes | salt, 24 bytes | sealed data key, 32+16 bytes
//	sealed bytes  0x01 | nonce, 12 bytes | ciphertext | tag, 16 bytes
//
// The master id tells which master key wrapped a data key: a deployment with the wrong
// key file gets ErrMaster, not an unexplained failure, and a rotation knows what is left
// to rewrap. It is derived one way and reveals nothing of the key.
package seal

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"sync"

	"shiren/internal/ekyc"
)

// MasterSize is the length of a master key in bytes.
const MasterSize = 32

// Errors of Open and Seal, for errors.Is.
var (
	// ErrMaster: the data key was wrapped under another master key.
	ErrMaster = errors.New("sealed under another master key: put back the key file that this data was written with")
	// ErrDamaged: the key, the bytes or the context are not those that were sealed.
	ErrDamaged = errors.New("sealed data was changed, cut, or belongs to another record")
	// ErrVersion: written by a newer release.
	ErrVersion = errors.New("sealed data has a format that this release does not know: use a newer one")
)

// Layout of the formats; see the package comment.
const (
	version   = 1
	idSize    = 4
	saltSize  = 24 // 192 bits: salts drawn by chance do not repeat in any deployment's life
	dataSize  = 32
	nonceSize = 12
	tagSize   = 16

	wrappedSize = 1 + idSize + saltSize + dataSize + tagSize
)

// Sealer implements ekyc.Sealer. It is safe for concurrent use.
type Sealer struct {
	id       [idSize]byte
	wrap     []byte   // derives the key-encrypting keys
	digest   []byte   // derives the digests' keys
	purposes sync.Map // string to the key derived for it; purposes are constants of the code

	mu   sync.Mutex // of rand
	rand io.Reader
}

var _ ekyc.Sealer = (*Sealer)(nil)

// New makes a Sealer from a master key of MasterSize bytes. rand must be a
// cryptographic source; it is read under a lock.
func New(master []byte, rand io.Reader) (*Sealer, error) {
	if len(master) != MasterSize {
		return nil, fmt.Errorf("a master key has %d bytes, this one has %d", MasterSize, len(master))
	}
	if rand == nil {
		return nil, errors.New("seal: no random source")
	}
	prk, err := hkdf.Extract(sha256.New, master, nil)
	if err != nil {
		return nil, fmt.Errorf("derive from the master key: %w", err)
	}
	s := &Sealer{rand: rand}
	id, err := hkdf.Expand(sha256.New, prk, "shiren master id", idSize)
	if err != nil {
		return nil, fmt.Errorf("derive from the master key: %w", err)
	}
	copy(s.id[:], id)
	if s.wrap, err = hkdf.Expand(sha256.New, prk, "shiren wrap data keys", sha256.Size); err != nil {
		return nil, fmt.Errorf("derive from the master key: %w", err)
	}
	if s.digest, err = hkdf.Expand(sha256.New, prk, "shiren digest", sha256.Size); err != nil {
		return nil, fmt.Errorf("derive from the master key: %w", err)
	}
	return s, nil
}

// NewKey makes a data key and returns it wrapped.
func (s *Sealer) NewKey() ([]byte, error) {
	fresh := make([]byte, saltSize+dataSize)
	if err := s.read(fresh); err != nil {
		return nil, err
	}
	salt, key := fresh[:saltSize], fresh[saltSize:]
	aead, nonce, err := s.wrapper(salt)
	if err != nil {
		return nil, err
	}
	wrapped := make([]byte, 0, wrappedSize)
	wrapped = append(wrapped, version)
	wrapped = append(wrapped, s.id[:]...)
	wrapped = append(wrapped, salt...)
	return aead.Seal(wrapped, nonce, key, wrapped), nil
}

// Seal encrypts plain under the wrapped key, bound to context: the same context must be
// given to Open. Nonces are random; one data key is good for 2^32 seals (SP 800-38D, 8.3),
// which a session's handful of records and images never reaches.
func (s *Sealer) Seal(wrapped, plain, context []byte) ([]byte, error) {
	aead, err := s.unwrap(wrapped)
	if err != nil {
		return nil, err
	}
	out := make([]byte, 1+nonceSize, 1+nonceSize+len(plain)+tagSize)
	out[0] = version
	if err := s.read(out[1:]); err != nil {
		return nil, err
	}
	return aead.Seal(out, out[1:], plain, bind(context)), nil
}

// Open reverses Seal. Its errors are ErrMaster, ErrDamaged or ErrVersion.
func (s *Sealer) Open(wrapped, sealed, context []byte) ([]byte, error) {
	aead, err := s.unwrap(wrapped)
	if err != nil {
		return nil, err
	}
	if len(sealed) > 0 && sealed[0] != version {
		return nil, ErrVersion
	}
	if len(sealed) < 1+nonceSize+tagSize {
		return nil, ErrDamaged
	}
	plain, err := aead.Open(nil, sealed[1:1+nonceSize], sealed[1+nonceSize:], bind(context))
	if err != nil {
		return nil, ErrDamaged
	}
	return plain, nil
}

// Digest is HMAC-SHA256 of data under a key that is derived for purpose alone, so that
// a digest made for one purpose says nothing about those of another.
func (s *Sealer) Digest(purpose string, data []byte) []byte {
	key, ok := s.purposes.Load(purpose)
	if !ok {
		k, err := hkdf.Expand(sha256.New, s.digest, purpose, sha256.Size)
		if err != nil { // only for lengths beyond 255 blocks; this one is one block
			panic("seal: " + err.Error())
		}
		key, _ = s.purposes.LoadOrStore(purpose, k)
	}
	mac := hmac.New(sha256.New, key.([]byte))
	mac.Write(data)
	return mac.Sum(nil)
}

// bind is the additional data of sealed bytes: the format is authenticated too.
func bind(context []byte) []byte {
	return append([]byte{version}, context...)
}

func (s *Sealer) unwrap(wrapped []byte) (cipher.AEAD, error) {
	if len(wrapped) > 0 && wrapped[0] != version {
		return nil, ErrVersion
	}
	if len(wrapped) != wrappedSize {
		return nil, ErrDamaged
	}
	if !bytes.Equal(wrapped[1:1+idSize], s.id[:]) {
		return nil, ErrMaster
	}
	head := wrapped[:1+idSize+saltSize]
	aead, nonce, err := s.wrapper(head[1+idSize:])
	if err != nil {
		return nil, err
	}
	key, err := aead.Open(nil, nonce, wrapped[len(head):], head)
	if err != nil {
		return nil, ErrDamaged
	}
	return newGCM(key)
}

// wrapper derives the key and nonce that wrap one data key. A salt of its own for each
// means a key-encrypting key of its own: the number of sessions that one master key can
// serve is not bounded by AES-GCM's 2^32 random nonces.
func (s *Sealer) wrapper(salt []byte) (cipher.AEAD, []byte, error) {
	derived, err := hkdf.Expand(sha256.New, s.wrap, string(salt), dataSize+nonceSize)
	if err != nil {
		return nil, nil, fmt.Errorf("derive a wrapping key: %w", err)
	}
	aead, err := newGCM(derived[:dataSize])
	return aead, derived[dataSize:], err
}

func newGCM(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("set up AES: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("set up GCM: %w", err)
	}
	return aead, nil
}

func (s *Sealer) read(p []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := io.ReadFull(s.rand, p); err != nil {
		return fmt.Errorf("read %d random bytes: %w", len(p), err)
	}
	return nil
}
