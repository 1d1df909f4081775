package server

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"shiren/api/huawei"
	"shiren/internal/config"
	"shiren/internal/ekyc"
)

// DeclaredApp reports whether the configuration declares an app.
func (d *Data) DeclaredApp(id ekyc.AppID) bool {
	return slices.ContainsFunc(d.Config.Apps, func(a config.App) bool { return a.ID == string(id) })
}

// MakeApp stores a new app with new keys. Where want.ID is "" it gets one more than the
// highest there is; its keys, and Created, are made here. Mistakes are ekyc.FieldErrors.
func (d *Data) MakeApp(ctx context.Context, want ekyc.App) (ekyc.App, error) {
	d.changing.Lock()
	defer d.changing.Unlock()
	apps, err := d.Store.Apps(ctx)
	if err != nil {
		return want, err
	}
	if want.ID == "" {
		next := int64(FirstApp)
		for _, p := range apps {
			if n, err := strconv.ParseInt(string(p.ID), 10, 64); err == nil && n >= next {
				next = n + 1
			}
		}
		want.ID = ekyc.AppID(strconv.FormatInt(next, 10))
	}
	if slices.ContainsFunc(apps, func(p ekyc.App) bool { return p.ID == want.ID }) {
		return want, &ekyc.FieldError{Field: "id", What: fmt.Sprintf("there is an app %s already; give no id to get a free one", want.ID)}
	}
	if err := d.freshKeys(&want); err != nil {
		return want, err
	}
	want.Created = d.now().UTC()
	if err := want.Validate(); err != nil {
		return want, err
	}
	return want, d.Store.PutApp(ctx, want)
}

// freshKeys gives an app all keys anew.
func (d *Data) freshKeys(a *ekyc.App) error {
	return errors.Join(d.freshKey(a), d.freshSecret(a), d.freshBearer(a))
}

func (d *Data) freshKey(a *ekyc.App) (err error) {
	a.Key, err = NewKey(d.rand)
	return err
}

func (d *Data) freshSecret(a *ekyc.App) error {
	secret, err := NewKey(d.rand)
	a.Secret = ekyc.Secret(secret)
	return err
}

func (d *Data) freshBearer(a *ekyc.App) (err error) {
	a.Bearer, err = NewBearer(d.rand)
	return err
}

// ChangeApp changes an app that no file declares: f is handed a copy. In this process changes
// come one after the other. Errors: ErrDeclared, ekyc.ErrAbsent, f's, and mistakes as
// ekyc.FieldErrors.
func (d *Data) ChangeApp(ctx context.Context, id ekyc.AppID, f func(*ekyc.App) error) (ekyc.App, error) {
	d.changing.Lock()
	defer d.changing.Unlock()
	if d.DeclaredApp(id) {
		return ekyc.App{}, fmt.Errorf("app %s: %w", id, ErrDeclared)
	}
	a, err := d.Store.App(ctx, id)
	if err != nil {
		return a, err
	}
	if err := f(&a); err != nil {
		return a, err
	}
	if err := a.Validate(); err != nil {
		return a, err
	}
	return a, d.Store.PutApp(ctx, a)
}

// NewSecret gives an app a new secret key. Access tokens that were given stay. Errors: those
// of ChangeApp.
func (d *Data) NewSecret(ctx context.Context, id ekyc.AppID) (ekyc.App, error) {
	return d.ChangeApp(ctx, id, d.freshSecret)
}

// NewKey gives an app a new API key and secret key. Access tokens end with the API key that they
// were given for.
func (d *Data) NewKey(ctx context.Context, id ekyc.AppID) (ekyc.App, error) {
	return d.ChangeApp(ctx, id, func(a *ekyc.App) error { return errors.Join(d.freshKey(a), d.freshSecret(a)) })
}

// NewBearer gives an app a new bearer key.
func (d *Data) NewBearer(ctx context.Context, id ekyc.AppID) (ekyc.App, error) {
	return d.ChangeApp(ctx, id, d.freshBearer)
}

// App reads an app, with its secrets.
func (d *Data) App(ctx context.Context, id ekyc.AppID) (ekyc.App, error) { return d.Store.App(ctx, id) }

// Apps lists all apps by ID, with their secrets.
func (d *Data) Apps(ctx context.Context) ([]ekyc.App, error) { return d.Store.Apps(ctx) }

// Charged counts an app's charges of a kind.
func (d *Data) Charged(ctx context.Context, app ekyc.AppID, kind ekyc.ChargeKind) (int64, error) {
	return d.Store.Charged(ctx, app, kind)
}

// AppKeys lists an app's SM2 keys by creation. The list is shared: it must not be changed.
func (d *Data) AppKeys(ctx context.Context, app ekyc.AppID) ([]ekyc.AppKey, error) {
	return d.Store.AppKeys(ctx, app)
}

// RotationKept is how long a key stays valid beside the one that takes its place, unless the
// operator says otherwise. Our choice: a week for a developer to change over.
const RotationKept = 7 * 24 * time.Hour

// Ids of our keys begin like the vendor's: the result page's sample has DEVELOPER_SIGN_ and
// sixteen characters. A developer's are the SHA-256 of the key in hex, as long as the sample's.
var keyPrefix = map[ekyc.KeyUse]string{ekyc.KeySign: "DEVELOPER_SIGN_", ekyc.KeyEncrypt: "DEVELOPER_ENC_"}

