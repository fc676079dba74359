package noderpc

import (
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"

	"capnproto.org/go/capnp/v3"
	"capnproto.org/go/capnp/v3/rpc"

	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/schema"
)

// connection is one peer of a Server.
type connection struct {
	server   *Server
	address  netip.Addr // of the peer; zero on a unix socket
	trusted  bool       // it is a gateway: what it says of its clients is believed
	limits   Limits     // of this connection
	wire     *wire
	rpc      *rpc.Conn
	lanes    lanes
	hosting  hosting
	arrivals arrivals
	fetches  fetches
	sessions atomic.Int64 // capabilities bound to a session that the peer holds

	condemned bool // guarded by server.mu: it was cut, since it held most

	releasing sync.WaitGroup // releases of calls to the peer that nobody waits for any more
}

// start serves an accepted connection, if there is room for it.
func (s *Server) start(conn net.Conn, trusted bool) {
	address := addressOf(conn.RemoteAddr())
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing || !s.admit(address) {
		_ = conn.Close()
		return
	}
	c := &connection{server: s, address: address, trusted: trusted, limits: s.limits}
	if trusted {
		c.limits = s.trustedLimits
	}
	c.open(conn)
	s.conns[c] = struct{}{}
	s.running.Go(func() {
		<-c.rpc.Done()
		c.releasing.Wait()
		c.hosting.end()
		c.arrivals.end()
		c.wire.meter.leave()
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.conns, c)
		s.dismiss(address)
	})
}

// open hands the connection to the RPC runtime, whose goroutines live as long as
// the connection does.
func (c *connection) open(conn net.Conn) {
	l := c.limits
	m := &meter{limit: l.ConnectionBytes}
	if !c.trusted {
		m.strangers, m.total = c.server.strangers, c.server.total
	}
	maxFrame := max(c.server.payload+headroom, minMessage)
	c.wire = newWire(conn, maxFrame, m, timeouts{
		first: l.FirstMessage, body: l.Body, write: l.Write, end: closeGrace,
	})
	c.wire.out.charge = m.addCopies
	c.wire.guard = newGuard(2*l.Calls, l.PipelinedMaximum, c.wire, &c.arrivals)
	c.rpc = rpc.NewConn(c.wire, &rpc.Options{
		BootstrapClient: capnp.Client(c.capability(nil)),
		Logger:          quiet{c.server.log},
	})
}

// capability makes a NodeService of this connection: the bootstrap one, or one
// that is bound to a session, which it closes when the peer has dropped it.
func (c *connection) capability(bound nodeservice.Session) schema.NodeService {
	o := &object{conn: c, bound: bound}
	methods := schema.NodeService_Methods(nil, o)
	for i := range methods {
		methods[i].Impl = o.recovering(methods[i].Method, methods[i].Impl)
	}
	return schema.NodeService(capnp.NewClient(c.hosting.host(o, methods)))
}

// bind makes the capability of a session, which it takes over in any case.
func (c *connection) bind(s nodeservice.Session) (schema.NodeService, error) {
	if c.sessions.Add(1) > int64(c.limits.Sessions) {
		c.sessions.Add(-1)
		_ = s.Close()
		return schema.NodeService{}, nodeservice.Errorf(nodeservice.CodeQuotaExceeded,
			"this connection holds too many sessions: drop those not needed, or open another connection")
	}
	return c.capability(s), nil
}

// hostKey is what connections are counted by: an IPv4 address or an IPv6 /64.
type hostKey = netip.Prefix

func hostOf(address netip.Addr) hostKey {
	bits := address.BitLen()
	if address.Is6() {
		bits = 64
	}
	host, _ := address.Prefix(bits) // cannot fail: bits fit the address
	return host
}

// admit counts a connection in; the caller holds mu.
func (s *Server) admit(address netip.Addr) bool {
	if len(s.conns) >= s.limits.Conns {
		return false
	}
	if !address.IsValid() {
		return true
	}
	host := hostOf(address)
	if s.perHost[host] >= s.limits.ConnsPerAddress {
		return false
	}
	s.perHost[host]++
	return true
}

// dismiss counts a connection out; the caller holds mu.
func (s *Server) dismiss(address netip.Addr) {
	if !address.IsValid() {
		return
	}
	host := hostOf(address)
	if s.perHost[host]--; s.perHost[host] == 0 {
		delete(s.perHost, host)
	}
}

// addressOf is the zero Addr unless the peer came over IP.
func addressOf(peer net.Addr) netip.Addr {
	remote, err := netip.ParseAddrPort(peer.String())
	if err != nil {
		return netip.Addr{}
	}
	return remote.Addr().Unmap().WithZone("")
}

// quiet is the runtime's logger: what peers do wrong does not concern operators.
type quiet struct{ log *slog.Logger }

func (q quiet) Debug(message string, args ...any) { q.log.Debug("capnp: "+message, args...) }
func (q quiet) Info(message string, args ...any)  { q.log.Debug("capnp: "+message, args...) }
func (q quiet) Warn(message string, args ...any)  { q.log.Debug("capnp: "+message, args...) }
func (q quiet) Error(message string, args ...any) { q.log.Debug("capnp: "+message, args...) }
