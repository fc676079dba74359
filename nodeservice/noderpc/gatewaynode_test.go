package noderpc_test

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/noderpc"
)

// serveGateways runs a server that trusts whoever connects to the socket, until
// stop or the end of the test.
func serveGateways(t testing.TB, node nodeservice.Node, socket string, trusted bool) (stop func()) {
	t.Helper()
	server := noderpc.NewServer(noderpc.ServerConfig{
		Node: node, Log: slog.New(slog.DiscardHandler), Limits: noderpc.Limits{Sessions: 4, Calls: 2},
	})
	ln, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	serve := server.Serve
	if trusted {
		serve = server.ServeTrusted
	}
	var running sync.WaitGroup
	running.Go(func() { _ = serve(context.Background(), ln) })
	stop = sync.OnceFunc(func() {
		_ = server.Close()
		running.Wait()
	})
	t.Cleanup(stop)
	return stop
}

// socketName is one that nobody listens on. What t.TempDir returns is too long for
// the name of a socket where the temporary directory has a long one itself.
func socketName(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "qpq")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return filepath.Join(dir, "s")
}

func gatewayNode(t testing.TB, socket string) *noderpc.GatewayNode {
	t.Helper()
	g := noderpc.NewGatewayNode(noderpc.GatewayNodeConfig{Dial: func(ctx context.Context) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}})
	t.Cleanup(func() { _ = g.Close() })
	if err := g.Connected(t.Context()); err != nil {
		t.Fatal(err)
	}
	return g
}

// afar is a client behind a gateway.
var afar = nodeservice.Origin{
	Address: netip.MustParseAddr("2001:db8::7"), Door: "http",
	Proof: &nodeservice.Proof{JWT: "a.b.c", Method: "GET", URL: "https://node.example/v1/channels"},
}

func TestOriginsGoAlongAndAreHonouredFromTheTrustedAlone(t *testing.T) {
	for _, trusted := range []bool{true, false} {
		node := &scriptedNode{origins: make(chan nodeservice.Origin, 1)}
		socket := socketName(t)
		serveGateways(t, node, socket, trusted)
		g, id := gatewayNode(t, socket), newIdentity(t)
		want := nodeservice.Origin{Door: "capnp", Version: 1}
		if trusted {
			want = nodeservice.Origin{Address: afar.Address, Door: "gateway", Version: 1, Proof: afar.Proof}
		}
		for name, call := range map[string]func() error{
			"challenge": func() error { _, err := g.Challenge(t.Context(), afar, id); return err },
			"login": func() error {
				l, err := g.Login(t.Context(), afar, nodeservice.LoginRequest{Identity: id, Nonce: []byte("nonce")})
				return closeAfter(l.Session, err)
			},
			"authenticate": func() error { return closeAfter(g.Authenticate(t.Context(), afar, tokenOf(id))) },
		} {
			if err := call(); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if got := <-node.origins; !reflect.DeepEqual(got, want) {
				t.Errorf("trusted %v: %s came from %+v, want %+v", trusted, name, got, want)
			}
		}
	}
}

func closeAfter(s nodeservice.Session, err error) error {
	if err == nil {
		err = s.Close()
	}
	return err
}

