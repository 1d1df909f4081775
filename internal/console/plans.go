package console

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"rsc.io/qr"

	"shiren/internal/ekyc"
	"shiren/internal/operator"
)

// ErrDeclared is the code of a change to an app or a plan that the configuration file
// declares; 409. A copy of a plan may be changed.
const ErrDeclared = "declared"

// PlanKeeper keeps plans and their rules. Safe for concurrent use.
type PlanKeeper interface {
	Plan(ctx context.Context, id ekyc.PlanID) (ekyc.Plan, error) // absent is ekyc.ErrAbsent
	Plans(ctx context.Context) ([]ekyc.Plan, error)              // by ID
	// PlanVersions lists a plan's versions, newest first.
	PlanVersions(ctx context.Context, id ekyc.PlanID) ([]ekyc.PlanVersion, error)
	// ChangePlan stores a plan as its next version; Plan.Version is the one that was changed, 0
	// of a new plan. Mistakes are ekyc.FieldErrors, another current version ekyc.ErrConflict.
	ChangePlan(ctx context.Context, v ekyc.PlanVersion) (ekyc.Plan, error)
	// DeclaredPlan reports whether the configuration file has the last word on a plan.
	DeclaredPlan(id ekyc.PlanID) bool
	// NewPlan is what a plan starts from, with the authorisation text for a way of identifying.
	NewPlan(id ekyc.IdentityInput) ekyc.Plan
	SourceNames() []string
}

// Trier opens sessions that try a plan. ekyc.Service is one.
type Trier interface {
	Try(ctx context.Context, p ekyc.Plan) (ekyc.Session, error)
}

// planDoc is a plan's settings. Names are the configuration file's.
type planDoc struct {
	ID            ekyc.PlanID           `json:"id"`
	App           ekyc.AppID            `json:"app"`
	Name          string                `json:"name"`
	Title         string                `json:"title"`
	HideTitle     bool                  `json:"hide_title"`
	Comparison    ekyc.ComparisonSource `json:"comparison"`
	Identity      ekyc.IdentityInput    `json:"identity"`
	DocumentBack  bool                  `json:"document_back"`
	DocumentRisk  bool                  `json:"document_risk"`
	Sources       []string              `json:"sources"`
	NextOn        []ekyc.Outcome        `json:"next_on"`
	QualityLevel  ekyc.Level            `json:"quality_level"`
	LivenessLevel ekyc.Level            `json:"liveness_level"`
	Liveness      ekyc.LivenessKind     `json:"liveness"`
	Actions       []ekyc.Action         `json:"actions"`
	Alternative   ekyc.LivenessKind     `json:"alternative"`
	Fallback      ekyc.LivenessKind     `json:"fallback"`
	MatchAt       float64               `json:"match_at"`
	Spoofing      bool                  `json:"spoofing"`
	Risk          bool                  `json:"risk"`
	EndsOnFailure bool                  `json:"ends_on_failure"`
	KeepMedia     bool                  `json:"keep_media"`
	Consent       consentDoc            `json:"consent"`
}

type consentDoc struct {
	Version string            `json:"version"`
	Text    map[string]string `json:"text"` // by language: zh-CN, en
}

func docOf(p ekyc.Plan) planDoc {
	text := p.Consent.Text
	if text == nil {
		text = map[string]string{}
	}
	return planDoc{
		ID: p.ID, App: p.App, Name: p.Name, Title: p.Title, HideTitle: p.HideTitle, Comparison: p.Comparison, Identity: p.Identity,
		DocumentBack: p.DocumentBack, DocumentRisk: p.DocumentRisk, Sources: listed(p.Sources), NextOn: listed(p.NextOn),
		QualityLevel: p.QualityLevel, LivenessLevel: p.LivenessLevel, Liveness: p.Liveness, Actions: listed(p.Actions),
		Alternative: p.Alternative, Fallback: p.Fallback, MatchAt: float64(p.MatchAt), Spoofing: p.Spoofing, Risk: p.Risk,
		EndsOnFailure: p.EndsOnFailure, KeepMedia: p.KeepMedia, Consent: consentDoc{p.Consent.Version, text},
	}
}

// listed is a list that JSON shows as one where it is empty.
func listed[T any](l []T) []T {
	if l == nil {
		return []T{}
	}
	return l
}

