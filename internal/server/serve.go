package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"syscall"
	"time"

	"shiren/internal/config"
)

// Address says where a server listens, as people and clients reach it.
type Address struct {
	Local string   // scheme://host:port for this machine
	LAN   []string // for others, where it listens on more than loopback
	Best  string   // public_url, else the first of LAN with TLS, else Local

	Console string // the operators' page; "" where it is switched off
}

// Serve listens and serves until ctx ends, then lets requests and captures under way
// finish for at most limits.shutdown_timeout. ready is called once it listens. Erasing
// what is due goes on beside it.
func (s *Server) Serve(ctx context.Context, ready func(Address)) error {
	c := s.Config
	secure, auto, err := s.options.secure()
	if err != nil {
		return err
	}
	listener, err := listen(ctx, c.Address())
	if err != nil {
		return err
	}
	servers := []*http.Server{s.httpServer(s.Handler)}
	listeners := []net.Listener{listener}
	if secure != nil {
		servers[0].TLSConfig = secure.Clone() // each server writes into its own
		s.served = secure
	}
	if auto != nil && c.TLS.HTTPAddr != "" {
		second, err := listen(ctx, c.TLS.HTTPAddr)
		if err != nil {
			return errors.Join(err, listener.Close())
		}
		servers = append(servers, s.httpServer(auto.plainly(s.securePort(listener.Addr()))))
		listeners = append(listeners, second)
		s.options.Log.Info("plain requests are sent to HTTPS", "at", "http://"+second.Addr().String())
	}

	var at net.Addr // of the console's own listener
	if s.Console != nil {
		own, err := listen(ctx, c.Console.Address)
		if err != nil {
			for _, l := range listeners {
				err = errors.Join(err, l.Close())
			}
			return fmt.Errorf("console.address: %w", err)
		}
		srv := s.httpServer(s.Console)
		srv.TLSConfig = secure.Clone()
		servers, listeners, at = append(servers, srv), append(listeners, own), own.Addr()
		s.options.Log.Info("the console is served apart", "at", own.Addr().String())
	}

	if s.Figures != nil {
		figures, err := listen(ctx, c.Metrics.Address)
		if err != nil {
			for _, l := range listeners {
				err = errors.Join(err, l.Close())
			}
			return fmt.Errorf("metrics.address: %w", err)
		}
		servers = append(servers, s.httpServer(s.Figures))
		listeners = append(listeners, figures)
		s.options.Log.Info("figures can be read", "at", "http://"+figures.Addr().String()+"/metrics")
	}

	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var group sync.WaitGroup
	for i, srv := range servers {
		group.Go(func() {
			var err error
			if srv.TLSConfig != nil {
				err = srv.ServeTLS(listeners[i], "", "")
			} else {
				err = srv.Serve(listeners[i])
			}
			if !errors.Is(err, http.ErrServerClosed) {
				stop(fmt.Errorf("serve: %w", err))
			}
		})
	}
	if auto != nil {
		group.Go(func() { auto.keep(ctx) })
	}
	group.Go(func() { s.purging(ctx) })
	group.Go(func() { s.renewing(ctx) })
	group.Go(func() { s.Alarms().Run(ctx) })
	group.Go(func() { s.alarms.courier.Run(ctx) })
	if ready != nil {
		where := s.address(listener.Addr(), secure != nil)
		where.Console = s.consoleAddress(where, at, secure != nil)
		ready(where)
	}
	<-ctx.Done()

	s.options.Log.Info("stopping; requests under way may finish", "at_most", time.Duration(c.Limits.ShutdownTimeout).String())
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Duration(c.Limits.ShutdownTimeout))
	defer cancel()
	for _, srv := range servers {
		group.Go(func() {
			if err := srv.Shutdown(last); err != nil {
				s.options.Log.Warn("some requests were cut off", "err", err)
				srv.Close() // what is left was told of already
			}
		})
	}
	if err := s.capture.Shutdown(last); err != nil {
		s.options.Log.Warn("some captures were cut off; their tokens stay usable", "err", err)
	}
	group.Wait()
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return cause
	}
	return nil
}

