package noderpc

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/quicproquo/node/nodeservice"
)

// Server serves a Node to native clients. Listeners are the caller's: TLS is a
// listener that speaks it.
type Server struct {
	node    nodeservice.Node
	log     *slog.Logger
	payload int

	limits        Limits
	trustedLimits Limits
	quicSecret    []byte // nil: none

	strangers *pool       // what all connections without a login hold together
	total     *totalMeter // what all connections hold together, those of gateways left out

	serving context.Context // ended by Shutdown and Close: then streams and waits end
	drained context.CancelFunc

	mu        sync.Mutex
	closing   bool                      // guarded by mu: no new connections
	listeners map[net.Listener]struct{} // guarded by mu
	conns     map[*connection]struct{}  // guarded by mu
	perHost   map[hostKey]int           // guarded by mu: connections of one address
	running   sync.WaitGroup            // connections; Add under mu while not closing
}

// ServerConfig is what a Server is made of. Node is required.
type ServerConfig struct {
	Node       nodeservice.Node
	Log        *slog.Logger // nil: discarded
	MaxPayload int          // bytes; 0: 5 MiB. Larger messages are not even read
	Limits     Limits

	// TrustedLimits are those of the connections of ServeTrusted, which carry many
	// clients each. Zero fields take the default of Limits, but Calls and Sessions
	// are 65,536, and ConnectionBytes is 1 GiB. Connections are counted with all
	// others, by Limits.
	TrustedLimits Limits

	// QUICSecret keys stateless resets (RFC 9000 section 10.3) and address tokens
	// (section 8.1): at least 32 random bytes, this node's alone and the same after a
	// restart, of which clients then learn at once. nil: they wait for a timeout.
	QUICSecret []byte
}

// Limits protect the server from its peers; zero fields take the default.
type Limits struct {
	Conns            int           // connections in all; 0: 16,384
	ConnsPerAddress  int           // of one IPv4 address or IPv6 /64; unix sockets are not counted; 0: 256
	Calls            int           // in flight on one connection, beyond which calls are refused, and at twice that it is cut; 0: 4,096
	Sessions         int           // capabilities bound to a session on one connection; 0: 4,096
	ConnectionBytes  int64         // held for one connection, beyond which it is cut; 0: 128 MiB
	StrangerBytes    int64         // held for all connections without a login; 0: 64 MiB
	TotalBytes       int64         // held for all connections, gateways' left out, beyond which those that hold most are cut; 0: 512 MiB
	FirstMessage     time.Duration // from accepting to the first whole message, and for each message before a login; 0: 10 s
	Body             time.Duration // for one message after a login; 0: 60 s
	Write            time.Duration // for a peer to take 256 KiB; 0: 30 s
	PipelinedMaximum time.Duration // that a pipelined call waits for its target; 0: 5 s
}

// headroom is what a message may have besides its payload: the token, the call.
const headroom = 64 << 10

// minMessage is what a full upload of key packages needs: a message may have as much,
// even where payloads may have less.
const minMessage = nodeservice.MaxUpload*(nodeservice.MaxKeyPackage+wordBytes) + headroom

// drainRetry is when clients of a node that shuts down are asked to come back.
const drainRetry = 2 * time.Second

// closeGrace is how long what was sent may take to leave when a connection ends.
const closeGrace = time.Second

func (l *Limits) setTrustedDefaults() {
	orDefault(&l.Calls, 65_536)
	orDefault(&l.Sessions, 65_536)
	orDefault(&l.ConnectionBytes, 1<<30)
	l.setDefaults()
}

func (l *Limits) setDefaults() {
	orDefault(&l.Conns, 16_384)
	orDefault(&l.ConnsPerAddress, 256)
	orDefault(&l.Calls, 4096)
	orDefault(&l.Sessions, 4096)
	orDefault(&l.ConnectionBytes, 128<<20)
	orDefault(&l.StrangerBytes, 64<<20)
	orDefault(&l.TotalBytes, 512<<20)
	orDefault(&l.FirstMessage, 10*time.Second)
	orDefault(&l.Body, time.Minute)
	orDefault(&l.Write, 30*time.Second)
	orDefault(&l.PipelinedMaximum, 5*time.Second)
}