// TestAKnownTokenIsOneCall: and each request's proof reaches the node once.
func TestAKnownTokenIsOneCall(t *testing.T) {
	node := &scriptedNode{origins: make(chan nodeservice.Origin, 10)}
	node.session.expiresAt = nodeservice.Milli(time.Now().Add(time.Hour))
	node.session.revoke = func(context.Context) error { return nil }
	socket := socketName(t)
	serveGateways(t, node, socket, true)
	g, token := gatewayNode(t, socket), tokenOf(newIdentity(t))

	first, err := g.Authenticate(t.Context(), afar, token)
	if err != nil || len(node.origins) != 1 {
		t.Fatalf("an unknown token: %d calls, %v", len(node.origins), err)
	}
	if err := first.Revoke(t.Context()); err != nil {
		t.Fatal(err)
	}
	second, err := g.Authenticate(t.Context(), afar, token)
	if err != nil || len(node.origins) != 1 {
		t.Fatalf("a known token: %d calls, %v", len(node.origins), err)
	}
	if second.Identity() != first.Identity() || second.ExpiresAt() != first.ExpiresAt() {
		t.Errorf("%v until %v, then %v until %v", first.Identity(), first.ExpiresAt(), second.Identity(), second.ExpiresAt())
	}
	<-node.origins
	if err := second.Revoke(t.Context()); err != nil || len(node.origins) != 1 {
		t.Fatalf("the call of a known token: %d authentications, %v", len(node.origins), err)
	}
	if from := <-node.origins; !reflect.DeepEqual(from.Proof, afar.Proof) || from.Address != afar.Address {
		t.Errorf("came from %+v", from)
	}
	_ = second.Revoke(t.Context())
	if from := <-node.origins; from.Proof != nil {
		t.Error("a proof was used twice")
	}
	for _, s := range []nodeservice.Session{first, second} {
		if err := closeAfter(s, nil); err != nil {
			t.Error(err)
		}
	}
	if err := second.Revoke(t.Context()); nodeservice.CodeOf(err) != nodeservice.CodeUnauthenticated {
		t.Errorf("after Close: %v", err)
	}
}

// learn makes a token known by a first call.
func learn(t *testing.T, g *noderpc.GatewayNode, token string) {
	t.Helper()
	s, err := g.Authenticate(t.Context(), afar, token)
	if err == nil {
		err = s.Revoke(t.Context())
	}
	if err := closeAfter(s, err); err != nil {
		t.Fatal(err)
	}
}

// TestASessionWithoutACallPays: a malformed request reaches the node as an
// authentication, and the next one is authenticated first.
func TestASessionWithoutACallPays(t *testing.T) {
	node := &scriptedNode{origins: make(chan nodeservice.Origin, 10)}
	node.session.expiresAt = nodeservice.Milli(time.Now().Add(time.Hour))
	node.session.revoke = func(context.Context) error { return nil }
	socket := socketName(t)
	serveGateways(t, node, socket, true)
	g, token := gatewayNode(t, socket), tokenOf(newIdentity(t))
	learn(t, g, token)
	<-node.origins
	for i := range 3 {
		s, err := g.Authenticate(t.Context(), afar, token)
		if err != nil {
			t.Fatal(err)
		}
		if first := i == 0; first != (len(node.origins) == 0) {
			t.Errorf("request %d: %d authentications before its end", i, len(node.origins))
		}
		if err := closeAfter(s, nil); err != nil {
			t.Fatal(err)
		}
		if from := <-node.origins; !reflect.DeepEqual(from.Proof, afar.Proof) || len(node.origins) != 0 {
			t.Errorf("request %d came from %+v, and %d more", i, from, len(node.origins))
		}
	}
}

func TestARefusedTokenIsForgotten(t *testing.T) {
	node := &scriptedNode{}
	node.session.expiresAt = nodeservice.Milli(time.Now().Add(time.Hour))
	node.session.revoke = func(context.Context) error { return nil }
	socket := socketName(t)
	serveGateways(t, node, socket, true)
	g, token := gatewayNode(t, socket), tokenOf(newIdentity(t))
	learn(t, g, token)
	for _, refusal := range []*nodeservice.Error{
		{Code: nodeservice.CodeUnauthenticated, Detail: "with this nonce", Nonce: "nonce"}, // no refusal of the token
		{Code: nodeservice.CodeTokenExpired, Detail: "over"},
	} {
		node.refuse.Store(refusal)
		s, err := g.Authenticate(t.Context(), afar, token)
		if err != nil {
			t.Fatalf("a token that was good: %v", err)
		}
		err = s.Revoke(t.Context())
		if got := nodeservice.AsError(err); got.Code != refusal.Code || got.Nonce != refusal.Nonce {
			t.Errorf("got %+v, want %+v", got, refusal)
		}
		_ = s.Close()
	}
	_, err := g.Authenticate(t.Context(), afar, token)
	wantCode(t, err, nodeservice.CodeTokenExpired)
}

