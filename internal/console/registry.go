package console

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"shiren/internal/cnid"
	"shiren/internal/ekyc"
	"shiren/internal/operator"
	"shiren/internal/source/registry"
)

// People is the register of people. registry.Registry is one. Safe for concurrent use.
type People interface {
	// List reads people by ID from after on, without portraits.
	List(ctx context.Context, after string, limit int) ([]registry.Entry, error)
	ByNumber(ctx context.Context, n cnid.Number) ([]registry.Entry, error)
	ByMobile(ctx context.Context, n cnid.Mobile) ([]registry.Entry, error)
	// ByID reads a person with their portrait; absent is ekyc.ErrAbsent.
	ByID(ctx context.Context, id string) (registry.Entry, error)
	// Put adds a person, or changes the one who has the number.
	Put(ctx context.Context, p registry.Person) (id string, there bool, err error)
	RemoveID(ctx context.Context, id string) error
	Stats(ctx context.Context) (registry.Stats, error)
}

// Imports brings files of people in. registry.Intake is one. Safe for concurrent use.
type Imports interface {
	Create(name string, pictures bool) (registry.IntakeStatus, error)
	Append(id string, file registry.IntakeFile, at int64, part []byte) (registry.IntakeStatus, error)
	Start(id string) (registry.IntakeStatus, error)
	Stop(id string) (registry.IntakeStatus, error)
	Status(id string) (registry.IntakeStatus, error)
	List() []registry.IntakeStatus
	Report(id string) ([]byte, error)
	Remove(id string) error
}

// personAnswer is a person of the register, masked.
type personAnswer struct {
	ID      string         `json:"id"` // keyed digest of the number
	Name    string         `json:"name"`
	Number  string         `json:"number"`
	Type    string         `json:"type"` // "id-card" or "residence-permit"
	Mobiles []mobileAnswer `json:"mobiles"`
	// Portrait says what is kept of it: "image", "embedding" or "none".
	Portrait string `json:"portrait"`
	Model    string `json:"model"` // of the embedding
}

type mobileAnswer struct {
	Number  string       `json:"number"`
	Carrier ekyc.Carrier `json:"carrier"` // "" where the record names none
	// Segment is the carrier that the number's segment was assigned to; the number may have moved.
	Segment ekyc.Carrier `json:"segment"`
}

// revealedAnswer is a person as they are.
type revealedAnswer struct {
	personAnswer
	Image string `json:"image"` // data: address of the portrait, "" where no image is kept
}

func personOf(e registry.Entry, open bool) personAnswer {
	a := personAnswer{
		ID: e.ID, Name: e.Claim.Name.String(), Number: e.Claim.Number.String(), Type: "id-card", Mobiles: []mobileAnswer{},
		Portrait: "none", Model: e.Template.Model,
	}
	switch {
	case e.Portrayed:
		a.Portrait = "image"
	case e.Template.Model != "":
		a.Portrait = "embedding"
	}
	if e.Claim.Type == ekyc.ResidencePermit {
		a.Type = "residence-permit"
	}
	if open {
		a.Name, a.Number = string(e.Claim.Name), string(e.Claim.Number)
	}
	for _, m := range e.Mobiles {
		text := m.Number.String()
		if open {
			text = string(m.Number)
		}
		a.Mobiles = append(a.Mobiles, mobileAnswer{text, m.Carrier, registry.CarrierOf(m.Number)})
	}
	return a
}

// personSearch is what people are looked for by: one of the three.
type personSearch struct {
	Number string `json:"number"`
	Mobile string `json:"mobile"`
	// Name is looked for by opening records one by one, at most nameScan at a time, from After on.
	Name  string `json:"name"`
	After string `json:"after"`
}

// personChange is a person as they are put in.
type personChange struct {
	Name    string         `json:"name"`
	Number  string         `json:"number"`
	Type    string         `json:"type"` // "id-card", the default, or "residence-permit"
	Mobiles []mobileChange `json:"mobiles"`
	// Portrait is base64 of a JPEG, PNG or WebP; "" leaves the one that is there.
	Portrait string `json:"portrait"`
}

type mobileChange struct {
	Number  string `json:"number"`
	Carrier string `json:"carrier"`
}

// maxMobiles bounds a person's mobile numbers. Our choice.
const maxMobiles = 16

