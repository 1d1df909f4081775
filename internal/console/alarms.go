package console

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"shiren/internal/alarm"
	"shiren/internal/ekyc"
	"shiren/internal/notify"
	"shiren/internal/operator"
)

// AlarmStore keeps what this area reads and changes. Conflicts are alarm.ErrConflict, what is not
// there ekyc.ErrAbsent. Safe for concurrent use.
type AlarmStore interface {
	Rules(ctx context.Context) ([]alarm.Rule, error)
	Rule(ctx context.Context, id string) (alarm.Rule, error)
	PutRule(ctx context.Context, r alarm.Rule) (alarm.Rule, error)
	RemoveRule(ctx context.Context, id string, now time.Time) error
	States(ctx context.Context) ([]alarm.State, error)
	Episodes(ctx context.Context, q alarm.EpisodeQuery) ([]alarm.Episode, error)
	Endpoints(ctx context.Context) ([]notify.Endpoint, error)
	Endpoint(ctx context.Context, id string) (notify.Endpoint, error)
	PutEndpoint(ctx context.Context, e notify.Endpoint) (notify.Endpoint, error)
	RemoveEndpoint(ctx context.Context, id string) error
	Deliveries(ctx context.Context, q notify.DeliveryQuery) ([]notify.Delivery, error)
	Delivery(ctx context.Context, id string) (notify.Delivery, []notify.Try, error)
	Replay(ctx context.Context, id string, now time.Time) (notify.Delivery, error)
}

// AlarmRunner measures and tests rules: an *alarm.Runner.
type AlarmRunner interface {
	Measure(ctx context.Context, r alarm.Rule) (alarm.Reading, error)
	Test(ctx context.Context, r alarm.Rule) (alarm.Reading, []alarm.Tested, error)
}

// AlarmNames lists what rules can be limited to.
type AlarmNames interface {
	Apps(ctx context.Context) ([]ekyc.App, error)
	Plans(ctx context.Context) ([]ekyc.Plan, error)
}

// Alarms is what the area needs. All fields are required.
type Alarms struct {
	Store   AlarmStore
	Runner  AlarmRunner
	Names   AlarmNames
	Sources []string               // names of all sources
	Wake    func()                 // tells who sends that something is due
	URL     func(url string) error // says what is wrong with a webhook's address
	Mail    AlarmMail
	Rand    io.Reader
}

// AlarmMail is how mails leave, as configured; the zero value is not at all. It holds no secret.
type AlarmMail struct {
	Configured bool   `json:"configured"`
	Host       string `json:"host,omitempty"`
	Port       int    `json:"port,omitempty"`
	TLS        string `json:"tls,omitempty"`
	From       string `json:"from,omitempty"`
	SignsIn    bool   `json:"signs_in"`
}

// ruleIn is a rule as the page sends it. Thresholds are in the measure's unit.
type ruleIn struct {
	Revision       int64    `json:"revision"`
	Name           string   `json:"name"`
	Enabled        bool     `json:"enabled"`
	Measure        string   `json:"measure"`
	App            string   `json:"app"`
	Plan           string   `json:"plan"`
	Protocol       string   `json:"protocol"`
	Code           string   `json:"code"`
	Source         string   `json:"source"`
	Charge         string   `json:"charge"`
	WindowMinutes  int64    `json:"window_minutes"`
	Threshold      float64  `json:"threshold"`
	RecoverAt      float64  `json:"recover_at"`
	Minimum        int64    `json:"minimum"`
	SilenceMinutes int64    `json:"silence_minutes"`
	TellRecovery   bool     `json:"tell_recovery"`
	Mails          []string `json:"mails"`
	Webhooks       []string `json:"webhooks"`
}

// maxAlarmMinutes keeps a number of minutes within a time.Duration.
const maxAlarmMinutes = int64(time.Duration(1<<63-1) / time.Minute)

func alarmMinutes(n int64) time.Duration {
	return time.Duration(min(max(n, 0), maxAlarmMinutes)) * time.Minute
}