// addKey stores a key of an app that is there.
func (d *Data) addKey(ctx context.Context, k ekyc.AppKey) (ekyc.AppKey, error) {
	if _, ok := keyPrefix[k.Use]; !ok {
		return k, &ekyc.FieldError{Field: "use", What: fmt.Sprintf("use %q: want sign or encrypt", k.Use)}
	}
	if _, err := d.Store.App(ctx, k.App); err != nil {
		return k, err
	}
	d.changing.Lock()
	defer d.changing.Unlock()
	list, err := d.Store.AppKeys(ctx, k.App)
	if err != nil {
		return k, err
	}
	k.Created = d.now().UTC()
	if err := ekyc.AddKey(list, k, k.Created); err != nil {
		return k, err
	}
	return k, d.Store.PutAppKey(ctx, k)
}

// pair makes a record of a pair of ours.
func pair(app ekyc.AppID, use ekyc.KeyUse, id string, key *huawei.PrivateKey) (ekyc.AppKey, error) {
	der, err1 := key.PKCS8()
	spki, err2 := key.Public().SPKI()
	if err := errors.Join(err1, err2); err != nil {
		return ekyc.AppKey{}, err
	}
	if id == "" {
		sum := sha256.Sum256(spki)
		id = keyPrefix[use] + strings.ToUpper(hex.EncodeToString(sum[:8]))
	}
	return ekyc.AppKey{
		App: app, ID: id, Use: use, Ours: true, Public: spki, Private: ekyc.Secret(base64.StdEncoding.EncodeToString(der)),
	}, nil
}

// MakeKey makes a pair of ours for an app; id "" makes one of the key. Errors:
// ekyc.ErrAbsent, BadRequest where two are valid already or the id is taken.
func (d *Data) MakeKey(ctx context.Context, app ekyc.AppID, use ekyc.KeyUse, id string) (ekyc.AppKey, error) {
	key, err := huawei.GenerateKey(d.rand)
	if err != nil {
		return ekyc.AppKey{}, err
	}
	k, err := pair(app, use, id, key)
	if err != nil {
		return k, err
	}
	return d.addKey(ctx, k)
}

// ImportKey takes a developer's public key as PEM, hex or base64: SubjectPublicKeyInfo or the
// point. Errors: those of MakeKey, and a FieldError of "key" for a text that is none.
func (d *Data) ImportKey(ctx context.Context, app ekyc.AppID, use ekyc.KeyUse, id, public string) (ekyc.AppKey, error) {
	key, err := huawei.ParsePublicKey(public)
	if err != nil {
		return ekyc.AppKey{}, &ekyc.FieldError{Field: "key", What: err.Error()}
	}
	spki, err := key.SPKI()
	if err != nil {
		return ekyc.AppKey{}, err
	}
	if id == "" {
		id = fmt.Sprintf("%x", sha256.Sum256(spki))
	}
	return d.addKey(ctx, ekyc.AppKey{App: app, ID: id, Use: use, Public: spki})
}

// ImportPair takes a private key of ours from elsewhere: PKCS #8 or SEC 1 as PEM, hex or base64.
func (d *Data) ImportPair(ctx context.Context, app ekyc.AppID, use ekyc.KeyUse, id, private string) (ekyc.AppKey, error) {
	key, err := huawei.ParsePrivateKey(private)
	if err != nil {
		return ekyc.AppKey{}, &ekyc.FieldError{Field: "key", What: err.Error()}
	}
	k, err := pair(app, use, id, key)
	if err != nil {
		return k, err
	}
	return d.addKey(ctx, k)
}

// RotateKey makes a pair of ours that takes the place of the one in use, which stays valid for
// keep. It returns the new one and those that end.
func (d *Data) RotateKey(ctx context.Context, app ekyc.AppID, use ekyc.KeyUse, keep time.Duration) (fresh ekyc.AppKey, ending []ekyc.AppKey, err error) {
	if fresh, err = d.MakeKey(ctx, app, use, ""); err != nil {
		return fresh, nil, err
	}
	list, err := d.Store.AppKeys(ctx, app)
	if err != nil {
		return fresh, nil, err
	}
	now := d.now().UTC()
	for _, k := range list {
		if end := now.Add(keep); k.ID != fresh.ID && k.Ours && k.Use == use && k.Valid(now) && (k.Until.IsZero() || end.Before(k.Until)) {
			k.Until = end
			if err := d.Store.PutAppKey(ctx, k); err != nil {
				return fresh, ending, err
			}
			ending = append(ending, k)
		}
	}
	return fresh, ending, nil
}

// RetireKey ends a key of an app after a time from now. An absent one is ekyc.ErrAbsent.
func (d *Data) RetireKey(ctx context.Context, app ekyc.AppID, id string, after time.Duration) (ekyc.AppKey, error) {
	list, err := d.Store.AppKeys(ctx, app)
	if err != nil {
		return ekyc.AppKey{}, err
	}
	for _, k := range list {
		if k.ID == id {
			if end := d.now().UTC().Add(after); k.Until.IsZero() || end.Before(k.Until) { // one that ended stays so
				k.Until = end
			}
			return k, d.Store.PutAppKey(ctx, k)
		}
	}
	return ekyc.AppKey{}, fmt.Errorf("key %q: %w", id, ekyc.ErrAbsent)
}
