package upstream

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"shiren/api/juhe"
	"shiren/internal/cnid"
	"shiren/internal/ekyc"
)

// maxReply bounds a reply that is not an image. Our choice: they have some 300 bytes.
const maxReply = 1 << 20

// juheSource asks for a face or for a mobile number.
type juheSource struct {
	g    *guard
	c    Config
	base string
}

func newJuhe(c Config, g *guard) *juheSource {
	base := juhe.Base
	if c.Kind == JuheMobile {
		base = juhe.MobileBase
	}
	return &juheSource{g, c, cmp.Or(c.Address, base)}
}

// Face asks verifyface/verify. Its result 1 is the one whose meaning is known: the portraits
// were compared, and the score says how alike they are. What others mean is not documented
// to us, so they are no answer.
func (j *juheSource) Face(ctx context.Context, c ekyc.Claim, probe []byte) (out ekyc.Outcome, score ekyc.Score, err error) {
	form := url.Values{"idcard": {string(c.Number)}, "realname": {string(c.Name)}, "image": {base64.StdEncoding.EncodeToString(probe)}}
	err = j.g.do(ctx, juhe.PathFace, func(ctx context.Context, _ string) tried {
		var r struct {
			Res   *jsonNumber `json:"res"`
			Score *jsonNumber `json:"score"`
		}
		if t, ok := j.post(ctx, juhe.PathFace, form, &r); !ok {
			return t
		}
		if r.Res == nil || r.Score == nil || *r.Res != 1 {
			return j.g.nonsense("res %v, score %v", r.Res, r.Score)
		}
		var bad *tried
		if score, bad = j.g.scored(float64(*r.Score), 100); bad != nil {
			return *bad
		}
		return tried{charged: true}
	})
	return compared(err), score, err
}

// juheCarriers are the values of type, with and without 中国.
var juheCarriers = map[string]ekyc.Carrier{
	juhe.ChinaMobile: ekyc.ChinaMobile, juhe.ChinaUnicom: ekyc.ChinaUnicom,
	juhe.ChinaTelecom: ekyc.ChinaTelecom, juhe.ChinaBroadcast: ekyc.ChinaBroadcast,
}

// Mobile asks telecom/query.
func (j *juheSource) Mobile(ctx context.Context, c ekyc.Claim, n cnid.Mobile) (out ekyc.Outcome, carrier ekyc.Carrier, err error) {
	form := url.Values{"idcard": {string(c.Number)}, "realname": {string(c.Name)}, "mobile": {string(n)}, "showid": {"1"}}
	err = j.g.do(ctx, juhe.PathMobile, func(ctx context.Context, _ string) tried {
		var r struct {
			Res  *jsonNumber `json:"res"`
			Type string      `json:"type"`
		}
		if t, ok := j.post(ctx, juhe.PathMobile, form, &r); !ok {
			return t
		}
		carrier = juheCarriers[strings.TrimPrefix(r.Type, "中国")]
		switch {
		case r.Res == nil:
			return j.g.nonsense("no res")
		case *r.Res == 1: // 一致
			out = ekyc.Match
		case *r.Res == 0 || *r.Res == 2: // 不一致: clients read 0, others 2
			out = ekyc.NonMatched
		default:
			return j.g.nonsense("res %v", *r.Res)
		}
		return tried{charged: true}
	})
	if err != nil {
		return ekyc.Failed, carrier, err
	}
	return out, carrier, nil
}

// post calls an interface and reads its result. What is not a charged answer is a tried.
func (j *juheSource) post(ctx context.Context, path string, form url.Values, result any) (tried, bool) {
	form.Set("key", j.c.Key)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, j.base+path, strings.NewReader(form.Encode()))
	if err != nil {
		return tried{err: ekyc.Errorf(ekyc.SourceFailed, "the address of the source %s cannot be read", j.c.Name)}, false
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	_, body, err := fetch(j.c.Client, req, maxReply)
	if err != nil {
		return j.g.broken(err), false
	}
	var e struct {
		ErrorCode *juhe.Code      `json:"error_code"`
		Reason    string          `json:"reason"`
		Result    json.RawMessage `json:"result"`
	}
	if err := json.Unmarshal(body, &e); err != nil || e.ErrorCode == nil {
		return j.g.nonsense("%d bytes that are no reply of the vendor's", len(body)), false
	}
	if *e.ErrorCode != juhe.OK { // documented as free of charge
		return j.g.refused(juheCode(*e.ErrorCode), false, &juhe.Error{Code: *e.ErrorCode, Reason: e.Reason}), false
	}
	if err := json.Unmarshal(e.Result, result); err != nil {
		return j.g.nonsense("a result that is none"), false
	}
	return tried{}, true
}

// juheCode is a refusal in the core's words. Only the system codes are common to the
// vendor's interfaces; the service codes of these two are not documented to us.
func juheCode(c juhe.Code) ekyc.Code {
	switch c {
	case juhe.UnderRepair, juhe.AddressLimit:
		return ekyc.Busy
	}
	return ekyc.SourceFailed
}

// jsonNumber is a number that may also arrive as a string.
type jsonNumber float64

func (n *jsonNumber) UnmarshalJSON(b []byte) error {
	var v json.Number // of a string too, if it holds a number
	if err := json.Unmarshal(b, &v); err != nil {
		return errors.New("want a number")
	}
	f, err := v.Float64()
	*n = jsonNumber(f)
	return err
}

// fetch makes a request and reads at most limit bytes. Its error holds no address.
func fetch(client *http.Client, req *http.Request, limit int64) (*http.Response, []byte, error) {
	resp, err := client.Do(req)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err
		}
		return nil, nil, err
	}
	defer resp.Body.Close()
	var body bytes.Buffer
	if _, err := io.Copy(&body, io.LimitReader(resp.Body, limit+1)); err != nil {
		return resp, nil, fmt.Errorf("read reply: %w", err)
	}
	if int64(body.Len()) > limit {
		return resp, nil, fmt.Errorf("the reply is larger than %d bytes", limit)
	}
	return resp, body.Bytes(), nil
}