func (in *ruleIn) rule(id string, now time.Time) alarm.Rule {
	return alarm.Rule{
		ID: id, Revision: in.Revision, Name: in.Name, Enabled: in.Enabled, Measure: alarm.Measure(in.Measure),
		App: ekyc.AppID(in.App), Plan: ekyc.PlanID(in.Plan), Protocol: in.Protocol,
		Code: ekyc.Code(in.Code), Source: in.Source, Charge: ekyc.ChargeKind(in.Charge), Window: alarmMinutes(in.WindowMinutes),
		Threshold: in.Threshold, RecoverAt: in.RecoverAt, Minimum: in.Minimum, Silence: alarmMinutes(in.SilenceMinutes),
		TellRecovery: in.TellRecovery, Mails: in.Mails, Webhooks: in.Webhooks, Changed: now,
	}
}

// ruleOut is a rule as the page gets it.
type ruleOut struct {
	ID string `json:"id"`
	ruleIn
	Changed time.Time `json:"changed"`
}

func ruleOf(r alarm.Rule) ruleOut {
	return ruleOut{r.ID, ruleIn{
		Revision: r.Revision, Name: r.Name, Enabled: r.Enabled, Measure: string(r.Measure), App: string(r.App), Plan: string(r.Plan), Protocol: r.Protocol,
		Code: string(r.Code), Source: r.Source, Charge: string(r.Charge), WindowMinutes: int64(r.Window / time.Minute), Threshold: r.Threshold,
		RecoverAt: r.RecoverAt, Minimum: r.Minimum, SilenceMinutes: int64(r.Silence / time.Minute), TellRecovery: r.TellRecovery,
		Mails: alarmStrings(r.Mails), Webhooks: alarmStrings(r.Webhooks),
	}, r.Changed}
}

// alarmStrings is a list that is never null.
func alarmStrings[T any](l []T) []T {
	if l == nil {
		return []T{}
	}
	return l
}

// readingOut is what a rule came to.
type readingOut struct {
	At     time.Time `json:"at"`
	Value  *float64  `json:"value"` // null where there is none
	Part   int64     `json:"part"`
	Events int64     `json:"events"`
	Detail string    `json:"detail,omitempty"`
	Why    string    `json:"why,omitempty"` // there is no value: alarm.Why, or "failed"
}

func readingOf(x alarm.Reading) *readingOut {
	if x.At.IsZero() {
		return nil
	}
	out := &readingOut{At: x.At, Part: x.Part, Events: x.Events, Detail: x.Detail, Why: string(x.Why)}
	if x.Known {
		out.Value = &x.Value
	}
	return out
}

type stateOut struct {
	Node    string     `json:"node,omitempty"`
	Phase   string     `json:"phase"`
	Since   time.Time  `json:"since"`
	Episode string     `json:"episode,omitempty"`
	Told    bool       `json:"told"` // false while it fires: silenced
	Sent    *time.Time `json:"sent"` // of the last message
	Worst   *float64   `json:"worst"`
}

type watched struct {
	ruleOut
	States  []stateOut  `json:"states"`
	Reading *readingOut `json:"reading"`
}

type alarmChoice struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	App  string `json:"app,omitempty"`
}

type kindOut struct {
	Measure string `json:"measure"`
	Unit    string `json:"unit"`
	Over    bool   `json:"over"`
	Counted bool   `json:"counted"`
	Least   bool   `json:"least"`
}

// alarmForm is what the form of a rule offers.
type alarmForm struct {
	Kinds     []kindOut         `json:"kinds"`
	Apps      []alarmChoice     `json:"apps"`
	Plans     []alarmChoice     `json:"plans"`
	Webhooks  []alarmChoice     `json:"webhooks"`
	Sources   []string          `json:"sources"`
	Codes     []ekyc.Code       `json:"codes"`
	Charges   []ekyc.ChargeKind `json:"charges"`
	Protocols []string          `json:"protocols"`
}

type mailOut struct {
	AlarmMail
	Delivered *deliveryOut `json:"delivered"` // the last mail that was, and so on
	Waiting   *deliveryOut `json:"waiting"`
	GivenUp   *deliveryOut `json:"given_up"`
}

type episodeOut struct {
	ID     string      `json:"id"`
	Rule   ruleOut     `json:"rule"`
	Unit   string      `json:"unit"`
	Over   bool        `json:"over"`
	Node   string      `json:"node,omitempty"`
	Began  time.Time   `json:"began"`
	First  *readingOut `json:"first"`
	Worst  float64     `json:"worst"`
	Told   int         `json:"told"`
	Ended  *time.Time  `json:"ended"`
	Last   *readingOut `json:"last"`
	Reason string      `json:"because,omitempty"`
}

