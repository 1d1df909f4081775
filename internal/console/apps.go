package console

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"shiren/internal/ekyc"
	"shiren/internal/explorer"
	"shiren/internal/operator"
)

// AppKeeper keeps apps, their keys and their rules. Safe for concurrent use. Mistakes are
// ekyc.FieldErrors, absent is ekyc.ErrAbsent.
type AppKeeper interface {
	App(ctx context.Context, id ekyc.AppID) (ekyc.App, error)
	Apps(ctx context.Context) ([]ekyc.App, error) // by ID
	// Charged counts what an app's quota of a kind is compared with.
	Charged(ctx context.Context, app ekyc.AppID, kind ekyc.ChargeKind) (int64, error)
	// DeclaredApp reports whether the configuration file has the last word on an app.
	DeclaredApp(id ekyc.AppID) bool
	// MakeApp stores a new app with new keys; of want only the settings are looked at, and ID,
	// which may be "".
	MakeApp(ctx context.Context, want ekyc.App) (ekyc.App, error)
	// ChangeApp stores what f makes of an app.
	ChangeApp(ctx context.Context, id ekyc.AppID, f func(*ekyc.App) error) (ekyc.App, error)
	// NewSecret, NewKey and NewBearer make an app's secret key, API key and secret key, or bearer
	// key anew. The old ones admit no more.
	NewSecret(ctx context.Context, id ekyc.AppID) (ekyc.App, error)
	NewKey(ctx context.Context, id ekyc.AppID) (ekyc.App, error)
	NewBearer(ctx context.Context, id ekyc.AppID) (ekyc.App, error)

	// AppKeys lists an app's SM2 keys by creation.
	AppKeys(ctx context.Context, app ekyc.AppID) ([]ekyc.AppKey, error)
	// MakeKey makes a pair of ours; id "" makes one of the key.
	MakeKey(ctx context.Context, app ekyc.AppID, use ekyc.KeyUse, id string) (ekyc.AppKey, error)
	// ImportKey takes a developer's public key as PEM, hex or base64.
	ImportKey(ctx context.Context, app ekyc.AppID, use ekyc.KeyUse, id, public string) (ekyc.AppKey, error)
	// RotateKey makes a pair of ours; the one before stays valid for keep.
	RotateKey(ctx context.Context, app ekyc.AppID, use ekyc.KeyUse, keep time.Duration) (fresh ekyc.AppKey, ending []ekyc.AppKey, err error)
	// RetireKey ends a key after a time from now.
	RetireKey(ctx context.Context, app ekyc.AppID, id string, after time.Duration) (ekyc.AppKey, error)
}

// appDoc is an app's settings. Names are the configuration file's; moments are RFC 3339, ""
// where there is none.
type appDoc struct {
	ID               ekyc.AppID                `json:"id"`
	Name             string                    `json:"name"`
	Disabled         bool                      `json:"disabled"`
	Quota            map[ekyc.ChargeKind]int64 `json:"quota"` // a kind that is absent is unlimited, and so is -1; 0 is not opened
	PerSecond        int64                     `json:"per_second"`
	PerDay           int64                     `json:"per_day"`
	Total            int64                     `json:"total"`
	AddressPerSecond int64                     `json:"address_per_second"`
	AddressPerDay    int64                     `json:"address_per_day"`
	AddressTotal     int64                     `json:"address_total"`
	PerSubjectDay    int64                     `json:"per_subject_day"`
	ExpiresAt        string                    `json:"expires_at"`
	ReviewBy         string                    `json:"review_by"`
	Allow            []string                  `json:"allow"`
	Deny             []string                  `json:"deny"`
	Test             bool                      `json:"test"`
	TestTotal        int64                     `json:"test_total"`
}

func momentText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

func appDocOf(a ekyc.App) appDoc {
	quota := map[ekyc.ChargeKind]int64{}
	maps.Copy(quota, a.Quota)
	return appDoc{
		ID: a.ID, Name: a.Name, Disabled: a.Disabled, Quota: quota, PerSecond: a.PerSecond, PerDay: a.PerDay, Total: a.Total,
		AddressPerSecond: a.PerAddress.PerSecond, AddressPerDay: a.PerAddress.PerDay, AddressTotal: a.PerAddress.Total,
		PerSubjectDay: a.PerSubjectDay, ExpiresAt: momentText(a.Expires), ReviewBy: momentText(a.ReviewBy),
		Allow: listed(a.Allow), Deny: listed(a.Deny), Test: a.Test, TestTotal: a.TestTotal,
	}
}

