package nodeservice_test

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/storetest/model"
)

// damagedStore cannot read one queue.
type damagedStore struct {
	nodeservice.Store
	channel nodeservice.ChannelID
}

func (s *damagedStore) Read(ctx context.Context, req nodeservice.Read) (nodeservice.QueuePage, error) {
	if req.Queue.Channel == s.channel {
		return nodeservice.QueuePage{}, nodeservice.Errorf(nodeservice.CodeUnavailable, "a file is damaged")
	}
	return s.Store.Read(ctx, req)
}

// TestAQueueThatCannotBeReadHoldsNoOtherBack: on the stream of all channels the
// messages of the others come, those that were there and those that are sent.
func TestAQueueThatCannotBeReadHoldsNoOtherBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &damagedStore{Store: model.New()}
		service := newService(t, func(cfg *nodeservice.Config) { cfg.Store = store })
		bob := login(t, service)
		var ids []nodeservice.ChannelID
		var senders []nodeservice.Session
		for range 5 {
			alice := login(t, service)
			view, _, err := alice.CreateChannel(t.Context(), bob.Identity())
			if err != nil {
				t.Fatal(err)
			}
			ids, senders = append(ids, view.ID), append(senders, alice)
		}
		send := func() {
			for i, alice := range senders {
				if _, err := alice.Enqueue(t.Context(), nodeservice.EnqueueRequest{Channel: ids[i], Payload: []byte("x")}); err != nil {
					t.Fatal(err)
				}
			}
		}
		send()
		store.channel = ids[0]
		stream, err := bob.Follow(t.Context(), nodeservice.FollowRequest{})
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			come := []nodeservice.ChannelID{ids[0]}
			for len(come) < len(ids) {
				event, err := stream.Next(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if m, ok := event.(nodeservice.MessageEvent); ok && !slices.Contains(come, m.Channel) {
					come = append(come, m.Channel)
				}
			}
			send()
		}
		if err := stream.Close(); err != nil {
			t.Error(err)
		}
	})
}

// awayStore cannot be read while it is away.
type awayStore struct {
	nodeservice.Store
	away atomic.Bool
}

func (s *awayStore) KeyPackageStock(
	ctx context.Context, owner nodeservice.Identity, now nodeservice.UnixMilli,
) ([]nodeservice.KeyPackageStock, error) {
	if s.away.Load() {
		return nil, nodeservice.Errorf(nodeservice.CodeUnavailable, "the store is away")
	}
	return s.Store.KeyPackageStock(ctx, owner, now)
}

func (s *awayStore) Read(ctx context.Context, req nodeservice.Read) (nodeservice.QueuePage, error) {
	if s.away.Load() {
		return nodeservice.QueuePage{}, nodeservice.Errorf(nodeservice.CodeUnavailable, "the store is away")
	}
	return s.Store.Read(ctx, req)
}

// TestNoticesComeWhileTheStoreIsAway: a stream that waits for its store still says
// that its token expires, and that the node shuts down.
func TestNoticesComeWhileTheStoreIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &awayStore{Store: model.New()}
		service := newService(t, func(cfg *nodeservice.Config) { cfg.Store, cfg.TokenTTL = store, time.Hour })
		alice, bob := login(t, service), login(t, service)
		id := channel(t, alice, bob)
		stream := follow(t, bob)
		wantEvent[nodeservice.CaughtUpEvent](t, stream)
		send(t, alice, id, "first")
		wantEvent[nodeservice.ChannelEvent](t, stream)
		wantEvent[nodeservice.MessageEvent](t, stream)
		store.away.Store(true)
		send(t, alice, id, "second")
		wantEvent[nodeservice.TokenExpiringEvent](t, stream)
		service.Drain()
		wantEvent[nodeservice.DrainingEvent](t, stream)
	})
}
