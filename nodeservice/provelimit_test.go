package nodeservice_test

import (
	"context"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/identity"
	"github.com/quicproquo/node/nodeservice/storetest/model"
)

// countingStore counts the marks that are set.
type countingStore struct {
	nodeservice.Store
	spends atomic.Int64
}

func (s *countingStore) Spend(ctx context.Context, kind string, digest [32]byte, until, now nodeservice.UnixMilli) (bool, error) {
	s.spends.Add(1)
	return s.Store.Spend(ctx, kind, digest, until, now)
}

// TestProofsBeyondALimitCostTheStoreNothing: a proof is remembered by a synced
// write, and so is no way around the limits of requests.
func TestProofsBeyondALimitCostTheStoreNothing(t *testing.T) {
	const allowed, tried = 5, 20
	at, store := time.Now(), &countingStore{Store: model.New()}
	node := newService(t, func(cfg *nodeservice.Config) {
		cfg.Store, cfg.Now = store, func() time.Time { return at }
		cfg.Rates.Identity = nodeservice.Per(allowed, allowed*time.Hour)
	})
	key, done := newcomer(t, node)
	token := done.Token
	store.spends.Store(0)
	for i := range tried {
		want := nodeservice.Code("")
		if i >= allowed {
			want = nodeservice.CodeRateLimited
		}
		if _, err := node.Authenticate(t.Context(), proven(t, key, token, at), token); nodeservice.CodeOf(err) != want {
			t.Fatalf("request %d: %v, want %q", i, err, want)
		}
	}
	if n := store.spends.Load(); n != allowed {
		t.Errorf("%d proofs were remembered of %d that a limit of %d let pass", n, tried, allowed)
	}
}

// TestARepeatedProofCostsTheAddressAndNotTheIdentity: whoever overheard one must
// not be able to keep its owner from being served.
func TestARepeatedProofCostsTheAddressAndNotTheIdentity(t *testing.T) {
	at := time.Now()
	node := newService(t, func(cfg *nodeservice.Config) {
		cfg.Now = func() time.Time { return at }
		cfg.Rates.Identity = nodeservice.Per(2, 2*time.Hour)
		cfg.Rates.Address, cfg.Rates.FailureCost = nodeservice.Per(40, 40*time.Hour), 10
	})
	key, done := newcomer(t, node) // a challenge and a login: 38 are left
	token := done.Token
	overheard := proven(t, key, token, at)
	for i, want := range []nodeservice.Code{
		"",                              // 37
		nodeservice.CodeUnauthenticated, // 27
		nodeservice.CodeUnauthenticated, // 17
		nodeservice.CodeUnauthenticated, // 7
		nodeservice.CodeUnauthenticated, // owes 3
		nodeservice.CodeRateLimited,
	} {
		if _, err := node.Authenticate(t.Context(), overheard, token); nodeservice.CodeOf(err) != want {
			t.Fatalf("use %d of a proof: %v, want %q", i, err, want)
		}
	}
	elsewhere := proven(t, key, token, at)
	elsewhere.Address = netip.MustParseAddr("192.0.2.7")
	if _, err := node.Authenticate(t.Context(), elsewhere, token); err != nil {
		t.Errorf("the owner, from another address: %v", err)
	}
}

// proven is where a request with a fresh proof comes from.
func proven(t *testing.T, key *identity.PrivateKey, token string, at time.Time) nodeservice.Origin {
	t.Helper()
	target := identity.ProofTarget{Method: "GET", URL: audience + "/v1/channels", Token: token}
	jwt, err := identity.MakeProof(key, target, "", at)
	if err != nil {
		t.Fatal(err)
	}
	return nodeservice.Origin{Proof: &nodeservice.Proof{JWT: jwt, Method: target.Method, URL: target.URL}}
}
