package node_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net"
	"sync/atomic"
	"testing"

	"github.com/quicproquo/node/gateway"
	"github.com/quicproquo/node/gateway/gatewayclient"
	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/identity"
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