// some is a list as the core keeps it: nil where it is empty.
func some[T any](l []T) []T {
	if len(l) == 0 {
		return nil
	}
	return l
}

func (d planDoc) plan() ekyc.Plan {
	text := maps.Clone(d.Consent.Text)
	maps.DeleteFunc(text, func(_, t string) bool { return strings.TrimSpace(t) == "" })
	return ekyc.Plan{
		ID: d.ID, App: d.App, Name: strings.TrimSpace(d.Name), Title: strings.TrimSpace(d.Title), HideTitle: d.HideTitle,
		Comparison: d.Comparison, Identity: d.Identity, DocumentBack: d.DocumentBack, DocumentRisk: d.DocumentRisk,
		Sources: some(d.Sources), NextOn: some(d.NextOn), QualityLevel: d.QualityLevel, LivenessLevel: d.LivenessLevel,
		Liveness: d.Liveness, Actions: some(d.Actions), Alternative: d.Alternative, Fallback: d.Fallback, MatchAt: ekyc.Score(d.MatchAt),
		Spoofing: d.Spoofing, Risk: d.Risk, EndsOnFailure: d.EndsOnFailure, KeepMedia: d.KeepMedia,
		Consent: ekyc.Consent{Version: strings.TrimSpace(d.Consent.Version), Text: text},
	}
}

// planAnswer is a plan with what is not a setting.
type planAnswer struct {
	Plan     planDoc   `json:"plan"`
	AppName  string    `json:"app_name"`
	Version  int       `json:"version"`
	Created  time.Time `json:"created"`
	Retired  bool      `json:"retired"`
	Declared bool      `json:"declared"` // read-only here
	Triable  bool      `json:"triable"`
}

func (h *Handler) planAnswer(ctx context.Context, p ekyc.Plan) planAnswer {
	a := planAnswer{
		Plan: docOf(p), Version: p.Version, Created: p.Created, Retired: p.Retired, Declared: h.cfg.Plans.DeclaredPlan(p.ID),
		Triable: p.Triable() && !p.Retired,
	}
	if h.cfg.Apps != nil {
		if app, err := h.cfg.Apps.App(ctx, p.App); err == nil {
			a.AppName = app.Name
		}
	}
	return a
}

// difference is one setting that two versions have different values of.
type difference struct {
	Field string `json:"field"` // consent texts one by one: "consent.text.en"
	From  any    `json:"from"`
	To    any    `json:"to"`
}

// differences lists what changed, by field.
func differences(from, to ekyc.Plan) []difference {
	a, b := flat(from), flat(to)
	list := []difference{}
	for _, field := range slices.Sorted(maps.Keys(b)) {
		if x, y := a[field], b[field]; !sameJSON(x, y) {
			list = append(list, difference{field, x, y})
		}
	}
	for _, field := range slices.Sorted(maps.Keys(a)) {
		if _, ok := b[field]; !ok {
			list = append(list, difference{field, a[field], nil})
		}
	}
	return list
}

func sameJSON(x, y any) bool {
	a, err1 := json.Marshal(x)
	b, err2 := json.Marshal(y)
	return err1 == nil && err2 == nil && bytes.Equal(a, b)
}

func flat(p ekyc.Plan) map[string]any {
	d := docOf(p)
	m := map[string]any{}
	b, err := json.Marshal(d)
	if err == nil {
		err = json.Unmarshal(b, &m)
	}
	if err != nil {
		return nil // strings, numbers and lists of them always come out
	}
	delete(m, "consent")
	m["consent.version"], m["retired"] = d.Consent.Version, p.Retired
	for lang, text := range d.Consent.Text {
		m["consent.text."+lang] = text
	}
	return m
}

func fieldsOf(list []difference) string {
	var names []string
	for _, d := range list {
		names = append(names, d.Field)
	}
	if names == nil {
		return "nothing"
	}
	return strings.Join(names, ", ")
}

// versionAnswer is one version of a plan, and what it changed.
type versionAnswer struct {
	Version int          `json:"version"`
	At      time.Time    `json:"at"`
	By      string       `json:"by"`      // the account's name, "" of the configuration file and the command line
	Account string       `json:"account"` // its id
	Note    string       `json:"note"`
	Changed []difference `json:"changed"` // since the version before; empty of the first
	Plan    planDoc      `json:"plan"`
	Retired bool         `json:"retired"`
}

