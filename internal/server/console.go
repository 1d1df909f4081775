package server

import (
	"net"
	"net/http"
	"net/netip"
	"slices"

	"shiren/internal/config"
	"shiren/internal/console"
	"shiren/internal/dossier"
	"shiren/internal/ekyc"
	"shiren/internal/operator"
	"shiren/web"
)

// openConsole builds the operators' page: what each of its areas stands on is given here.
func (s *Server) openConsole() {
	c, o := s.Config, s.options
	if !c.Console.Enabled {
		return
	}
	pages, err := web.Console()
	if err != nil {
		o.Log.Warn("the console's page is missing", "err", err)
	}
	s.console = console.New(console.Config{
		Operators: s.Operators, PublicURL: c.ConsoleURL(), Version: o.Version, Now: o.Now, Log: o.Log, Pages: pages,
		Counts: s.Store, Records: s.Service, Signer: dossier.NewSigner(s.Sealer),
	})
	if c.Console.Address != "" {
		mux := http.NewServeMux()
		mux.Handle("GET /{$}", http.RedirectHandler(console.Prefix, http.StatusFound))
		mux.Handle("/", s.consoleRoom())
		s.Console = guard(mux, o)
	}
}

// consoleRoom is the console for those who may reach it.
func (s *Server) consoleRoom() http.Handler {
	allowed := s.Config.Console.Allowed()
	if len(allowed) == 0 {
		return s.console
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		from := ekyc.Caller(r.Context())
		if !slices.ContainsFunc(allowed, func(p netip.Prefix) bool { return p.Contains(from) }) {
			plain(w, http.StatusForbidden, "the console cannot be reached from this address (console.allow)\n")
			return
		}
		s.console.ServeHTTP(w, r)
	})
}

// consoleHint is what the server's first page says of the console.
func (s *Server) consoleHint() string {
	switch {
	case s.console == nil || s.Console != nil:
		return ""
	}
	return "Operators: " + console.Prefix + "\n"
}

// consoleAddress is where browsers find the console; at is its own listener, where it has one.
func (s *Server) consoleAddress(main Address, at net.Addr, secure bool) string {
	switch {
	case s.console == nil:
		return ""
	case s.Config.ConsoleURL() != "":
		return s.Config.ConsoleURL() + console.Prefix
	case at != nil:
		own := s.address(at, secure)
		return own.Local + console.Prefix
	}
	return main.Local + console.Prefix
}

// ConsoleCalls lists the calls of the console's interface; nil where it is switched off.
func (s *Server) ConsoleCalls() []console.Call {
	if s.console == nil {
		return nil
	}
	return s.console.Calls()
}

// ConsoleLink is the address that a one-time link for the console is opened by; page is
// Address.Console.
func ConsoleLink(page, token string) string { return operator.LinkAddress(page, token) }

// ConsolePage is where the configuration says that browsers find the console. Without a public
// address or a port it is this machine's own.
func (d *Data) ConsolePage() string {
	c := d.Config
	if u := c.ConsoleURL(); u != "" {
		return u + console.Prefix
	}
	address := c.Address()
	if c.Console.Address != "" {
		address = c.Console.Address
	}
	scheme, host := "https", "localhost"
	if c.TLS.Mode == config.TLSOff {
		scheme = "http"
	}
	if c.TLS.Mode == config.TLSAuto {
		host = c.TLS.Domains[0]
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil || port == "" || scheme == "https" && port == "443" || scheme == "http" && port == "80" {
		return scheme + "://" + host + console.Prefix
	}
	return scheme + "://" + net.JoinHostPort(host, port) + console.Prefix
}
