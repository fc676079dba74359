package nodeservice_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/storetest/model"
)

// numbStore takes its time to say that it is away, as one does that a network
// swallows.
type numbStore struct {
	nodeservice.Store
	patience time.Duration
}

func (s *numbStore) Free(ctx context.Context) (float64, error) { return 0, s.away(ctx) }

func (s *numbStore) Append(ctx context.Context, _ nodeservice.Append) (nodeservice.Appended, error) {
	return nodeservice.Appended{}, s.away(ctx)
}

func (s *numbStore) away(ctx context.Context) error {
	select {
	case <-time.After(s.patience):
	case <-ctx.Done():
	}
	return nodeservice.Errorf(nodeservice.CodeUnavailable, "the store does not answer")
}

// TestASendWaitsForNobodyElsesLookAtTheSpace: while the store is away, each is
// told so when the store has been given its time, and not one after the other.
func TestASendWaitsForNobodyElsesLookAtTheSpace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const patience, senders = 3 * time.Second, 20
		node := newService(t, func(cfg *nodeservice.Config) {
			cfg.Store, cfg.MinFree = &numbStore{model.New(), patience}, 0.05
		})
		alice, bob := login(t, node), login(t, node)
		view, _, err := alice.CreateChannel(t.Context(), bob.Identity())
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		var sending sync.WaitGroup
		for range senders {
			sending.Go(func() {
				_, err := alice.Enqueue(t.Context(), nodeservice.EnqueueRequest{Channel: view.ID, Payload: []byte{1}})
				if nodeservice.CodeOf(err) != nodeservice.CodeUnavailable {
					t.Errorf("sent to a store that is away: %v", err)
				}
			})
		}
		sending.Wait()
		if took := time.Since(began); took > 2*patience { // of the bubble's clock
			t.Errorf("%d sends heard after %v that the store is away", senders, took)
		}
	})
}
