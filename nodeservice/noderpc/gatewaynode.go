package noderpc

import (
	"context"
	"crypto/sha256"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/quicproquo/node/nodeservice"
)

// GatewayNode is a Node that runs elsewhere, for a gateway that stands apart: one
// connection carries all of the gateway's clients, and is made again when it
// ends. Origins go along with every call; a server honours them on connections
// that it was told to trust (Server.ServeTrusted).
//
// Authenticate asks the node about a token that it does not know. One with which
// a call has succeeded before opens a session without asking: the session's first
// call brings token and proof along, in one round trip, and so reports what
// Authenticate would. Such a session is for one call, or one stream. If it ends
// without one, it pays for the malformed request by authenticating then.
type GatewayNode struct {
	dial  func(ctx context.Context) (net.Conn, error)
	log   *slog.Logger
	known *lru.Cache[[sha256.Size]byte, knownToken]

	stop    context.CancelFunc
	running sync.WaitGroup // run

	mu      sync.Mutex
	client  *Client       // guarded by mu; nil: away
	retryAt time.Time     // guarded by mu: of the next attempt, while away
	changed chan struct{} // guarded by mu: closed when client is next set
}

var _ nodeservice.Node = (*GatewayNode)(nil)
var _ io.Closer = (*GatewayNode)(nil)

// knownToken is what the node said of a token.
type knownToken struct {
	identity  nodeservice.Identity
	expiresAt nodeservice.UnixMilli
}

// GatewayNodeConfig is what a GatewayNode is made of. Dial is required: it opens
// a connection to the node, within 10 s or it is told to stop.
type GatewayNodeConfig struct {
	Dial func(ctx context.Context) (net.Conn, error)
	Log  *slog.Logger // nil: discarded
}

const (
	knownTokens    = 1 << 16
	attempt        = 10 * time.Second // for one connection
	firstRetry     = 100 * time.Millisecond
	lastRetry      = 5 * time.Second
	gatewayPending = 4 // events of one stream in the connection, and as many here: a slow reader holds no more
)

// NewGatewayNode begins to connect, and does not wait for it.
func NewGatewayNode(cfg GatewayNodeConfig) *GatewayNode {
	if cfg.Dial == nil {
		panic("noderpc: GatewayNodeConfig lacks Dial")
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	known, err := lru.New[[sha256.Size]byte, knownToken](knownTokens)
	if err != nil {
		panic(err) // a size of 0
	}
	ctx, stop := context.WithCancel(context.Background())
	g := &GatewayNode{
		dial: cfg.Dial, log: cfg.Log, known: known, stop: stop,
		retryAt: time.Now(), changed: make(chan struct{}),
	}
	g.running.Go(func() { g.run(ctx) })
	return g
}

// Close ends the connection, and the sessions and streams over it. It may be
// called twice.
func (g *GatewayNode) Close() error {
	g.stop()
	g.running.Wait()
	return nil
}

// Connected waits for the connection.
func (g *GatewayNode) Connected(ctx context.Context) error {
	for {
		g.mu.Lock()
		client, changed := g.client, g.changed
		g.mu.Unlock()
		if client != nil {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// run keeps a connection until ctx ends. Attempts that fail come ever later, and
// not at the same moment as those of other gateways.
func (g *GatewayNode) run(ctx context.Context) {
	wait := firstRetry
	for ctx.Err() == nil {
		client, err := g.connect(ctx)
		if err != nil {
			g.log.Warn("the node cannot be reached", "err", err, "again_in", wait)
		} else {
			g.serve(ctx, client)
			wait = firstRetry
		}
		pausing := wait/2 + rand.N(wait)
		g.away(time.Now().Add(pausing))
		if !pause(ctx, nil, pausing) {
			return
		}
		wait = min(2*wait, lastRetry)
	}
}

func (g *GatewayNode) connect(ctx context.Context) (*Client, error) {
	ctx, cancel := context.WithTimeout(ctx, attempt)
	defer cancel()
	conn, err := g.dial(ctx)
	if err != nil {
		return nil, err
	}
	return newClient(ctx, conn, role{
		forwards: true, unanswered: gatewayPending, buffer: gatewayPending, retryAfter: time.Second,
	})
}

// serve lets calls use the client until its connection ends.
func (g *GatewayNode) serve(ctx context.Context, client *Client) {
	g.log.Info("connected to the node")
	g.mu.Lock()
	g.client = client
	close(g.changed)
	g.changed = make(chan struct{})
	g.mu.Unlock()
	select {
	case <-client.Done():
		g.log.Warn("the connection to the node ended")
	case <-ctx.Done():
	}
	g.away(time.Now().Add(firstRetry))
	_ = client.Close()
}

func (g *GatewayNode) away(retryAt time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.client, g.retryAt = nil, retryAt
}

// connected is the client of the moment.
func (g *GatewayNode) connected() (*Client, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.client != nil {
		return g.client, nil
	}
	err := nodeservice.Errorf(nodeservice.CodeUnavailable, "the node cannot be reached at the moment")
	err.RetryAfter = max(time.Second, time.Until(g.retryAt))
	return nil, err
}

// Challenge implements nodeservice.Node.
func (g *GatewayNode) Challenge(
	ctx context.Context, from nodeservice.Origin, id nodeservice.Identity,
) (nodeservice.Challenge, error) {
	c, err := g.connected()
	if err != nil {
		return nodeservice.Challenge{}, err
	}
	return c.Challenge(ctx, from, id)
}

// Login implements nodeservice.Node.
func (g *GatewayNode) Login(
	ctx context.Context, from nodeservice.Origin, req nodeservice.LoginRequest,
) (nodeservice.Login, error) {
	c, err := g.connected()
	if err != nil {
		return nodeservice.Login{}, err
	}
	return c.Login(ctx, from, req)
}

// Authenticate implements nodeservice.Node.
func (g *GatewayNode) Authenticate(
	ctx context.Context, from nodeservice.Origin, token string,
) (nodeservice.Session, error) {
	c, err := g.connected()
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256([]byte(token))
	forget := func() { g.known.Remove(digest) }
	if known, ok := g.known.Get(digest); ok && time.Now().Before(known.expiresAt.Time()) {
		return c.sessionWith(credentials{token: token, from: from, refused: forget}, known), nil
	}
	s, err := c.authenticate(ctx, from, token)
	if err != nil {
		forget()
		return nil, err
	}
	known := knownToken{s.identity, s.ExpiresAt()}
	s.worked = sync.OnceFunc(func() { g.known.Add(digest, known) })
	return s, nil
}

// Info implements nodeservice.Node.
func (g *GatewayNode) Info(ctx context.Context) (nodeservice.Info, error) {
	c, err := g.connected()
	if err != nil {
		return nodeservice.Info{}, err
	}
	return c.Info(ctx)
}

// sessionWith is a session whose calls bring credentials.
func (c *Client) sessionWith(with credentials, known knownToken) *clientSession {
	s := &clientSession{
		client: c, node: c.node.AddRef(), identity: known.identity, with: &with,
		streams: make(map[*clientStream]struct{}),
	}
	s.expiresAt.Store(int64(known.expiresAt))
	return s
}