func orDefault[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
}

// NewServer makes a Server; Serve starts it.
func NewServer(cfg ServerConfig) *Server {
	if cfg.Node == nil {
		panic("noderpc: ServerConfig lacks Node")
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	orDefault(&cfg.MaxPayload, 5<<20)
	cfg.Limits.setDefaults()
	cfg.TrustedLimits.setTrustedDefaults()
	serving, drained := context.WithCancel(context.Background())
	s := &Server{
		serving: serving,
		drained: drained,
		node:    cfg.Node,
		log:     cfg.Log,
		payload: cfg.MaxPayload,

		limits:        cfg.Limits,
		trustedLimits: cfg.TrustedLimits,
		quicSecret:    cfg.QUICSecret,

		strangers: &pool{limit: cfg.Limits.StrangerBytes},
		listeners: make(map[net.Listener]struct{}),
		conns:     make(map[*connection]struct{}),
		perHost:   make(map[hostKey]int),
	}
	s.total = &totalMeter{limit: cfg.Limits.TotalBytes, cut: s.cutLargest}
	return s
}

// Serve accepts connections until ctx ends, the listener fails, or the server
// shuts down; it closes the listener. Connections live on until Shutdown or
// Close. It may be called for several listeners at once.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	return s.serve(ctx, ln, false)
}

// ServeTrusted is Serve for gateways that stand apart: what they tell of their
// clients (address, DPoP proof) is believed, and so they decide whom the limits
// of an address meet. The listener must let nobody else in: a unix socket that
// only they can open, or TLS that demands a client certificate.
func (s *Server) ServeTrusted(ctx context.Context, ln net.Listener) error {
	return s.serve(ctx, ln, true)
}

func (s *Server) serve(ctx context.Context, ln net.Listener, trusted bool) error {
	defer ln.Close()
	if !s.adopt(ln) {
		return net.ErrClosed
	}
	defer s.abandon(ln)
	stop := context.AfterFunc(ctx, func() { _ = ln.Close() })
	defer stop()
	for {
		conn, err := ln.Accept()
		switch {
		case err == nil:
			s.start(conn, trusted)
		case ctx.Err() != nil:
			return ctx.Err()
		case s.isDraining():
			return nil
		case errors.Is(err, net.ErrClosed):
			return err
		default: // out of descriptors, most likely: others may close theirs
			s.log.Warn("accepting failed", "err", err)
			if !pause(ctx, s.serving.Done(), 100*time.Millisecond) {
				return ctx.Err()
			}
		}
	}
}

// pause waits for d; false: ctx ended, or ended was closed, before.
func pause(ctx context.Context, ended <-chan struct{}, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
	case <-ended:
	}
	return false
}

// Shutdown accepts nothing more, ends streams and waits with a hint to come
// back, lets the calls in flight finish until ctx ends, and then closes.
func (s *Server) Shutdown(ctx context.Context) error {
	var err error
	for _, c := range s.drain() {
		select {
		case <-c.wire.guard.whenIdle():
		case <-c.rpc.Done():
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	return errors.Join(err, s.Close())
}

// Close ends all connections and waits for their calls. It may be called twice.
func (s *Server) Close() error {
	var closing sync.WaitGroup
	for _, c := range s.drain() {
		closing.Go(func() { _ = c.rpc.Close() })
	}
	closing.Wait()
	s.running.Wait()
	return nil
}

// drain stops accepting and returns the connections that there are.
func (s *Server) drain() []*connection {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closing {
		s.closing = true
		s.drained()
	}
	for ln := range s.listeners {
		_ = ln.Close()
	}
	conns := make([]*connection, 0, len(s.conns))
	for c := range s.conns {
		conns = append(conns, c)
	}
	return conns
}

func (s *Server) isDraining() bool { return s.serving.Err() != nil }

func (s *Server) adopt(ln net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closing {
		s.listeners[ln] = struct{}{}
	}
	return !s.closing
}

func (s *Server) abandon(ln net.Listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.listeners, ln)
}