// trialAnswer is where a plan can be tried.
type trialAnswer struct {
	URL   string    `json:"url"`  // for a phone
	Path  string    `json:"path"` // the same page on the console's own origin; "" where it is not there
	QR    string    `json:"qr"`   // of URL, as a data: address of a PNG
	Until time.Time `json:"until"`
}

// planChange is the body of what makes and changes plans.
type planChange struct {
	Version int     `json:"version"` // that was changed
	Plan    planDoc `json:"plan"`
	Note    string  `json:"note"`
}

type planStep struct {
	Version int    `json:"version"`
	Note    string `json:"note"`
}

type planCopy struct {
	ID   ekyc.PlanID `json:"id"`
	App  ekyc.AppID  `json:"app"`  // "" is the same one
	Name string      `json:"name"` // "" is the same one
}

// maxNote bounds what is said of a change, in characters. Our choice.
const maxNote = 200

// planRoutes serves plans.
//
//	GET  /plans                          {"items":[planAnswer]}
//	GET  /plan-defaults?identity=        {"plan":planDoc,"sources":[name]}: what a new one starts from
//	GET  /plans/{id}                     planAnswer
//	GET  /plans/{id}/versions            {"items":[versionAnswer]}, newest first
//	POST /plans                          planChange, makes one: planAnswer
//	PUT  /plans/{id}                     planChange: planAnswer
//	POST /plans/{id}/copy                planCopy: planAnswer of the copy
//	POST /plans/{id}/retire, …/revive    planStep: planAnswer
//	POST /plans/{id}/versions/{n}/restore planStep, makes version n the next one: planAnswer
//	POST /plans/{id}/trial               trialAnswer
//	POST /plans/trial                    {"plan":planDoc}, not stored: trialAnswer
//
// A change names the version that it was made to; where there is another one it is refused
// with ErrConflict. Mistakes are ErrInvalid with "fields".
func (h *Handler) planRoutes() {
	if h.cfg.Plans == nil {
		return
	}
	h.read("GET /plans", operator.ReadPlans, h.listPlans)
	h.read("GET /plan-defaults", operator.ReadPlans, func(c *call) (any, error) {
		p := h.cfg.Plans.NewPlan(ekyc.IdentityInput(c.URL.Query().Get("identity")))
		return map[string]any{"plan": docOf(p), "sources": listed(h.cfg.Plans.SourceNames())}, nil
	})
	h.read("GET /plans/{id}", operator.ReadPlans, func(c *call) (any, error) {
		p, err := h.cfg.Plans.Plan(c.Context(), ekyc.PlanID(c.PathValue("id")))
		if err != nil {
			return nil, err
		}
		return h.planAnswer(c.Context(), p), nil
	})
	h.read("GET /plans/{id}/versions", operator.ReadPlans, h.planVersions)
	h.change("POST /plans", operator.ChangePlans, "plan.create", func(c *call) (object, reason, detail string, err error) {
		in, err := bodyOf[planChange](c, MaxBody)
		if err != nil {
			return "", "", "", err
		}
		return "plan " + clean(string(in.Plan.ID)), "", noted("app "+clean(string(in.Plan.App)), in.Note), h.editable(in.Plan.ID)
	}, func(c *call) (any, error) {
		in, err := bodyOf[planChange](c, MaxBody)
		if err != nil {
			return nil, err
		}
		p := in.Plan.plan()
		p.Created = h.cfg.Now().UTC()
		return h.putPlan(c, p, in.Note)
	})
	h.change("PUT /plans/{id}", operator.ChangePlans, "plan.change", func(c *call) (object, reason, detail string, err error) {
		in, have, err := h.changedPlan(c)
		if err != nil {
			return "", "", "", err
		}
		to := in.Plan.plan()
		to.Retired = have.Retired
		return "plan " + string(have.ID), "", noted(fmt.Sprintf("version %d: %s", have.Version, fieldsOf(differences(have, to))), in.Note), nil
	}, func(c *call) (any, error) {
		in, have, err := h.changedPlan(c)
		if err != nil {
			return nil, err
		}
		p := in.Plan.plan()
		p.Version, p.Created, p.Retired = in.Version, have.Created, have.Retired
		return h.putPlan(c, p, in.Note)
	})
	h.change("POST /plans/{id}/copy", operator.ChangePlans, "plan.copy", func(c *call) (object, reason, detail string, err error) {
		in, err := bodyOf[planCopy](c, MaxBody)
		if err != nil {
			return "", "", "", err
		}
		return "plan " + c.PathValue("id"), "", "to plan " + clean(string(in.ID)), h.editable(in.ID)
	}, func(c *call) (any, error) {
		in, err := bodyOf[planCopy](c, MaxBody)
		if err != nil {
			return nil, err
		}
		p, err := h.cfg.Plans.Plan(c.Context(), ekyc.PlanID(c.PathValue("id")))
		if err != nil {
			return nil, err
		}
		note := fmt.Sprintf("copy of %s, version %d", p.ID, p.Version)
		p.ID, p.Version, p.Retired, p.Created = in.ID, 0, false, h.cfg.Now().UTC()
		if in.App != "" {
			p.App = in.App
		}
		if in.Name != "" {
			p.Name = in.Name
		}
		return h.putPlan(c, p, note)
	})
	for word, retired := range map[string]bool{"retire": true, "revive": false} {
		h.change("POST /plans/{id}/"+word, operator.ChangePlans, "plan."+word, h.noteStep, func(c *call) (any, error) {
			return h.step(c, func(p *ekyc.Plan) error {
				p.Retired = retired
				return nil
			})
		})
	}
	h.change("POST /plans/{id}/versions/{n}/restore", operator.ChangePlans, "plan.restore", h.noteStep, func(c *call) (any, error) {
		return h.step(c, func(p *ekyc.Plan) error {
			list, err := h.cfg.Plans.PlanVersions(c.Context(), p.ID)
			if err != nil {
				return err
			}
			n, _ := strconv.Atoi(c.PathValue("n"))
			i := slices.IndexFunc(list, func(v ekyc.PlanVersion) bool { return v.Plan.Version == n })
			if i < 0 {
				return absent("the plan has no such version")
			}
			old := list[i].Plan
			old.Version, old.Created, old.Retired = p.Version, p.Created, p.Retired
			*p = old
			return nil
		})
	})
	if h.cfg.Trials == nil {
		return
	}
	h.change("POST /plans/{id}/trial", operator.ChangePlans, "plan.try", func(c *call) (object, reason, detail string, err error) {
		return "plan " + c.PathValue("id"), "", "", nil
	}, func(c *call) (any, error) {
		p, err := h.cfg.Plans.Plan(c.Context(), ekyc.PlanID(c.PathValue("id")))
		if err != nil {
			return nil, err
		}
		return h.try(c, p)
	})
	type draft struct {
		Plan planDoc `json:"plan"`
	}
	h.change("POST /plans/trial", operator.ChangePlans, "plan.try", func(c *call) (object, reason, detail string, err error) {
		in, err := bodyOf[draft](c, MaxBody)
		if err != nil {
			return "", "", "", err
		}
		return "plan " + clean(string(in.Plan.ID)), "", "a draft", nil
	}, func(c *call) (any, error) {
		in, err := bodyOf[draft](c, MaxBody)
		if err != nil {
			return nil, err
		}
		p := in.Plan.plan()
		if err := p.Validate(); err != nil {
			return nil, err
		}
		return h.try(c, p)
	})
}

