package explorer

import (
	"errors"
	"io"

	hw "shiren/api/huawei"
)

// MakeKey makes an SM2 pair: SubjectPublicKeyInfo and PKCS #8.
func MakeKey(rand io.Reader) (public, private []byte, err error) {
	k, err := hw.GenerateKey(rand)
	if err != nil {
		return nil, nil, err
	}
	public, err1 := k.Public().SPKI()
	private, err2 := k.PKCS8()
	return public, private, errors.Join(err1, err2)
}

// ParsePrivateKey reads a private key as people have it: PEM, hex or base64. Its error says what
// is taken, and nothing of the key.
func ParsePrivateKey(text string) (*hw.PrivateKey, error) { return hw.ParsePrivateKey(text) }

// ParsePublicKey reads SubjectPublicKeyInfo.
func ParsePublicKey(b []byte) (*hw.PublicKey, error) { return hw.PublicKeyOf(b) }
