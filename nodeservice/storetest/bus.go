package storetest

import (
	"sync"
	"testing"
	"time"

	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/identity"
)

// patience is how long a hint may take that nothing delays: never reached but
// by a bus that loses it.
const patience = 10 * time.Second

// RunBus checks the promises of nodeservice.Bus. Each call of open gives a bus
// that carries hints reliably while nothing fails.
func RunBus(t *testing.T, open func() nodeservice.Bus) {
	for _, p := range []struct {
		name  string
		check func(*busFixture)
	}{
		{"a hint reaches every subscriber of its owner", (*busFixture).reachesSubscribers},
		{"a hint reaches nobody else", (*busFixture).reachesNobodyElse},
		{"a hint of everybody's reaches all", (*busFixture).reachesEverybody},
		{"a filter keeps hints away", (*busFixture).filters},
		{"a hint given often is taken once", (*busFixture).gathers},
		{"too many hints become all", (*busFixture).overflows},
		{"a closed subscription gets nothing", (*busFixture).closes},
		{"many may hint, subscribe and close at once", (*busFixture).atOnce},
	} {
		t.Run(p.name, func(t *testing.T) { p.check(&busFixture{T: t, bus: open()}) })
	}
}

// busFixture is one bus under test, with people who are somebody to it.
type busFixture struct {
	*testing.T
	bus nodeservice.Bus
}

func owner(n uint64) nodeservice.Identity { return identity.TrustedKey(string(ed25519Key(n))) }

// hint is the n-th of an owner's queues.
func hint(who nodeservice.Identity, n uint64) nodeservice.Hint {
	return nodeservice.Hint{Owner: who, Kind: nodeservice.HintQueue, Channel: channelID(n)}
}

func (f *busFixture) subscribe(who nodeservice.Identity, only func(nodeservice.Hint) bool) *nodeservice.Subscription {
	s := f.bus.Subscribe(who, only)
	f.Cleanup(s.Close)
	return s
}

// await takes hints until it has all those wanted, and insists on no other.
func (f *busFixture) await(s *nodeservice.Subscription, want ...nodeservice.Hint) {
	f.Helper()
	missing := map[nodeservice.Hint]bool{}
	for _, h := range want {
		missing[h] = true
	}
	for len(missing) > 0 {
		f.ready(s)
		hints, all := s.Take()
		if all {
			f.Errorf("hints were lost without need")
			return
		}
		for _, h := range hints {
			if !missing[h] {
				f.Errorf("took %+v, which is not wanted, or twice", h)
			}
			delete(missing, h)
		}
	}
}

func (f *busFixture) ready(s *nodeservice.Subscription) {
	f.Helper()
	select {
	case <-s.Ready():
	case <-time.After(patience):
		f.Fatalf("a hint did not arrive")
	}
}

// settle waits until the hints given before it have arrived: behind them comes
// one that a subscription of its own waits for.
func (f *busFixture) settle(who nodeservice.Identity) {
	f.Helper()
	last := nodeservice.Hint{Owner: who, Kind: nodeservice.HintAcked, Channel: channelID(1 << 40)}
	s := f.bus.Subscribe(who, func(h nodeservice.Hint) bool { return h == last })
	defer s.Close()
	f.bus.Hint(last)
	f.await(s, last)
}

// nothing insists on a subscription without hints.
func (f *busFixture) nothing(s *nodeservice.Subscription) {
	f.Helper()
	if hints, all := s.Take(); len(hints) > 0 || all {
		f.Errorf("took %+v, all %v; want nothing", hints, all)
	}
}

func queuesOnly(h nodeservice.Hint) bool { return h.Kind == nodeservice.HintQueue }

func (f *busFixture) reachesSubscribers() {
	alice := owner(1)
	one, two := f.subscribe(alice, nil), f.subscribe(alice, nil)
	want := []nodeservice.Hint{
		hint(alice, 1), hint(alice, 2),
		{Owner: alice, Kind: nodeservice.HintQueue}, // the legacy queue
		{Owner: alice, Kind: nodeservice.HintAcked, Channel: channelID(1)},
		{Owner: alice, Kind: nodeservice.HintChannels},
		{Owner: alice, Kind: nodeservice.HintKeyPackages},
	}
	for _, h := range want {
		f.bus.Hint(h)
	}
	f.await(one, want...)
	f.await(two, want...)
	f.bus.Hint(want[0])
	f.await(one, want[0]) // again, once taken
}

