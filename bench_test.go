package node_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quicproquo/node/gateway"
	"github.com/quicproquo/node/gateway/gatewayclient"
	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/identity"
	"github.com/quicproquo/node/nodeservice/mls"
	"github.com/quicproquo/node/nodeservice/noderpc"
	"github.com/quicproquo/node/nodeservice/nodetest"
	"github.com/quicproquo/node/nodeservice/pebblestore"
)

const benchAudience = "https://node.example"

// benchDoors open a client's Node to a core: the client's work is in the figures.
var benchDoors = []struct {
	name string
	open func(*testing.B, *nodeservice.Service) nodeservice.Node
}{
	{"direct", func(_ *testing.B, core *nodeservice.Service) nodeservice.Node { return core }},
	{"capnp", func(b *testing.B, core *nodeservice.Service) nodeservice.Node { return benchNative(b, core) }},
	{"http", benchHTTP},
}

// BenchmarkEnqueue stores messages of 1 KiB on a disk, each durable before its
// answer: by one writer, and by 64 at once, who share syncs.
func BenchmarkEnqueue(b *testing.B) {
	for _, door := range benchDoors {
		for _, writers := range []int{1, 64} {
			b.Run(fmt.Sprintf("%s/writers=%d", door.name, writers), func(b *testing.B) {
				w := newBench(b, door.open)
				synced := w.parallel(b, writers, func(ctx context.Context, pair *benchPair) error {
					_, err := pair.alice.Enqueue(ctx, nodeservice.EnqueueRequest{Channel: pair.channel, Payload: pair.payload})
					return err
				})
				b.ReportMetric(float64(synced)/float64(b.N), "syncs/op")
			})
		}
	}
}

// BenchmarkFetch reads 32 messages of 1 KiB, which stay.
func BenchmarkFetch(b *testing.B) {
	for _, door := range benchDoors {
		for _, readers := range []int{1, 64} {
			b.Run(fmt.Sprintf("%s/readers=%d", door.name, readers), func(b *testing.B) {
				w := newBench(b, door.open)
				w.fill = 32
				w.parallel(b, readers, func(ctx context.Context, pair *benchPair) error {
					page, err := pair.bob.Fetch(ctx, nodeservice.FetchRequest{Channel: pair.channel, Limit: 32})
					if err == nil && len(page.Messages) != 32 {
						err = fmt.Errorf("%d messages", len(page.Messages))
					}
					return err
				})
			})
		}
	}
}

// BenchmarkWake sends messages of 1 KiB, one at a time, to somebody who waits for
// each and acknowledges it: in a fetch, or on a stream of all channels. Through HTTP
// only the first 100 rounds on a stream measure that: a WebSocket takes no more frames
// of a client a second, and ours keeps to it.
func BenchmarkWake(b *testing.B) {
	for _, door := range benchDoors {
		for _, way := range []struct {
			name string
			wait func(*testing.B, *benchPair) receiver
		}{{"fetch", fetching}, {"stream", streaming}} {
			b.Run(door.name+"/"+way.name, func(b *testing.B) {
				pair := newBench(b, door.open).pair(b)
				receive := way.wait(b, pair)
				received := make(chan error, 1)
				b.ReportAllocs()
				for b.Loop() {
					go func() { received <- receive(b.Context()) }() // and waits long before the message is durable
					_, err := pair.alice.Enqueue(b.Context(), nodeservice.EnqueueRequest{Channel: pair.channel, Payload: pair.payload})
					must(b, err)
					must(b, <-received)
				}
			})
		}
	}
}

// receiver waits for a message and acknowledges it.
type receiver func(context.Context) error

func fetching(_ *testing.B, pair *benchPair) receiver {
	return func(ctx context.Context) error {
		page, err := pair.bob.Fetch(ctx, nodeservice.FetchRequest{Channel: pair.channel, Wait: time.Minute})
		if err != nil || len(page.Messages) != 1 {
			return fmt.Errorf("%d messages: %w", len(page.Messages), err)
		}
		return pair.bob.Ack(ctx, nodeservice.AckRequest{Channel: pair.channel, Through: page.Messages[0].Seq})
	}
}

func streaming(b *testing.B, pair *benchPair) receiver {
	stream, err := pair.bob.Follow(b.Context(), nodeservice.FollowRequest{})
	must(b, err)
	b.Cleanup(func() { must(b, stream.Close()) })
	return func(ctx context.Context) error {
		for {
			event, err := stream.Next(ctx)
			if err != nil {
				return err
			}
			if m, ok := event.(nodeservice.MessageEvent); ok {
				return stream.Ack(ctx, m.Channel, m.Message.Seq)
			}
		}
	}
}

