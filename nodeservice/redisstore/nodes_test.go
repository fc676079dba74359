package redisstore_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/redisstore"
	"github.com/quicproquo/node/nodeservice/redisstore/redistest"
)

// dialing is what go-redis does once a second while a server that is gone for good
// does not answer: it ends up to a second after its pool was closed.
var dialing = goleak.IgnoreAnyFunction("github.com/redis/go-redis/v9/internal/pool.(*ConnPool).tryDial")

// leaving nothing behind is part of every test here.
func leavesNothing(t *testing.T) {
	leaks := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, leaks, dialing) })
}

// conversation is Alice at one node over Cap'n Proto and Bob at another over HTTP
// and a WebSocket, with a channel.
type conversation struct {
	alice, bob nodeservice.Session
	token      string // Bob's, minted by Alice's node
	stream     nodeservice.Stream
	channel    nodeservice.ChannelID
}

func converse(t testing.TB, here, there *clusterNode) conversation {
	t.Helper()
	var c conversation
	alice, bob := newKey(t), newKey(t)
	c.alice, _ = enter(t, here.dial(t, "capnp"), alice)
	_, c.token = enter(t, here.dial(t, "http"), bob)
	c.bob = enterWith(t, there.dial(t, "http"), c.token)
	c.stream = streaming(t, c.bob)
	view, created, err := c.alice.CreateChannel(t.Context(), bob.Public())
	if err != nil || !created {
		t.Fatal(created, err)
	}
	c.channel = view.ID
	return c
}

// TestTwoNodes lets Alice and Bob talk from node to node, on one Redis and on a
// cluster of three shards.
func TestTwoNodes(t *testing.T) {
	leavesNothing(t)
	for name, url := range map[string]func() string{
		"one Redis":    func() string { return redistest.Start(t).URL() },
		"three shards": func() string { return redistest.StartCluster(t, 0).URL() },
	} {
		t.Run(name, func(t *testing.T) {
			shared := newCluster(t, url())
			here, there := shared.start(t), shared.start(t)
			c := converse(t, here, there)
			for n := range 20 {
				text := fmt.Sprint("message ", n)
				sent := sendTo(t, c.alice, c.channel, text)
				if got := nextMessage(t, c.stream); string(got.Message.Payload) != text || got.Message.Seq != sent.Seq {
					t.Fatalf("%q came as seq %d, sent as %d", got.Message.Payload, got.Message.Seq, sent.Seq)
				}
			}
			sendTo(t, c.bob, c.channel, "and back")
			page, err := c.alice.Fetch(t.Context(), nodeservice.FetchRequest{Channel: c.channel, Wait: time.Minute})
			if err != nil || len(page.Messages) != 1 || page.Head != 21 {
				t.Errorf("Alice reads %+v, %v", page, err)
			}
			revokedElsewhere(t, here, c)
		})
	}
}

// revokedElsewhere ends Bob's token at the node that he is not at.
func revokedElsewhere(t *testing.T, here *clusterNode, c conversation) {
	t.Helper()
	if err := enterWith(t, here.dial(t, "capnp"), c.token).Revoke(t.Context()); err != nil {
		t.Fatal(err)
	}
	for {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		_, err := c.stream.Next(ctx)
		cancel()
		if err != nil {
			if nodeservice.CodeOf(err) != nodeservice.CodeUnauthenticated {
				t.Errorf("the stream ended by %v", err)
			}
			return
		}
	}
}

// TestTwoNodesWithoutHints takes the hints away, in both ways in which they get
// lost: the slow tick, here a fast one, brings everything all the same.
func TestTwoNodesWithoutHints(t *testing.T) {
	leavesNothing(t)
	server := redistest.Start(t)
	for name, lose := range map[string]struct {
		change func(*nodeservice.Config)
		also   func(context.Context, *clusterNode)
	}{
		"they are not published": {func(c *nodeservice.Config) { c.Bus = &nodeservice.LocalBus{} }, nil},
		"their connections are cut all the time": {func(*nodeservice.Config) {}, func(ctx context.Context, n *clusterNode) {
			for ctx.Err() == nil {
				_ = n.client.Do(ctx, "client", "kill", "type", "pubsub").Err()
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			shared := newCluster(t, server.URL())
			ticking := func(c *nodeservice.Config) { c.Tick = 200 * time.Millisecond }
			here, there := shared.start(t, lose.change, ticking), shared.start(t, lose.change, ticking)
			ctx, stop := context.WithCancel(t.Context())
			var losing sync.WaitGroup
			if lose.also != nil {
				losing.Go(func() { lose.also(ctx, here) })
			}
			defer losing.Wait()
			defer stop()
			c := converse(t, here, there)
			for n := range 5 {
				sendTo(t, c.alice, c.channel, fmt.Sprint(n))
				if got := nextMessage(t, c.stream); string(got.Message.Payload) != fmt.Sprint(n) {
					t.Fatalf("message %d reads %q", n, got.Message.Payload)
				}
			}
		})
	}
}

// TestTwoNodesCountTogether spends one identity's budget at two nodes at once:
// with shared limits it is one budget.
func TestTwoNodesCountTogether(t *testing.T) {
	leavesNothing(t)
	shared := newCluster(t, redistest.Start(t).URL())
	limited := func(c *nodeservice.Config) {
		client, err := redisstore.Connect(shared.url)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = client.Close() })
		c.Limiter = redisstore.NewLimiter(client, redisstore.LimiterOptions{Timeout: time.Minute})
		c.Rates.Identity = nodeservice.Per(50, 24*time.Hour)
	}
	here, there := shared.start(t, limited), shared.start(t, limited)
	_, token := enter(t, here.dial(t, "capnp"), newKey(t))
	var sessions []nodeservice.Session // each has paid for its first request
	for _, node := range []*clusterNode{here, here, there, there} {
		sessions = append(sessions, enterWith(t, node.Core(), token))
	}
	var passed, refused atomic.Int32
	var asking sync.WaitGroup
	for _, session := range sessions {
		asking.Go(func() {
			for range 20 {
				switch _, err := session.KeyPackageStatus(t.Context()); nodeservice.CodeOf(err) {
				case "":
					passed.Add(1)
				case nodeservice.CodeRateLimited:
					refused.Add(1)
				default:
					t.Error(err)
				}
			}
		})
	}
	asking.Wait()
	if passed.Load() != 50 || refused.Load() != 30 {
		t.Errorf("%d passed and %d were refused, of 80 with a budget of 50", passed.Load(), refused.Load())
	}
}

// BenchmarkDelivery is the time from a message's sending over Cap'n Proto until
// its recipient has it on a WebSocket: both at one node, and at two.
func BenchmarkDelivery(b *testing.B) {
	for name, nodes := range map[string]int{"at one node": 1, "node to node": 2} {
		b.Run(name, func(b *testing.B) {
			shared := newCluster(b, redistest.Start(b).URL())
			here := shared.start(b)
			there := here
			if nodes == 2 {
				there = shared.start(b)
			}
			c := converse(b, here, there)
			var took []time.Duration
			for b.Loop() {
				began := time.Now()
				sendTo(b, c.alice, c.channel, "a message")
				got := nextMessage(b, c.stream)
				took = append(took, time.Since(began))
				if err := c.stream.Ack(b.Context(), c.channel, got.Message.Seq); err != nil {
					b.Fatal(err)
				}
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds()), "µs-p50")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "µs-p99")
		})
	}
}
