package nodeservice_test

import (
	"bytes"
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/storetest/model"
)

// sink is where a test looks for audit records.
type sink struct {
	mu   sync.Mutex
	text bytes.Buffer // guarded by mu
}

func (s *sink) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

// events counts the records of a kind.
func (s *sink) events(name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Count(s.text.String(), `"event":"`+name+`"`)
}

// hastyStore stores channels for callers who are gone when that is done.
type hastyStore struct {
	nodeservice.Store
	leave context.CancelFunc // static while a call is under way
}

func (s *hastyStore) CreateChannel(ctx context.Context, req nodeservice.CreateChannel) (nodeservice.CreatedChannel, error) {
	done, err := s.Store.CreateChannel(ctx, req)
	s.leave()
	return done, err
}

// TestWhoLeavesBeforeTheAnswerIsAuditedAllTheSame: what was done is written down,
// whether or not anybody waits to hear that it was.
func TestWhoLeavesBeforeTheAnswerIsAuditedAllTheSame(t *testing.T) {
	const channels = 40
	records, store := &sink{}, &hastyStore{Store: model.New()}
	node := newService(t, func(cfg *nodeservice.Config) { cfg.Store, cfg.Audit = store, records })
	alice := login(t, node)
	for range channels {
		ctx, leave := context.WithCancel(t.Context())
		store.leave = leave
		if _, created, err := alice.CreateChannel(ctx, login(t, node).Identity()); err != nil || !created {
			t.Errorf("created: %v, %v", created, err)
		}
	}
	if n := records.events("create_channel"); n != channels {
		t.Errorf("of %d channels %d were written down", channels, n)
	}
}

// hastyClaims takes a key package for somebody who gives up while it is taken, and
// like Redis cannot tell them.
type hastyClaims struct {
	nodeservice.Store
	leave context.CancelFunc // static while a call is under way
}

func (s *hastyClaims) ClaimKeyPackage(ctx context.Context, req nodeservice.ClaimKeyPackageRequest) (nodeservice.ClaimedKeyPackage, error) {
	claimed, err := s.Store.ClaimKeyPackage(ctx, req)
	if s.leave(); ctx.Err() != nil {
		return nodeservice.ClaimedKeyPackage{}, ctx.Err()
	}
	return claimed, err
}

// TestWhoGivesUpOnAClaimIsChargedAndAuditedAllTheSame: else a claimer who leaves at
// the right moment takes an owner's stock without a trace, whatever its budget.
func TestWhoGivesUpOnAClaimIsChargedAndAuditedAllTheSame(t *testing.T) {
	const held, budget = 6, 2
	records, store := &sink{}, &hastyClaims{Store: model.New()}
	node := newService(t, func(cfg *nodeservice.Config) {
		cfg.Store, cfg.Audit = store, records
		cfg.Rates.ClaimsOwner = nodeservice.Per(budget, time.Hour)
	})
	key, owner := newcomer(t, node)
	var packages [][]byte
	for range held {
		packages = append(packages, keyPackageOf(t, key, time.Now(), 24*time.Hour))
	}
	if _, err := owner.Session.UploadKeyPackages(t.Context(), nodeservice.UploadRequest{Packages: packages}); err != nil {
		t.Fatal(err)
	}
	claimer := login(t, node)
	for range held {
		ctx, leave := context.WithCancel(t.Context())
		store.leave = leave
		_, _ = claimer.ClaimKeyPackage(ctx, nodeservice.ClaimRequest{Owner: key.Public()}) // nobody waits for the answer
	}
	stock, err := owner.Session.KeyPackageStatus(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if left := int(stock[0].OneTime); left != held-budget {
		t.Errorf("%d of %d packages are left, under a budget of %d", left, held, budget)
	}
	if n := records.events("claim_key_package"); n != budget {
		t.Errorf("%d claims were written down, of %d", n, budget)
	}
}

// TestAnAcknowledgementByAFetchIsAudited though there is nothing more to fetch.
func TestAnAcknowledgementByAFetchIsAudited(t *testing.T) {
	records := &sink{}
	node := newService(t, func(cfg *nodeservice.Config) { cfg.Audit = records })
	alice, bob := login(t, node), login(t, node)
	view, _, err := alice.CreateChannel(t.Context(), bob.Identity())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := alice.Enqueue(t.Context(), nodeservice.EnqueueRequest{Channel: view.ID, Payload: []byte{1}}); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second acknowledges nothing
		if _, err := bob.Fetch(t.Context(), nodeservice.FetchRequest{Channel: view.ID, AckThrough: 1}); err != nil {
			t.Fatal(err)
		}
	}
	if err := node.Close(); err != nil {
		t.Fatal(err)
	}
	if acks, receives := records.events("ack"), records.events("receive"); acks != 1 || receives != 0 {
		t.Errorf("%d acknowledgements and %d fetches are in the audit, of one of the former", acks, receives)
	}
}
