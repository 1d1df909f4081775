package operator

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"image/png"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"
	"github.com/pquerna/otp/totp"
)

// TOTP as authenticator apps know it: RFC 6238 with SHA-1, six digits and steps of 30 seconds.
// One step to either side is taken, RFC 6238, 5.2.
const (
	totpPeriod = 30 // seconds
	totpSkew   = 1  // steps
)

// Recovery codes: ten of 80 bits, each good once. Our choice.
const (
	recoveryCodes = 10
	recoverySize  = 10 // bytes
)

// tokenSize is the length of a cookie's and a link's secret in bytes: 256 bits.
const tokenSize = 32

// newToken makes a secret and the ID that it is known by.
func newToken(rand io.Reader) (token, id string, err error) {
	var b [tokenSize]byte
	if _, err := io.ReadFull(rand, b[:]); err != nil {
		return "", "", fmt.Errorf("read random bytes: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(b[:]), tokenID(b[:]), nil
}

func tokenID(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// parseToken returns the ID of what newToken made. Anything else is not ok.
func parseToken(token string) (id string, ok bool) {
	if len(token) != base64.RawURLEncoding.EncodedLen(tokenSize) {
		return "", false
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(b) != tokenSize {
		return "", false
	}
	return tokenID(b), true
}

// Enrolment is what an authenticator app is given.
type Enrolment struct {
	Secret string // base32, to be typed
	URI    string // otpauth://totp/…
	PNG    []byte // the URI as a QR code
}

// qrSize is the QR code's side in pixels. Our choice.
const qrSize = 256

func enrol(issuer, name string, rand io.Reader) (e Enrolment, err error) {
	key, err := totp.Generate(totp.GenerateOpts{Issuer: issuer, AccountName: name, Period: totpPeriod, Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1, Rand: rand})
	if err != nil {
		return e, fmt.Errorf("make a TOTP secret: %w", err)
	}
	img, err := key.Image(qrSize, qrSize)
	if err != nil {
		return e, fmt.Errorf("draw the QR code: %w", err)
	}
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		return e, fmt.Errorf("draw the QR code: %w", err)
	}
	return Enrolment{Secret: key.Secret(), URI: key.URL(), PNG: b.Bytes()}, nil
}

// totpStep finds the time step near now whose code this is; after is the last that was used.
func totpStep(secret Secret, code string, now time.Time, after int64) (step int64, ok bool) {
	at := now.Unix() / totpPeriod
	for s := at - totpSkew; s <= at+totpSkew; s++ { // all of them: it takes the same time
		want, err := hotp.GenerateCodeCustom(string(secret), uint64(s), hotp.ValidateOpts{Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1})
		if err == nil && s > after && subtle.ConstantTimeCompare([]byte(want), []byte(code)) == 1 {
			step, ok = s, true
		}
	}
	return step, ok
}

func newRecovery(rand io.Reader) (codes, digests []string, err error) {
	for range recoveryCodes {
		var b [recoverySize]byte
		if _, err := io.ReadFull(rand, b[:]); err != nil {
			return nil, nil, fmt.Errorf("read random bytes: %w", err)
		}
		text := strings.ToLower(base32.StdEncoding.EncodeToString(b[:])) // 16 characters
		codes = append(codes, text[:4]+"-"+text[4:8]+"-"+text[8:12]+"-"+text[12:])
		digests = append(digests, tokenID(b[:]))
	}
	return codes, digests, nil
}

// parseRecovery returns the digest of a recovery code as it was typed.
func parseRecovery(code string) (digest string, ok bool) {
	text := strings.ToUpper(strings.NewReplacer("-", "", " ", "").Replace(code))
	if len(text) != 16 {
		return "", false
	}
	b, err := base32.StdEncoding.DecodeString(text)
	if err != nil || len(b) != recoverySize {
		return "", false
	}
	return tokenID(b), true
}

// useCode takes a TOTP or a recovery code for a; what was used is used up. how says which.
func (a *Account) useCode(code string, now time.Time) (how string, ok bool) {
	if len(code) > 64 {
		return "", false
	}
	if a.TOTP != "" {
		if step, ok := totpStep(a.TOTP, strings.ReplaceAll(strings.TrimSpace(code), " ", ""), now, a.Step); ok {
			a.Step = step
			return "code", true
		}
	}
	if digest, ok := parseRecovery(code); ok {
		for i, d := range a.Recovery {
			if subtle.ConstantTimeCompare([]byte(d), []byte(digest)) == 1 {
				a.Recovery = slices.Delete(slices.Clone(a.Recovery), i, i+1)
				return "recovery code", true
			}
		}
	}
	return "", false
}
