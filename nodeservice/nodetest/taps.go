package nodetest

import (
	"context"
	"sync"
	"time"

	"github.com/quicproquo/node/nodeservice"
)

// watchedBus is a LocalBus that tells when somebody begins to wait, and that
// can lose hints.
type watchedBus struct {
	nodeservice.LocalBus
	subscribed *counter[nodeservice.Identity]

	mu   sync.Mutex
	deaf bool // guarded by mu
}

func newWatchedBus() *watchedBus {
	return &watchedBus{subscribed: newCounter[nodeservice.Identity]()}
}

// Hint implements nodeservice.Bus.
func (b *watchedBus) Hint(h nodeservice.Hint) {
	b.mu.Lock()
	lost := b.deaf
	b.mu.Unlock()
	if !lost {
		b.LocalBus.Hint(h)
	}
}

// Subscribe implements nodeservice.Bus.
func (b *watchedBus) Subscribe(owner nodeservice.Identity, only func(nodeservice.Hint) bool) *nodeservice.Subscription {
	s := b.LocalBus.Subscribe(owner, only)
	b.subscribed.add(owner)
	return s
}

// lose makes the bus lose all hints, or none.
func (b *watchedBus) lose(all bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.deaf = all
}

// tap is a Store that tells when a queue was read, and that can fail.
type tap struct {
	nodeservice.Store
	read *counter[nodeservice.Queue]

	mu      sync.Mutex
	mode    failure     // guarded by mu
	free    float64     // guarded by mu: what Free says; 0: the truth
	meeting *rendezvous // guarded by mu: where reads wait for one another; nil: they do not
}

// failure says when a tap fails.
type failure int

const (
	healthy    failure = iota
	failBefore         // the step is not taken
	failAfter          // the step is taken, and its answer lost
)

func newTap(store nodeservice.Store) *tap {
	return &tap{Store: store, read: newCounter[nodeservice.Queue]()}
}

func (s *tap) fail(mode failure) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mode = mode
}

func (s *tap) setFree(share float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.free = share
}

// through takes a step of the store, or fails before or after it.
func through[Q, A any](ctx context.Context, s *tap, step func(context.Context, Q) (A, error), req Q) (A, error) {
	s.mu.Lock()
	mode := s.mode
	s.mu.Unlock()
	var nothing A
	if mode == failBefore {
		return nothing, nodeservice.Errorf(nodeservice.CodeUnavailable, "the store is away")
	}
	answer, err := step(ctx, req)
	if mode == failAfter && err == nil {
		return nothing, nodeservice.Errorf(nodeservice.CodeUnavailable, "the store's answer was lost")
	}
	return answer, err
}

// CreateChannel implements nodeservice.Store.
func (s *tap) CreateChannel(ctx context.Context, req nodeservice.CreateChannel) (nodeservice.CreatedChannel, error) {
	return through(ctx, s, s.Store.CreateChannel, req)
}

// Append implements nodeservice.Store.
func (s *tap) Append(ctx context.Context, req nodeservice.Append) (nodeservice.Appended, error) {
	return through(ctx, s, s.Store.Append, req)
}

// Read implements nodeservice.Store.
func (s *tap) Read(ctx context.Context, req nodeservice.Read) (nodeservice.QueuePage, error) {
	page, err := through(ctx, s, s.Store.Read, req)
	s.read.add(req.Queue)
	s.mu.Lock()
	meeting := s.meeting
	s.mu.Unlock()
	if meeting != nil {
		meeting.arrive()
	}
	return page, err
}

// meet has the next n reads wait for one another before they answer, so that
// what they decide, they decide on the same state.
func (s *tap) meet(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.meeting = &rendezvous{missing: n, met: make(chan struct{})}
}

// rendezvous lets callers go on once all have come. It gives up on those that
// do not: a core may well read for one caller at a time.
type rendezvous struct {
	mu      sync.Mutex
	missing int // guarded by mu
	met     chan struct{}
}

func (r *rendezvous) arrive() {
	r.mu.Lock()
	if r.missing--; r.missing == 0 {
		close(r.met)
	}
	r.mu.Unlock()
	select {
	case <-r.met:
	case <-time.After(2 * time.Second):
	}
}

// Ack implements nodeservice.Store.
func (s *tap) Ack(ctx context.Context, req nodeservice.Ack) (nodeservice.Acked, error) {
	return through(ctx, s, s.Store.Ack, req)
}

// PutKeyPackages implements nodeservice.Store.
func (s *tap) PutKeyPackages(ctx context.Context, req nodeservice.PutKeyPackages) (nodeservice.PutOutcome, error) {
	return through(ctx, s, s.Store.PutKeyPackages, req)
}

// ClaimKeyPackage implements nodeservice.Store.
func (s *tap) ClaimKeyPackage(ctx context.Context, req nodeservice.ClaimKeyPackageRequest) (nodeservice.ClaimedKeyPackage, error) {
	return through(ctx, s, s.Store.ClaimKeyPackage, req)
}

// Spend implements nodeservice.Store.
func (s *tap) Spend(ctx context.Context, kind string, digest [32]byte, until, now nodeservice.UnixMilli) (bool, error) {
	spend := func(ctx context.Context, digest [32]byte) (bool, error) {
		return s.Store.Spend(ctx, kind, digest, until, now)
	}
	return through(ctx, s, spend, digest)
}

// Free implements nodeservice.Store.
func (s *tap) Free(ctx context.Context) (float64, error) {
	s.mu.Lock()
	share := s.free
	s.mu.Unlock()
	if share > 0 {
		return share, nil
	}
	return s.Store.Free(ctx)
}
