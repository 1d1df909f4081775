package console

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"shiren/internal/cnid"
	"shiren/internal/dossier"
	"shiren/internal/ekyc"
	"shiren/internal/operator"
)

// Records of sessions and direct calls.
//
//	GET  /records               ?since=&before=&app=&plan=&protocol=&kind=&outcome=&undecided=&code=&sandbox=&after=&limit=
//	                            → {items: [dossier.Line], next, complete}
//	POST /records/search        the same as JSON, and {name, number, mobile, token, log_id} → the same
//	POST /records/export        the body of /records/search → a CSV file, at most dossier.MaxRows rows
//	GET  /records/key           → {kid, jwk, pem}: what signed files are checked with
//	GET  /records/{id}          → dossier.Dossier, masked
//	POST /records/{id}/reveal   {reason} → {record: dossier.Dossier, grant}
//	POST /records/{id}/evidence/{ref}  {grant} → the image or video
//	POST /records/{id}/export   {masked, images, reason} → a signed file: dossier.File
//	POST /records/{id}/erase    {reason} → {receipt: dossier.Receipt, file}
//	POST /persons/erase         {number, name, reason} → {receipt, file}
//
// What a person is searched by is never in an address, since addresses are logged, and the
// journal names the fields only. complete is false while records of an older release are still
// being made searchable.
//
// A page shows several pictures, and nobody types a reason for each: what reveals a record gives a
// grant with the reason in it, good for GrantFor, for that record and that sign-in. Every picture
// that is opened with it is a journal entry of its own, with that reason.

// GrantFor is how long a grant opens pictures. Our choice: as long as somebody looks at one record.
const GrantFor = 10 * time.Minute

// Records is what the area of records stands on; ekyc.Service is one.
type Records interface {
	SearchRecords(ctx context.Context, q ekyc.RecordQuery) ([]ekyc.Record, error)
	RecordsComplete(ctx context.Context) (bool, error)
	ReadRecord(ctx context.Context, id string) (ekyc.Filed, error)
	RecordEvidence(ctx context.Context, id, ref string) ([]byte, ekyc.Evidence, error)
	EraseRecord(ctx context.Context, id string) (ekyc.Erasure, error)
	ErasePerson(ctx context.Context, name cnid.Name, number cnid.Number) (ekyc.Erasure, error)
	PersonDigest(n cnid.Number) string
	SignLink(what string, until time.Time) string
	CheckLink(what string, until time.Time, sign string) error
}

// recordFilter is a search as the page sends it.
type recordFilter struct {
	Since     *time.Time `json:"since"`
	Before    *time.Time `json:"before"`
	App       string     `json:"app"`
	Plan      string     `json:"plan"`
	Protocol  string     `json:"protocol"`
	Kind      string     `json:"kind"`
	Outcome   string     `json:"outcome"`
	Undecided bool       `json:"undecided"`
	Code      string     `json:"code"`
	Sandbox   *bool      `json:"sandbox"`

	Name   string `json:"name"`
	Number string `json:"number"`
	Mobile string `json:"mobile"`
	Token  string `json:"token"`
	LogID  string `json:"log_id"`

	After string `json:"after"`
	Limit int    `json:"limit"`
}

// Bounds of a page of records. Our choices.
const (
	recordPage = 50
	recordMost = 200
)

func (f recordFilter) query() (q ekyc.RecordQuery, err error) {
	q = ekyc.RecordQuery{
		App: ekyc.AppID(f.App), Plan: ekyc.PlanID(f.Plan), Protocol: f.Protocol, Kind: f.Kind, Outcome: ekyc.Outcome(f.Outcome),
		Undecided: f.Undecided, Code: ekyc.Code(f.Code), Sandbox: f.Sandbox, Limit: f.Limit,
	}
	if f.Since != nil {
		q.Since = *f.Since
	}
	if f.Before != nil {
		q.Before = *f.Before
	}
	for _, k := range []ekyc.RecordKey{
		{Field: ekyc.FieldName, Value: f.Name},
		{Field: ekyc.FieldNumber, Value: f.Number},
		{Field: ekyc.FieldMobile, Value: f.Mobile},
		{Field: ekyc.FieldToken, Value: f.Token},
		{Field: ekyc.FieldLogID, Value: f.LogID},
	} {
		if k.Value != "" {
			q.Keys = append(q.Keys, k)
		}
	}
	switch {
	case q.Limit == 0:
		q.Limit = recordPage
	case q.Limit < 1 || q.Limit > recordMost:
		return q, invalid(fmt.Sprintf("limit is 1 to %d", recordMost))
	}
	if f.After != "" {
		at, id, _ := strings.Cut(f.After, ".")
		ms, err := strconv.ParseInt(at, 10, 64)
		if err != nil || id == "" {
			return q, invalid("after is not the next of an earlier page")
		}
		q.After = &ekyc.Record{ID: id, At: time.UnixMilli(ms)}
	}
	return q, nil
}