// over lays the settings over an app; its id and keys stay.
func (d appDoc) over(a *ekyc.App) error {
	for _, m := range []struct {
		field, text string
		to          *time.Time
	}{{"expires_at", d.ExpiresAt, &a.Expires}, {"review_by", d.ReviewBy, &a.ReviewBy}} {
		*m.to = time.Time{}
		if m.text == "" {
			continue
		}
		t, err := time.Parse(time.RFC3339, m.text)
		if err != nil {
			return &ekyc.FieldError{Field: m.field, What: m.field + ": want a moment as in 2027-01-01T00:00:00+08:00, or nothing"}
		}
		*m.to = t.UTC()
	}
	if len([]rune(d.Name)) > maxNote {
		return &ekyc.FieldError{Field: "name", What: fmt.Sprintf("name: want at most %d characters", maxNote)}
	}
	trimmed := func(list []string) (out []string) {
		for _, s := range list {
			if s = strings.TrimSpace(s); s != "" {
				out = append(out, s)
			}
		}
		return out
	}
	a.Name, a.Disabled = strings.TrimSpace(d.Name), d.Disabled
	if a.Quota = nil; len(d.Quota) > 0 {
		a.Quota = maps.Clone(d.Quota)
	}
	a.PerSecond, a.PerDay, a.Total = d.PerSecond, d.PerDay, d.Total
	a.PerAddress = ekyc.Limits{PerSecond: d.AddressPerSecond, PerDay: d.AddressPerDay, Total: d.AddressTotal}
	a.PerSubjectDay, a.Allow, a.Deny, a.Test, a.TestTotal = d.PerSubjectDay, trimmed(d.Allow), trimmed(d.Deny), d.Test, d.TestTotal
	return nil
}

// revision tells settings apart. It says nothing of secrets.
func revision(a ekyc.App) string {
	b, err := json.Marshal(struct {
		Doc appDoc
		Key string
	}{appDocOf(a), a.Key})
	if err != nil {
		return "" // strings, numbers and lists of them always come out
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8])
}

// usage is what an app has used of a quota.
type usage struct {
	Kind  ekyc.ChargeKind `json:"kind"`
	Used  int64           `json:"used"`
	Quota int64           `json:"quota"` // -1 is unlimited
}

// appAnswer is an app without its secrets.
type appAnswer struct {
	App      appDoc    `json:"app"`
	Key      string    `json:"key"` // the API key, which is public
	Bearer   bool      `json:"bearer"`
	Created  time.Time `json:"created"`
	Standing string    `json:"standing"` // "on", "off", "expired" or "unreviewed"
	Declared bool      `json:"declared"` // read-only here
	Revision string    `json:"revision"`
	Usage    []usage   `json:"usage"`
}

// standings are the page's words for whether an app's keys admit.
var standings = map[ekyc.Code]string{ekyc.OK: "on", ekyc.AppDisabled: "off", ekyc.AppExpired: "expired", ekyc.AppUnreviewed: "unreviewed"}

// secretsAnswer is an app with its secrets, at the moment that they were made or asked for.
type secretsAnswer struct {
	appAnswer
	Secret    string `json:"secret"`
	BearerKey string `json:"bearer_key"`
}

func (h *Handler) appAnswer(ctx context.Context, a ekyc.App) (appAnswer, error) {
	out := appAnswer{
		App: appDocOf(a), Key: a.Key, Bearer: a.Bearer != "", Created: a.Created, Declared: h.cfg.Apps.DeclaredApp(a.ID),
		Revision: revision(a), Standing: standings[a.Standing(h.cfg.Now())], Usage: []usage{},
	}
	for _, kind := range ekyc.ChargeKinds() {
		n, err := h.cfg.Apps.Charged(ctx, a.ID, kind)
		if err != nil {
			return out, err
		}
		q, ok := a.Quota[kind]
		if !ok {
			q = ekyc.Unlimited
		}
		out.Usage = append(out.Usage, usage{kind, n, q})
	}
	return out, nil
}

func (h *Handler) secrets(ctx context.Context, a ekyc.App) (any, error) {
	out, err := h.appAnswer(ctx, a)
	return secretsAnswer{out, string(a.Secret), string(a.Bearer)}, err
}