func (f *busFixture) reachesNobodyElse() {
	alice, bob := owner(1), owner(2)
	alices, bobs := f.subscribe(alice, nil), f.subscribe(bob, nil)
	f.bus.Hint(hint(alice, 1))
	f.bus.Hint(hint(bob, 2))
	f.await(bobs, hint(bob, 2))
	f.await(alices, hint(alice, 1))
	f.nothing(bobs)
}

func (f *busFixture) reachesEverybody() {
	revoked := nodeservice.Hint{Kind: nodeservice.HintRevocations}
	subscriptions := []*nodeservice.Subscription{f.subscribe(owner(1), nil), f.subscribe(owner(2), nil), f.subscribe(nodeservice.Identity{}, nil)}
	f.bus.Hint(revoked)
	for _, s := range subscriptions {
		f.await(s, revoked)
	}
}

func (f *busFixture) filters() {
	alice := owner(1)
	filtered := f.subscribe(alice, queuesOnly)
	f.bus.Hint(nodeservice.Hint{Owner: alice, Kind: nodeservice.HintKeyPackages})
	f.settle(alice)
	select {
	case <-filtered.Ready():
		f.Errorf("a hint that the filter refuses woke the reader")
	default:
	}
	f.nothing(filtered)
	f.bus.Hint(hint(alice, 1))
	f.await(filtered, hint(alice, 1))
}

func (f *busFixture) gathers() {
	alice := owner(1)
	s := f.subscribe(alice, queuesOnly)
	for range 1000 {
		f.bus.Hint(hint(alice, 1))
		f.bus.Hint(hint(alice, 2))
	}
	f.settle(alice)
	f.await(s, hint(alice, 1), hint(alice, 2))
	f.nothing(s)
}

// overflows leaves a reader behind: it must be told to re-read everything, and
// then be told of what comes.
func (f *busFixture) overflows() {
	alice := owner(1)
	slow := f.subscribe(alice, queuesOnly)
	for n := range uint64(3000) {
		f.bus.Hint(hint(alice, n))
	}
	f.settle(alice)
	f.ready(slow)
	if _, all := slow.Take(); !all {
		f.Errorf("3000 hints are held apart")
	}
	f.bus.Hint(hint(alice, 1))
	f.await(slow, hint(alice, 1))
}

func (f *busFixture) closes() {
	alice := owner(1)
	closed, open := f.bus.Subscribe(alice, nil), f.subscribe(alice, nil)
	closed.Close()
	closed.Close()
	f.bus.Hint(hint(alice, 1))
	f.await(open, hint(alice, 1))
	f.nothing(closed)
	select {
	case <-closed.Ready():
		f.Errorf("a closed subscription woke its reader")
	default:
	}
	again := f.subscribe(alice, nil)
	f.bus.Hint(hint(alice, 2))
	f.await(again, hint(alice, 2))
}

// atOnce is for the race detector; those who stay get what is given at the end.
func (f *busFixture) atOnce() {
	const people = 4
	var stay [people]*nodeservice.Subscription
	for n := range stay {
		stay[n] = f.subscribe(owner(uint64(n)), func(h nodeservice.Hint) bool { return h.Kind == nodeservice.HintChannels })
	}
	var running sync.WaitGroup
	for n := range uint64(people) {
		running.Go(func() {
			for i := range uint64(100) {
				s := f.bus.Subscribe(owner(n), nil)
				f.bus.Hint(hint(owner((n+1)%people), i))
				s.Take()
				s.Close()
			}
			f.bus.Hint(nodeservice.Hint{Owner: owner(n), Kind: nodeservice.HintChannels})
		})
	}
	running.Wait()
	for n, s := range stay {
		f.await(s, nodeservice.Hint{Owner: owner(uint64(n)), Kind: nodeservice.HintChannels})
	}
}
