package baidu

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// Bounds of what Client reads. Our choices: a reply holds at most two card pictures of
// 10 MB as base64; an image is at most 10 MB.
const (
	maxReply = 32 << 20
	maxImage = 16 << 20
)

// SignatureLifetime is how long the client's signatures are valid: the official SDKs'
// default.
const SignatureLifetime = 1800 * time.Second

// Client calls all interfaces of the protocol. The zero value with Base, Key and Secret
// set is ready. Safe for concurrent use once its fields are set.
type Client struct {
	// Base is where the server is: "https://host[:port]", without a path.
	Base string
	// Key and Secret are the app's API Key and Secret Key.
	Key, Secret string
	// HTTP makes the requests; nil means a client that gives up after a minute.
	HTTP *http.Client
	// SignedAt, when set, selects BCE v1 signatures in place of access tokens. It is the
	// clock that signs: time.Now.
	SignedAt func() time.Time

	mu     sync.Mutex
	access string
}

var defaultHTTP = &http.Client{Timeout: time.Minute}

func (c *Client) http() *http.Client {
	if c.HTTP != nil {
		return c.HTTP
	}
	return defaultHTTP
}

// AccessToken returns the client's access token, asking for one when it has none yet.
// Refusals are *TokenError.
func (c *Client) AccessToken(ctx context.Context) (string, error) { return c.token(ctx, "") }

// token returns an access token other than the refused one.
func (c *Client) token(ctx context.Context, refused string) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.access != "" && c.access != refused {
		return c.access, nil
	}
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {c.Key}, "client_secret": {c.Secret}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.Base+PathToken, strings.NewReader(form.Encode()))
	if err != nil {
		return "", fmt.Errorf("baidu: get access token: %w", err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	body, _, _, err := c.do(req, maxReply)
	if err != nil {
		return "", fmt.Errorf("baidu: get access token: %w", err)
	}
	var reply struct {
		TokenReply
		TokenError
	}
	if err := json.Unmarshal(body, &reply); err != nil {
		return "", fmt.Errorf("baidu: get access token: read reply: %w", err)
	}
	if reply.Kind != "" {
		e := reply.TokenError
		return "", &e
	}
	if reply.AccessToken == "" {
		return "", errors.New("baidu: get access token: the reply holds none; is Base the address of a face verification server?")
	}
	c.access = reply.AccessToken
	return c.access, nil
}

// do sends a request and reads at most limit bytes of the reply.
func (c *Client) do(req *http.Request, limit int64) (body []byte, status int, kind string, err error) {
	resp, err := c.http().Do(req)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) { // its text would hold the access token
			err = fmt.Errorf("%s %s: %w", req.Method, req.URL.Path, u.Err)
		}
		return nil, 0, "", err
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err == nil && int64(len(body)) > limit {
		err = fmt.Errorf("the reply is larger than %d bytes", limit)
	}
	return body, resp.StatusCode, resp.Header.Get("Content-Type"), err
}

// request makes and authenticates a request. It returns the access token that it used.
func (c *Client) request(ctx context.Context, method, address, kind string, body []byte, refused string) (*http.Request, string, error) {
	req, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if err != nil {
		return nil, "", err
	}
	if method == http.MethodPost {
		req.Header.Set("Content-Type", kind)
	}
	if c.SignedAt != nil {
		Sign(req, c.Key, c.Secret, c.SignedAt(), SignatureLifetime)
		return req, "", nil
	}
	token, err := c.token(ctx, refused)
	if err != nil {
		return nil, "", err
	}
	q := req.URL.Query()
	q.Set("access_token", token)
	req.URL.RawQuery = q.Encode()
	return req, token, nil
}

// envelope is any reply of any interface.
type envelope struct {
	Success   *bool           `json:"success"`
	Result    json.RawMessage `json:"result"`
	LogID     Text            `json:"log_id"`
	Code      Int             `json:"code"`
	Message   string          `json:"message"`
	ErrorCode Int             `json:"error_code"`
	ErrorMsg  string          `json:"error_msg"`
	Detail    string          `json:"error_detail"`
}