func (h *Handler) listPlans(c *call) (any, error) {
	plans, err := h.cfg.Plans.Plans(c.Context())
	if err != nil {
		return nil, err
	}
	items := make([]planAnswer, 0, len(plans))
	for _, p := range plans {
		items = append(items, h.planAnswer(c.Context(), p))
	}
	return map[string]any{"items": items, "next": ""}, nil
}

func (h *Handler) planVersions(c *call) (any, error) {
	list, err := h.cfg.Plans.PlanVersions(c.Context(), ekyc.PlanID(c.PathValue("id")))
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, absent("there is no such plan")
	}
	items := make([]versionAnswer, 0, len(list))
	for i, v := range list {
		a := versionAnswer{Version: v.Plan.Version, At: v.At, By: v.Name, Account: v.By, Note: v.Note, Changed: []difference{}, Plan: docOf(v.Plan), Retired: v.Plan.Retired}
		if i+1 < len(list) {
			a.Changed = differences(list[i+1].Plan, v.Plan)
		}
		items = append(items, a)
	}
	return map[string]any{"items": items, "next": ""}, nil
}

// editable refuses a plan that the configuration file declares.
func (h *Handler) editable(id ekyc.PlanID) error {
	if h.cfg.Plans.DeclaredPlan(id) {
		return &Error{http.StatusConflict, ErrDeclared, "the configuration file declares this plan and has the last word at each start; change it there, or copy it and change the copy"}
	}
	return nil
}

