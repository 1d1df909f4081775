package huawei

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// TokenLifetime is how long an access token is valid. Token page: expires_in 3600.
const TokenLifetime = 3600 * time.Second

// TokenReply is the token endpoint's answer. The vendor writes '/' in access_token as "\/".
type TokenReply struct {
	AccessToken string `json:"access_token"`
	ExpiresIn   int    `json:"expires_in"`
	TokenType   string `json:"token_type"` // Bearer
}

// TokenError is the token endpoint's refusal, sent with HTTP 400 unless Status says
// another. Page account-server-error-code.
type TokenError struct {
	Status      int    `json:"-"`
	Kind        int    `json:"error"`
	Sub         int    `json:"sub_error"`
	Description string `json:"error_description"`
}

func (e *TokenError) Error() string {
	return fmt.Sprintf("huawei: token refused: error %d, sub_error %d: %s", e.Kind, e.Sub, e.Description)
}

// Sub errors of 1101: page account-server-error-code.
const (
	TokenErrorKind      = 1101
	TokenBadGrant       = 20182 // grant_type
	TokenClientIDFormat = 20002 // ^[0-9]{1,64}$
	TokenClientUnknown  = 20003
	TokenSecretEmpty    = 20171
	TokenSecretFormat   = 20172
	TokenSecretWrong    = 12304
)

// AccessToken is the content of an access token: an app, an expiry and a keyed tag. What it
// holds is known to its maker alone; to clients it is a text.
type AccessToken struct {
	App     string
	Expires time.Time // whole seconds
	Nonce   [4]byte
	Tag     [12]byte
}

// tokenHead makes the text begin with DQEB, as in the vendor's samples.
var tokenHead = [3]byte{0x0d, 0x01, 0x01}

var errToken = errors.New("the access token is not one of this server's")

func (t AccessToken) String() string {
	b := append([]byte{}, tokenHead[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(t.Expires.Unix()))
	b = append(b, t.Nonce[:]...)
	b = append(b, t.Tag[:]...)
	return base64.StdEncoding.EncodeToString(append(b, t.App...))
}

// ParseAccessToken reads what String wrote. Whether the tag is right is the maker's to say.
func ParseAccessToken(s string) (AccessToken, error) {
	const head = 3 + 8 + 4 + 12
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil || len(b) <= head || len(b) > head+64 || [3]byte(b) != tokenHead {
		return AccessToken{}, errToken
	}
	t := AccessToken{App: string(b[head:]), Expires: time.Unix(int64(binary.BigEndian.Uint64(b[3:])), 0).UTC()}
	copy(t.Nonce[:], b[11:])
	copy(t.Tag[:], b[15:])
	return t, nil
}
