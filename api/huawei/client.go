package huawei

import (
	"bytes"
	"context"
	"crypto/sha512"
	"encoding/hex"
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

// Client calls all interfaces, as a developer's backend does. Safe for concurrent use once
// its fields are set.
type Client struct {
	// Base is where the interfaces are: "https://host[:port]", without a path. TokenBase is
	// where PathToken is; empty means Base.
	Base, TokenBase string
	// ClientID and ClientSecret are the app's.
	ClientID, ClientSecret string
	// SignKey signs requests; SignKeyID is its id, developerSignKeyId.
	SignKeyID string
	SignKey   *PrivateKey
	// PlatformSignKey verifies answers; petalpaySignKeyId.
	PlatformSignKeyID string
	PlatformSignKey   *PublicKey
	// PlatformEncKey encrypts fields of requests; petalpayEncKeyId. FacePreverify needs it.
	PlatformEncKeyID string
	PlatformEncKey   *PublicKey
	// EncKey decrypts fields of answers; developerEncKeyId. AuthResult needs it.
	EncKeyID string
	EncKey   *PrivateKey

	// Now is the clock: time.Now. Rand is the source of chance: crypto/rand.Reader.
	Now  func() time.Time
	Rand io.Reader
	// HTTP makes the requests; nil means a client that gives up after half a minute.
	HTTP *http.Client

	mu      sync.Mutex
	access  string
	renewAt time.Time
}

var defaultHTTP = &http.Client{Timeout: 30 * time.Second}

// maxReply bounds what Client reads of an answer. Our choice: ten times the largest.
const maxReply = 64 << 10

// AccessToken returns the client's access token, asking for one when it has none or the
// one it has has less than a minute left. Refusals are *TokenError.
func (c *Client) AccessToken(ctx context.Context) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.access != "" && c.Now().Before(c.renewAt) {
		return c.access, nil
	}
	base := c.TokenBase
	if base == "" {
		base = c.Base
	}
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {c.ClientID}, "client_secret": {c.ClientSecret}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, base+PathToken, strings.NewReader(form.Encode()))
	if err != nil {
		return "", fmt.Errorf("huawei: get access token: %w", err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	asked := c.Now()
	body, status, err := c.do(req)
	if err != nil {
		return "", fmt.Errorf("huawei: get access token: %w", err)
	}
	var reply struct {
		TokenReply
		TokenError
	}
	if err := json.Unmarshal(body, &reply); err != nil {
		return "", fmt.Errorf("huawei: get access token: HTTP %d and no JSON; is TokenBase the server's address?", status)
	}
	if reply.AccessToken == "" {
		e := reply.TokenError
		e.Status = status
		return "", &e
	}
	c.access, c.renewAt = reply.AccessToken, asked.Add(time.Duration(reply.ExpiresIn)*time.Second-time.Minute)
	return c.access, nil
}

func (c *Client) do(req *http.Request) ([]byte, int, error) {
	h := c.HTTP
	if h == nil {
		h = defaultHTTP
	}
	resp, err := h.Do(req)
	if err != nil {
		return nil, 0, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxReply+1))
	if err == nil && len(body) > maxReply {
		err = fmt.Errorf("the answer is larger than %d bytes", maxReply)
	}
	return body, resp.StatusCode, err
}

