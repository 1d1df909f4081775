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

// Base is where the vendor is.
const Base = "https://apis.juhe.cn"

// maxReply bounds what Client reads. Our choice: a reply has some 300 bytes.
const maxReply = 1 << 20

// Client calls the interface. Safe for concurrent use once its fields are set.
type Client struct {
	// Base is where the server is: "https://host[:port]", without a path.
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
	form := url.Values{
		"key": {c.Key}, "realname": {r.RealName}, "idcard": {r.IDCard}, "mobile": {r.Mobile},
		"image": {base64.StdEncoding.EncodeToString(r.Image)},
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.Base+PathQuery, strings.NewReader(form.Encode()))
	if err != nil {
		return Result{}, errors.New("juhe: query: the server's address cannot be read")
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	client := c.HTTP
	if client == nil {
		client = defaultHTTP
	}
	resp, err := client.Do(req)
	if err != nil {
		return Result{}, fmt.Errorf("juhe: query: %w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxReply+1))
	if err != nil {
		return Result{}, fmt.Errorf("juhe: query: read reply: %w", err)
	}
	if len(body) > maxReply {
		return Result{}, fmt.Errorf("juhe: query: the reply is larger than %d bytes", maxReply)
	}
	return parseReply(resp.StatusCode, body)
}

func parseReply(status int, body []byte) (Result, error) {
	var e struct {
		Reason    string          `json:"reason"`
		Result    json.RawMessage `json:"result"`
		ErrorCode *Code           `json:"error_code"`
		Detail    string          `json:"error_detail"`
	}
	if err := json.Unmarshal(body, &e); err != nil || e.ErrorCode == nil {
		return Result{}, fmt.Errorf("juhe: query: HTTP status %d and no reply of this interface; is Base the server's address?", status)
	}
	if *e.ErrorCode != OK {
		refusal := &Error{Code: *e.ErrorCode, Reason: e.Reason, Detail: e.Detail}
		var o Order
		if json.Unmarshal(e.Result, &o) == nil { // result is null or "" for most errors
			refusal.OrderID = o.OrderID
		}
		return Result{}, refusal
	}
	var r Result
	if err := json.Unmarshal(e.Result, &r); err != nil {
		return Result{}, fmt.Errorf("juhe: query: read result: %w", err)
	}
	return r, nil
}
