// Package model is the reference store: the contract of nodeservice.Store in
// memory, written to be obviously right rather than fast. Tests of the core run
// on it, and storetest compares engines with it.
//
// What it holds is always durable in its own terms: Reopen after a "crash"
// finds everything that was answered. Faults make it fail before or after a
// step took effect, as a disk or a network does.
package model

import (
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/quicproquo/node/nodeservice"
)

// Store is an in-memory nodeservice.Store. New makes one.
type Store struct {
	data *data // static after construction; shared with what Reopen returned

	mu     sync.RWMutex
	closed bool    // guarded by mu
	fault  Fault   // guarded by mu
	free   float64 // guarded by mu
}

var _ nodeservice.Store = (*Store)(nil)

// Fault decides whether a call fails. Each call of the method op asks twice:
// before its step, with applied false, and after it. An error (an
// *nodeservice.Error) ends the call with it, and the step has then happened or
// not as applied says. A Fault may block; other calls go on meanwhile.
type Fault func(op string, applied bool) error

// New makes an empty store.
func New() *Store { return &Store{data: newData(), free: 1} }

// SetFault installs a fault for the calls that begin from now on; nil removes it.
func (s *Store) SetFault(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = f
}

// SetFree sets what Free answers.
func (s *Store) SetFree(share float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.free = share
}

// Reopen is a crash and a restart: s is closed from now on, and what it held
// goes on in the store returned, without its faults.
func (s *Store) Reopen() *Store {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return &Store{data: s.data, free: s.free}
}

// Free implements nodeservice.Store.
func (s *Store) Free(context.Context) (float64, error) {
	s.mu.RLock()
	free := s.free
	s.mu.RUnlock()
	return do(s, "Free", func(*data) (float64, error) { return free, nil })
}

// Durability implements nodeservice.Store.
func (s *Store) Durability() string { return "in memory: until the process ends" }

// Close implements nodeservice.Store.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.data.mu.Lock() // waits for the step that runs
	defer s.data.mu.Unlock()
	return nil
}

// do runs one method: its step, alone, between the two moments of the fault.
func do[T any](s *Store, op string, step func(*data) (T, error)) (T, error) {
	var none T
	s.mu.RLock()
	fault := s.fault
	s.mu.RUnlock()
	if fault == nil {
		fault = func(string, bool) error { return nil }
	}
	if err := fault(op, false); err != nil {
		return none, err
	}
	result, err := apply(s, step)
	if err != nil {
		return none, err
	}
	if err := fault(op, true); err != nil {
		return none, err
	}
	return result, nil
}

// apply runs a step unless the store is closed. It holds s.mu for reading, so
// that no step of s takes effect after Close or Reopen returned.
func apply[T any](s *Store, step func(*data) (T, error)) (T, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		var none T
		return none, nodeservice.Errorf(nodeservice.CodeUnavailable, "the store is closed")
	}
	s.data.mu.Lock()
	defer s.data.mu.Unlock()
	return step(s.data)
}

// data is all that is stored. Its methods are the steps: whoever calls them
// holds mu, and so every step is atomic.
type data struct {
	mu sync.Mutex // guards all below

	channels map[nodeservice.ChannelID]nodeservice.Channel
	pairs    map[[2]nodeservice.Identity]nodeservice.ChannelID
	created  map[nodeservice.Account]int                      // channels by their creator
	visible  map[nodeservice.Identity][]nodeservice.ChannelID // the one of ordinal n stands at n-1
	lines    map[lineKey]line                                 // counters
	queues   map[nodeservice.Queue]queue                      // messages
	sent     map[sender][]receipt                             // remembered message ids, oldest first
	shelves  map[nodeservice.Identity]shelf                   // key packages by owner
	claims   map[claimKey]claim                               // remembered claims
	marks    map[mark]nodeservice.UnixMilli                   // used until
	revoked  map[revocationKey]nodeservice.Revocation         // by what they void
}

func newData() *data {
	return &data{
		channels: map[nodeservice.ChannelID]nodeservice.Channel{},
		pairs:    map[[2]nodeservice.Identity]nodeservice.ChannelID{},
		created:  map[nodeservice.Account]int{},
		visible:  map[nodeservice.Identity][]nodeservice.ChannelID{},
		lines:    map[lineKey]line{},
		queues:   map[nodeservice.Queue]queue{},
		sent:     map[sender][]receipt{},
		shelves:  map[nodeservice.Identity]shelf{},
		claims:   map[claimKey]claim{},
		marks:    map[mark]nodeservice.UnixMilli{},
		revoked:  map[revocationKey]nodeservice.Revocation{},
	}
}

// mark names a digest used up by Spend.
type mark struct {
	kind   string
	digest [32]byte
}

// Spend implements nodeservice.Store.
func (s *Store) Spend(_ context.Context, kind string, digest [32]byte, until, now nodeservice.UnixMilli) (bool, error) {
	return do(s, "Spend", func(d *data) (bool, error) {
		m := mark{kind, digest}
		if d.marks[m] > now {
			return false, nil
		}
		d.marks[m] = until
		return true, nil
	})
}

// revocationKey is what a revocation voids: one token, or an identity's.
type revocationKey struct {
	token    [32]byte
	identity nodeservice.Identity
}

// Revoke implements nodeservice.Store.
func (s *Store) Revoke(_ context.Context, r nodeservice.Revocation) error {
	_, err := do(s, "Revoke", func(d *data) (struct{}, error) {
		key := revocationKey{token: r.Token}
		if r.Token == [32]byte{} {
			key = revocationKey{identity: r.Identity}
		}
		if old, found := d.revoked[key]; !found || furtherThan(r, old) {
			d.revoked[key] = r
		}
		return struct{}{}, nil
	})
	return err
}

// furtherThan says that r voids tokens that old does not void.
func furtherThan(r, old nodeservice.Revocation) bool {
	if r.IssuedBefore != old.IssuedBefore {
		return r.IssuedBefore > old.IssuedBefore
	}
	return r.Until > old.Until
}

// Revocations implements nodeservice.Store.
func (s *Store) Revocations(_ context.Context, now nodeservice.UnixMilli) ([]nodeservice.Revocation, error) {
	return do(s, "Revocations", func(d *data) ([]nodeservice.Revocation, error) {
		return slices.DeleteFunc(slices.Collect(maps.Values(d.revoked)), func(r nodeservice.Revocation) bool {
			return r.Until <= now
		}), nil
	})
}