// keyAnswer is an SM2 key without its private half.
type keyAnswer struct {
	ID      string      `json:"id"`
	Use     ekyc.KeyUse `json:"use"`
	Ours    bool        `json:"ours"`
	Public  string      `json:"public"` // SubjectPublicKeyInfo in hex
	PEM     string      `json:"pem"`    // the same as PEM
	SHA256  string      `json:"sha256"` // of it
	Created time.Time   `json:"created"`
	Until   string      `json:"until"` // RFC 3339; "" until it is retired
	Valid   bool        `json:"valid"`
	Field   string      `json:"field"` // what the vendor's messages name it in
}

func (h *Handler) keyAnswer(k ekyc.AppKey) keyAnswer {
	sum := sha256.Sum256(k.Public)
	return keyAnswer{
		ID: k.ID, Use: k.Use, Ours: k.Ours, Public: hex.EncodeToString(k.Public), SHA256: hex.EncodeToString(sum[:]),
		PEM:     string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: k.Public})),
		Created: k.Created, Until: momentText(k.Until), Valid: k.Valid(h.cfg.Now()), Field: explorer.KeyField(k.Ours, k.Use),
	}
}

type appChange struct {
	Revision string `json:"revision"` // that was changed; "" of a new app
	App      appDoc `json:"app"`
}

type renewal struct {
	What   string `json:"what"` // secret, key or bearer
	Reason string `json:"reason"`
}

type reasoned struct {
	Reason string `json:"reason"`
}

type keyMaking struct {
	Use ekyc.KeyUse `json:"use"` // sign or encrypt
	ID  string      `json:"id"`  // "" makes one of the key
	// Public is a developer's key as PEM, hex or base64; "" makes a pair of ours.
	Public string `json:"public"`
}

type keyRotation struct {
	Use  ekyc.KeyUse `json:"use"`
	Days int         `json:"days"` // that the old one stays valid: 0 to maxKeep
}

type keyEnd struct {
	Days int `json:"days"` // from now: 0 to maxKeep
}

// maxKeep is how many days an old key may stay valid. Our choice.
const maxKeep = 365

