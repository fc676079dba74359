package noderpc_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/identity"
	"github.com/quicproquo/node/nodeservice/noderpc"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// scriptedNode is a Node for what the door itself promises: panics, order,
// cancellation, bounds. What a node does is tested through this door by the
// behaviour suite, on the real one. Tokens are "token " and an identity's bytes.
type scriptedNode struct {
	session  scriptedSession // of every identity
	origins  chan nodeservice.Origin
	refuse   atomic.Pointer[nodeservice.Error] // what Authenticate says to all; nil: what the token is worth
	sessions atomic.Int64                      // open ones
}

func (n *scriptedNode) Challenge(
	_ context.Context, from nodeservice.Origin, _ nodeservice.Identity,
) (nodeservice.Challenge, error) {
	n.note(from)
	return nodeservice.Challenge{Nonce: []byte("nonce"), Audience: "audience", ExpiresAt: 7}, nil
}

func (n *scriptedNode) Login(
	_ context.Context, from nodeservice.Origin, req nodeservice.LoginRequest,
) (nodeservice.Login, error) {
	n.note(from)
	if string(req.Nonce) != "nonce" {
		return nodeservice.Login{}, nodeservice.Errorf(nodeservice.CodeUnauthenticated, "the nonce is not mine")
	}
	return nodeservice.Login{
		Token: tokenOf(req.Identity), ExpiresAt: 99, Session: n.open(req.Identity),
	}, nil
}

func (n *scriptedNode) Authenticate(
	_ context.Context, from nodeservice.Origin, token string,
) (nodeservice.Session, error) {
	n.note(from)
	if refused := n.refuse.Load(); refused != nil {
		return nil, refused
	}
	raw, ok := strings.CutPrefix(token, "token ")
	if !ok {
		return nil, nodeservice.Errorf(nodeservice.CodeUnauthenticated, "not a token")
	}
	id, err := identity.ParseKey([]byte(raw))
	if err != nil {
		return nil, nodeservice.Errorf(nodeservice.CodeUnauthenticated, "not a token")
	}
	return n.open(id), nil
}

func (n *scriptedNode) Info(context.Context) (nodeservice.Info, error) {
	return nodeservice.Info{
		MinVersion: 0, MaxVersion: 1, Capabilities: []string{"a", "b"}, Audience: "audience",
		Durability: "none", ServerTime: 5, MaxPayload: 5 << 20, MaxFetch: 256, MaxFetchBytes: 8 << 20,
		MaxWait: nodeservice.MaxWait, Legacy: true, JWKS: []byte(`{"keys":[]}`),
	}, nil
}

func (n *scriptedNode) note(from nodeservice.Origin) {
	select {
	case n.origins <- from:
	default: // nil, or full: nobody asks
	}
}

func (n *scriptedNode) open(id nodeservice.Identity) nodeservice.Session {
	n.sessions.Add(1)
	s := n.session
	s.id, s.node, s.closing = id, n, new(sync.Once)
	return &s
}

func tokenOf(id nodeservice.Identity) string { return "token " + id.Raw() }

// scriptedSession calls the functions that a test gives; others it lacks.
type scriptedSession struct {
	nodeservice.Session // nil: an operation without a script panics
	node                *scriptedNode
	id                  nodeservice.Identity
	closing             *sync.Once
	expiresAt           nodeservice.UnixMilli // 0: 99, long ago

	enqueue  func(context.Context, nodeservice.EnqueueRequest) (nodeservice.Receipt, error)
	fetch    func(context.Context, nodeservice.FetchRequest) (nodeservice.Page, error)
	ack      func(context.Context, nodeservice.AckRequest) error
	follow   func(context.Context, nodeservice.FollowRequest) (nodeservice.Stream, error)
	channels func(context.Context, nodeservice.ChannelsRequest) (nodeservice.ChannelList, error)
	channel  func(context.Context, nodeservice.ChannelID) (nodeservice.ChannelView, error)
	upload   func(context.Context, nodeservice.UploadRequest) ([]nodeservice.Fingerprint, error)
	claim    func(context.Context, nodeservice.ClaimRequest) (nodeservice.KeyPackage, error)
	renew    func(context.Context, string) (nodeservice.UnixMilli, error)
	revoke   func(context.Context) error
}

