package storetest_test

import (
	"bytes"
	"context"
	"sync"

	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/storetest"
	"github.com/quicproquo/node/nodeservice/storetest/model"
)

// faulty is the model with one fault of those that engines have. It writes down
// every change, and after a crash makes them again: without a fault it is as
// good as the model.
type faulty struct {
	nodeservice.Store // the model
	fault             string

	mu      sync.Mutex                                       // serialises changes, so that the journal has their order
	journal []change                                         // guarded by mu
	bytes   map[nodeservice.Account]int64                    // guarded by mu: stored, never released
	kept    map[nodeservice.Queue]map[nodeservice.Seq][]byte // guarded by mu: the callers' own slices
	last    nodeservice.ClaimedKeyPackage                    // guarded by mu: the last one-time answer
}

// change is a call that changed the model.
type change struct {
	method string
	again  func(to nodeservice.Store)
}

// faultyEngine has the named fault; "" is none. "lost M" loses what the last
// call before a crash did, if that call was of method M.
func faultyEngine(fault string) storetest.Engine {
	return storetest.Engine{
		Name: "faulty",
		Open: func(storetest.TB) storetest.Opened {
			s := newFaulty(fault)
			return storetest.Opened{Store: s, Crash: func(storetest.TB) nodeservice.Store {
				s = s.crash()
				return s
			}}
		},
	}
}

func newFaulty(fault string) *faulty {
	return &faulty{
		Store: model.New(), fault: fault,
		bytes: map[nodeservice.Account]int64{},
		kept:  map[nodeservice.Queue]map[nodeservice.Seq][]byte{},
	}
}

func (s *faulty) crash() *faulty {
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = s.Store.Close()
	journal := s.journal
	if n := len(journal); n > 0 && s.fault == "lost "+journal[n-1].method {
		journal = journal[:n-1]
	}
	reopened := newFaulty(s.fault)
	for _, c := range journal {
		c.again(reopened.Store)
	}
	reopened.journal = journal
	return reopened
}

// changed notes a change, if it happened; the caller holds mu.
func (s *faulty) changed(err error, method string, again func(to nodeservice.Store)) {
	if err == nil {
		s.journal = append(s.journal, change{method, again})
	}
}

func (s *faulty) CreateChannel(ctx context.Context, req nodeservice.CreateChannel) (nodeservice.CreatedChannel, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	created, err := s.Store.CreateChannel(ctx, req)
	s.changed(err, "CreateChannel", func(to nodeservice.Store) { _, _ = to.CreateChannel(context.Background(), req) })
	return created, err
}

func (s *faulty) Append(ctx context.Context, req nodeservice.Append) (nodeservice.Appended, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.staleHead(ctx, &req)
	if s.leaks(req) {
		return nodeservice.Appended{Outcome: nodeservice.AppendOverQuota}, nil
	}
	appended, err := s.Store.Append(ctx, req)
	if err != nil || appended.Outcome != nodeservice.AppendStored {
		return appended, err
	}
	s.bytes[req.Account] += int64(len(req.Payload))
	s.keep(req, appended.Seq)
	again := req
	again.Payload = bytes.Clone(req.Payload)
	if s.fault == "forgotten message ids" {
		again.MessageID = ""
	}
	s.changed(err, "Append", func(to nodeservice.Store) { _, _ = to.Append(context.Background(), again) })
	if s.fault == "reused seq" && appended.Seq%4 == 0 {
		appended.Seq--
	}
	return appended, nil
}

// staleHead lets through who compares with the head of a moment ago.
func (s *faulty) staleHead(ctx context.Context, req *nodeservice.Append) {
	if s.fault != "stale head" || req.IfHead == nil {
		return
	}
	page, _ := s.Store.Read(ctx, nodeservice.Read{Queue: req.Queue, Limit: 1, Now: req.Now})
	if *req.IfHead+1 == page.Head {
		req.IfHead = nil
	}
}

