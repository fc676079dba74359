package crashtest

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/quicproquo/node/nodeservice"
)

// use is a history of so many answers without a crash.
func use(t *testing.T, store nodeservice.Store, seed uint64, answers int) *History {
	t.Helper()
	m := newMemory(t)
	if store != nil {
		m.store = store
	}
	kit, err := New(m, seed, 2)
	if err != nil {
		t.Fatal(err)
	}
	if err := kit.Use(t.Context(), answers); err != nil {
		t.Fatal(err)
	}
	return kit.History()
}

func TestHistoriesOfTheCoreAreLinearizable(t *testing.T) {
	var all Linearization
	for seed := range uint64(4) {
		all.Add(Linearizable(use(t, nil, seed, 250)))
	}
	for _, b := range all.Broken {
		t.Error(b)
	}
	t.Logf("%d operations in %d partitions", all.Operations, all.Partitions)
}

// faulty breaks one promise of the store beneath, every third time.
type faulty struct {
	nodeservice.Store
	fault fault

	mu    sync.Mutex
	calls int                                                    // guarded by mu
	pages map[nodeservice.Queue]nodeservice.QueuePage            // guarded by mu: of whole queues, as first read
	taken map[nodeservice.Identity]nodeservice.ClaimedKeyPackage // guarded by mu: the last of an owner
}

type fault string

const (
	staleRead      fault = "a read answers what was there before"
	oldHead        fault = "ifHead is overlooked"
	forgottenID    fault = "a message id is forgotten"
	idleAck        fault = "an acknowledgement does nothing"
	claimedTwice   fault = "a key package is handed out twice"
	forgottenClaim fault = "a claim id is forgotten"
	idleUpload     fault = "an upload stores nothing"
)

// now says whether this call is to break a promise.
func (f *faulty) now(kind fault) bool {
	if f.fault != kind {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls++
	return f.calls%3 == 0
}

func (f *faulty) Append(ctx context.Context, req nodeservice.Append) (nodeservice.Appended, error) {
	if req.IfHead != nil && f.now(oldHead) {
		req.IfHead = nil
	}
	if req.MessageID != "" && f.now(forgottenID) {
		req.MessageID = ""
	}
	return f.Store.Append(ctx, req)
}

func (f *faulty) Read(ctx context.Context, req nodeservice.Read) (nodeservice.QueuePage, error) {
	page, err := f.Store.Read(ctx, req)
	f.mu.Lock()
	before, read := f.pages[req.Queue]
	f.pages[req.Queue] = page
	f.mu.Unlock()
	if read && before.Head >= req.After && f.now(staleRead) {
		return before, nil
	}
	return page, err
}

func (f *faulty) Ack(ctx context.Context, req nodeservice.Ack) (nodeservice.Acked, error) {
	if f.now(idleAck) {
		return nodeservice.Acked{Outcome: nodeservice.AckUnchanged, Acked: req.Through, Head: req.Through}, nil
	}
	return f.Store.Ack(ctx, req)
}

func (f *faulty) ClaimKeyPackage(ctx context.Context, req nodeservice.ClaimKeyPackageRequest) (nodeservice.ClaimedKeyPackage, error) {
	if req.ClaimID != "" && f.now(forgottenClaim) {
		req.ClaimID = ""
	}
	if f.now(claimedTwice) {
		f.mu.Lock()
		before := f.taken[req.Owner]
		f.mu.Unlock()
		if before.Found {
			return before, nil
		}
	}
	claimed, err := f.Store.ClaimKeyPackage(ctx, req)
	f.mu.Lock()
	defer f.mu.Unlock()
	if claimed.Found && !claimed.KeyPackage.LastResort {
		f.taken[req.Owner] = claimed
	}
	return claimed, err
}

func (f *faulty) PutKeyPackages(ctx context.Context, req nodeservice.PutKeyPackages) (nodeservice.PutOutcome, error) {
	if f.now(idleUpload) {
		return nodeservice.PutOutcome{Result: nodeservice.PutStored}, nil
	}
	return f.Store.PutKeyPackages(ctx, req)
}

// TestLinearizableCatchesFaultyStores breaks one promise at a time: histories
// soon have no order that explains them.
func TestLinearizableCatchesFaultyStores(t *testing.T) {
	for _, kind := range []fault{staleRead, oldHead, forgottenID, idleAck, claimedTwice, forgottenClaim, idleUpload} {
		t.Run(string(kind), func(t *testing.T) {
			for seed := range uint64(10) {
				store := &faulty{
					Store: newMemory(t).store, fault: kind,
					pages: map[nodeservice.Queue]nodeservice.QueuePage{}, taken: map[nodeservice.Identity]nodeservice.ClaimedKeyPackage{},
				}
				if verdict := Linearizable(use(t, store, seed, 150)); len(verdict.Broken) > 0 {
					t.Log(fmt.Sprint(seed+1, " histories: ", verdict.Broken))
					return
				}
			}
			t.Fatal("ten histories, and nothing was noticed")
		})
	}
}