func (e envelope) err() error {
	code, msg := Code(e.ErrorCode), e.ErrorMsg
	if code == OK {
		code, msg = Code(e.Code), e.Message
	}
	if code == OK && (e.Success == nil || *e.Success) {
		return nil
	}
	return &Error{Code: code, Message: msg, Detail: e.Detail, LogID: string(e.LogID)}
}

// call posts a message and reads the result into out, unless that is nil.
func (c *Client) call(ctx context.Context, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("baidu: %s: %w", path, err)
	}
	_, e, err := c.post(ctx, path, "application/json", body)
	if err != nil || out == nil {
		return err
	}
	if err := json.Unmarshal(e.Result, out); err != nil {
		return fmt.Errorf("baidu: %s: read result: %w", path, err)
	}
	return nil
}

// post sends a body and returns the reply whole and as an envelope. An access token that
// is refused (110, 111) is renewed once.
func (c *Client) post(ctx context.Context, path, kind string, body []byte) ([]byte, envelope, error) {
	refused := ""
	for {
		req, used, err := c.request(ctx, http.MethodPost, c.Base+path, kind, body, refused)
		if err != nil {
			return nil, envelope{}, err
		}
		reply, status, _, err := c.do(req, maxReply)
		if err != nil {
			return nil, envelope{}, fmt.Errorf("baidu: %s: %w", path, err)
		}
		var e envelope
		if err := json.Unmarshal(reply, &e); err != nil {
			return nil, envelope{}, fmt.Errorf("baidu: %s: the reply (HTTP status %d) is not JSON: %w", path, status, err)
		}
		err = e.err()
		var refusal *Error
		if errors.As(err, &refusal) && used != "" && refused == "" &&
			(refusal.Code == AccessTokenInvalid || refusal.Code == AccessTokenExpired) {
			refused = used
			continue
		}
		return reply, e, err
	}
}

// IDCard reads a side of an identity card directly. A picture of something else is an
// ImageStatus, not an error.
func (c *Client) IDCard(ctx context.Context, r IDCardRequest) (IDCardReply, error) {
	form := url.Values{"image": {base64.StdEncoding.EncodeToString(r.Image)}, "id_card_side": {r.Side}}
	for name, on := range map[string]bool{"detect_risk": r.DetectRisk, "detect_card": r.DetectCard, "detect_photo": r.DetectPhoto} {
		if on {
			form.Set(name, "true")
		}
	}
	reply, _, err := c.post(ctx, PathOCR, "application/x-www-form-urlencoded", []byte(form.Encode()))
	if err != nil {
		return IDCardReply{}, err
	}
	var out IDCardReply
	if err := json.Unmarshal(reply, &out); err != nil {
		return IDCardReply{}, fmt.Errorf("baidu: %s: read reply: %w", PathOCR, err)
	}
	return out, nil
}

// Generate asks for a verify token.
func (c *Client) Generate(ctx context.Context, r GenerateRequest) (verifyToken string, err error) {
	var out GenerateResult
	err = c.call(ctx, PathGenerate, r, &out)
	return out.VerifyToken, err
}

// SubmitIDCard names the capture subject, for plans with 指定用户.
func (c *Client) SubmitIDCard(ctx context.Context, r SubmitRequest) error {
	return c.call(ctx, PathIDCard, r, nil)
}

// UploadMatchImage gives the reference image, for plans with 自建人脸库比对.
func (c *Client) UploadMatchImage(ctx context.Context, r UploadRequest) error {
	return c.call(ctx, PathUploadMatch, r, nil)
}

// Simple returns the address of the face of a passed verification; Image fetches it.
func (c *Client) Simple(ctx context.Context, verifyToken string) (SimpleResult, error) {
	var out SimpleResult
	err := c.call(ctx, PathSimple, TokenRequest{verifyToken}, &out)
	return out, err
}

// Detail returns the result of a passed verification. A verification that did not pass
// is an *Error with the reason's code.
func (c *Client) Detail(ctx context.Context, verifyToken string) (DetailResult, error) {
	var out DetailResult
	err := c.call(ctx, PathDetail, TokenRequest{verifyToken}, &out)
	return out, err
}

// Stat returns the counts of inner calls.
func (c *Client) Stat(ctx context.Context, verifyToken string) (StatResult, error) {
	var out StatResult
	err := c.call(ctx, PathStat, TokenRequest{verifyToken}, &out)
	return out, err
}