func (in personChange) person() (registry.Person, error) {
	var p registry.Person
	kinds := map[string]ekyc.DocumentType{"": ekyc.IDCard, "id-card": ekyc.IDCard, "residence-permit": ekyc.ResidencePermit}
	kind, ok := kinds[in.Type]
	if !ok {
		return p, &ekyc.FieldError{Field: "type", What: "type: want id-card or residence-permit"}
	}
	var err error
	if p.Claim, err = ekyc.ParseClaim(in.Name, in.Number, kind); err != nil {
		field := "number"
		if ekyc.CodeOf(err) == ekyc.BadName {
			field = "name"
		}
		return p, &ekyc.FieldError{Field: field, What: field + ": " + ekyc.DetailOf(err)}
	}
	if len(in.Mobiles) > maxMobiles {
		return p, &ekyc.FieldError{Field: "mobiles", What: fmt.Sprintf("mobiles: want at most %d", maxMobiles)}
	}
	for _, m := range in.Mobiles {
		if strings.TrimSpace(m.Number) == "" {
			continue
		}
		n, err := cnid.ParseMobile(m.Number)
		if err != nil {
			return p, &ekyc.FieldError{Field: "mobiles", What: "mobiles: " + err.Error()}
		}
		carrier, err := registry.ParseCarrier(m.Carrier)
		if err != nil {
			return p, &ekyc.FieldError{Field: "mobiles", What: "carrier: " + err.Error()}
		}
		p.Mobiles = append(p.Mobiles, registry.Mobile{Number: n, Carrier: carrier})
	}
	if in.Portrait != "" {
		if p.Portrait, err = base64.StdEncoding.DecodeString(in.Portrait); err != nil || len(p.Portrait) > ekyc.MaxImage {
			return p, &ekyc.FieldError{Field: "portrait", What: fmt.Sprintf("portrait: want an image of at most %d bytes in base64", ekyc.MaxImage)}
		}
	}
	return p, nil
}

// Bounds of calls. Our choice.
const (
	maxPerson  = 16 << 20 // bytes of a body with a portrait
	peopleAt   = 50       // people of a page
	nameScan   = 20_000   // records that are opened to find a name, about a quarter of a second
	nameScanAt = 500
)

type personRemoval struct {
	Reason string `json:"reason"`
}

type importStart struct {
	Name     string `json:"name"`
	Pictures bool   `json:"pictures"` // an archive of portraits comes too
}

