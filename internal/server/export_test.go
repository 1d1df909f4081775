package server

import (
	"context"
	"net"
	"testing"
)

// Guard is guard, for tests.
var Guard = guard

// ACMECache is acmeCache, for tests.
var ACMECache = acmeCache

// Explain is explain, for tests.
var Explain = explain

// Subjects is subjects, for tests.
func Subjects(host string, domains []string) ([]string, []net.IP) { return subjects(host, domains) }

// CertDays is certDays, for tests.
func (s *Server) CertDays(ctx context.Context) (float64, bool, error) { return s.certDays(ctx) }

// Authority is an authority that no server stands before.
type Authority struct{ *authority }

// NewAuthority gives one that is not asked again once the test ends.
func NewAuthority(t *testing.T, o Options) Authority {
	t.Helper()
	a, err := o.authority()
	if err != nil {
		t.Fatal(err)
	}
	a.wire.ctx = t.Context()
	return Authority{a}
}

// Order is order, which succeeds.
func (a Authority) Order(t *testing.T, name string) {
	t.Helper()
	if _, err := a.order(t.Context(), name); err != nil {
		t.Fatal(err)
	}
}

// Overdue is overdue.
func (a Authority) Overdue(name string) { a.overdue(name) }
