package server

import (
	"net/http"
	"net/netip"
	"testing"
)

// A header that names the client is believed of known proxies alone, and only as far as
// they wrote it.
func TestClientAddress(t *testing.T) {
	t.Parallel()
	proxies := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.0.2.1/32")}
	for _, c := range []struct {
		name, peer string
		header     []string
		want       string
	}{
		{"nobody between", "198.51.100.7", nil, "198.51.100.7"},
		{"a stranger's header", "198.51.100.7", []string{"203.0.113.9"}, "198.51.100.7"},
		{"a proxy", "10.1.1.1", []string{"203.0.113.9"}, "203.0.113.9"},
		{"a proxy and what a stranger wrote", "10.1.1.1", []string{"1.2.3.4, 203.0.113.9"}, "203.0.113.9"},
		{"two proxies", "10.1.1.1", []string{"1.2.3.4, 203.0.113.9, 192.0.2.1"}, "203.0.113.9"},
		{"two headers", "10.1.1.1", []string{"1.2.3.4", "203.0.113.9"}, "203.0.113.9"},
		{"a proxy without a header", "10.1.1.1", nil, "10.1.1.1"},
		{"nonsense", "10.1.1.1", []string{"203.0.113.9, unknown"}, "10.1.1.1"},
		{"proxies alone", "10.1.1.1", []string{"10.2.2.2"}, "10.2.2.2"},
		{"mapped", "10.1.1.1", []string{"::ffff:203.0.113.9"}, "203.0.113.9"},
	} {
		if got := client(netip.MustParseAddr(c.peer), http.Header{"X-Forwarded-For": c.header}, proxies); got.String() != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
}