// by names the fields of a person that a search has, for the journal.
func (f recordFilter) by() []string {
	var list []string
	for _, x := range [][2]string{{"name", f.Name}, {"number", f.Number}, {"mobile", f.Mobile}, {"token", f.Token}, {"log_id", f.LogID}} {
		if x[1] != "" {
			list = append(list, x[0])
		}
	}
	return list
}

// filterOf reads a search from an address, which has no person in it.
func filterOf(r *http.Request) (f recordFilter, err error) {
	v := r.URL.Query()
	known := []string{"since", "before", "app", "plan", "protocol", "kind", "outcome", "undecided", "code", "sandbox", "after", "limit"}
	for name := range v {
		if !slices.Contains(known, name) {
			return f, invalid("the search has a parameter that is not known; names, numbers and the like go to POST /records/search")
		}
	}
	moment := func(name string) *time.Time {
		if v.Get(name) == "" {
			return nil
		}
		t, perr := time.Parse(time.RFC3339, v.Get(name))
		if perr != nil {
			err = invalid(name + " is no time like 2026-03-02T10:00:00Z")
		}
		return &t
	}
	flag := func(name string) *bool {
		if v.Get(name) == "" {
			return nil
		}
		b, perr := strconv.ParseBool(v.Get(name))
		if perr != nil {
			err = invalid(name + " is true or false")
		}
		return &b
	}
	f = recordFilter{
		Since: moment("since"), Before: moment("before"), App: v.Get("app"), Plan: v.Get("plan"), Protocol: v.Get("protocol"), Kind: v.Get("kind"),
		Outcome: v.Get("outcome"), Code: v.Get("code"), Sandbox: flag("sandbox"), After: v.Get("after"),
	}
	if u := flag("undecided"); u != nil {
		f.Undecided = *u
	}
	if text := v.Get("limit"); text != "" {
		var perr error
		if f.Limit, perr = strconv.Atoi(text); perr != nil || f.Limit < 1 {
			err = invalid(fmt.Sprintf("limit is 1 to %d", recordMost))
		}
	}
	return f, err
}

// records is a page of a search.
type records struct {
	Items    []dossier.Line `json:"items"`
	Next     string         `json:"next"`
	Complete bool           `json:"complete"`
}

func (c *call) records(f recordFilter) (any, error) {
	q, err := f.query()
	if err != nil {
		return nil, err
	}
	list, err := c.h.cfg.Records.SearchRecords(c.Context(), q)
	if err != nil {
		return nil, err
	}
	out := records{Items: []dossier.Line{}}
	if out.Complete, err = c.h.cfg.Records.RecordsComplete(c.Context()); err != nil {
		return nil, err
	}
	for _, r := range list {
		out.Items = append(out.Items, dossier.LineOf(r))
	}
	if len(list) == q.Limit {
		last := list[len(list)-1]
		out.Next = fmt.Sprintf("%d.%s", last.At.UnixMilli(), last.ID)
	}
	return out, nil
}

// grant lets a sign-in open a record's pictures for a reason, for a while.
type grant struct {
	Reason string    `json:"reason"`
	Until  time.Time `json:"until"`
	Sign   string    `json:"sign"`
}

func (c *call) granted(id, reason string) string {
	return fmt.Sprintf("console pictures\x00%s\x00%s\x00%s\x00%s", c.Account, c.SignIn, id, reason)
}

// shown are the types of what is shown in a browser; anything else is only handed out.
var shown = []string{"image/jpeg", "image/png", "image/webp", "video/mp4", "video/webm"}

