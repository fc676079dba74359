package nodeservice_test

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"

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
