package baidu

import (
	"net/http"
	"strings"

	"shiren/api/baidu"
	"shiren/internal/ekyc"
	"shiren/internal/gateway/wire"
)

// token exchanges API Key and Secret Key for an access token: GET or POST, parameters
// in the query or in the body.
func (h *handler) token(w http.ResponseWriter, r *http.Request) {
	c := &call{r: r, route: baidu.PathToken, logID: h.core.LogID()}
	reply, refusal, err := h.grant(w, c)
	switch {
	case err != nil && refusal.Kind == "":
		h.refuse(w, c, err)
	case err != nil:
		h.log.Info("refused", "path", c.route, "log_id", c.logID, "error", refusal.Kind, "code", string(ekyc.CodeOf(err)))
		h.write(w, http.StatusUnauthorized, refusal)
	default:
		h.write(w, http.StatusOK, reply)
	}
}

// invalidClient and the descriptions are the vendor's, from memory of its answers.
const invalidClient = "invalid_client"

func (h *handler) grant(w http.ResponseWriter, c *call) (reply baidu.TokenReply, refusal baidu.TokenError, err error) {
	if c.r.Method != http.MethodGet && c.r.Method != http.MethodPost {
		return reply, refusal, ekyc.Errorf(ekyc.UnknownMethod, "use GET or POST")
	}
	var b body
	if c.r.Method == http.MethodPost {
		buf := wire.Buffer()
		defer wire.Release(buf)
		if err := wire.Read(w, c.r, buf, maxBody); err != nil {
			return reply, refusal, ekyc.Errorf(ekyc.BadRequest, "%s", ekyc.DetailOf(err))
		}
		if b, err = parse(buf.Bytes()); err != nil {
			return reply, refusal, err
		}
	}
	query := c.r.URL.Query()
	param := func(name string) string {
		if v := query.Get(name); v != "" {
			return strings.TrimSpace(v)
		}
		v, _ := b.text(name)
		return strings.TrimSpace(v)
	}
	if kind := param("grant_type"); kind != "client_credentials" {
		e := ekyc.Errorf(ekyc.BadRequest, "grant_type is not client_credentials")
		return reply, baidu.TokenError{Kind: "unsupported_grant_type", Description: "The authorization grant type is not supported"}, e
	}
	g, err := h.core.Grant(c.r.Context(), param("client_id"), param("client_secret"))
	switch ekyc.CodeOf(err) {
	case ekyc.OK:
	case ekyc.AppUnknown:
		return reply, baidu.TokenError{Kind: invalidClient, Description: "unknown client id"}, err
	case ekyc.SecretWrong, ekyc.AppDisabled:
		return reply, baidu.TokenError{Kind: invalidClient, Description: "Client authentication failed"}, err
	default:
		return reply, refusal, err
	}
	t := baidu.AccessToken{Nonce: g.Nonce, Tag: g.Tag, Expires: g.Expires, App: string(g.App)}
	return t.Reply(), refusal, nil
}
