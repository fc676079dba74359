package noderpc

import (
	"context"
	"errors"
	"net"
	"sync"

	"github.com/quic-go/quic-go"
)

// quicDoor decides who may begin a QUIC connection, before memory is allocated for it.
// Until an address is validated, at the latest by the handshake, anybody may have written
// it into a packet.
type quicDoor struct {
	limits Limits // static after construction

	mu      sync.Mutex
	conns   int             // guarded by mu: QUIC connections, those in handshake included
	shaking int             // guarded by mu: those in handshake alone
	perHost map[hostKey]int // guarded by mu: QUIC connections of one address
}

var errNoRoom = errors.New("no room for another connection")

// ticket is one connection's place, carried in its context.
type ticket struct {
	shaken func() // counts it out of the handshakes; may be called twice
}

type ticketKey struct{}

// suspects says whether the client has to prove its address first, by a round trip
// (Retry, RFC 9000 section 8.1.2): while many handshakes are under way, and when the
// address has many connections, since others might be using up its share in its name.
func (d *quicDoor) suspects(addr net.Addr) bool {
	host := hostOf(addressOf(addr))
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.shaking >= min(retryFrom, d.limits.Conns/4) || d.perHost[host] >= d.limits.ConnsPerAddress/4
}

// admit counts a connection in until its context ends.
func (d *quicDoor) admit(ctx context.Context, info *quic.ClientInfo) (context.Context, error) {
	host := hostOf(addressOf(info.RemoteAddr))
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.conns >= d.limits.Conns || d.perHost[host] >= d.limits.ConnsPerAddress {
		return nil, errNoRoom
	}
	d.conns++
	d.shaking++
	d.perHost[host]++
	t := &ticket{shaken: sync.OnceFunc(func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.shaking--
	})}
	context.AfterFunc(ctx, func() {
		t.shaken()
		d.dismiss(host)
	})
	return context.WithValue(ctx, ticketKey{}, t), nil
}

// shaken hears that a connection has finished its handshake.
func (d *quicDoor) shaken(conn *quic.Conn) {
	if t, ok := conn.Context().Value(ticketKey{}).(*ticket); ok {
		t.shaken()
	}
}

func (d *quicDoor) dismiss(host hostKey) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.conns--
	if d.perHost[host]--; d.perHost[host] == 0 {
		delete(d.perHost, host)
	}
}
