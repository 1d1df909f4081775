package upstream

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"strings"

	"shiren/internal/cnid"
	"shiren/internal/ekyc"
)

// The generic source's protocol is docs/source-http.yaml. It is the one whose calls may be
// repeated whatever went wrong: they carry a key, and the source answers and charges a key once.

type httpClaim struct {
	Name   string `json:"name"`
	Number string `json:"number"`
	Type   string `json:"type"`
}

type httpRequest struct {
	Claim  httpClaim `json:"claim"`
	Image  []byte    `json:"image,omitempty"`
	Mobile string    `json:"mobile,omitempty"`
}

type httpReply struct {
	Outcome  ekyc.Outcome `json:"outcome"`
	Identity ekyc.Outcome `json:"identity"`
	Score    *float64     `json:"score"`
	Carrier  ekyc.Carrier `json:"carrier"`
	Image    []byte       `json:"image"`
	Charged  *bool        `json:"charged"`
}

type httpSource struct {
	g    *guard
	c    Config
	base string
}

func newHTTP(c Config, g *guard) *httpSource {
	return &httpSource{g, c, strings.TrimSuffix(c.Address, "/")}
}

// Identity asks /identity.
func (h *httpSource) Identity(ctx context.Context, c ekyc.Claim) (ekyc.Outcome, error) {
	r, err := h.ask(ctx, "/identity", httpRequest{Claim: claimOf(c)}, answered)
	return r.Outcome, err
}

// Portrait asks /portrait.
func (h *httpSource) Portrait(ctx context.Context, c ekyc.Claim) ([]byte, error) {
	r, err := h.ask(ctx, "/portrait", httpRequest{Claim: claimOf(c)}, func(r httpReply) (ekyc.Code, bool) {
		switch {
		case r.Outcome == ekyc.NoRecord:
			return ekyc.PortraitNone, true
		case r.Outcome == ekyc.Match && len(r.Image) > 0:
			return ekyc.OK, true
		}
		return "", false
	})
	return r.Image, err
}

// Face asks /face.
func (h *httpSource) Face(ctx context.Context, c ekyc.Claim, probe []byte) (ekyc.Outcome, ekyc.Score, error) {
	r, err := h.ask(ctx, "/face", httpRequest{Claim: claimOf(c), Image: probe}, func(r httpReply) (ekyc.Code, bool) {
		switch {
		case r.Identity == ekyc.NoRecord:
			return ekyc.IdentityUnknown, true
		case r.Identity == ekyc.NonMatched:
			return ekyc.IdentityMismatch, true
		case r.Identity != ekyc.Match:
			return "", false
		case r.Outcome == ekyc.NoRecord:
			return ekyc.PortraitNone, true
		}
		said := r.Outcome == ekyc.Match || r.Outcome == ekyc.NonMatched
		return ekyc.OK, said && r.Score != nil && *r.Score >= 0 && *r.Score <= 1
	})
	if err != nil {
		return ekyc.Failed, 0, err
	}
	return r.Outcome, ekyc.Score(*r.Score), nil
}

// Mobile asks /mobile.
func (h *httpSource) Mobile(ctx context.Context, c ekyc.Claim, n cnid.Mobile) (ekyc.Outcome, ekyc.Carrier, error) {
	r, err := h.ask(ctx, "/mobile", httpRequest{Claim: claimOf(c), Mobile: string(n)}, answered)
	switch r.Carrier {
	case ekyc.ChinaMobile, ekyc.ChinaUnicom, ekyc.ChinaTelecom, ekyc.ChinaBroadcast:
	default:
		r.Carrier = ""
	}
	return r.Outcome, r.Carrier, err
}

// answered takes one of the three outcomes.
func answered(r httpReply) (ekyc.Code, bool) {
	return ekyc.OK, r.Outcome == ekyc.Match || r.Outcome == ekyc.NonMatched || r.Outcome == ekyc.NoRecord
}

func claimOf(c ekyc.Claim) httpClaim {
	kind := "id-card"
	if c.Type == ekyc.ResidencePermit {
		kind = "residence-permit"
	}
	return httpClaim{string(c.Name), string(c.Number), kind}
}

// ask makes a call. read gives the code that a reply means, or false where it means nothing.
// The reply's outcome is Failed with any error.
func (h *httpSource) ask(ctx context.Context, path string, in httpRequest, read func(httpReply) (ekyc.Code, bool)) (r httpReply, err error) {
	body, err := json.Marshal(in)
	if err != nil {
		return r, ekyc.Wrap(ekyc.Internal, "encode a question", err)
	}
	err = h.g.do(ctx, path, func(ctx context.Context, id string) tried {
		r = httpReply{}
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.base+path, bytes.NewReader(body))
		if err != nil {
			return tried{err: ekyc.Errorf(ekyc.SourceFailed, "the address of the source %s cannot be read", h.c.Name)}
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Idempotency-Key", id)
		if h.c.Secret != "" {
			req.Header.Set("Authorization", "Bearer "+h.c.Secret)
		}
		resp, reply, err := fetch(h.c.Client, req, ekyc.MaxImage*4/3+maxReply)
		if err != nil {
			t := h.g.broken(err)
			t.again = true // the key makes it the same call
			return t
		}
		if resp.StatusCode != http.StatusOK {
			return h.refusal(resp.StatusCode, reply)
		}
		if err := json.Unmarshal(reply, &r); err != nil {
			return h.g.nonsense("%d bytes that are not the contract's", len(reply))
		}
		charged := r.Charged == nil || *r.Charged
		code, ok := read(r)
		switch {
		case !ok:
			return h.g.nonsense("an outcome, an identity or a score that is none")
		case code != ekyc.OK:
			return h.g.refused(code, charged, nil)
		}
		return tried{charged: charged}
	})
	if err != nil {
		r = httpReply{Outcome: ekyc.Failed, Carrier: r.Carrier}
	}
	return r, err
}

// refusal reads a reply of another status than 200.
func (h *httpSource) refusal(status int, reply []byte) tried {
	var e struct {
		Error   string `json:"error"`
		Charged bool   `json:"charged"`
	}
	_ = json.Unmarshal(reply, &e) // it may be a proxy's page
	code := ekyc.SourceFailed
	again := false
	switch {
	case status == http.StatusTooManyRequests, status == http.StatusServiceUnavailable:
		code, again = ekyc.Busy, true
	case status >= 500:
		again = true
	case e.Error == "image":
		code = ekyc.ImageFormat
	case e.Error == "no_face":
		code = ekyc.NoFace
	}
	t := h.g.refused(code, e.Charged, nil)
	t.again = again
	return t
}
