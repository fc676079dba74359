package nodeservice

import "sync"

// Bus carries hints between those who change state and those who wait for it.
// A hint says what to re-read, never what is there. Hints may be lost, doubled
// and reordered: readers subscribe first, then read, then wait, and re-read
// everything on a slow tick.
type Bus interface {
	// Hint tells the subscribers of h.Owner; it never blocks for long.
	Hint(h Hint)

	// Subscribe returns a subscription to the hints of one owner: all of them,
	// or with only != nil those that it accepts.
	Subscribe(owner Identity, only func(Hint) bool) *Subscription
}

// Hint says what to re-read, and whom it concerns.
type Hint struct {
	Owner   Identity // whose view changed; zero with HintRevocations: everybody
	Kind    HintKind
	Channel ChannelID // with HintQueue and HintAcked; zero: the legacy queue
}

// HintKind says what kind of state changed.
type HintKind uint8

// The kinds of hints.
const (
	HintQueue       HintKind = iota + 1 // messages or a gap in Owner's queue of Channel
	HintAcked                           // Owner's queue of Channel was acknowledged
	HintChannels                        // a channel became visible to Owner
	HintKeyPackages                     // Owner's key package stock
	HintRevocations                     // tokens were revoked: nodes, not streams, re-read those
)

// maxPendingHints bounds what a subscription keeps apart before it says "all".
const maxPendingHints = 256

// Subscription gathers hints until its reader takes them. It holds each hint
// once and a bounded number: beyond it, the reader must re-read everything.
type Subscription struct {
	owner Identity
	only  func(Hint) bool
	ready chan struct{}
	close func()

	mu      sync.Mutex
	pending map[Hint]struct{} // guarded by mu
	all     bool              // guarded by mu
}

// NewSubscription is for implementations of Bus; onClose is called once.
func NewSubscription(owner Identity, only func(Hint) bool, onClose func(*Subscription)) *Subscription {
	s := &Subscription{owner: owner, only: only, ready: make(chan struct{}, 1)}
	s.close = sync.OnceFunc(func() { onClose(s) })
	return s
}

// Ready is readable when there is something to Take.
func (s *Subscription) Ready() <-chan struct{} { return s.ready }

// Take returns the gathered hints and forgets them. With all set, hints were
// lost, and everything must be re-read.
func (s *Subscription) Take() (hints []Hint, all bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for h := range s.pending {
		hints = append(hints, h)
	}
	all = s.all
	clear(s.pending)
	s.all = false
	return hints, all
}

// Deliver adds a hint; implementations of Bus call it.
func (s *Subscription) Deliver(h Hint) {
	if s.only != nil && !s.only(h) {
		return
	}
	s.mu.Lock()
	if len(s.pending) >= maxPendingHints {
		s.all = true
		clear(s.pending)
	}
	if !s.all {
		if s.pending == nil {
			s.pending = make(map[Hint]struct{})
		}
		s.pending[h] = struct{}{}
	}
	s.mu.Unlock()
	s.wake()
}

// DeliverAll says that hints may have been lost (a reconnected bus).
func (s *Subscription) DeliverAll() {
	s.mu.Lock()
	s.all = true
	clear(s.pending)
	s.mu.Unlock()
	s.wake()
}

func (s *Subscription) wake() {
	select {
	case s.ready <- struct{}{}:
	default:
	}
}

// Close ends the subscription. It may be called twice.
func (s *Subscription) Close() { s.close() }

// LocalBus is the Bus of a single node. Its zero value is ready to use.
type LocalBus struct {
	mu   sync.RWMutex
	subs map[Identity]map[*Subscription]struct{} // guarded by mu
}

// Hint implements Bus.
func (b *LocalBus) Hint(h Hint) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if h.Owner.IsZero() {
		for _, subs := range b.subs {
			for s := range subs {
				s.Deliver(h)
			}
		}
		return
	}
	for s := range b.subs[h.Owner] {
		s.Deliver(h)
	}
}

// Subscribe implements Bus.
func (b *LocalBus) Subscribe(owner Identity, only func(Hint) bool) *Subscription {
	s := NewSubscription(owner, only, b.remove)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.subs == nil {
		b.subs = make(map[Identity]map[*Subscription]struct{})
	}
	if b.subs[owner] == nil {
		b.subs[owner] = make(map[*Subscription]struct{})
	}
	b.subs[owner][s] = struct{}{}
	return s
}

// Subscriptions are those of the moment, for a bus that has lost hints and must
// tell each to re-read everything.
func (b *LocalBus) Subscriptions() (all []*Subscription) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	for _, subs := range b.subs {
		for s := range subs {
			all = append(all, s)
		}
	}
	return all
}

func (b *LocalBus) remove(s *Subscription) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.subs[s.owner], s)
	if len(b.subs[s.owner]) == 0 {
		delete(b.subs, s.owner)
	}
}
