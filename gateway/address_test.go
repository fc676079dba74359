package gateway

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"
)

func TestClientAddress(t *testing.T) {
	trusted := unmapped([]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8"), netip.MustParsePrefix("192.0.2.7/32"), netip.MustParsePrefix("::ffff:172.16.0.0/108")})
	for _, test := range []struct {
		name, remote string
		forwarded    []string
		want         string
	}{
		{"no proxy", "203.0.113.5:1234", nil, "203.0.113.5"},
		{"a stranger's claim", "203.0.113.5:1234", []string{"198.51.100.1"}, "203.0.113.5"},
		{"one proxy", "10.0.0.1:1234", []string{"198.51.100.1"}, "198.51.100.1"},
		{"one proxy and a forged hop", "10.0.0.1:1234", []string{"1.1.1.1, 198.51.100.1"}, "198.51.100.1"},
		{"a forged hop that looks trusted", "10.0.0.1:1234", []string{"10.9.9.9, 198.51.100.1"}, "198.51.100.1"},
		{"two proxies", "10.0.0.1:1234", []string{"1.1.1.1, 198.51.100.1, 192.0.2.7"}, "198.51.100.1"},
		{"two proxies, two headers", "10.0.0.1:1234", []string{"1.1.1.1, 198.51.100.1", "192.0.2.7"}, "198.51.100.1"},
		{"trusted all along", "10.0.0.1:1234", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
		{"a proxy that says nothing", "10.0.0.1:1234", nil, "10.0.0.1"},
		{"a proxy that says nonsense", "10.0.0.1:1234", []string{"198.51.100.1, unknown"}, "10.0.0.1"},
		{"nonsense to the left", "10.0.0.1:1234", []string{"unknown, 198.51.100.1"}, "198.51.100.1"},
		{"nonsense behind a proxy", "10.0.0.1:1234", []string{"unknown, 10.0.0.2"}, "10.0.0.2"},
		{"a hop with a port", "10.0.0.1:1234", []string{"198.51.100.1:99"}, "198.51.100.1"},
		{"IPv6", "[fd00::1]:1234", []string{"2001:db8::1"}, "2001:db8::1"},
		{"IPv6 in brackets", "[fd00::1]:1234", []string{"[2001:db8::1]:99"}, "2001:db8::1"},
		{"IPv6 in brackets without a port", "[fd00::1]:1234", []string{"[2001:db8::1]"}, "2001:db8::1"},
		{"IPv6 with a zone", "[fe80::1%eth0]:1234", nil, "fe80::1"},
		{"IPv4 in IPv6", "[::ffff:10.0.0.1]:1234", []string{"::ffff:198.51.100.1"}, "198.51.100.1"},
		{"a network of IPv4 written as IPv6", "172.31.255.1:1234", []string{"198.51.100.1"}, "198.51.100.1"},
		{"beside that network", "172.32.0.1:1234", []string{"198.51.100.1"}, "172.32.0.1"},
		{"hops without end", "10.0.0.1:1234", []string{strings.Repeat("10.0.0.2,", 3000) + "10.0.0.2"}, "10.0.0.2"},
		{"an empty hop", "10.0.0.1:1234", []string{"198.51.100.1,,10.0.0.2"}, "10.0.0.2"},
		{"a hop that is a network", "10.0.0.1:1234", []string{"198.51.100.0/24"}, "10.0.0.1"},
		{"a hop with a zone", "[fd00::1]:1234", []string{"fe80::1%25eth0"}, "fe80::1"},
		{"a unix socket", "@", []string{"198.51.100.1"}, "invalid IP"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := &http.Request{RemoteAddr: test.remote, Header: http.Header{"X-Forwarded-For": test.forwarded}}
			if got := clientAddress(r, trusted).String(); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}