// appRoutes serves apps and their keys. No answer of a GET holds a secret.
//
//	GET  /apps                     {"items":[appAnswer]}
//	GET  /apps/{id}                appAnswer
//	POST /apps                     appChange, makes one: secretsAnswer, the one time that they are shown unasked
//	PUT  /apps/{id}                appChange: appAnswer
//	POST /apps/{id}/renew          renewal: secretsAnswer with what was made anew; the rest is ""
//	POST /apps/{id}/reveal         reasoned: secretsAnswer
//	GET  /apps/{id}/keys           {"items":[keyAnswer]}
//	POST /apps/{id}/keys           keyMaking: keyAnswer
//	POST /apps/{id}/keys/rotate    keyRotation: keyAnswer of the new pair
//	POST /apps/{id}/keys/{key}/retire keyEnd: keyAnswer
func (h *Handler) appRoutes() {
	if h.cfg.Apps == nil {
		return
	}
	h.read("GET /apps", operator.ReadApps, func(c *call) (any, error) {
		apps, err := h.cfg.Apps.Apps(c.Context())
		if err != nil {
			return nil, err
		}
		items := make([]appAnswer, 0, len(apps))
		for _, a := range apps {
			one, err := h.appAnswer(c.Context(), a)
			if err != nil {
				return nil, err
			}
			items = append(items, one)
		}
		return map[string]any{"items": items, "next": ""}, nil
	})
	h.read("GET /apps/{id}", operator.ReadApps, func(c *call) (any, error) {
		a, err := h.app(c)
		if err != nil {
			return nil, err
		}
		return h.appAnswer(c.Context(), a)
	})
	h.change("POST /apps", operator.ChangeApps, "app.create", func(c *call) (object, reason, detail string, err error) {
		in, err := bodyOf[appChange](c, MaxBody)
		if err != nil {
			return "", "", "", err
		}
		return "app " + clean(string(in.App.ID)), "", clean(in.App.Name), h.ownApp(in.App.ID)
	}, func(c *call) (any, error) {
		in, err := bodyOf[appChange](c, MaxBody)
		if err != nil {
			return nil, err
		}
		want := ekyc.App{ID: in.App.ID}
		if err := in.App.over(&want); err != nil {
			return nil, err
		}
		a, err := h.cfg.Apps.MakeApp(c.Context(), want)
		if err != nil {
			return nil, err
		}
		return h.secrets(c.Context(), a)
	})
	h.change("PUT /apps/{id}", operator.ChangeApps, "app.change", func(c *call) (object, reason, detail string, err error) {
		in, err := bodyOf[appChange](c, MaxBody)
		if err != nil {
			return "", "", "", err
		}
		a, err := h.app(c)
		if err != nil {
			return "", "", "", err
		}
		to := a
		if err := in.App.over(&to); err != nil {
			return "", "", "", err
		}
		return "app " + string(a.ID), "", strings.Join(changedSettings(a, to), ", "), h.ownApp(a.ID)
	}, func(c *call) (any, error) {
		in, err := bodyOf[appChange](c, MaxBody)
		if err != nil {
			return nil, err
		}
		a, err := h.cfg.Apps.ChangeApp(c.Context(), ekyc.AppID(c.PathValue("id")), func(a *ekyc.App) error {
			if revision(*a) != in.Revision {
				return ekyc.ErrConflict
			}
			return in.App.over(a)
		})
		if err != nil {
			return nil, err
		}
		return h.appAnswer(c.Context(), a)
	})
	renew := map[string]func(ctx context.Context, id ekyc.AppID) (ekyc.App, error){
		"secret": h.cfg.Apps.NewSecret, "key": h.cfg.Apps.NewKey, "bearer": h.cfg.Apps.NewBearer,
	}
	h.change("POST /apps/{id}/renew", operator.ChangeApps, "app.renew", func(c *call) (object, reason, detail string, err error) {
		in, err := bodyOf[renewal](c, MaxBody)
		if err != nil {
			return "", "", "", err
		}
		if renew[in.What] == nil {
			return "", "", "", invalid("what: want secret, key or bearer")
		}
		a, err := h.app(c)
		if err != nil {
			return "", "", "", err
		}
		return "app " + string(a.ID), clean(in.Reason), in.What, h.ownApp(a.ID)
	}, func(c *call) (any, error) {
		in, err := bodyOf[renewal](c, MaxBody)
		if err != nil {
			return nil, err
		}
		a, err := renew[in.What](c.Context(), ekyc.AppID(c.PathValue("id")))
		if err != nil {
			return nil, err
		}
		if in.What == "bearer" {
			a.Secret = ""
		} else {
			a.Bearer = ""
		}
		return h.secrets(c.Context(), a)
	})
	h.change("POST /apps/{id}/reveal", operator.ChangeApps, "app.reveal", func(c *call) (object, reason, detail string, err error) {
		in, err := bodyOf[reasoned](c, MaxBody)
		if err != nil {
			return "", "", "", err
		}
		a, err := h.app(c)
		if err != nil {
			return "", "", "", err
		}
		if reason, err = checkReason(in.Reason); err != nil {
			return "", "", "", err
		}
		return "app " + string(a.ID), reason, "secret key and bearer key", nil
	}, func(c *call) (any, error) {
		a, err := h.app(c)
		if err != nil {
			return nil, err
		}
		return h.secrets(c.Context(), a)
	})
	h.keyRoutes()
}