func (s *scriptedSession) Identity() nodeservice.Identity   { return s.id }
func (s *scriptedSession) ExpiresAt() nodeservice.UnixMilli { return max(s.expiresAt, 99) }
func (s *scriptedSession) Close() error {
	s.closing.Do(func() { s.node.sessions.Add(-1) })
	return nil
}

func (s *scriptedSession) Enqueue(ctx context.Context, r nodeservice.EnqueueRequest) (nodeservice.Receipt, error) {
	return s.enqueue(ctx, r)
}

func (s *scriptedSession) Fetch(ctx context.Context, r nodeservice.FetchRequest) (nodeservice.Page, error) {
	return s.fetch(ctx, r)
}

func (s *scriptedSession) Ack(ctx context.Context, r nodeservice.AckRequest) error {
	return s.ack(ctx, r)
}

func (s *scriptedSession) Follow(ctx context.Context, r nodeservice.FollowRequest) (nodeservice.Stream, error) {
	return s.follow(ctx, r)
}

func (s *scriptedSession) Channels(ctx context.Context, r nodeservice.ChannelsRequest) (nodeservice.ChannelList, error) {
	return s.channels(ctx, r)
}

func (s *scriptedSession) Channel(ctx context.Context, id nodeservice.ChannelID) (nodeservice.ChannelView, error) {
	return s.channel(ctx, id)
}

func (s *scriptedSession) UploadKeyPackages(ctx context.Context, r nodeservice.UploadRequest) ([]nodeservice.Fingerprint, error) {
	return s.upload(ctx, r)
}

func (s *scriptedSession) ClaimKeyPackage(ctx context.Context, r nodeservice.ClaimRequest) (nodeservice.KeyPackage, error) {
	return s.claim(ctx, r)
}

func (s *scriptedSession) Renew(ctx context.Context, token string) (nodeservice.UnixMilli, error) {
	return s.renew(ctx, token)
}

func (s *scriptedSession) Revoke(ctx context.Context) error { return s.revoke(ctx) }

// scriptedStream yields what its channel yields, then ends.
type scriptedStream struct {
	events chan nodeservice.Event
	acks   chan nodeservice.Seq // nil: nobody asks
	closed chan struct{}
	once   sync.Once
}

func newScriptedStream(events ...nodeservice.Event) *scriptedStream {
	s := &scriptedStream{events: make(chan nodeservice.Event, len(events)), closed: make(chan struct{})}
	for _, e := range events {
		s.events <- e
	}
	return s
}

func (s *scriptedStream) Next(ctx context.Context) (nodeservice.Event, error) {
	select {
	case e, ok := <-s.events:
		if !ok {
			return nil, nodeservice.Errorf(nodeservice.CodeTokenExpired, "the token has expired")
		}
		return e, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (s *scriptedStream) Ack(_ context.Context, _ nodeservice.ChannelID, through nodeservice.Seq) error {
	select {
	case s.acks <- through:
	default:
	}
	return nil
}

func (s *scriptedStream) Close() error {
	s.once.Do(func() { close(s.closed) })
	return nil
}

// serve runs a server for the test, over TCP, and returns its address.
func serve(t testing.TB, node nodeservice.Node, limits noderpc.Limits) (*noderpc.Server, string) {
	t.Helper()
	srv := noderpc.NewServer(noderpc.ServerConfig{
		Node: node, Limits: limits, Log: slog.New(slog.DiscardHandler),
	})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(context.Background(), ln) }()
	t.Cleanup(func() {
		if err := srv.Close(); err != nil {
			t.Error(err)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return srv, ln.Addr().String()
}

func dial(t testing.TB, address string) *noderpc.Client {
	t.Helper()
	c, err := noderpc.Dial(t.Context(), "tcp", address, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func newIdentity(t testing.TB) nodeservice.Identity {
	t.Helper()
	pub, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	id, err := identity.ParseKey(pub)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func authenticate(t testing.TB, c *noderpc.Client) nodeservice.Session {
	t.Helper()
	s, err := c.Authenticate(t.Context(), nodeservice.Origin{}, tokenOf(newIdentity(t)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func wantCode(t testing.TB, err error, code nodeservice.Code) {
	t.Helper()
	if got := nodeservice.CodeOf(err); got != code {
		t.Fatalf("got %q (%v), want %q", got, err, code)
	}
}

var channel = nodeservice.ChannelID{1, 2, 3, 15: 16}
