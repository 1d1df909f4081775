package huawei

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"shiren/api/huawei"
	"shiren/internal/ekyc"
)

// token exchanges client_id and client_secret for an access token: POST, parameters in the
// query or in a form.
func (h *handler) token(w http.ResponseWriter, r *http.Request) {
	logID := h.core.LogID()
	reply, err := h.grant(w, r)
	var refused *huawei.TokenError
	switch {
	case err == nil:
	case errors.As(err, &refused):
		h.log.Info("refused", "path", huawei.PathToken, "log_id", logID, "error", refused.Kind, "sub_error", refused.Sub)
	default:
		h.log.Error("failed", "path", huawei.PathToken, "log_id", logID, "err", err)
		refused = tokenError(http.StatusInternalServerError, 0, "service unavailable")
	}
	if refused != nil {
		body, _ := json.Marshal(refused) // a struct of numbers and a text
		h.write(w, refused.Status, body)
		return
	}
	body, _ := json.Marshal(reply)
	h.write(w, http.StatusOK, []byte(strings.ReplaceAll(string(body), "/", `\/`))) // as the vendor writes it
}

// tokenError makes a refusal. The vendor documents 1101 with sub errors for what a client
// sent; other statuses are listed by number alone, which is then the error too.
func tokenError(status, sub int, words string) *huawei.TokenError {
	kind := huawei.TokenErrorKind
	if status != http.StatusBadRequest {
		kind = status
	}
	return &huawei.TokenError{Status: status, Kind: kind, Sub: sub, Description: words}
}

const maxSecret = 128 // characters of a client_secret; our choice

func (h *handler) grant(w http.ResponseWriter, r *http.Request) (reply huawei.TokenReply, err error) {
	if r.Method != http.MethodPost {
		return reply, tokenError(http.StatusMethodNotAllowed, 0, "method not allowed")
	}
	form := url.Values{}
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind == "application/x-www-form-urlencoded" {
		b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if err == nil {
			form, err = url.ParseQuery(strings.TrimSpace(string(b)))
		}
		if err != nil {
			return reply, tokenError(http.StatusBadRequest, huawei.TokenBadGrant, "the form cannot be read")
		}
	}
	query := r.URL.Query()
	param := func(name string) string {
		if v := query.Get(name); v != "" {
			return v
		}
		return form.Get(name)
	}
	id, secret := param("client_id"), param("client_secret")
	bad := func(sub int, words string) (huawei.TokenReply, error) {
		return reply, tokenError(http.StatusBadRequest, sub, words)
	}
	switch {
	case param("grant_type") != "client_credentials":
		return bad(huawei.TokenBadGrant, "invalid grant_type")
	case !clientIDs.MatchString(id):
		return bad(huawei.TokenClientIDFormat, "invalid client_id")
	case secret == "":
		return bad(huawei.TokenSecretEmpty, "client_secret is empty")
	case len(secret) > maxSecret:
		return bad(huawei.TokenSecretFormat, "invalid client_secret")
	}
	g, err := h.core.GrantByID(r.Context(), ekyc.AppID(id), secret, huawei.TokenLifetime)
	switch ekyc.CodeOf(err) {
	case ekyc.OK:
	case ekyc.AppUnknown, ekyc.AppDisabled:
		return bad(huawei.TokenClientUnknown, "client_id does not exist")
	case ekyc.SecretWrong:
		return bad(huawei.TokenSecretWrong, "client_id and client_secret do not match")
	case ekyc.LimitRate:
		return reply, tokenError(http.StatusServiceUnavailable, 0, "too many requests")
	default:
		return reply, err
	}
	t := huawei.AccessToken{App: string(g.App), Expires: g.Expires, Nonce: g.Nonce, Tag: g.Tag}
	return huawei.TokenReply{AccessToken: t.String(), ExpiresIn: int(huawei.TokenLifetime.Seconds()), TokenType: "Bearer"}, nil
}