type endpointOut struct {
	ID       string        `json:"id"`
	Revision int64         `json:"revision"`
	Name     string        `json:"name"`
	URL      string        `json:"url"` // its path is hidden from who may not change it
	Enabled  bool          `json:"enabled"`
	Created  time.Time     `json:"created"`
	Secrets  []signingOut  `json:"secrets"`
	Rules    []alarmChoice `json:"rules"` // that send to it
	// Secret is told once, when it is made.
	Secret string `json:"secret,omitempty"`
}

type signingOut struct {
	Created time.Time  `json:"created"`
	Until   *time.Time `json:"until"`
}

type deliveryOut struct {
	ID       string     `json:"id"`
	Channel  string     `json:"channel"`
	Receiver string     `json:"receiver"`
	Rule     string     `json:"rule"`
	Event    string     `json:"event"`
	Subject  string     `json:"subject,omitempty"`
	Created  time.Time  `json:"created"`
	State    string     `json:"state"`
	Tries    int        `json:"tries"`
	Due      *time.Time `json:"due"`
	// Of one delivery that is asked for by its id:
	Text  string          `json:"text,omitempty"`
	Body  json.RawMessage `json:"body,omitempty"`
	Until *time.Time      `json:"until,omitempty"`
	Log   []tryOut        `json:"log,omitempty"`
}

type tryOut struct {
	N      int       `json:"n"`
	At     time.Time `json:"at"`
	TookMS int64     `json:"took_ms"`
	Status int       `json:"status"`
	Error  string    `json:"error,omitempty"`
}

func tryOf(t notify.Try) tryOut {
	return tryOut{t.N, t.At, t.Took.Milliseconds(), t.Status, t.Err}
}

func deliveryOf(d notify.Delivery) deliveryOut {
	return deliveryOut{
		ID: d.ID, Channel: string(d.Channel), Receiver: d.To, Rule: d.About, Event: d.Event, Subject: d.Subject, Created: d.Created,
		State: string(d.State), Tries: d.Tries, Due: alarmTime(d.Due),
	}
}