// changedPlan reads the body of a change and the plan that it is made to.
func (h *Handler) changedPlan(c *call) (*planChange, ekyc.Plan, error) {
	in, err := bodyOf[planChange](c, MaxBody)
	if err != nil {
		return nil, ekyc.Plan{}, err
	}
	id := ekyc.PlanID(c.PathValue("id"))
	if in.Plan.ID != id {
		return nil, ekyc.Plan{}, invalid("a plan's id cannot be changed; copy the plan to another id")
	}
	have, err := h.cfg.Plans.Plan(c.Context(), id)
	if err != nil {
		return nil, have, err
	}
	return in, have, h.editable(id)
}

func (h *Handler) noteStep(c *call) (object, reason, detail string, err error) {
	in, err := bodyOf[planStep](c, MaxBody)
	if err != nil {
		return "", "", "", err
	}
	id := ekyc.PlanID(c.PathValue("id"))
	what := fmt.Sprintf("version %d", in.Version)
	if n := c.PathValue("n"); n != "" {
		what += ", to what version " + clean(n) + " was"
	}
	return "plan " + clean(string(id)), "", noted(what, in.Note), h.editable(id)
}

// step changes a stored plan in one way.
func (h *Handler) step(c *call, f func(*ekyc.Plan) error) (any, error) {
	in, err := bodyOf[planStep](c, MaxBody)
	if err != nil {
		return nil, err
	}
	p, err := h.cfg.Plans.Plan(c.Context(), ekyc.PlanID(c.PathValue("id")))
	if err != nil {
		return nil, err
	}
	if p.Version != in.Version {
		return nil, ekyc.ErrConflict
	}
	if err := f(&p); err != nil {
		return nil, err
	}
	note := in.Note
	if n := c.PathValue("n"); n != "" && note == "" {
		note = "version " + n + " again"
	}
	return h.putPlan(c, p, note)
}

func (h *Handler) putPlan(c *call, p ekyc.Plan, note string) (any, error) {
	if len([]rune(note)) > maxNote {
		return nil, invalid(fmt.Sprintf("the note has more than %d characters", maxNote))
	}
	p, err := h.cfg.Plans.ChangePlan(c.Context(), ekyc.PlanVersion{Plan: p, At: h.cfg.Now().UTC(), By: c.Account, Name: c.Name, Note: note})
	if err != nil {
		return nil, err
	}
	return h.planAnswer(c.Context(), p), nil
}

// try opens a session of a plan and says where its page is.
func (h *Handler) try(c *call, p ekyc.Plan) (any, error) {
	ses, err := h.cfg.Trials.Try(c.Context(), p)
	if err != nil {
		return nil, err
	}
	path := h.cfg.CapturePage + "?token=" + url.QueryEscape(string(ses.Token))
	a := trialAnswer{URL: h.origin(c.Request) + path, Until: ses.Opened.Add(ekyc.TokenWindow)}
	if h.cfg.Framed {
		a.Path = path
	}
	code, err := qr.Encode(a.URL, qr.M)
	if err != nil {
		return nil, fmt.Errorf("draw the address: %w", err)
	}
	a.QR = "data:image/png;base64," + base64.StdEncoding.EncodeToString(code.PNG())
	return a, nil
}

// origin is how phones reach the server: the configured address, else the one that the
// operator's browser uses, which own has compared with the request's host.
func (h *Handler) origin(r *http.Request) string {
	if h.cfg.CaptureURL != "" {
		return strings.TrimSuffix(h.cfg.CaptureURL, "/")
	}
	if o := r.Header.Get("Origin"); strings.HasPrefix(o, "http") {
		return o
	}
	if r.TLS != nil {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

// noted joins what the console says of a change and what its maker does.
func noted(what, note string) string {
	if note == "" {
		return what
	}
	return what + " — " + clean(note)
}

// clean bounds a text of a request for the journal: one line of at most maxNote characters.
func clean(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
	if r := []rune(s); len(r) > maxNote {
		return string(r[:maxNote]) + "…"
	}
	return s
}
