package ekyc

import (
	"context"
	"time"
)

// KeyUse is what an app's key is for.
type KeyUse string

const (
	KeySign    KeyUse = "sign"
	KeyEncrypt KeyUse = "encrypt"
)

// AppKey is a key of an app's protocol: the relying party's, of which we know the public
// half, or ours, with both.
type AppKey struct {
	App     AppID
	ID      string
	Use     KeyUse
	Ours    bool
	Public  []byte // SubjectPublicKeyInfo
	Private Secret // PKCS #8 in base64, sealed at rest; empty of keys that are not ours
	Created time.Time
	Until   time.Time // zero: until it is retired
}

// Valid reports whether the key may be used at now.
func (k AppKey) Valid(now time.Time) bool { return k.Until.IsZero() || now.Before(k.Until) }

// AppKeys lists an app's keys, valid or not, by creation.
func (s *Service) AppKeys(ctx context.Context, app AppID) ([]AppKey, error) {
	list, err := s.Keys.AppKeys(ctx, app)
	return list, Wrap(Internal, "read keys", err)
}

// MaxKeys is how many keys of one owner and use an app may have valid at once: the one in
// use and the one that takes its place. Our choice.
const MaxKeys = 2

// AddKey reports whether an app that has the keys of list may get another at now. Code:
// BadRequest.
func AddKey(list []AppKey, k AppKey, now time.Time) error {
	n := 0
	for _, old := range list {
		if old.ID == k.ID {
			return Errorf(BadRequest, "the app has a key %s already", k.ID)
		}
		if old.Use == k.Use && old.Ours == k.Ours && old.Valid(now) {
			n++
		}
	}
	if n >= MaxKeys {
		return Errorf(BadRequest, "%d keys of this kind are valid already; retire one first", n)
	}
	return nil
}
