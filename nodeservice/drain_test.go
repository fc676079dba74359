package nodeservice_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quicproquo/node/nodeservice"
)

// TestAPageRemovedBehindAnAcknowledgementUnderWay: whoever it is given to tells
// nothing more, and so nobody else has it removed.
func TestAPageRemovedBehindAnAcknowledgementUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, a := newMailbox(t, 4), new(nodeservice.Consumer)
		gate := make(chan struct{})
		m.store.gate = gate
		m.drain(a, 2).Handout.Arrived()
		settled := make(chan error)
		go func() { settled <- a.Settle(context.Background()) }()
		synctest.Wait()
		m.has(m.drain(nil, 0), 3, 4)
		close(gate)
		if err := <-settled; err != nil {
			t.Fatal(err)
		}
		m.acked(4)
		m.forgotten()
	})
}

func TestReaderThatNamesNoPlaceIsToldNoGapOfWhatWasAcknowledgedMeanwhile(t *testing.T) {
	m := newMailbox(t, 6)
	var c nodeservice.Consumer
	defer c.Close()
	m.has(m.drain(&c, 2), 1, 2)
	if err := m.bob.Ack(t.Context(), nodeservice.AckRequest{Channel: m.id, Through: 4}); err != nil {
		t.Fatal(err)
	}
	page := m.has(m.fetch(nodeservice.FetchRequest{Consumer: &c}), 5, 6)
	if page.Gap != nil || page.Acked != 4 {
		t.Errorf("gap %+v, acked %d; want none, and 4", page.Gap, page.Acked)
	}
}

// distant is a store that is as far away as Redis: its answers come when others
// have gone on.
type distant struct{ nodeservice.Store }

func (s distant) Read(ctx context.Context, req nodeservice.Read) (nodeservice.QueuePage, error) {
	defer time.Sleep(rand.N(300 * time.Microsecond))
	return s.Store.Read(ctx, req)
}

func (s distant) Ack(ctx context.Context, req nodeservice.Ack) (nodeservice.Acked, error) {
	defer time.Sleep(rand.N(300 * time.Microsecond))
	return s.Store.Ack(ctx, req)
}

// TestDrainsAtOnceNeverReturnTheSameMessage: one is acknowledged between the moment
// in which another is handed its page and that in which it removes it.
func TestDrainsAtOnceNeverReturnTheSameMessage(t *testing.T) {
	const messages, drains = 300, 8
	m := newMailbox(t, messages)
	m.store.Store = distant{m.store.Store}
	var mu sync.Mutex
	seen := map[nodeservice.Seq]bool{}
	var draining sync.WaitGroup
	for range drains {
		draining.Go(func() {
			for {
				page, err := m.bob.Fetch(t.Context(), nodeservice.FetchRequest{Channel: m.id, Drain: true, Limit: 1})
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				for _, message := range page.Messages {
					if seen[message.Seq] {
						t.Errorf("seq %d was drained twice", message.Seq)
					}
					seen[message.Seq] = true
				}
				all := len(seen) == messages
				mu.Unlock()
				if all || t.Failed() {
					return
				}
			}
		})
	}
	draining.Wait()
	m.acked(messages)
}
