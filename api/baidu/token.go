package baidu

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// AccessLifetime is how long an access token is valid. Seed FAQ 1(1): 30 days.
const AccessLifetime = 2592000 * time.Second

// AccessToken is the content of an access token's text
// "24.<32 hex>.2592000.<expiry>.282335-<app id>". Nonce and Tag make the 32 hex.
type AccessToken struct {
	Nonce   [4]byte
	Tag     [12]byte
	Expires time.Time // to the second
	App     string    // decimal digits
}

// ErrAccessToken is returned for a text that is not an access token's.
var ErrAccessToken = errors.New("not an access token: want 24.<32 hex>.2592000.<expiry>.282335-<app id>")

// maxAccessToken bounds the text: 2+1+32+1+7+1+20+1+7+20.
const maxAccessToken = 92

func (t AccessToken) String() string {
	return fmt.Sprintf("24.%x%x.2592000.%d.282335-%s", t.Nonce, t.Tag, t.Expires.Unix(), t.App)
}

// ParseAccessToken reads the text that String writes, and no other spelling of it.
func ParseAccessToken(s string) (AccessToken, error) {
	var t AccessToken
	if len(s) > maxAccessToken {
		return t, ErrAccessToken
	}
	p := strings.Split(s, ".")
	if len(p) != 5 || p[0] != "24" || len(p[1]) != 32 || p[2] != "2592000" {
		return t, ErrAccessToken
	}
	b, err := hex.DecodeString(p[1])
	if err != nil {
		return t, ErrAccessToken
	}
	copy(t.Nonce[:], b)
	copy(t.Tag[:], b[4:])
	exp, err := strconv.ParseInt(p[3], 10, 64)
	if err != nil || exp < 0 {
		return t, ErrAccessToken
	}
	t.Expires = time.Unix(exp, 0).UTC()
	app, ok := strings.CutPrefix(p[4], "282335-")
	if !ok || app == "" || strings.Trim(app, "0123456789") != "" {
		return t, ErrAccessToken
	}
	if t.App = app; t.String() != s {
		return AccessToken{}, ErrAccessToken
	}
	return t, nil
}

// Reply makes the token interface's reply. The vendor says of every field but
// access_token and expires_in that it is not used for now; refresh token, session key
// and session secret have the documented shape and open nothing.
func (t AccessToken) Reply() TokenReply {
	text := t.String()
	opaque := func(purpose string) []byte {
		d := sha256.Sum256([]byte(purpose + "\x00" + text))
		return d[:]
	}
	const tenYears = 315360000
	return TokenReply{
		RefreshToken: fmt.Sprintf("25.%x.%d.%d.282335-%s", opaque("refresh token")[:16], tenYears,
			t.Expires.Add(tenYears*time.Second-AccessLifetime).Unix(), t.App),
		ExpiresIn:     int(AccessLifetime / time.Second),
		Scope:         Scope,
		SessionKey:    base64.StdEncoding.EncodeToString(opaque("session key")),
		AccessToken:   text,
		SessionSecret: hex.EncodeToString(opaque("session secret")[:16]),
	}
}