// atOnce is a node whose drains remove before they answer, on every door.
type atOnce struct{ nodeservice.Node }

func (n atOnce) Login(ctx context.Context, from nodeservice.Origin, req nodeservice.LoginRequest) (nodeservice.Login, error) {
	login, err := n.Node.Login(ctx, from, req)
	login.Session = atOnceSession{login.Session}
	return login, err
}

type atOnceSession struct{ nodeservice.Session }

func (s atOnceSession) Fetch(ctx context.Context, req nodeservice.FetchRequest) (nodeservice.Page, error) {
	req.Consumer = nil
	return s.Session.Fetch(ctx, req)
}

// BenchmarkDrain sends a message of 1 KiB and drains it through Cap'n Proto:
// removed before the answer, or once the answer is known to have arrived.
func BenchmarkDrain(b *testing.B) {
	for _, form := range []struct {
		name string
		open func(*nodeservice.Service) nodeservice.Node
	}{
		{"before", func(core *nodeservice.Service) nodeservice.Node { return atOnce{core} }},
		{"arrived", func(core *nodeservice.Service) nodeservice.Node { return core }},
	} {
		for _, readers := range []int{1, 64} {
			b.Run(fmt.Sprintf("removed=%s/readers=%d", form.name, readers), func(b *testing.B) {
				w := newBench(b, func(b *testing.B, core *nodeservice.Service) nodeservice.Node {
					return benchNative(b, form.open(core))
				})
				synced := w.parallel(b, readers, func(ctx context.Context, pair *benchPair) error {
					_, err := pair.alice.Enqueue(ctx, nodeservice.EnqueueRequest{Channel: pair.channel, Payload: pair.payload})
					if err != nil {
						return err
					}
					page, err := pair.bob.Fetch(ctx, nodeservice.FetchRequest{Channel: pair.channel, Drain: true})
					if err == nil && len(page.Messages) != 1 {
						err = fmt.Errorf("%d messages", len(page.Messages))
					}
					return err
				})
				b.ReportMetric(float64(synced)/float64(b.N), "syncs/op")
			})
		}
	}
}

// BenchmarkAuthenticate opens and closes a session by a token that the node
// remembers, as each request through HTTP does.
func BenchmarkAuthenticate(b *testing.B) {
	w := newBench(b, func(_ *testing.B, core *nodeservice.Service) nodeservice.Node { return core })
	key, err := identity.GenerateKey(identity.EdDSA)
	must(b, err)
	token := w.loginAs(b, key).Token
	from := nodeservice.Origin{Address: netip.MustParseAddr("192.0.2.1"), Door: "http"}
	b.ReportAllocs()
	for b.Loop() {
		s, err := w.node.Authenticate(b.Context(), from, token)
		must(b, err)
		must(b, s.Close())
	}
}

// BenchmarkClaim claims one-time key packages, each gone for ever before its answer.
func BenchmarkClaim(b *testing.B) {
	for _, door := range benchDoors {
		b.Run(door.name, func(b *testing.B) {
			w := newBench(b, door.open)
			key, err := identity.GenerateKey(identity.EdDSA)
			must(b, err)
			owner, claimer := w.loginAs(b, key).Session, w.login(b)
			b.ReportAllocs()
			for left := 0; b.Loop(); left-- {
				if left == 0 {
					b.StopTimer()
					_, err := owner.UploadKeyPackages(b.Context(), nodeservice.UploadRequest{Packages: benchPackages(b, key)})
					must(b, err)
					left = nodeservice.MaxUpload
					b.StartTimer()
				}
				_, err := claimer.ClaimKeyPackage(b.Context(), nodeservice.ClaimRequest{Owner: key.Public()})
				must(b, err)
			}
		})
	}
}

func benchPackages(b *testing.B, key *identity.PrivateKey) (packages [][]byte) {
	template := mls.KeyPackageTemplate{
		CipherSuite: mls.MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519,
		Signer:      key.Signer(),
		Credential:  key.Public().Bytes(),
		NotBefore:   time.Now().Add(-time.Hour),
		NotAfter:    time.Now().Add(24 * time.Hour),
		Framed:      true,
	}
	for range nodeservice.MaxUpload {
		built, err := template.Build()
		must(b, err)
		packages = append(packages, built.Bytes)
	}
	return packages
}

// benchWorld is a node without limits on a store on the disk.
type benchWorld struct {
	store *pebblestore.Store
	node  nodeservice.Node
	fill  int // messages in each channel before the clock starts
}