func (h *Handler) keyRoutes() {
	h.read("GET /apps/{id}/keys", operator.ReadApps, func(c *call) (any, error) {
		a, err := h.app(c)
		if err != nil {
			return nil, err
		}
		list, err := h.cfg.Apps.AppKeys(c.Context(), a.ID)
		if err != nil {
			return nil, err
		}
		items := make([]keyAnswer, 0, len(list))
		for _, k := range slices.Backward(list) {
			items = append(items, h.keyAnswer(k))
		}
		return map[string]any{"items": items, "next": ""}, nil
	})
	h.change("POST /apps/{id}/keys", operator.ChangeApps, "app.key.add", func(c *call) (object, reason, detail string, err error) {
		in, err := bodyOf[keyMaking](c, MaxBody)
		if err != nil {
			return "", "", "", err
		}
		a, err := h.app(c)
		if err != nil {
			return "", "", "", err
		}
		whose := "ours"
		if in.Public != "" {
			whose = "the developer's"
		}
		return "app " + string(a.ID), "", clean(fmt.Sprintf("%s, %s %s", whose, in.Use, in.ID)), checkKeyID(in.ID)
	}, func(c *call) (any, error) {
		in, err := bodyOf[keyMaking](c, MaxBody)
		if err != nil {
			return nil, err
		}
		id := ekyc.AppID(c.PathValue("id"))
		var k ekyc.AppKey
		if in.Public != "" {
			k, err = h.cfg.Apps.ImportKey(c.Context(), id, in.Use, in.ID, in.Public)
		} else {
			k, err = h.cfg.Apps.MakeKey(c.Context(), id, in.Use, in.ID)
		}
		if err != nil {
			return nil, err
		}
		return h.keyAnswer(k), nil
	})
	h.change("POST /apps/{id}/keys/rotate", operator.ChangeApps, "app.key.rotate", func(c *call) (object, reason, detail string, err error) {
		in, err := bodyOf[keyRotation](c, MaxBody)
		if err != nil {
			return "", "", "", err
		}
		a, err := h.app(c)
		if err != nil {
			return "", "", "", err
		}
		return "app " + string(a.ID), "", clean(fmt.Sprintf("%s; the old one ends in %d days", in.Use, in.Days)), checkDays(in.Days)
	}, func(c *call) (any, error) {
		in, err := bodyOf[keyRotation](c, MaxBody)
		if err != nil {
			return nil, err
		}
		k, _, err := h.cfg.Apps.RotateKey(c.Context(), ekyc.AppID(c.PathValue("id")), in.Use, time.Duration(in.Days)*24*time.Hour)
		if err != nil {
			return nil, err
		}
		return h.keyAnswer(k), nil
	})
	h.change("POST /apps/{id}/keys/{key}/retire", operator.ChangeApps, "app.key.retire", func(c *call) (object, reason, detail string, err error) {
		in, err := bodyOf[keyEnd](c, MaxBody)
		if err != nil {
			return "", "", "", err
		}
		return "app " + clean(c.PathValue("id")), "", clean(fmt.Sprintf("key %s, in %d days", c.PathValue("key"), in.Days)), checkDays(in.Days)
	}, func(c *call) (any, error) {
		in, err := bodyOf[keyEnd](c, MaxBody)
		if err != nil {
			return nil, err
		}
		k, err := h.cfg.Apps.RetireKey(c.Context(), ekyc.AppID(c.PathValue("id")), c.PathValue("key"), time.Duration(in.Days)*24*time.Hour)
		if err != nil {
			return nil, err
		}
		return h.keyAnswer(k), nil
	})
}

func (h *Handler) app(c *call) (ekyc.App, error) {
	return h.cfg.Apps.App(c.Context(), ekyc.AppID(c.PathValue("id")))
}

// ownApp refuses an app that the configuration file declares.
func (h *Handler) ownApp(id ekyc.AppID) error {
	if id != "" && h.cfg.Apps.DeclaredApp(id) {
		return &Error{http.StatusConflict, ErrDeclared, "the configuration file declares this app and has the last word at each start; change it there"}
	}
	return nil
}

func checkDays(n int) error {
	if n < 0 || n > maxKeep {
		return &ekyc.FieldError{Field: "days", What: fmt.Sprintf("days %d: want 0 to %d", n, maxKeep)}
	}
	return nil
}

// maxKeyID bounds a key's id. Our choice; the vendor's samples have up to 64 characters.
const maxKeyID = 128

func checkKeyID(id string) error {
	if len(id) > maxKeyID || strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r > '~' || r == '/' }) {
		return &ekyc.FieldError{Field: "id", What: fmt.Sprintf("id: want at most %d visible ASCII characters without a slash, or nothing", maxKeyID)}
	}
	return nil
}

// changedSettings names the settings that differ.
func changedSettings(from, to ekyc.App) []string {
	var a, b map[string]any
	for p, to := range map[*map[string]any]ekyc.App{&a: from, &b: to} {
		text, err := json.Marshal(appDocOf(to))
		if err == nil {
			err = json.Unmarshal(text, p)
		}
		if err != nil {
			return nil // strings, numbers and lists of them always come out
		}
	}
	list := []string{}
	for _, field := range slices.Sorted(maps.Keys(b)) {
		if !sameJSON(a[field], b[field]) {
			list = append(list, field)
		}
	}
	return list
}

// dataURL is an image as an address that a page can show.
func dataURL(image []byte) string {
	if len(image) == 0 {
		return ""
	}
	return "data:" + http.DetectContentType(image) + ";base64," + base64.StdEncoding.EncodeToString(image)
}
