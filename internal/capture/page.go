package capture

import (
	"net/http"
	"regexp"
	"strings"
)

// servePage sends the page. It is not kept by caches: they would file it under an
// address that holds a token.
func (h *Handler) servePage(w http.ResponseWriter, r *http.Request) {
	if h.page == nil {
		http.Error(w, "The page is not built. Run `make web`, build the server again and restart it.", http.StatusServiceUnavailable)
		return
	}
	h.page.ServeIndex(w, r, "no-store")
}

// serveAsset sends a file of the page.
func (h *Handler) serveAsset(w http.ResponseWriter, r *http.Request) {
	if h.page == nil || !h.page.ServeAsset(w, r, r.PathValue("name")) {
		w.Header().Set("Cache-Control", "no-store")
		http.NotFound(w, r)
	}
}

var plainHost = regexp.MustCompile(`^[A-Za-z0-9.-]+(:[0-9]+)?$|^\[[0-9A-Fa-f:.]+\](:[0-9]+)?$`)

// secure sets what every answer of this room carries. The page loads nothing from
// elsewhere and has no inline script or style; its address holds a token, so that it is
// never a referrer.
func (h *Handler) secure(head http.Header, host string) {
	// Safari before 15.4 does not take 'self' for the WebSocket of the same host.
	sockets := ""
	if plainHost.MatchString(host) {
		sockets = " ws://" + host + " wss://" + host
	}
	// Without the directive any page may embed this one; "*" would leave out apps whose
	// own pages have schemes of their own.
	ancestors := ""
	if len(h.cfg.FrameAncestors) > 0 {
		ancestors = "; frame-ancestors " + strings.Join(h.cfg.FrameAncestors, " ")
	}
	head.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "+
		"connect-src 'self'"+sockets+"; media-src 'self' blob:; base-uri 'none'; form-action 'none'"+ancestors)
	head.Set("Permissions-Policy", "camera=(self), microphone=(self), geolocation=(), payment=(), usb=()")
	head.Set("Referrer-Policy", "no-referrer")
	head.Set("X-Content-Type-Options", "nosniff")
	head.Set("Cross-Origin-Resource-Policy", "same-origin")
}