// benchPair is a channel and its members' sessions.
type benchPair struct {
	alice, bob nodeservice.Session
	channel    nodeservice.ChannelID
	payload    []byte
}

func newBench(b *testing.B, open func(*testing.B, *nodeservice.Service) nodeservice.Node) *benchWorld {
	store, err := pebblestore.Open(b.TempDir(), pebblestore.Options{})
	must(b, err)
	keys, err := identity.GenerateSigningKeys()
	must(b, err)
	core, err := nodeservice.New(nodeservice.Config{
		Store: store, Secret: make([]byte, 32), Keys: keys, PublicURL: benchAudience,
	})
	must(b, err)
	b.Cleanup(func() {
		must(b, core.Close())
		must(b, store.Close())
	})
	return &benchWorld{store: store, node: open(b, core)}
}

// parallel runs op b.N times in all, by so many goroutines with a channel each,
// and counts the store's syncs meanwhile.
func (w *benchWorld) parallel(b *testing.B, workers int, op func(context.Context, *benchPair) error) (syncs uint64) {
	pairs := make([]*benchPair, workers)
	for i := range pairs {
		pairs[i] = w.pair(b)
	}
	var left atomic.Int64
	left.Store(int64(b.N))
	failed := make(chan error, workers)
	before := w.store.Metrics().Syncs
	b.ReportAllocs()
	b.ResetTimer()
	for _, pair := range pairs {
		go func() {
			var err error
			for err == nil && left.Add(-1) >= 0 {
				err = op(b.Context(), pair)
			}
			failed <- err
		}()
	}
	for range pairs {
		must(b, <-failed)
	}
	b.StopTimer()
	return w.store.Metrics().Syncs - before
}

func (w *benchWorld) pair(b *testing.B) *benchPair {
	p := &benchPair{alice: w.login(b), bob: w.login(b), payload: make([]byte, 1024)}
	_, _ = rand.Read(p.payload) // never fails
	view, _, err := p.alice.CreateChannel(b.Context(), p.bob.Identity())
	must(b, err)
	p.channel = view.ID
	for range w.fill {
		_, err := p.alice.Enqueue(b.Context(), nodeservice.EnqueueRequest{Channel: p.channel, Payload: p.payload})
		must(b, err)
	}
	return p
}

func (w *benchWorld) login(b *testing.B) nodeservice.Session {
	key, err := identity.GenerateKey(identity.EdDSA)
	must(b, err)
	return w.loginAs(b, key).Session
}

func (w *benchWorld) loginAs(b *testing.B, key *identity.PrivateKey) nodeservice.Login {
	challenge, err := w.node.Challenge(b.Context(), nodeservice.Origin{}, key.Public())
	must(b, err)
	signature, err := key.Sign(identity.LoginMessage(benchAudience, key.Public(), challenge.Nonce))
	must(b, err)
	login, err := w.node.Login(b.Context(), nodeservice.Origin{}, nodeservice.LoginRequest{
		Identity: key.Public(), Nonce: challenge.Nonce, Signature: signature,
	})
	must(b, err)
	return login
}

func benchNative(b *testing.B, core nodeservice.Node) nodeservice.Node {
	server := noderpc.NewServer(noderpc.ServerConfig{Node: core})
	listener := benchListen(b)
	stop := nodetest.Serving(func() { _ = server.Serve(context.Background(), listener) }, func() { must(b, server.Close()) })
	b.Cleanup(stop)
	client, err := noderpc.Dial(b.Context(), "tcp", listener.Addr().String(), nil)
	must(b, err)
	b.Cleanup(func() { must(b, client.Close()) })
	return client
}

func benchHTTP(b *testing.B, core *nodeservice.Service) nodeservice.Node {
	door, err := gateway.New(gateway.Config{Node: core})
	must(b, err)
	listener := benchListen(b)
	server := gateway.NewServer(door, slog.New(slog.DiscardHandler))
	b.Cleanup(nodetest.Serving(func() { _ = server.Serve(listener) }, func() { must(b, door.Close()); must(b, server.Close()) }))
	client, err := gatewayclient.New(gatewayclient.Config{BaseURL: "http://" + listener.Addr().String()})
	must(b, err)
	b.Cleanup(func() { must(b, client.Close()) })
	return client
}

func benchListen(b *testing.B) net.Listener {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(b, err)
	return listener
}

func must(b *testing.B, err error) {
	if err != nil {
		b.Helper()
		b.Fatal(err)
	}
}