// Request makes a signed request for one interface. It is what all calls use, and there
// for those that want to send it themselves.
func (c *Client) Request(ctx context.Context, path string, message any) (*http.Request, error) {
	access, err := c.AccessToken(ctx)
	if err != nil {
		return nil, err
	}
	body, err := json.Marshal(message)
	if err != nil {
		return nil, fmt.Errorf("huawei: %s: %w", path, err)
	}
	var trace [16]byte
	if _, err := io.ReadFull(c.Rand, trace[:]); err != nil {
		return nil, fmt.Errorf("huawei: make a traceId: %w", err)
	}
	a := PayDevAuth{
		ClientID: c.ClientID, AccessToken: access, TraceID: hex.EncodeToString(trace[:]), Time: c.Now().UnixMilli(),
		DeveloperSignKeyID: c.SignKeyID, PetalpaySignKeyID: c.PlatformSignKeyID,
		DeveloperEncKeyID: c.EncKeyID, PetalpayEncKeyID: c.PlatformEncKeyID,
	}
	if err := a.SignBody(c.Rand, c.SignKey, body); err != nil {
		return nil, fmt.Errorf("huawei: %s: %w", path, err)
	}
	header, err := json.Marshal(a)
	if err != nil {
		return nil, fmt.Errorf("huawei: %s: %w", path, err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.Base+path, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("huawei: %w", err)
	}
	req.Header.Set("Content-Type", "application/json; charset=UTF-8")
	req.Header.Set("Accept", "application/json")
	req.Header.Set(HeaderAuth, string(header))
	return req, nil
}

// call makes a request, checks the answer's signature and reads it. An answer other than
// Success is an *Error.
func (c *Client) call(ctx context.Context, path string, message, reply any) error {
	if c.SignKey == nil || c.PlatformSignKey == nil {
		return errors.New("huawei: the client needs SignKey and PlatformSignKey")
	}
	req, err := c.Request(ctx, path, message)
	if err != nil {
		return err
	}
	body, status, err := c.do(req)
	if err != nil {
		return fmt.Errorf("huawei: %s: %w", path, err)
	}
	var a struct {
		Answer
		Sign string `json:"sign"`
	}
	if json.Unmarshal(body, &a) != nil || a.ResultCode == "" {
		return fmt.Errorf("huawei: %s: HTTP %d and no answer of this protocol; is Base the server's address?", path, status)
	}
	// A refusal of a client that the server does not know cannot be signed for it.
	if a.Sign != "" || a.ResultCode == ResultSuccess {
		if err := VerifyAnswer(c.PlatformSignKey, body); err != nil {
			return err
		}
	}
	if a.ResultCode != ResultSuccess {
		return &Error{Code: Code{a.ResultCode, a.ResultDesc, a.SubCode, a.SubDesc}}
	}
	if err := json.Unmarshal(body, reply); err != nil {
		return fmt.Errorf("huawei: %s: read the answer: %w", path, err)
	}
	return nil
}

// FacePreverify announces a person and returns the preVerifyId for the app.
func (c *Client) FacePreverify(ctx context.Context, openID, name, number string) (string, error) {
	if c.PlatformEncKey == nil {
		return "", errors.New("huawei: FacePreverify needs PlatformEncKey")
	}
	q := PreverifyRequest{CredentialType: CredentialIDCard, OpenID: openID}
	var err error
	if q.RealName, err = Encrypt(c.Rand, c.PlatformEncKey, name); err != nil {
		return "", err
	}
	if q.CredentialIDNo, err = Encrypt(c.Rand, c.PlatformEncKey, number); err != nil {
		return "", err
	}
	return c.preverify(ctx, PathFacePreverify, q)
}

// Preverify announces a comparison of a real name without a face. The server gets digests.
func (c *Client) Preverify(ctx context.Context, openID, name, number string) (string, error) {
	return c.preverify(ctx, PathPreverify, PreverifyRequest{
		CredentialType: CredentialIDCard, CredentialIDNo: Digest(number), RealName: Digest(name), OpenID: openID,
	})
}

// AuthPreverify announces that the app will ask for a real name. It is this server's own
// call: see PathAuthPreverify.
func (c *Client) AuthPreverify(ctx context.Context, openID string) (string, error) {
	return c.preverify(ctx, PathAuthPreverify, PreverifyRequest{OpenID: openID})
}

func (c *Client) preverify(ctx context.Context, path string, q PreverifyRequest) (string, error) {
	var a PreverifyAnswer
	err := c.call(ctx, path, q, &a)
	return a.PreVerifyID, err
}

// Digest is a field of PathPreverify: SHA-512 in hex. The guide's sample code takes
// SHA-256 in places; this server reads both.
func Digest(text string) string {
	d := sha512.Sum512([]byte(text))
	return hex.EncodeToString(d[:])
}

// FaceResult says whether the face was the announced person's.
func (c *Client) FaceResult(ctx context.Context, verifyResultID, openID string) (bool, error) {
	return c.result(ctx, PathFaceResult, verifyResultID, openID)
}

// Result says whether the announced real name was the user's.
func (c *Client) Result(ctx context.Context, verifyResultID, openID string) (bool, error) {
	return c.result(ctx, PathResult, verifyResultID, openID)
}

func (c *Client) result(ctx context.Context, path, verifyResultID, openID string) (bool, error) {
	var a ResultAnswer
	err := c.call(ctx, path, ResultRequest{VerifyResultID: verifyResultID, OpenID: openID}, &a)
	return a.VerifyResult, err
}

// AuthResult reads the real name that the user authorised the app to read.
func (c *Client) AuthResult(ctx context.Context, realNameAuthID, openID string) (name, number string, err error) {
	if c.EncKey == nil {
		return "", "", errors.New("huawei: AuthResult needs EncKey")
	}
	var a AuthAnswer
	if err := c.call(ctx, PathAuthResult, AuthRequest{RealNameAuthID: realNameAuthID, OpenID: openID}, &a); err != nil {
		return "", "", err
	}
	if name, err = Decrypt(c.EncKey, a.RealName); err == nil {
		number, err = Decrypt(c.EncKey, a.CredentialIDNo)
	}
	return name, number, err
}
