package gateway

import (
	"net/http"
	"net/netip"
	"strings"

	"github.com/quicproquo/node/nodeservice"
)

// origin says where a request comes from, for the core's limits and its audit, and
// where the core says what they have left.
func (g *Gateway) origin(r *http.Request) nodeservice.Origin {
	return nodeservice.Origin{Address: clientAddress(r, g.proxies), Door: "http", Budget: budgetOf(r)}
}

// clientAddress is the address of the client. Only what a trusted proxy appended
// to X-Forwarded-For is believed, so the list is read from the right: the first
// hop that is not trusted is the client, whatever it wrote further to the left.
// Behind proxies that all are trusted it is the leftmost. The zero Addr is a
// peer without one (a unix socket).
func clientAddress(r *http.Request, trusted []netip.Prefix) netip.Addr {
	peer := parseAddress(r.RemoteAddr)
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0 && isTrusted(peer, trusted); i-- {
		hop := parseAddress(strings.TrimSpace(hops[i]))
		if !hop.IsValid() {
			break // what stands further left came through somebody unknown
		}
		peer = hop
	}
	return peer
}

// parseAddress reads an address with or without a port.
func parseAddress(text string) netip.Addr {
	if withPort, err := netip.ParseAddrPort(text); err == nil {
		return withPort.Addr().Unmap().WithZone("")
	}
	text = strings.TrimSuffix(strings.TrimPrefix(text, "["), "]")
	addr, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Addr{}
	}
	return addr.Unmap().WithZone("")
}

// unmapped turns IPv4-mapped IPv6 networks (RFC 4291 section 2.5.5.2) into IPv4 ones, as
// parseAddress does with addresses: otherwise they would contain none.
func unmapped(networks []netip.Prefix) (plain []netip.Prefix) {
	for _, n := range networks {
		if n.Addr().Is4In6() && n.Bits() >= 96 {
			n = netip.PrefixFrom(n.Addr().Unmap(), n.Bits()-96)
		}
		plain = append(plain, n)
	}
	return plain
}

func isTrusted(addr netip.Addr, trusted []netip.Prefix) bool {
	for _, prefix := range trusted {
		if prefix.Contains(addr) {
			return true
		}
	}
	return false
}
