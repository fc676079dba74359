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