// leaks says that an account's bytes are used up, since they are never released.
func (s *faulty) leaks(req nodeservice.Append) bool {
	most := req.Quota.AccountBytes
	return s.fault == "leaked quota" && most > 0 && s.bytes[req.Account]+int64(len(req.Payload)) > most
}

func (s *faulty) keep(req nodeservice.Append, seq nodeservice.Seq) {
	if s.kept[req.Queue] == nil {
		s.kept[req.Queue] = map[nodeservice.Seq][]byte{}
	}
	s.kept[req.Queue][seq] = req.Payload
}

func (s *faulty) Read(ctx context.Context, req nodeservice.Read) (nodeservice.QueuePage, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	page, err := s.Store.Read(ctx, req)
	switch {
	case s.fault == "shared bytes":
		for i, m := range page.Messages {
			page.Messages[i].Payload = s.kept[req.Queue][m.Seq]
		}
	case s.fault == "falling head" && len(page.Messages) == 0:
		page.Head = 0
	case s.fault == "silent loss":
		page.Floor, page.FloorReason = 0, 0
	}
	return page, err
}

func (s *faulty) Ack(ctx context.Context, req nodeservice.Ack) (nodeservice.Acked, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fault == "unconditional ack" {
		req.IfAcked = nil
	}
	acked, err := s.Store.Ack(ctx, req)
	s.changed(err, "Ack", func(to nodeservice.Store) { _, _ = to.Ack(context.Background(), req) })
	if s.fault == "falling acked" && acked.Outcome == nodeservice.AckUnchanged {
		acked.Acked = req.Through
	}
	return acked, err
}

func (s *faulty) PutKeyPackages(ctx context.Context, req nodeservice.PutKeyPackages) (nodeservice.PutOutcome, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	outcome, err := s.Store.PutKeyPackages(ctx, req)
	again := req
	again.Packages = nil
	for _, p := range req.Packages {
		p.Data = bytes.Clone(p.Data)
		again.Packages = append(again.Packages, p)
	}
	s.changed(err, "PutKeyPackages", func(to nodeservice.Store) { _, _ = to.PutKeyPackages(context.Background(), again) })
	return outcome, err
}

func (s *faulty) ClaimKeyPackage(ctx context.Context, req nodeservice.ClaimKeyPackageRequest) (nodeservice.ClaimedKeyPackage, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fault == "double claim" && s.last.Found && req.ClaimID == "" {
		defer func() { s.last = nodeservice.ClaimedKeyPackage{} }()
		return s.last, nil
	}
	claimed, err := s.Store.ClaimKeyPackage(ctx, req)
	s.changed(err, "ClaimKeyPackage", func(to nodeservice.Store) { _, _ = to.ClaimKeyPackage(context.Background(), req) })
	if !claimed.KeyPackage.LastResort {
		s.last = claimed
	}
	return claimed, err
}

func (s *faulty) Spend(ctx context.Context, kind string, digest [32]byte, until, now nodeservice.UnixMilli) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	first, err := s.Store.Spend(ctx, kind, digest, until, now)
	s.changed(err, "Spend", func(to nodeservice.Store) { _, _ = to.Spend(context.Background(), kind, digest, until, now) })
	return first, err
}

func (s *faulty) Revoke(ctx context.Context, r nodeservice.Revocation) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.Store.Revoke(ctx, r)
	s.changed(err, "Revoke", func(to nodeservice.Store) { _ = to.Revoke(context.Background(), r) })
	return err
}

func (s *faulty) Sweep(ctx context.Context, now nodeservice.UnixMilli) (nodeservice.Swept, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	swept, more, err := s.Store.Sweep(ctx, now)
	s.changed(err, "Sweep", func(to nodeservice.Store) { sweepAll(to, now) })
	return swept, more, err
}

// sweepAll sweeps to the end: steps of the model fall in no fixed order.
func sweepAll(store nodeservice.Store, now nodeservice.UnixMilli) {
	for more, err := true, error(nil); more && err == nil; {
		_, more, err = store.Sweep(context.Background(), now)
	}
}
