package nodeservice_test

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/identity"
	"github.com/quicproquo/node/nodeservice/storetest/model"
)

// meetingStore has its first two readers read the same before either goes on.
type meetingStore struct {
	nodeservice.Store
	reads   atomic.Int32
	meeting sync.WaitGroup // of the first two
}

func (s *meetingStore) Read(ctx context.Context, req nodeservice.Read) (nodeservice.QueuePage, error) {
	page, err := s.Store.Read(ctx, req)
	if s.reads.Add(1) <= 2 {
		s.meeting.Done()
		s.meeting.Wait()
	}
	return page, err
}

// TestDrainsAtOnceOnTwoNodesThatRemoveReturnNoMessageTwice: nodes know nothing of
// one another, so each removes only if nobody has since it read.
func TestDrainsAtOnceOnTwoNodesThatRemoveReturnNoMessageTwice(t *testing.T) {
	keys, err := identity.GenerateSigningKeys()
	if err != nil {
		t.Fatal(err)
	}
	store := &meetingStore{Store: model.New()}
	store.meeting.Add(2)
	node := func() *nodeservice.Service {
		return newService(t, func(cfg *nodeservice.Config) { cfg.Store, cfg.Keys = store, keys })
	}
	here, there := node(), node()
	alice := login(t, here)
	bob, token := loginWithToken(t, here)
	bobThere, err := there.Authenticate(t.Context(), nodeservice.Origin{}, token)
	if err != nil {
		t.Fatal(err)
	}
	view, _, err := alice.CreateChannel(t.Context(), bob.Identity())
	if err != nil {
		t.Fatal(err)
	}
	for n := range 4 {
		if _, err := alice.Enqueue(t.Context(), nodeservice.EnqueueRequest{Channel: view.ID, Payload: []byte{byte(n)}}); err != nil {
			t.Fatal(err)
		}
	}
	var mu sync.Mutex
	var got []nodeservice.Seq // guarded by mu
	var draining sync.WaitGroup
	for _, session := range []nodeservice.Session{bob, bobThere} {
		draining.Go(func() {
			for {
				page, err := session.Fetch(t.Context(), nodeservice.FetchRequest{Channel: view.ID, Drain: true, Limit: 2})
				if err != nil {
					t.Error(err)
				}
				if len(page.Messages) == 0 {
					return
				}
				mu.Lock()
				for _, m := range page.Messages {
					got = append(got, m.Seq)
				}
				mu.Unlock()
			}
		})
	}
	draining.Wait()
	if slices.Sort(got); !slices.Equal(got, []nodeservice.Seq{1, 2, 3, 4}) {
		t.Errorf("together they were given %v", got)
	}
}
