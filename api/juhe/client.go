package juhe

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Base is where the vendor is, and MobileBase where its PathMobile is.
const (
	Base       = "https://apis.juhe.cn"
	MobileBase = "https://v.juhe.cn"
)

// maxReply bounds what Client reads. Our choice: a reply has some 300 bytes.
const maxReply = 1 << 20

// Client calls the interfaces. Safe for concurrent use once its fields are set.
type Client struct {
	// Base is where the server is: "https://host[:port]", without a path. The vendor's own
	// QueryMobile is at MobileBase.
	Base string
	// Key is the key that the vendor's console shows for the interface.
	Key string
	// HTTP makes the requests; nil means a client that gives up after a minute.
	HTTP *http.Client
}

var defaultHTTP = &http.Client{Timeout: time.Minute}

// Query checks four elements. Errors that the server says are *Error; any other means that
// it is not known whether the call was charged, and it must not be repeated blindly.
func (c *Client) Query(ctx context.Context, r Request) (Result, error) {
	status, body, err := c.post(ctx, PathQuery, url.Values{
		"realname": {r.RealName}, "idcard": {r.IDCard}, "mobile": {r.Mobile}, "image": {base64.StdEncoding.EncodeToString(r.Image)},
	})
	if err != nil {
		return Result{}, err
	}
	return parseReply(status, body)
}

// VerifyFace checks name, number and portrait. Its errors are as Query's.
func (c *Client) VerifyFace(ctx context.Context, r FaceRequest) (f FaceResult, err error) {
	status, body, err := c.post(ctx, PathFace, url.Values{
		"realname": {r.RealName}, "idcard": {r.IDCard}, "image": {base64.StdEncoding.EncodeToString(r.Image)},
	})
	if err == nil {
		err = parse(status, body, &f)
	}
	return f, err
}

// QueryMobile checks name, number and mobile number. Its errors are as Query's.
func (c *Client) QueryMobile(ctx context.Context, r MobileRequest) (m MobileResult, err error) {
	status, body, err := c.post(ctx, PathMobile, url.Values{
		"realname": {r.RealName}, "idcard": {r.IDCard}, "mobile": {r.Mobile}, "showid": {"1"}, // with its orderid
	})
	if err == nil {
		err = parse(status, body, &m)
	}
	return m, err
}

// post sends a form with the key and reads the reply.
func (c *Client) post(ctx context.Context, path string, form url.Values) (status int, body []byte, err error) {
	form.Set("key", c.Key)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.Base+path, strings.NewReader(form.Encode()))
	if err != nil {
		return 0, nil, errors.New("juhe: query: the server's address cannot be read")
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	client := c.HTTP
	if client == nil {
		client = defaultHTTP
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, nil, fmt.Errorf("juhe: query: %w", err)
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(io.LimitReader(resp.Body, maxReply+1))
	if err != nil {
		return 0, nil, fmt.Errorf("juhe: query: read reply: %w", err)
	}
	if len(body) > maxReply {
		return 0, nil, fmt.Errorf("juhe: query: the reply is larger than %d bytes", maxReply)
	}
	return resp.StatusCode, body, nil
}

func parseReply(status int, body []byte) (r Result, err error) {
	err = parse(status, body, &r)
	return r, err
}

// parse reads the result of a reply, or what was refused as an *Error.
func parse(status int, body []byte, result any) error {
	var e struct {
		Reason    string          `json:"reason"`
		Result    json.RawMessage `json:"result"`
		ErrorCode *Code           `json:"error_code"`
		Detail    string          `json:"error_detail"`
	}
	if err := json.Unmarshal(body, &e); err != nil || e.ErrorCode == nil {
		return fmt.Errorf("juhe: query: HTTP status %d and no reply of this interface; is Base the server's address?", status)
	}
	if *e.ErrorCode != OK {
		refusal := &Error{Code: *e.ErrorCode, Reason: e.Reason, Detail: e.Detail}
		var o Order
		if json.Unmarshal(e.Result, &o) == nil { // result is null or "" for most errors
			refusal.OrderID = o.OrderID
		}
		return refusal
	}
	if err := json.Unmarshal(e.Result, result); err != nil {
		return fmt.Errorf("juhe: query: read result: %w", err)
	}
	return nil
}