// alarmTime is a moment, null where there is none.
func alarmTime(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

type alarmsPage[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next"`
}

// alarmRoutes serves 数据报警:
//
//	GET    /alarms                          rules with their states and what they come to now
//	GET    /alarms/choices                  what a rule's form offers
//	GET    /alarms/mail                     how mails leave, and what became of the last ones
//	POST   /alarms/rules                    a new rule
//	PUT    /alarms/rules/{id}               changes it; revision must be the one that was read
//	DELETE /alarms/rules/{id}
//	POST   /alarms/rules/{id}/test          measures now, and sends a test message to each receiver once
//	GET    /alarms/episodes                 the history; ?rule=, ?after=
//	GET    /alarms/webhooks
//	POST   /alarms/webhooks                 the answer tells the secret, this once
//	PUT    /alarms/webhooks/{id}
//	DELETE /alarms/webhooks/{id}            refused while a rule sends to it
//	POST   /alarms/webhooks/{id}/rotate     likewise; the old secret signs beside it for overlap_hours
//	GET    /alarms/deliveries               ?channel=, ?receiver=, ?state=, ?after=
//	GET    /alarms/deliveries/{id}          with its tries
//	POST   /alarms/deliveries/{id}/replay   sends it again, with the same id
func (h *Handler) alarmRoutes() {
	read := func(pattern string, f func(c *call) (any, error)) { h.read(pattern, operator.ReadAlarms, f) }
	read("GET /alarms", h.alarmList)
	read("GET /alarms/choices", h.alarmChoices)
	read("GET /alarms/mail", h.alarmMail)
	read("GET /alarms/episodes", h.alarmEpisodes)
	read("GET /alarms/webhooks", h.alarmWebhooks)
	read("GET /alarms/deliveries", h.alarmDeliveries)
	read("GET /alarms/deliveries/{id}", h.alarmDelivery)

	changeAlarm(h, "POST /alarms/rules", operator.ChangeAlarms, "alarm.add", h.noteRule, h.putRule)
	changeAlarm(h, "PUT /alarms/rules/{id}", operator.ChangeAlarms, "alarm.change", h.noteRule, h.putRule)
	h.change("DELETE /alarms/rules/{id}", operator.ChangeAlarms, "alarm.remove", h.noteRuleID, func(c *call) (any, error) {
		return struct{}{}, h.cfg.Alarms.Store.RemoveRule(c.Context(), c.PathValue("id"), h.cfg.Now().UTC())
	})
	h.change("POST /alarms/rules/{id}/test", operator.ChangeAlarms, "alarm.test", h.noteRuleID, h.testRule)

	changeAlarm(h, "POST /alarms/webhooks", operator.ChangeAlarms, "webhook.add", h.noteWebhook, h.putWebhook)
	changeAlarm(h, "PUT /alarms/webhooks/{id}", operator.ChangeAlarms, "webhook.change", h.noteWebhook, h.putWebhook)
	h.change("DELETE /alarms/webhooks/{id}", operator.ChangeAlarms, "webhook.remove", h.noteWebhookRemoval, func(c *call) (any, error) {
		return struct{}{}, h.cfg.Alarms.Store.RemoveEndpoint(c.Context(), c.PathValue("id"))
	})
	changeAlarm(h, "POST /alarms/webhooks/{id}/rotate", operator.ChangeAlarms, "webhook.rotate", h.noteRotation, h.rotateWebhook)
	h.change("POST /alarms/deliveries/{id}/replay", operator.ChangeAlarms, "delivery.replay", func(c *call) (string, string, string, error) {
		d, _, err := h.cfg.Alarms.Store.Delivery(c.Context(), c.PathValue("id"))
		return d.ID, "", string(d.Channel) + " " + d.Event, err
	}, func(c *call) (any, error) {
		d, err := h.cfg.Alarms.Store.Replay(c.Context(), c.PathValue("id"), h.cfg.Now().UTC())
		if err != nil {
			return nil, err
		}
		h.cfg.Alarms.Wake()
		return deliveryOf(d), nil
	})
}

// changeAlarm is change for calls with a body, which is handed to both.
func changeAlarm[T any](h *Handler, pattern string, p operator.Permission, action string,
	note func(c *call, in *T) (object, reason, detail string, err error), f func(c *call, in *T) (any, error),
) {
	h.change(pattern, p, action, func(c *call) (string, string, string, error) {
		in, err := bodyOf[T](c, MaxBody)
		if err != nil {
			return "", "", "", err
		}
		return note(c, in)
	}, func(c *call) (any, error) {
		in, err := bodyOf[T](c, MaxBody)
		if err != nil {
			return nil, err
		}
		return f(c, in)
	})
}

func (h *Handler) alarmList(c *call) (any, error) {
	a := h.cfg.Alarms
	rules, err := a.Store.Rules(c.Context())
	if err != nil {
		return nil, err
	}
	states, err := a.Store.States(c.Context())
	if err != nil {
		return nil, err
	}
	out := alarmsPage[watched]{Items: []watched{}}
	for _, r := range rules {
		w := watched{ruleOut: ruleOf(r), States: []stateOut{}}
		for _, s := range states {
			if s.Rule != r.ID {
				continue
			}
			o := stateOut{Node: s.Node, Phase: string(s.Phase), Since: s.Since, Episode: s.Episode, Told: s.Told, Sent: alarmTime(s.Sent)}
			if s.Phase == alarm.Firing {
				o.Worst = &s.Worst
			}
			w.States = append(w.States, o)
		}
		x, err := a.Runner.Measure(c.Context(), r)
		if err != nil {
			if c.Context().Err() != nil {
				return nil, err
			}
			h.log.WarnContext(c.Context(), "an alarm's rule cannot be measured", "rule", r.ID, "err", err)
			x = alarm.Reading{At: h.cfg.Now().UTC(), Why: "failed"}
		}
		w.Reading = readingOf(x)
		out.Items = append(out.Items, w)
	}
	slices.SortStableFunc(out.Items, func(x, y watched) int { return strings.Compare(x.Name, y.Name) })
	return out, nil
}

func (h *Handler) alarmChoices(c *call) (any, error) {
	a := h.cfg.Alarms
	out := alarmForm{
		Apps: []alarmChoice{}, Plans: []alarmChoice{}, Webhooks: []alarmChoice{}, Sources: alarmStrings(a.Sources), Codes: ekyc.Codes(), Charges: ekyc.ChargeKinds(), Protocols: alarm.Protocols,
	}
	for _, k := range alarm.Kinds() {
		out.Kinds = append(out.Kinds, kindOut{string(k.Measure), string(k.Unit), k.Over, k.Counted, k.Least})
	}
	apps, err := a.Names.Apps(c.Context())
	if err != nil {
		return nil, err
	}
	for _, x := range apps {
		out.Apps = append(out.Apps, alarmChoice{ID: string(x.ID), Name: x.Name})
	}
	plans, err := a.Names.Plans(c.Context())
	if err != nil {
		return nil, err
	}
	for _, x := range plans {
		out.Plans = append(out.Plans, alarmChoice{ID: string(x.ID), Name: x.Name, App: string(x.App)})
	}
	hooks, err := a.Store.Endpoints(c.Context())
	if err != nil {
		return nil, err
	}
	for _, x := range hooks {
		out.Webhooks = append(out.Webhooks, alarmChoice{ID: x.ID, Name: x.Name})
	}
	return out, nil
}

func (h *Handler) alarmMail(c *call) (any, error) {
	out := mailOut{AlarmMail: h.cfg.Alarms.Mail}
	for _, x := range []struct {
		state notify.State
		into  **deliveryOut
	}{{notify.Delivered, &out.Delivered}, {notify.Waiting, &out.Waiting}, {notify.GivenUp, &out.GivenUp}} {
		l, err := h.cfg.Alarms.Store.Deliveries(c.Context(), notify.DeliveryQuery{Channel: notify.Mail, State: x.state, Limit: 1})
		if err != nil {
			return nil, err
		}
		if len(l) == 0 {
			continue
		}
		d, tries, err := h.cfg.Alarms.Store.Delivery(c.Context(), l[0].ID)
		if err != nil {
			return nil, err
		}
		o := deliveryOf(d)
		if len(tries) > 0 {
			o.Log = []tryOut{tryOf(tries[0])}
		}
		*x.into = &o
	}
	return out, nil
}

// noteRule checks a rule and says what is journalled of it.
func (h *Handler) noteRule(c *call, in *ruleIn) (object, reason, detail string, err error) {
	a, id := h.cfg.Alarms, c.PathValue("id")
	r := in.rule(id, h.cfg.Now().UTC())
	if err := r.Validate(); err != nil {
		return "", "", "", invalid(err.Error())
	}
	switch {
	case id == "" && in.Revision != 0:
		return "", "", "", invalid("revision: a new rule has none; leave it 0")
	case id != "":
		old, err := a.Store.Rule(c.Context(), id)
		if err != nil {
			return "", "", "", err
		}
		if old.Revision != in.Revision {
			return "", "", "", alarmStale()
		}
	}
	var bad []error
	apps, err := a.Names.Apps(c.Context())
	if err != nil {
		return "", "", "", err
	}
	if r.App != "" && !slices.ContainsFunc(apps, func(x ekyc.App) bool { return x.ID == r.App }) {
		bad = append(bad, fmt.Errorf("app: there is none with the id %s", notify.Clean(in.App, 64)))
	}
	plans, err := a.Names.Plans(c.Context())
	if err != nil {
		return "", "", "", err
	}
	if i := slices.IndexFunc(plans, func(x ekyc.Plan) bool { return x.ID == r.Plan }); r.Plan != "" && i < 0 {
		bad = append(bad, fmt.Errorf("plan: there is none with the id %s", notify.Clean(in.Plan, 64)))
	} else if r.Plan != "" && r.App != "" && plans[i].App != r.App {
		bad = append(bad, fmt.Errorf("plan: it belongs to app %s, so that nothing of app %s would ever be counted", plans[i].App, r.App))
	}
	if r.Source != "" && !slices.Contains(a.Sources, r.Source) {
		bad = append(bad, fmt.Errorf("source: none is called %s", r.Source))
	}
	hooks, err := a.Store.Endpoints(c.Context())
	if err != nil {
		return "", "", "", err
	}
	for _, w := range r.Webhooks {
		if !slices.ContainsFunc(hooks, func(e notify.Endpoint) bool { return e.ID == w }) {
			bad = append(bad, fmt.Errorf("webhooks: there is none with the id %s", w))
		}
	}
	if len(bad) > 0 {
		return "", "", "", invalid(errors.Join(bad...).Error())
	}
	detail = fmt.Sprintf("%s; %s, threshold %v, recovery %v, window %d min, minimum %d, silence %d min, enabled %v, %d mails, %d webhooks",
		r.Name, r.Measure, r.Threshold, r.RecoverAt, in.WindowMinutes, r.Minimum, in.SilenceMinutes, r.Enabled, len(r.Mails), len(r.Webhooks))
	for _, s := range []struct{ key, value string }{
		{"app", in.App}, {"plan", in.Plan}, {"protocol", in.Protocol}, {"code", in.Code}, {"source", in.Source}, {"charge", in.Charge},
	} {
		if s.value != "" {
			detail += ", " + s.key + " " + s.value
		}
	}
	return id, "", detail, nil
}

func alarmStale() error {
	return &Error{http.StatusConflict, ErrConflict, "somebody changed it meanwhile: load it again, and make the change once more"}
}

// alarmConflict turns a store's conflict into the console's.
func alarmConflict(err error) error {
	if errors.Is(err, alarm.ErrConflict) {
		return alarmStale()
	}
	return err
}

func (h *Handler) putRule(c *call, in *ruleIn) (any, error) {
	id := c.PathValue("id")
	if id == "" {
		var err error
		if id, err = notify.NewID(h.cfg.Alarms.Rand); err != nil {
			return nil, err
		}
	}
	r, err := h.cfg.Alarms.Store.PutRule(c.Context(), in.rule(id, h.cfg.Now().UTC()))
	if err != nil {
		return nil, alarmConflict(err)
	}
	return ruleOf(r), nil
}

func (h *Handler) noteRuleID(c *call) (object, reason, detail string, err error) {
	r, err := h.cfg.Alarms.Store.Rule(c.Context(), c.PathValue("id"))
	return r.ID, "", r.Name, err
}

// alarmTested is what became of a test message to one receiver.
type alarmTested struct {
	Delivery deliveryOut `json:"delivery"`
	Name     string      `json:"name"` // of the webhook; of mail its address
	Try      tryOut      `json:"try"`
}

func (h *Handler) testRule(c *call) (any, error) {
	a := h.cfg.Alarms
	r, err := a.Store.Rule(c.Context(), c.PathValue("id"))
	if err != nil {
		return nil, err
	}
	hooks, err := a.Store.Endpoints(c.Context())
	if err != nil {
		return nil, err
	}
	x, results, err := a.Runner.Test(c.Context(), r)
	if err != nil {
		return nil, err
	}
	out := struct {
		Reading *readingOut   `json:"reading"`
		Fires   bool          `json:"fires"` // the value is at the threshold or beyond it
		Results []alarmTested `json:"results"`
	}{readingOf(x), x.Known && r.Broken(x.Value), []alarmTested{}}
	for _, t := range results {
		o := alarmTested{deliveryOf(t.Delivery), t.Delivery.To, tryOf(t.Try)}
		for _, e := range hooks {
			if t.Delivery.Channel == notify.Webhook && e.ID == t.Delivery.To {
				o.Name = e.Name
			}
		}
		out.Results = append(out.Results, o)
	}
	return out, nil
}

// alarmCursor is a place in a list that is ordered by time and id.
func alarmCursor(at time.Time, id string) string {
	return strconv.FormatInt(at.UnixMilli(), 10) + "." + id
}

func readAlarmCursor(s string) (at time.Time, id string, err error) {
	first, id, ok := strings.Cut(s, ".")
	ms, bad := strconv.ParseInt(first, 10, 64)
	if !ok || bad != nil {
		return at, "", invalid("after: hand back what next was")
	}
	return time.UnixMilli(ms).UTC(), id, nil
}

// alarmPage is how many lines of history and deliveries a page has. Our alarmChoice.
const alarmPage = 50

func (h *Handler) alarmEpisodes(c *call) (any, error) {
	q := alarm.EpisodeQuery{Rule: c.FormValue("rule"), Limit: alarmPage + 1}
	if s := c.FormValue("after"); s != "" {
		at, id, err := readAlarmCursor(s)
		if err != nil {
			return nil, err
		}
		q.After = &alarm.Episode{ID: id, Began: at}
	}
	l, err := h.cfg.Alarms.Store.Episodes(c.Context(), q)
	if err != nil {
		return nil, err
	}
	out := alarmsPage[episodeOut]{Items: []episodeOut{}}
	if len(l) > alarmPage {
		l = l[:alarmPage]
		out.Next = alarmCursor(l[alarmPage-1].Began, l[alarmPage-1].ID)
	}
	for _, e := range l {
		k, _ := alarm.KindOf(e.Rule.Measure)
		out.Items = append(out.Items, episodeOut{
			ID: e.ID, Rule: ruleOf(e.Rule), Unit: string(k.Unit), Over: k.Over, Node: e.Node, Began: e.Began, First: readingOf(e.First), Worst: e.Worst, Told: e.Told,
			Ended: alarmTime(e.Ended), Last: readingOf(e.Last), Reason: string(e.Why),
		})
	}
	return out, nil
}

func (h *Handler) endpointOf(c *call, e notify.Endpoint, rules []alarm.Rule) endpointOut {
	out := endpointOut{ID: e.ID, Revision: e.Revision, Name: e.Name, URL: e.URL, Enabled: e.Enabled, Created: e.Created, Rules: []alarmChoice{}, Secrets: []signingOut{}}
	if !c.Role.May(operator.ChangeAlarms) {
		// Many services put a secret into the path.
		if u, err := url.Parse(e.URL); err == nil {
			out.URL = u.Scheme + "://" + u.Host + "/…"
		}
	}
	now := h.cfg.Now()
	for _, s := range e.Secrets {
		if s.Until.IsZero() || now.Before(s.Until) {
			out.Secrets = append(out.Secrets, signingOut{s.Created, alarmTime(s.Until)})
		}
	}
	for _, r := range rules {
		if slices.Contains(r.Webhooks, e.ID) {
			out.Rules = append(out.Rules, alarmChoice{ID: r.ID, Name: r.Name})
		}
	}
	return out
}

func (h *Handler) alarmWebhooks(c *call) (any, error) {
	l, err := h.cfg.Alarms.Store.Endpoints(c.Context())
	if err != nil {
		return nil, err
	}
	rules, err := h.cfg.Alarms.Store.Rules(c.Context())
	if err != nil {
		return nil, err
	}
	out := alarmsPage[endpointOut]{Items: []endpointOut{}}
	for _, e := range l {
		out.Items = append(out.Items, h.endpointOf(c, e, rules))
	}
	return out, nil
}

// webhookIn is a webhook as the page sends it.
type webhookIn struct {
	Revision int64  `json:"revision"`
	Name     string `json:"name"`
	URL      string `json:"url"`
	Enabled  bool   `json:"enabled"`
}

func (h *Handler) noteWebhook(c *call, in *webhookIn) (object, reason, detail string, err error) {
	var bad []error
	if in.Name == "" || notify.Clean(in.Name, alarm.MaxName) != in.Name || strings.TrimSpace(in.Name) != in.Name {
		bad = append(bad, fmt.Errorf("name: want 1 to %d characters on one line, without spaces around them", alarm.MaxName))
	}
	if err := h.cfg.Alarms.URL(in.URL); err != nil {
		bad = append(bad, fmt.Errorf("url: %w", err))
	}
	if len(bad) > 0 {
		return "", "", "", invalid(errors.Join(bad...).Error())
	}
	id := c.PathValue("id")
	switch {
	case id == "" && in.Revision != 0:
		return "", "", "", invalid("revision: a new webhook has none; leave it 0")
	case id != "":
		old, err := h.cfg.Alarms.Store.Endpoint(c.Context(), id)
		if err != nil {
			return "", "", "", err
		}
		if old.Revision != in.Revision {
			return "", "", "", alarmStale()
		}
	}
	u, err := url.Parse(in.URL)
	if err != nil {
		return "", "", "", invalid("url: it cannot be read")
	}
	// The path may hold a secret.
	return id, "", fmt.Sprintf("%s at %s://%s, enabled %v", in.Name, u.Scheme, u.Host, in.Enabled), nil
}

func (h *Handler) putWebhook(c *call, in *webhookIn) (any, error) {
	a, now := h.cfg.Alarms, h.cfg.Now().UTC()
	e, secret := notify.Endpoint{Created: now}, ekyc.Secret("")
	var err error
	if id := c.PathValue("id"); id != "" {
		if e, err = a.Store.Endpoint(c.Context(), id); err != nil {
			return nil, err
		}
	} else {
		if e.ID, err = notify.NewID(a.Rand); err != nil {
			return nil, err
		}
		if secret, err = notify.NewSecret(a.Rand); err != nil {
			return nil, err
		}
		e = e.Rotate(secret, now, 0)
	}
	e.Revision, e.Name, e.URL, e.Enabled = in.Revision, in.Name, in.URL, in.Enabled
	return h.storeWebhook(c, e, secret)
}

func (h *Handler) storeWebhook(c *call, e notify.Endpoint, secret ekyc.Secret) (any, error) {
	e, err := h.cfg.Alarms.Store.PutEndpoint(c.Context(), e)
	if err != nil {
		return nil, alarmConflict(err)
	}
	rules, err := h.cfg.Alarms.Store.Rules(c.Context())
	if err != nil {
		return nil, err
	}
	out := h.endpointOf(c, e, rules)
	out.Secret = string(secret)
	return out, nil
}

func (h *Handler) noteWebhookRemoval(c *call) (object, reason, detail string, err error) {
	e, err := h.cfg.Alarms.Store.Endpoint(c.Context(), c.PathValue("id"))
	if err != nil {
		return "", "", "", err
	}
	rules, err := h.cfg.Alarms.Store.Rules(c.Context())
	if err != nil {
		return "", "", "", err
	}
	var used []string
	for _, r := range rules {
		if slices.Contains(r.Webhooks, e.ID) {
			used = append(used, r.Name)
		}
	}
	if len(used) > 0 {
		return "", "", "", &Error{http.StatusConflict, ErrConflict, "rules send to it; take it out of them first: " + strings.Join(used, ", ")}
	}
	return e.ID, "", e.Name, nil
}

// maxSecretOverlap is how long two secrets may sign at most. Our alarmChoice.
const maxSecretOverlap = 7 * 24

type rotateIn struct {
	Revision     int64 `json:"revision"`
	OverlapHours int64 `json:"overlap_hours"` // 0: the old one ends at once
}

func (h *Handler) noteRotation(c *call, in *rotateIn) (object, reason, detail string, err error) {
	if in.OverlapHours < 0 || in.OverlapHours > maxSecretOverlap {
		return "", "", "", invalid(fmt.Sprintf("overlap_hours: want 0 to %d", maxSecretOverlap))
	}
	e, err := h.cfg.Alarms.Store.Endpoint(c.Context(), c.PathValue("id"))
	if err != nil {
		return "", "", "", err
	}
	if e.Revision != in.Revision {
		return "", "", "", alarmStale()
	}
	return e.ID, "", fmt.Sprintf("%s, the old secret signs for %d more hours", e.Name, in.OverlapHours), nil
}

func (h *Handler) rotateWebhook(c *call, in *rotateIn) (any, error) {
	a := h.cfg.Alarms
	e, err := a.Store.Endpoint(c.Context(), c.PathValue("id"))
	if err != nil {
		return nil, err
	}
	secret, err := notify.NewSecret(a.Rand)
	if err != nil {
		return nil, err
	}
	e = e.Rotate(secret, h.cfg.Now().UTC(), time.Duration(in.OverlapHours)*time.Hour)
	e.Revision = in.Revision
	return h.storeWebhook(c, e, secret)
}

func (h *Handler) alarmDeliveries(c *call) (any, error) {
	q := notify.DeliveryQuery{
		Channel: notify.Channel(c.FormValue("channel")), To: c.FormValue("receiver"), State: notify.State(c.FormValue("state")), Limit: alarmPage + 1,
	}
	if s := c.FormValue("after"); s != "" {
		at, id, err := readAlarmCursor(s)
		if err != nil {
			return nil, err
		}
		q.After = &notify.Delivery{ID: id, Created: at}
	}
	l, err := h.cfg.Alarms.Store.Deliveries(c.Context(), q)
	if err != nil {
		return nil, err
	}
	out := alarmsPage[deliveryOut]{Items: []deliveryOut{}}
	if len(l) > alarmPage {
		l = l[:alarmPage]
		out.Next = alarmCursor(l[alarmPage-1].Created, l[alarmPage-1].ID)
	}
	for _, d := range l {
		out.Items = append(out.Items, deliveryOf(d))
	}
	return out, nil
}

func (h *Handler) alarmDelivery(c *call) (any, error) {
	d, tries, err := h.cfg.Alarms.Store.Delivery(c.Context(), c.PathValue("id"))
	if err != nil {
		return nil, err
	}
	out := deliveryOf(d)
	out.Text, out.Until, out.Log = d.Text, alarmTime(d.Until), []tryOut{}
	if d.Channel == notify.Webhook {
		out.Body = d.Body
	}
	for _, t := range tries {
		out.Log = append(out.Log, tryOf(t))
	}
	return out, nil
}