func (h *Handler) recordRoutes() {
	core := h.cfg.Records
	h.read("GET /records", operator.ReadRecords, func(c *call) (any, error) {
		f, err := filterOf(c.Request)
		if err != nil {
			return nil, err
		}
		return c.records(f)
	})
	h.read("POST /records/search", operator.ReadRecords, func(c *call) (any, error) {
		var f recordFilter
		if err := c.body(&f); err != nil {
			return nil, err
		}
		if by := f.by(); len(by) > 0 {
			if err := c.note("records.search", "", "", "by "+strings.Join(by, ", ")); err != nil {
				return nil, err
			}
		}
		return c.records(f)
	})
	h.read("POST /records/export", operator.ReadRecords, h.exportRecords)
	h.read("GET /records/key", operator.ReadRecords, func(*call) (any, error) {
		k := h.cfg.Signer.Public()
		return map[string]string{"kid": dossier.KeyID(k), "jwk": dossier.JWK(k), "pem": dossier.PEM(k)}, nil
	})
	h.read("GET /records/{id}", operator.ReadRecords, func(c *call) (any, error) {
		f, err := core.ReadRecord(c.Context(), c.PathValue("id"))
		if err != nil {
			return nil, err
		}
		return dossier.Of(f, true, h.cfg.Now()), nil
	})
	h.read("POST /records/{id}/reveal", operator.RevealPersons, func(c *call) (any, error) {
		var in struct {
			Reason string `json:"reason"`
		}
		id := c.PathValue("id")
		reason, err := c.reason(&in, &in.Reason)
		if err != nil {
			return nil, err
		}
		return c.journalled("record.reveal", id, reason, "", func() (any, error) {
			f, err := core.ReadRecord(c.Context(), id)
			if err != nil {
				return nil, err
			}
			until := h.cfg.Now().Add(GrantFor).UTC().Truncate(time.Second)
			return map[string]any{
				"record": dossier.Of(f, false, h.cfg.Now()),
				"grant":  grant{reason, until, core.SignLink(c.granted(id, reason), until)},
			}, nil
		})
	})
	h.read("POST /records/{id}/evidence/{ref}", operator.RevealPersons, h.evidence)
	h.read("POST /records/{id}/export", operator.ReadRecords, h.exportRecord)
	h.read("POST /records/{id}/erase", operator.EraseRecords, func(c *call) (any, error) {
		var in struct {
			Reason string `json:"reason"`
		}
		id := c.PathValue("id")
		reason, err := c.reason(&in, &in.Reason)
		if err != nil {
			return nil, err
		}
		return c.journalled("record.erase", id, reason, "", func() (any, error) {
			e, err := core.EraseRecord(c.Context(), id)
			return c.erased("record.erased", id, id, e, err)
		})
	})
	h.read("POST /persons/erase", operator.EraseRecords, func(c *call) (any, error) {
		var in struct {
			Name   string `json:"name"`
			Number string `json:"number"`
			Reason string `json:"reason"`
		}
		reason, err := c.reason(&in, &in.Reason)
		if err != nil {
			return nil, err
		}
		number, err := cnid.ParseNumber(in.Number)
		if err != nil {
			return nil, &Error{http.StatusBadRequest, string(ekyc.BadIDNumber), err.Error()}
		}
		var name cnid.Name
		if in.Name != "" {
			if name, err = cnid.ParseName(in.Name); err != nil {
				return nil, &Error{http.StatusBadRequest, string(ekyc.BadName), err.Error()}
			}
		}
		object := "person " + core.PersonDigest(number)
		return c.journalled("person.erase", object, reason, "", func() (any, error) {
			e, err := core.ErasePerson(c.Context(), name, number)
			return c.erased("person.erased", object, "", e, err)
		})
	})
}

// reason reads a body that has a reason.
func (c *call) reason(body any, reason *string) (string, error) {
	if err := c.body(body); err != nil {
		return "", err
	}
	return checkReason(*reason)
}

// erased answers with a signed receipt, and notes what it says.
func (c *call) erased(action, object, record string, e ekyc.Erasure, err error) (any, error) {
	if err == nil || e.Sessions+e.Subjects+e.Calls > 0 { // also what was erased before it failed
		err = errors.Join(err, c.late(action, object, e.Summary()))
	}
	if err != nil {
		return nil, err
	}
	receipt := dossier.ReceiptOf(e, record)
	file, err := c.h.cfg.Signer.Sign(dossier.TypeErasure, receipt)
	if err != nil {
		return nil, err
	}
	return map[string]any{"receipt": receipt, "file": string(file)}, nil
}