// registryRoutes serves the register of people. Names, numbers and mobile numbers are masked
// but for reveal; a record is named by the keyed digest of its number.
//
//	GET    /registry/stats            {"people","portraits","mobiles","models":{name:n}}
//	GET    /registry/people?after=    {"items":[personAnswer],"next"}
//	POST   /registry/search           personSearch: the same; next is where a search by name goes on
//	GET    /registry/people/{id}      personAnswer
//	POST   /registry/people/{id}/reveal {"reason"}: revealedAnswer
//	POST   /registry/people           personChange, adds or changes: {"person":personAnswer,"changed":bool}
//	DELETE /registry/people/{id}      {"reason"}
//	GET    /registry/imports          {"items":[registry.IntakeStatus]}
//	POST   /registry/imports          importStart: registry.IntakeStatus
//	PUT    /registry/imports/{id}/{file}?at= bytes of a part (registry.Intake.Append); file is people or portraits
//	POST   /registry/imports/{id}/start, …/stop
//	GET    /registry/imports/{id}     registry.IntakeStatus
//	GET    /registry/imports/{id}/report CSV of line and reason
//	DELETE /registry/imports/{id}
func (h *Handler) registryRoutes() {
	if h.cfg.Registry == nil {
		return
	}
	h.read("GET /registry/stats", operator.ReadRegistry, func(c *call) (any, error) {
		st, err := h.cfg.Registry.Stats(c.Context())
		if err != nil {
			return nil, err
		}
		models := st.Models
		if models == nil {
			models = map[string]int64{}
		}
		return map[string]any{"people": st.People, "portraits": st.Portraits, "mobiles": st.Mobiles, "models": models}, nil
	})
	h.read("GET /registry/people", operator.ReadRegistry, func(c *call) (any, error) {
		list, err := h.cfg.Registry.List(c.Context(), c.URL.Query().Get("after"), peopleAt)
		if err != nil {
			return nil, err
		}
		next := ""
		if len(list) == peopleAt {
			next = list[len(list)-1].ID
		}
		return people(list, next), nil
	})
	h.read("POST /registry/search", operator.ReadRegistry, h.searchPeople)
	h.read("GET /registry/people/{id}", operator.ReadRegistry, func(c *call) (any, error) {
		e, err := h.cfg.Registry.ByID(c.Context(), c.PathValue("id"))
		if err != nil {
			return nil, err
		}
		return personOf(e, false), nil
	})
	h.change("POST /registry/people/{id}/reveal", operator.RevealPersons, "registry.reveal", h.notePerson, func(c *call) (any, error) {
		e, err := h.cfg.Registry.ByID(c.Context(), c.PathValue("id"))
		if err != nil {
			return nil, err
		}
		return revealedAnswer{personOf(e, true), dataURL(e.Portrait)}, nil
	})
	h.change("POST /registry/people", operator.ChangeRegistry, "registry.put", func(c *call) (object, reason, detail string, err error) {
		in, err := bodyOf[personChange](c, maxPerson)
		if err != nil {
			return "", "", "", err
		}
		p, err := in.person()
		if err != nil {
			return "", "", "", err
		}
		there, err := h.cfg.Registry.ByNumber(c.Context(), p.Claim.Number)
		if err != nil {
			return "", "", "", err
		}
		object, detail = "a new person", fmt.Sprintf("%d mobile numbers", len(p.Mobiles))
		if len(there) > 0 {
			object = "person " + there[0].ID
		}
		if len(p.Portrait) > 0 {
			detail += ", a portrait"
		}
		return object, "", detail, nil
	}, func(c *call) (any, error) {
		in, err := bodyOf[personChange](c, maxPerson)
		if err != nil {
			return nil, err
		}
		p, err := in.person()
		if err != nil {
			return nil, err
		}
		id, there, err := h.cfg.Registry.Put(c.Context(), p)
		if err != nil {
			return nil, err
		}
		e, err := h.cfg.Registry.ByID(c.Context(), id)
		if err != nil {
			return nil, err
		}
		return map[string]any{"person": personOf(e, false), "changed": there}, nil
	})
	h.change("DELETE /registry/people/{id}", operator.ChangeRegistry, "registry.remove", h.notePerson, func(c *call) (any, error) {
		return map[string]any{}, h.cfg.Registry.RemoveID(c.Context(), c.PathValue("id"))
	})
	if h.cfg.Imports != nil {
		h.importRoutes()
	}
}

func people(list []registry.Entry, next string) any {
	items := make([]personAnswer, 0, len(list))
	for _, e := range list {
		items = append(items, personOf(e, false))
	}
	return map[string]any{"items": items, "next": next}
}

// notePerson notes what is done to a person who must be there, with its reason.
func (h *Handler) notePerson(c *call) (object, reason, detail string, err error) {
	in, err := bodyOf[personRemoval](c, MaxBody)
	if err != nil {
		return "", "", "", err
	}
	if reason, err = checkReason(in.Reason); err != nil {
		return "", "", "", err
	}
	e, err := h.cfg.Registry.ByID(c.Context(), c.PathValue("id"))
	if err != nil {
		return "", "", "", err
	}
	return "person " + e.ID, reason, "", nil
}

func (h *Handler) searchPeople(c *call) (any, error) {
	in, err := bodyOf[personSearch](c, MaxBody)
	if err != nil {
		return nil, err
	}
	ctx := c.Context()
	switch {
	case in.Number != "":
		n, err := cnid.ParseNumber(in.Number)
		if err != nil {
			return nil, &ekyc.FieldError{Field: "number", What: "number: " + err.Error()}
		}
		list, err := h.cfg.Registry.ByNumber(ctx, n)
		if err != nil {
			return nil, err
		}
		return people(list, ""), nil
	case in.Mobile != "":
		m, err := cnid.ParseMobile(in.Mobile)
		if err != nil {
			return nil, &ekyc.FieldError{Field: "mobile", What: "mobile: " + err.Error()}
		}
		list, err := h.cfg.Registry.ByMobile(ctx, m)
		if err != nil {
			return nil, err
		}
		return people(list, ""), nil
	case in.Name == "":
		return nil, invalid("give an identity number, a mobile number or a name")
	}
	name, err := cnid.ParseName(in.Name)
	if err != nil {
		return nil, &ekyc.FieldError{Field: "name", What: "name: " + err.Error()}
	}
	var found []registry.Entry
	after := in.After
	for seen := 0; seen < nameScan && len(found) < peopleAt; {
		list, err := h.cfg.Registry.List(ctx, after, nameScanAt)
		if err != nil {
			return nil, err
		}
		for _, e := range list {
			if after = e.ID; e.Claim.Name == name {
				if found = append(found, e); len(found) == peopleAt {
					break
				}
			}
		}
		if seen += len(list); len(list) < nameScanAt && len(found) < peopleAt {
			after = ""
			break
		}
	}
	return people(found, after), nil
}

