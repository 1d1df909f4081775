package server

import (
	"bufio"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"shiren/internal/capture"
	"shiren/internal/console"
	"shiren/internal/ekyc"
	"shiren/internal/gateway/baidu"
	"shiren/internal/gateway/huawei"
	"shiren/internal/gateway/juhe"
)

// guard stands before every room: it bounds bodies, turns a panic into an answer, and
// writes the access log. The log has no query, since tokens travel there, no body, and
// no address of the client.
func guard(next http.Handler, o Options) http.Handler {
	log, limit, proxies := o.Log, int64(o.Config.Limits.Body), o.Config.Proxies()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begun := o.Now()
		if from, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
			r = r.WithContext(ekyc.From(r.Context(), client(from.Addr().Unmap(), r.Header, proxies)))
		}
		seen := &observed{ResponseWriter: w}
		if limit > 0 {
			r.Body = http.MaxBytesReader(w, r.Body, limit)
		}
		defer func() {
			p := recover()
			if p != nil && p != http.ErrAbortHandler {
				// A panic's value may quote what was being worked on, so only its place is logged.
				log.ErrorContext(r.Context(), "a handler panicked", "path", r.URL.Path, "stack", string(debug.Stack()))
				if seen.status == 0 {
					plain(seen, http.StatusInternalServerError, "something failed here; the server's log says what\n")
				}
				p = nil
			}
			level := slog.LevelInfo
			if r.URL.Path == "/healthz" || r.URL.Path == "/readyz" {
				level = slog.LevelDebug
			}
			if log.Enabled(r.Context(), level) {
				log.LogAttrs(r.Context(), level, "request", slog.String("method", r.Method), slog.String("path", r.URL.Path),
					slog.Int("status", seen.status), slog.Int64("bytes", seen.bytes), slog.Duration("took", o.Now().Sub(begun).Round(100*time.Microsecond)))
			}
			if o.figures != nil {
				o.figures.Request(protocol(r.URL.Path), r.Pattern, seen.status, o.Now().Sub(begun))
			}
			if p != nil {
				panic(p)
			}
		}()
		next.ServeHTTP(seen, r)
	})
}

// protocol names who a path belongs to, in figures.
func protocol(path string) string {
	for _, p := range []struct {
		name     string
		prefixes []string
	}{
		{"baidu", baidu.Prefixes},
		{"juhe", juhe.Prefixes},
		{"huawei", huawei.Prefixes},
		{"capture", []string{capture.Prefix + "/"}},
		{"console", []string{console.Prefix + "/"}},
	} {
		if slices.ContainsFunc(p.prefixes, func(prefix string) bool { return strings.HasPrefix(path, prefix) }) {
			return p.name
		}
	}
	switch path {
	case capture.Prefix:
		return "capture"
	case console.Prefix:
		return "console"
	}
	return "none"
}

// client is the address that a request came from: the connection's, or what the proxies
// of the configuration say in X-Forwarded-For. Read from its end, the first address that
// is no such proxy is the client; what stands before it was written by strangers.
func client(peer netip.Addr, header http.Header, proxies []netip.Prefix) netip.Addr {
	known := func(a netip.Addr) bool {
		return slices.ContainsFunc(proxies, func(p netip.Prefix) bool { return p.Contains(a) })
	}
	if !known(peer) {
		return peer
	}
	list := strings.Split(strings.Join(header.Values("X-Forwarded-For"), ","), ",")
	for _, s := range slices.Backward(list) {
		a, err := netip.ParseAddr(strings.TrimSpace(s))
		if err != nil {
			return peer
		}
		if peer = a.Unmap(); !known(peer) {
			return peer
		}
	}
	return peer
}

// observed notes what was answered.
type observed struct {
	http.ResponseWriter
	status int
	bytes  int64
}

func (o *observed) WriteHeader(status int) {
	if o.status == 0 {
		o.status = status
	}
	o.ResponseWriter.WriteHeader(status)
}

func (o *observed) Write(p []byte) (int, error) {
	if o.status == 0 {
		o.status = http.StatusOK
	}
	n, err := o.ResponseWriter.Write(p)
	o.bytes += int64(n)
	return n, err
}

// Hijack hands the connection to a WebSocket.
func (o *observed) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	o.status = http.StatusSwitchingProtocols
	return http.NewResponseController(o.ResponseWriter).Hijack()
}

// Unwrap lets http.ResponseController find the connection's own abilities.
func (o *observed) Unwrap() http.ResponseWriter { return o.ResponseWriter }