// evidence hands out one picture under a grant.
func (h *Handler) evidence(c *call) (any, error) {
	var in struct {
		Grant grant `json:"grant"`
	}
	if err := c.body(&in); err != nil {
		return nil, err
	}
	id, ref := c.PathValue("id"), c.PathValue("ref")
	if err := h.cfg.Records.CheckLink(c.granted(id, in.Grant.Reason), in.Grant.Until, in.Grant.Sign); err != nil {
		return nil, &Error{http.StatusForbidden, ErrReason, "the grant is over, or is not of this record and sign-in; reveal the record again"}
	}
	f, err := h.cfg.Records.ReadRecord(c.Context(), id)
	if err != nil {
		return nil, err
	}
	detail := ""
	if f.Session != nil {
		for _, e := range f.Session.Shown(h.cfg.Now()) {
			if e.Ref == ref {
				detail = fmt.Sprintf("%s of attempt %d, %.8s", e.Kind, e.Attempt, ref)
			}
		}
	}
	if detail == "" {
		return nil, absent("there is no such image; it may have been erased when it was due")
	}
	return c.journalled("record.picture", id, in.Grant.Reason, detail, func() (any, error) {
		data, e, err := h.cfg.Records.RecordEvidence(c.Context(), id, ref)
		if err != nil {
			return nil, err
		}
		head := c.ResponseWriter.Header()
		if !slices.Contains(shown, e.Type) {
			e.Type = "application/octet-stream"
			head.Set("Content-Disposition", "attachment")
		}
		head.Set("Content-Type", e.Type)
		head.Set("Content-Length", strconv.Itoa(len(data)))
		c.ResponseWriter.Write(data) // the client is gone if this fails
		return sent{}, nil
	})
}

// exportRecords streams a search as CSV.
func (h *Handler) exportRecords(c *call) (any, error) {
	var f recordFilter
	if err := c.body(&f); err != nil {
		return nil, err
	}
	f.After, f.Limit = "", 0
	q, err := f.query()
	if err != nil {
		return nil, err
	}
	detail := ""
	if by := f.by(); len(by) > 0 {
		detail = "by " + strings.Join(by, ", ")
	}
	if err := c.note("records.export", "", "", detail); err != nil {
		return nil, err
	}
	// What cannot be searched for is said before the file begins.
	one := q
	one.Limit = 1
	if _, err := h.cfg.Records.SearchRecords(c.Context(), one); err != nil {
		return nil, err
	}
	head := c.ResponseWriter.Header()
	head.Set("Content-Type", "text/csv; charset=utf-8")
	head.Set("Content-Disposition", `attachment; filename="records.csv"`)
	flush := http.NewResponseController(c.ResponseWriter)
	if _, err := dossier.CSV(c.Context(), c.ResponseWriter, h.cfg.Records.SearchRecords, q, func() { _ = flush.Flush() }); err != nil {
		// The header is gone: a cut connection is how the client learns of it.
		if c.Context().Err() == nil {
			h.log.ErrorContext(c.Context(), "an export of records was cut off", "err", err)
		}
		panic(http.ErrAbortHandler)
	}
	return sent{}, nil
}

// exportRecord hands out one record as a signed file.
func (h *Handler) exportRecord(c *call) (any, error) {
	var in struct {
		Masked bool   `json:"masked"`
		Images bool   `json:"images"`
		Reason string `json:"reason"`
	}
	if err := c.body(&in); err != nil {
		return nil, err
	}
	reason, detail := strings.TrimSpace(in.Reason), "masked"
	if !in.Masked || in.Images {
		if !c.Role.May(operator.RevealPersons) {
			return nil, &Error{http.StatusForbidden, ErrForbidden, "your role may export records masked and without images only"}
		}
		var err error
		if reason, err = checkReason(in.Reason); err != nil {
			return nil, err
		}
		if !in.Masked {
			detail = "unmasked"
		}
		if in.Images {
			detail += ", with images"
		}
	} else if reason != "" {
		var err error
		if reason, err = checkReason(reason); err != nil {
			return nil, err
		}
	}
	id := c.PathValue("id")
	return c.journalled("record.export", id, reason, detail, func() (any, error) {
		file, err := exported(c.Context(), h.cfg.Records, h.cfg.Signer, id, in.Masked, in.Images, h.cfg.Now())
		if err != nil {
			return nil, err
		}
		head := c.ResponseWriter.Header()
		head.Set("Content-Type", "application/jose+json") // RFC 7515, 9.2.1
		head.Set("Content-Disposition", fmt.Sprintf(`attachment; filename="record-%.12s.json"`, id))
		head.Set("Content-Length", strconv.Itoa(len(file)))
		c.ResponseWriter.Write(file) // the client is gone if this fails
		return sent{}, nil
	})
}

func exported(ctx context.Context, core Records, signer *dossier.Signer, id string, masked, images bool, now time.Time) ([]byte, error) {
	f, err := core.ReadRecord(ctx, id)
	if err != nil {
		return nil, err
	}
	d := dossier.Of(f, masked, now)
	if images {
		if err := d.Attach(func(ref string) ([]byte, error) {
			data, _, err := core.RecordEvidence(ctx, id, ref)
			return data, err
		}); err != nil {
			return nil, err
		}
	}
	return signer.Sign(dossier.TypeRecord, dossier.FileOf(d, now))
}
