package explorer

import (
	"errors"
	"io"

	hw "shiren/api/huawei"
	"shiren/internal/ekyc"
)

// KeyField is what the vendor's messages name a key in. Huawei's pages.
func KeyField(ours bool, use ekyc.KeyUse) string {
	return map[bool]map[ekyc.KeyUse]string{
		true:  {ekyc.KeySign: "petalpaySignKeyId", ekyc.KeyEncrypt: "petalpayEncKeyId"},
		false: {ekyc.KeySign: "developerSignKeyId", ekyc.KeyEncrypt: "developerEncKeyId"},
	}[ours][use]
}

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
