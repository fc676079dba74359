package redisstore

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/identity"
	"github.com/quicproquo/node/nodeservice/redisstore/redistest"
	"github.com/quicproquo/node/nodeservice/storetest"
)

// connected is a client of a URL that the test closes.
func connected(t testing.TB, url string) *Client {
	t.Helper()
	client, err := Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func openBus(t testing.TB, client *Client) *Bus {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	bus, err := NewBus(ctx, client, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = bus.Close() })
	return bus
}

// SpeaksOn is the channel that this node publishes on, for tests of whole nodes.
func (b *Bus) SpeaksOn() string { return b.speaks }

// acrossNodes hints on one node's bus and subscribes on another's.
type acrossNodes struct{ here, there *Bus }

func (b acrossNodes) Hint(h nodeservice.Hint) { b.here.Hint(h) }

func (b acrossNodes) Subscribe(owner nodeservice.Identity, only func(nodeservice.Hint) bool) *nodeservice.Subscription {
	return b.there.Subscribe(owner, only)
}

func TestBus(t *testing.T) {
	for name, url := range map[string]func() string{
		"one server":   func() string { return redistest.Start(t).URL() },
		"three shards": func() string { return redistest.StartCluster(t, 0).URL() },
	} {
		t.Run(name, func(t *testing.T) {
			client := connected(t, url()) // nodes may share it: it is their buses that they differ by
			var open []*Bus
			fresh := func() *Bus { open = append(open, openBus(t, client)); return open[len(open)-1] }
			silence := func() { // those of the test before, which may have something left to say
				for _, b := range open {
					_ = b.Close()
				}
				open = nil
			}
			t.Run("one node", func(t *testing.T) {
				storetest.RunBus(t, func() nodeservice.Bus { silence(); return fresh() })
			})
			t.Run("two nodes", func(t *testing.T) {
				storetest.RunBus(t, func() nodeservice.Bus { silence(); return acrossNodes{fresh(), fresh()} })
			})
		})
	}
}

var someone = identity.TrustedKey("someone whose key is 32 bytes, k")

func awaitReady(t *testing.T, s *nodeservice.Subscription) {
	t.Helper()
	select {
	case <-s.Ready():
	case <-time.After(20 * time.Second):
		t.Fatal("nothing came")
	}
}

// awaitAll waits until a reader is told to re-read everything.
func awaitAll(t *testing.T, s *nodeservice.Subscription) {
	t.Helper()
	for {
		awaitReady(t, s)
		if _, all := s.Take(); all {
			return
		}
	}
}

// Whatever happens to the connection, readers are told to re-read everything when
// it is there again, and then hear what comes.
func TestBusTellsEverybodyWhenItHadNotHeard(t *testing.T) {
	server := redistest.Start(t)
	client := connected(t, server.URL())
	b := acrossNodes{openBus(t, client), openBus(t, client)}
	s := b.Subscribe(someone, nil)
	t.Cleanup(s.Close)
	for name, cut := range map[string]func(){
		"the connection is cut": func() {
			if err := client.Do(t.Context(), "client", "kill", "type", "pubsub").Err(); err != nil {
				t.Fatal(err)
			}
		},
		"the server is killed and comes again": func() {
			server.Kill(t)
			server.Restart(t)
		},
	} {
		t.Run(name, func(t *testing.T) {
			cut()
			awaitAll(t, s)
			awaitHint(t, b, s)
		})
	}
}

// awaitHint hints until it arrives: messages are lost while the other node does
// not listen.
func awaitHint(t *testing.T, b acrossNodes, s *nodeservice.Subscription) {
	t.Helper()
	hint := nodeservice.Hint{Owner: someone, Kind: nodeservice.HintKeyPackages}
	for range 200 {
		b.Hint(hint)
		select {
		case <-s.Ready():
			if hints, _ := s.Take(); len(hints) == 1 && hints[0] == hint {
				return
			}
		case <-time.After(100 * time.Millisecond):
		}
	}
	t.Fatal("no hint arrived")
}

// A node whose Redis stands still goes on at its own pace, and keeps a bounded
// number of hints; what it had to drop it makes up for.
func TestBusDoesNotWaitForAStandingRedis(t *testing.T) {
	server := redistest.Start(t)
	b := acrossNodes{openBus(t, connected(t, server.URL())), openBus(t, connected(t, server.URL()))}
	s := b.Subscribe(someone, func(h nodeservice.Hint) bool { return h.Kind == nodeservice.HintAcked })
	t.Cleanup(s.Close)
	server.Pause(t)
	for n := range 3 * maxPending {
		b.Hint(nodeservice.Hint{Owner: someone, Kind: nodeservice.HintQueue, Channel: nodeservice.ChannelID{byte(n), byte(n >> 8), byte(n >> 16)}})
	}
	b.here.mu.Lock()
	if kept := len(b.here.queue); kept > maxPending || len(b.here.pending) != kept {
		t.Errorf("%d hints are kept", kept)
	}
	b.here.mu.Unlock()
	server.Resume(t)
	awaitAll(t, s)
}

// Many nodes at once, and a reader on each, which hears the other nodes.
func TestBusAmongManyNodes(t *testing.T) {
	server := redistest.Start(t)
	client := connected(t, server.URL())
	const nodes = 5
	var buses [nodes]*Bus
	var readers [nodes]*nodeservice.Subscription
	for n := range nodes {
		buses[n] = openBus(t, client)
		readers[n] = buses[n].Subscribe(nodeservice.Identity{}, nil)
		t.Cleanup(readers[n].Close)
	}
	var running sync.WaitGroup
	for n := range nodes {
		running.Go(func() {
			buses[n].Hint(nodeservice.Hint{Kind: nodeservice.HintRevocations, Channel: nodeservice.ChannelID{byte(n)}})
		})
	}
	running.Wait()
	for _, s := range readers {
		for heard := map[byte]bool{}; len(heard) < nodes; {
			awaitReady(t, s)
			hints, _ := s.Take()
			for _, h := range hints {
				heard[h.Channel[0]] = true
			}
		}
	}
}

func FuzzDecodeHints(f *testing.F) {
	f.Add(string(encodeHints(nodeID{1}, []nodeservice.Hint{
		{Owner: someone, Kind: nodeservice.HintQueue, Channel: nodeservice.ChannelID{1}}, {Kind: nodeservice.HintRevocations},
	}, true)))
	f.Add("\x01........\x00")
	f.Fuzz(func(t *testing.T, text string) {
		hints, all, err := decodeHints(text, nodeID{2})
		if err != nil || text[1:9] == string([]byte{2, 0, 0, 0, 0, 0, 0, 0}) {
			return
		}
		again, allAgain, err := decodeHints(string(encodeHints(nodeID{1}, hints, all)), nodeID{2})
		if err != nil || allAgain != all || len(again) != len(hints) {
			t.Fatalf("%d hints, all %v became %d, %v, %v", len(hints), all, len(again), allAgain, err)
		}
		for i := range hints {
			if hints[i] != again[i] {
				t.Fatalf("%+v became %+v", hints[i], again[i])
			}
		}
	})
}
