package redisstore_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/crashtest"
	"github.com/quicproquo/node/nodeservice/crashtest/loopback"
	"github.com/quicproquo/node/nodeservice/identity"
	"github.com/quicproquo/node/nodeservice/redisstore"
)

// cluster is nodes in this process that share a Redis and their secrets, each
// with connections of its own.
type cluster struct {
	url  string
	wait redisstore.Wait
	keys *identity.SigningKeys
}

func newCluster(t testing.TB, url string) *cluster {
	t.Helper()
	keys, err := identity.GenerateSigningKeys()
	if err != nil {
		t.Fatal(err)
	}
	return &cluster{url: url, keys: keys}
}

// clusterNode is one of them, with both doors.
type clusterNode struct {
	*loopback.Node
	store  *redisstore.Store
	client *redisstore.Client
	bus    *redisstore.Bus
}

// start serves a node until the test ends.
func (c *cluster) start(t testing.TB, changes ...func(*nodeservice.Config)) *clusterNode {
	t.Helper()
	n := &clusterNode{}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	var err error
	n.client, err = redisstore.Connect(c.url)
	must(err)
	t.Cleanup(func() { _ = n.client.Close() })
	store, err := redisstore.Open(ctx, redisstore.Config{Client: n.client, Wait: c.wait})
	must(err)
	n.bus, err = redisstore.NewBus(ctx, n.client, slog.New(slog.DiscardHandler))
	must(err)
	t.Cleanup(func() { _ = n.bus.Close() })
	config := nodeservice.Config{
		Store: store, Bus: n.bus, Secret: make([]byte, 32), Keys: c.keys, PublicURL: crashtest.Audience, TokenTTL: 24 * time.Hour,
		Quotas: nodeservice.DefaultQuotas(), SweepEvery: time.Second, Revocations: time.Second, Tick: 15 * time.Second,
	}
	for _, change := range changes {
		change(&config)
	}
	n.store = store
	n.Node, err = loopback.Open(config)
	must(err)
	t.Cleanup(func() { _ = n.Stop() }) // a store whose Redis is away has nothing to say
	return n
}

// dial opens a node's door: "capnp" or "http", whose streams are WebSockets.
func (n *clusterNode) dial(t testing.TB, door string) nodeservice.Node {
	t.Helper()
	for _, d := range n.Doors() {
		if d.Name != door {
			continue
		}
		node, err := d.Dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if closer, ok := node.(interface{ Close() error }); ok {
			t.Cleanup(func() { _ = closer.Close() })
		}
		return node
	}
	t.Fatalf("no door %s", door)
	return nil
}

// enter logs in through a door.
func enter(t testing.TB, node nodeservice.Node, key *identity.PrivateKey) (nodeservice.Session, string) {
	t.Helper()
	challenge, err := node.Challenge(t.Context(), nodeservice.Origin{}, key.Public())
	if err != nil {
		t.Fatal(err)
	}
	signature, err := key.Sign(identity.LoginMessage(crashtest.Audience, key.Public(), challenge.Nonce))
	if err != nil {
		t.Fatal(err)
	}
	login, err := node.Login(t.Context(), nodeservice.Origin{}, nodeservice.LoginRequest{
		Identity: key.Public(), Nonce: challenge.Nonce, Signature: signature,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = login.Session.Close() })
	return login.Session, login.Token
}

// enterWith opens a session at a door with a token.
func enterWith(t testing.TB, node nodeservice.Node, token string) nodeservice.Session {
	t.Helper()
	session, err := node.Authenticate(t.Context(), nodeservice.Origin{}, token)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = session.Close() })
	return session
}

func newKey(t testing.TB) *identity.PrivateKey {
	t.Helper()
	key, err := identity.GenerateKey(identity.EdDSA)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// streaming opens a stream of all channels, and returns once it has caught up.
func streaming(t testing.TB, session nodeservice.Session) nodeservice.Stream {
	t.Helper()
	stream, err := session.Follow(t.Context(), nodeservice.FollowRequest{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = stream.Close() })
	for {
		switch next(t, stream).(type) {
		case nodeservice.CaughtUpEvent:
			return stream
		case nodeservice.KeyPackagesLowEvent:
		default:
			t.Fatal("the stream begins with something else")
		}
	}
}

// next waits for an event for as long as no test should have to.
func next(t testing.TB, stream nodeservice.Stream) nodeservice.Event {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	event, err := stream.Next(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return event
}

// nextMessage passes over events that are no messages.
func nextMessage(t testing.TB, stream nodeservice.Stream) nodeservice.MessageEvent {
	t.Helper()
	for {
		if event, ok := next(t, stream).(nodeservice.MessageEvent); ok {
			return event
		}
	}
}

func sendTo(t testing.TB, session nodeservice.Session, channel nodeservice.ChannelID, text string) nodeservice.Receipt {
	t.Helper()
	receipt, err := session.Enqueue(t.Context(), nodeservice.EnqueueRequest{Channel: channel, Payload: []byte(text)})
	if err != nil {
		t.Fatal(err)
	}
	return receipt
}