// Media returns addresses of the presentation's recording, where the plan keeps it.
func (c *Client) Media(ctx context.Context, verifyToken string) (MediaResult, error) {
	var out MediaResult
	err := c.call(ctx, PathMedia, TokenRequest{verifyToken}, &out)
	return out, err
}

// GetAll returns all verifications of a verify token with their charges.
func (c *Client) GetAll(ctx context.Context, verifyToken string) (GetAllResult, error) {
	var out GetAllResult
	err := c.call(ctx, PathGetAll, TokenRequest{verifyToken}, &out)
	return out, err
}

// Image fetches an image whose address another interface returned, with its MIME type.
// The address is its own permission: no credentials are sent to it.
func (c *Client) Image(ctx context.Context, address string) (image []byte, mime string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, "", errors.New("baidu: fetch image: the address cannot be read")
	}
	body, status, kind, err := c.do(req, maxImage)
	if err != nil {
		return nil, "", fmt.Errorf("baidu: fetch image: %w", err)
	}
	if status != http.StatusOK || strings.HasPrefix(kind, "application/json") {
		var e envelope
		if json.Unmarshal(body, &e) == nil && e.err() != nil {
			return nil, "", e.err()
		}
		return nil, "", fmt.Errorf("baidu: fetch image: HTTP status %d", status)
	}
	return body, kind, nil
}

// MatchV4 compares two images directly.
func (c *Client) MatchV4(ctx context.Context, r MatchRequest) (MatchResult, error) {
	if r.ImageType == "" {
		r.ImageType = Base64
	}
	if r.RegisterImageType == "" {
		r.RegisterImageType = Base64
	}
	var out MatchResult
	err := c.call(ctx, PathMatchV4, r, &out)
	return out, err
}

// MatchV3 compares two images directly, by the older interface.
func (c *Client) MatchV3(ctx context.Context, a, b MatchPicture) (MatchResult, error) {
	for _, p := range []*MatchPicture{&a, &b} {
		if p.ImageType == "" {
			p.ImageType = Base64
		}
	}
	var out MatchResult
	err := c.call(ctx, PathMatchV3, []MatchPicture{a, b}, &out)
	return out, err
}

// VerifyV4 compares a face with the authority's portrait of a named person. What the
// authority does not know is an *Error with IdentityMismatch, IDNumberAbsent, PortraitAbsent
// or PortraitPoor; a face that is somebody else's is a low score.
func (c *Client) VerifyV4(ctx context.Context, r VerifyRequest) (VerifyResult, error) {
	return c.verify(ctx, PathVerifyV4, r)
}

// VerifyV3 is VerifyV4 by the older interface.
func (c *Client) VerifyV3(ctx context.Context, r VerifyRequest) (VerifyResult, error) {
	r.SpoofingControl = "" // a parameter of V4
	return c.verify(ctx, PathVerifyV3, r)
}

func (c *Client) verify(ctx context.Context, path string, r VerifyRequest) (VerifyResult, error) {
	if r.ImageType == "" {
		r.ImageType = Base64
	}
	var out struct {
		VerifyResult
		Score *float64 `json:"score"` // an absent score must not be taken for the lowest
	}
	if err := c.call(ctx, path, r, &out); err != nil {
		return VerifyResult{}, err
	}
	compared := out.VerifyStatus == nil || *out.VerifyStatus == StatusCompared
	switch {
	case compared && out.Score == nil:
		return VerifyResult{}, fmt.Errorf("baidu: %s: the reply holds no score", path)
	case out.Score != nil:
		out.VerifyResult.Score = *out.Score
	}
	return out.VerifyResult, nil
}

// H5URL is the address that the capture subject opens. Seed and the scheme's guide:
// successUrl and failedUrl are where the page goes at the end, verbatim; either may be
// empty.
func H5URL(base, verifyToken, successURL, failedURL string) string {
	s := base + PathH5 + "?token=" + url.QueryEscape(verifyToken)
	if successURL != "" {
		s += "&successUrl=" + url.QueryEscape(successURL)
	}
	if failedURL != "" {
		s += "&failedUrl=" + url.QueryEscape(failedURL)
	}
	return s
}