// TestAGatewaysStream is bound to its identity, and acknowledges within itself.
func TestAGatewaysStream(t *testing.T) {
	stream := newScriptedStream(nodeservice.MessageEvent{Channel: channel, Message: nodeservice.Message{Seq: 3, Payload: []byte("x")}})
	stream.acks = make(chan nodeservice.Seq, 1)
	node := &scriptedNode{origins: make(chan nodeservice.Origin, 10)}
	node.session.expiresAt = nodeservice.Milli(time.Now().Add(time.Hour))
	node.session.follow = func(context.Context, nodeservice.FollowRequest) (nodeservice.Stream, error) { return stream, nil }
	node.session.revoke = func(context.Context) error { return nil }
	node.session.renew = func(context.Context, string) (nodeservice.UnixMilli, error) { return 7, nil }
	node.session.channel = func(context.Context, nodeservice.ChannelID) (nodeservice.ChannelView, error) {
		return nodeservice.ChannelView{ID: channel, Peer: newIdentity(t), Acked: 1}, nil
	}
	socket := socketName(t)
	serveGateways(t, node, socket, true)
	g, token := gatewayNode(t, socket), tokenOf(newIdentity(t))
	learn(t, g, token)
	<-node.origins
	s, err := g.Authenticate(t.Context(), afar, token)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	f, err := s.Follow(t.Context(), nodeservice.FollowRequest{})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if from := <-node.origins; !reflect.DeepEqual(from.Proof, afar.Proof) || len(node.origins) != 0 {
		t.Errorf("came from %+v, and %d more", from, len(node.origins))
	}
	if _, err := f.Next(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := f.Ack(t.Context(), channel, 3); err != nil {
		t.Fatal(err)
	}
	if through := <-stream.acks; through != 3 {
		t.Errorf("acknowledged through %d", through)
	}
	wantCode(t, f.Ack(t.Context(), channel, 4), nodeservice.CodeInvalidArgument)
	if until, err := s.Renew(t.Context(), "newer"); err != nil || until != 7 {
		t.Errorf("renewed until %v, %v", until, err)
	}
}

func TestAGatewayNodeComesBack(t *testing.T) {
	socket := socketName(t)
	stop := serveGateways(t, &scriptedNode{}, socket, true)
	g, id := gatewayNode(t, socket), newIdentity(t)
	s, err := g.Authenticate(t.Context(), afar, tokenOf(id))
	if err != nil {
		t.Fatal(err)
	}
	stop()
	err = s.Revoke(t.Context())
	wantCode(t, err, nodeservice.CodeUnavailable)
	if nodeservice.AsError(err).RetryAfter <= 0 {
		t.Error("nobody is told when to come back")
	}
	_ = s.Close()
	for err == nil || nodeservice.AsError(err).Cause != nil { // until it knows that it is away
		_, err = g.Info(t.Context())
	}
	wantCode(t, err, nodeservice.CodeUnavailable)
	if nodeservice.AsError(err).RetryAfter <= 0 {
		t.Error("nobody is told when to come back")
	}
	serveGateways(t, &scriptedNode{}, socket, true)
	if err := g.Connected(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := closeAfter(g.Authenticate(t.Context(), afar, tokenOf(id))); err != nil {
		t.Error(err)
	}
}

// TestATrustedConnectionCarriesMany: the bounds of one client's connection, here
// four sessions and two calls, are not those of a gateway's.
func TestATrustedConnectionCarriesMany(t *testing.T) {
	node := &scriptedNode{}
	inside, leave := make(chan struct{}), make(chan struct{})
	node.session.expiresAt = nodeservice.Milli(time.Now().Add(time.Hour))
	node.session.revoke = func(context.Context) error { inside <- struct{}{}; <-leave; return nil }
	socket := socketName(t)
	serveGateways(t, node, socket, true)
	g := gatewayNode(t, socket)
	var calls sync.WaitGroup
	for range 16 {
		token := tokenOf(newIdentity(t))
		for range 2 {
			s, err := g.Authenticate(t.Context(), afar, token)
			if err != nil {
				t.Fatal(err)
			}
			calls.Go(func() {
				if err := s.Revoke(t.Context()); err != nil {
					t.Error(err)
				}
				_ = s.Close()
			})
		}
	}
	for range 32 { // all at once
		<-inside
	}
	close(leave)
	calls.Wait()
}