// securePort is the port that browsers reach HTTPS by.
func (s *Server) securePort(at net.Addr) string {
	if u, err := url.Parse(s.Config.PublicURL); err == nil && u.Scheme == "https" {
		return cmp.Or(u.Port(), "443")
	}
	_, port, err := net.SplitHostPort(at.String())
	if err != nil {
		return "443"
	}
	return port
}

func listen(ctx context.Context, address string) (net.Listener, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", address)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("another program listens on %s already: stop it, or choose another address with --listen", address)
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("listening on %s needs more rights: choose a port from 1024 up with --listen, or give the program CAP_NET_BIND_SERVICE", address)
	case err != nil:
		return nil, fmt.Errorf("listen: %w; choose another address with --listen", err)
	}
	return l, nil
}

// maxHeader bounds a request's header; the longest that clients send, a BCE signature
// with its headers, has 2 KB. Our choice.
const maxHeader = 32 << 10

func (s *Server) httpServer(h http.Handler) *http.Server {
	l := s.Config.Limits
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: time.Duration(l.HeaderTimeout),
		ReadTimeout:       time.Duration(l.ReadTimeout),
		WriteTimeout:      time.Duration(l.WriteTimeout),
		IdleTimeout:       time.Duration(l.IdleTimeout),
		MaxHeaderBytes:    maxHeader,
		// Strangers' failed handshakes are no trouble of ours.
		ErrorLog: slog.NewLogLogger(s.options.Log.Handler(), slog.LevelDebug),
	}
}

func (s *Server) address(at net.Addr, secure bool) Address {
	scheme := "http"
	if secure {
		scheme = "https"
	}
	host, port, err := net.SplitHostPort(at.String())
	if err != nil {
		host, port = "localhost", ""
	}
	join := func(host string) string {
		if n, _ := strconv.Atoi(port); scheme == "http" && n == 80 || scheme == "https" && n == 443 {
			if ip := net.ParseIP(host); ip != nil && ip.To4() == nil {
				host = "[" + host + "]"
			}
			return scheme + "://" + host
		}
		return scheme + "://" + net.JoinHostPort(host, port)
	}
	var a Address
	switch ip := net.ParseIP(host); {
	case ip == nil || ip.IsLoopback():
		a.Local = join("localhost")
	case ip.IsUnspecified():
		a.Local = join("localhost")
		for _, lan := range LocalAddresses() {
			a.LAN = append(a.LAN, join(lan.String()))
		}
	default:
		a.Local = join(host)
		a.LAN = []string{a.Local}
	}
	if s.Config.TLS.Mode == config.TLSAuto {
		a.Local = join(s.Config.TLS.Domains[0])
		a.LAN = nil
	}
	a.Best = a.Local
	if secure && len(a.LAN) > 0 {
		a.Best = a.LAN[0]
	}
	if s.Config.PublicURL != "" {
		a.Best = s.Config.PublicURL
	}
	return a
}

// purging erases what is due, at once and then at every interval.
func (s *Server) purging(ctx context.Context) {
	tick := time.NewTicker(time.Duration(s.Config.Retention.PurgeInterval))
	defer tick.Stop()
	for {
		if s.imports != nil {
			if err := s.imports.Sweep(); err != nil {
				s.options.Log.Error("uploads for the registry that nobody imported were not erased; it is tried again", "err", err)
			}
		}
		switch e, err := s.Purge(ctx, s.options); {
		case ctx.Err() != nil:
			return
		case err != nil:
			s.options.Log.Error("purge: some of what is due was not erased; it is tried again", "failed", e.Failed, "err", err)
		case e.Sessions+e.Evidence+e.Unreadable > 0:
			s.options.Log.Info("purged", "sessions", e.Sessions, "images", e.Evidence, "unreadable", e.Unreadable)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// renewing embeds the registry's portraits anew after a change of the embedding model,
// beside everything else. What is left when the server stops is done after the next start.
func (s *Server) renewing(ctx context.Context) {
	tick := time.NewTicker(time.Duration(s.Config.Retention.PurgeInterval))
	defer tick.Stop()
	for {
		n, err := s.Registry.Renew(ctx, nil)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			s.options.Log.Error("the registry's portraits were not all embedded anew; it is tried again", "done", n.Done, "err", err)
		case n.Done+n.Failed > 0:
			s.options.Log.Info("the registry's portraits were embedded anew", "done", n.Done, "not_usable", n.Failed)
		}
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