func (h *Handler) importRoutes() {
	h.read("GET /registry/imports", operator.ReadRegistry, func(*call) (any, error) {
		return map[string]any{"items": h.cfg.Imports.List(), "next": ""}, nil
	})
	h.read("GET /registry/imports/{id}", operator.ReadRegistry, func(c *call) (any, error) {
		return h.cfg.Imports.Status(c.PathValue("id"))
	})
	h.read("GET /registry/imports/{id}/report", operator.ReadRegistry, func(c *call) (any, error) {
		b, err := h.cfg.Imports.Report(c.PathValue("id"))
		if err != nil {
			return nil, err
		}
		c.ResponseWriter.Header().Set("Content-Type", "text/csv; charset=utf-8")
		c.ResponseWriter.Header().Set("Content-Disposition", `attachment; filename="rejected.csv"`)
		http.ServeContent(c.ResponseWriter, c.Request, "", time.Time{}, bytes.NewReader(b))
		return sent{}, nil
	})
	h.change("POST /registry/imports", operator.ChangeRegistry, "registry.import.upload", func(c *call) (object, reason, detail string, err error) {
		_, err = bodyOf[importStart](c, MaxBody)
		return "the registry", "", "", err // a file's name may name a person
	}, func(c *call) (any, error) {
		in, err := bodyOf[importStart](c, MaxBody)
		if err != nil {
			return nil, err
		}
		return intake(h.cfg.Imports.Create(clean(in.Name), in.Pictures))
	})
	// Parts are no entries of their own: what begins an upload and what imports it are.
	h.read("PUT /registry/imports/{id}/{file}", operator.ChangeRegistry, func(c *call) (any, error) {
		at, err := strconv.ParseInt(c.URL.Query().Get("at"), 10, 64)
		if err != nil || at < 0 {
			return nil, invalid("at: want the byte that the part begins at")
		}
		part, err := io.ReadAll(http.MaxBytesReader(c.ResponseWriter, c.Body, registry.PartSize))
		if err != nil {
			return nil, invalid(fmt.Sprintf("the part cannot be read, or is longer than %d bytes", registry.PartSize))
		}
		return intake(h.cfg.Imports.Append(c.PathValue("id"), registry.IntakeFile(c.PathValue("file")), at, part))
	})
	for word, f := range map[string]func(id string) (registry.IntakeStatus, error){"start": h.cfg.Imports.Start, "stop": h.cfg.Imports.Stop} {
		h.change("POST /registry/imports/{id}/"+word, operator.ChangeRegistry, "registry.import."+word, h.noteImport, func(c *call) (any, error) {
			return intake(f(c.PathValue("id")))
		})
	}
	h.change("DELETE /registry/imports/{id}", operator.ChangeRegistry, "registry.import.remove", h.noteImport, func(c *call) (any, error) {
		return intake(registry.IntakeStatus{}, h.cfg.Imports.Remove(c.PathValue("id")))
	})
}

func (h *Handler) noteImport(c *call) (object, reason, detail string, err error) {
	s, err := h.cfg.Imports.Status(c.PathValue("id"))
	if err != nil {
		return "", "", "", err
	}
	return "import " + s.ID, "", fmt.Sprintf("%s; %d bytes of people, %d of portraits", s.State, s.Bytes, s.Archive), nil
}

// intake answers what cannot be done as it stands with the reason.
func intake(s registry.IntakeStatus, err error) (any, error) {
	var told registry.ErrIntake
	if errors.As(err, &told) {
		return nil, &Error{http.StatusConflict, ErrConflict, string(told)}
	}
	if err != nil {
		return nil, err
	}
	return s, nil
}
