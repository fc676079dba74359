package nodeservice_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/identity"
	"github.com/quicproquo/node/nodeservice/storetest/model"
)

// twoNodes are two services on one store, each with its bus. Tokens of one are
// good at the other.
func twoNodes(t *testing.T, first, second nodeservice.Bus) (a, b *nodeservice.Service) {
	t.Helper()
	keys, err := identity.GenerateSigningKeys()
	if err != nil {
		t.Fatal(err)
	}
	store := model.New()
	start := func(bus nodeservice.Bus) *nodeservice.Service {
		service := newService(t, func(cfg *nodeservice.Config) {
			cfg.Store, cfg.Bus, cfg.Keys, cfg.Revocations = store, bus, keys, time.Second
		})
		ctx, stop := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { _ = service.Run(ctx) }) // returns nil
		t.Cleanup(func() { stop(); running.Wait() })
		return service
	}
	return start(first), start(second)
}

func TestRevocationOnOneNodeEndsStreamsOnAnother(t *testing.T) {
	for name, buses := range map[string]func() (a, b nodeservice.Bus){
		"by its hint": func() (a, b nodeservice.Bus) {
			shared := &nodeservice.LocalBus{}
			return shared, shared
		},
		"though hints are lost, within a second": func() (a, b nodeservice.Bus) {
			return &lossyBus{}, &lossyBus{}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				first, second := buses()
				a, b := twoNodes(t, first, second)
				here, token := loginWithToken(t, a)
				there, err := b.Authenticate(t.Context(), nodeservice.Origin{}, token)
				if err != nil {
					t.Fatal(err)
				}
				stream, err := there.Follow(t.Context(), nodeservice.FollowRequest{})
				if err != nil {
					t.Fatal(err)
				}
				defer stream.Close()
				if event, err := stream.Next(t.Context()); err != nil {
					t.Fatal(event, err)
				}
				began := time.Now()
				if err := here.Revoke(t.Context()); err != nil {
					t.Fatal(err)
				}
				if _, err := stream.Next(t.Context()); nodeservice.CodeOf(err) != nodeservice.CodeUnauthenticated {
					t.Errorf("the stream went on, or ended otherwise: %v", err)
				}
				if _, err := b.Authenticate(t.Context(), nodeservice.Origin{}, token); nodeservice.CodeOf(err) != nodeservice.CodeUnauthenticated {
					t.Errorf("the token is good at the other node: %v", err)
				}
				if took := time.Since(began); took > time.Second { // of the bubble's clock
					t.Errorf("after %v", took)
				}
			})
		})
	}
}

// TestARevocationByAClockThatWasWrongHarmsItsOwnIdentityAlone: a node whose clock
// was a day ahead when somebody voided their earlier tokens must not, once its
// clock is right again, issue tokens from tomorrow to everybody else.
func TestARevocationByAClockThatWasWrongHarmsItsOwnIdentityAlone(t *testing.T) {
	keys, err := identity.GenerateSigningKeys()
	if err != nil {
		t.Fatal(err)
	}
	store, now := model.New(), time.Now()
	node := func(off time.Duration) *nodeservice.Service {
		return newService(t, func(cfg *nodeservice.Config) {
			cfg.Store, cfg.Keys, cfg.Now = store, keys, func() time.Time { return now.Add(off) }
		})
	}
	wrong := node(24 * time.Hour)
	key, done := newcomer(t, wrong)
	if _, err := loginAgain(t, wrong, key, true); err != nil {
		t.Fatal(err)
	}
	right := node(0)
	if _, err := right.Authenticate(t.Context(), nodeservice.Origin{}, done.Token); nodeservice.CodeOf(err) != nodeservice.CodeUnauthenticated {
		t.Errorf("a token that was voided: %v", err)
	}
	_, token := loginWithToken(t, right)
	if _, err := right.Authenticate(t.Context(), nodeservice.Origin{}, token); err != nil {
		t.Errorf("the token of somebody else: %v", err)
	}
}

// TestATokenIsIssuedAfterWhatItsIdentityRevoked, also by a node whose clock is
// behind that of the one where it did.
func TestATokenIsIssuedAfterWhatItsIdentityRevoked(t *testing.T) {
	w := newApart(t)
	if _, err := loginAgain(t, w.ahead, w.key, true); err != nil {
		t.Fatal(err)
	}
	behind := w.node(-5 * time.Second) // it has read the revocation
	again, err := loginAgain(t, behind, w.key, false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := behind.Authenticate(t.Context(), nodeservice.Origin{}, again.Token); err != nil {
		t.Errorf("the token is void at birth: %v", err)
	}
}
