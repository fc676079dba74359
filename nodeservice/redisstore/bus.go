package redisstore

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	mathrand "math/rand/v2"
	"sync"
	"time"

	"github.com/quicproquo/node/nodeservice"
)

// Bus carries hints between the nodes of a Redis. Those of a node's own reach its
// own subscribers at once, and the other nodes by pub/sub: every node hears every
// hint, gathered into few messages, on one connection (in a cluster on four, one
// for each of the shards that the channels' names fall to). A channel of each
// owner instead would cost Redis a command for each hint and for each wait that
// begins or ends, and a re-read at each; it pays where there are more nodes than
// some dozens. DESIGN.md has the figures.
//
// Hints are lost while the connection is; whenever it is there again, everybody
// is told to re-read everything. Close waits for its goroutines.
type Bus struct {
	client   *Client
	log      *slog.Logger
	local    nodeservice.LocalBus
	node     nodeID   // static: whose own hints come back, and are passed over
	channels []string // static: that all nodes listen to
	speaks   string   // static: the one of them that this node publishes on

	mu       sync.Mutex
	queue    []nodeservice.Hint            // guarded by mu: not yet published, in their order; at most maxPending
	pending  map[nodeservice.Hint]struct{} // guarded by mu: the same
	overflow bool                          // guarded by mu: some were dropped
	waiting  chan struct{}                 // capacity 1: pending or overflow is set

	lost chan struct{} // capacity 1: everybody must re-read everything

	stop    context.CancelFunc
	running sync.WaitGroup
}

type nodeID [8]byte

const (
	maxPending   = 1 << 14 // hints that wait to be published: 1 MB
	maxPublished = 1 << 10 // hints of one message: 51 to 84 bytes each

	publishPause   = time.Millisecond // between messages: what comes meanwhile goes in one
	publishTimeout = time.Second
	busRetry       = 100 * time.Millisecond // until another try; up to twice that

	busPing    = 3 * time.Second // how often a silent connection is asked
	busSilence = 8 * time.Second // after which it is given up
)

// NewBus connects, and returns when the node hears the others, or with an error
// when ctx ends before.
func NewBus(ctx context.Context, client *Client, log *slog.Logger) (*Bus, error) {
	b := &Bus{
		client: client, log: log, channels: []string{"qpq:hints"},
		pending: map[nodeservice.Hint]struct{}{}, waiting: make(chan struct{}, 1), lost: make(chan struct{}, 1),
	}
	if client.cluster != nil { // the slots of these tags lie far apart: 13907, 9842, 5649, 1584
		b.channels = []string{"qpq:hints:{0}", "qpq:hints:{1}", "qpq:hints:{2}", "qpq:hints:{3}"}
	}
	b.speaks = b.channels[mathrand.IntN(len(b.channels))]
	_, _ = rand.Read(b.node[:]) // never fails
	running, stop := context.WithCancel(context.Background())
	b.stop = stop
	heard := make([]chan struct{}, len(b.channels))
	for i, channel := range b.channels {
		heard[i] = make(chan struct{})
		b.running.Go(func() { b.listen(running, channel, heard[i]) })
	}
	b.running.Go(func() { b.publish(running) })
	b.running.Go(func() { b.retell(running) })
	for _, h := range heard {
		select {
		case <-h:
		case <-ctx.Done():
			return nil, errors.Join(fmt.Errorf("hints of other nodes cannot be heard: %w", ctx.Err()), b.Close())
		}
	}
	return b, nil
}

// Hint implements nodeservice.Bus. It never waits for Redis.
func (b *Bus) Hint(h nodeservice.Hint) {
	b.local.Hint(h)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.enqueue(h)
}

// enqueue keeps each hint once; the caller holds mu. When there are too many, all
// are dropped, and everybody on the other nodes has to re-read everything.
func (b *Bus) enqueue(h nodeservice.Hint) {
	if _, known := b.pending[h]; known || b.overflow {
		return
	}
	if len(b.queue) == maxPending {
		b.queue, b.overflow = nil, true
		clear(b.pending)
	} else {
		b.queue = append(b.queue, h)
		b.pending[h] = struct{}{}
	}
	signal(b.waiting)
}

// Subscribe implements nodeservice.Bus.
func (b *Bus) Subscribe(owner nodeservice.Identity, only func(nodeservice.Hint) bool) *nodeservice.Subscription {
	return b.local.Subscribe(owner, only)
}

// Close stops listening; hints that wait are lost. It may be called twice.
func (b *Bus) Close() error {
	b.stop()
	b.running.Wait()
	return nil
}

// retell tells everybody on this node to re-read everything, when hints were
// lost: not all at once, which would come down on a Redis that has just returned.
func (b *Bus) retell(ctx context.Context) {
	const atOnce, apart = 256, 25 * time.Millisecond
	for {
		select {
		case <-b.lost:
		case <-ctx.Done():
			return
		}
		for i, s := range b.local.Subscriptions() {
			if i%atOnce == atOnce-1 {
				rest(ctx, apart)
			}
			s.DeliverAll()
		}
	}
}

// signal fills a channel of capacity one.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// rest waits for d to twice d, or until ctx ends.
func rest(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d + mathrand.N(d))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
