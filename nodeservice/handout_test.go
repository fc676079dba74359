package nodeservice_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quicproquo/node/nodeservice"
)

func TestWhatArrivedIsRemovedAndNothingElse(t *testing.T) {
	m, c := newMailbox(t, 5), new(nodeservice.Consumer)
	first := m.has(m.drain(c, 3), 1, 2, 3)
	m.settle(c)
	m.acked(0) // it may not have arrived
	first.Handout.Arrived()
	m.settle(c)
	m.acked(3)
	m.forgotten()
	m.has(m.drain(c, 0), 4, 5)
	m.has(m.drain(c, 0))
	c.Close()
	c.Close()
	m.forgotten()
	m.has(m.drain(new(nodeservice.Consumer), 0), 4, 5) // a later connection
}

func TestWhatIsHandedOutIsGivenToNobodyElse(t *testing.T) {
	m, a, b := newMailbox(t, 6), new(nodeservice.Consumer), new(nodeservice.Consumer)
	m.has(m.drain(a, 2), 1, 2)
	m.has(m.drain(b, 2), 3, 4)
	m.has(m.drain(a, 1), 5)
	m.has(m.drain(nil, 0), 6)
	for _, c := range []*nodeservice.Consumer{a, b, nil} {
		m.has(m.drain(c, 0))
	}
	m.acked(0)
	m.has(m.fetch(nodeservice.FetchRequest{}), 1, 2, 3, 4, 5, 6) // a reader that keeps sees what is stored
	m.has(m.fetch(nodeservice.FetchRequest{Consumer: b}), 1, 2, 3, 4, 5, 6)
	if page := m.has(m.fetch(nodeservice.FetchRequest{Consumer: a}), 3, 4, 5, 6); page.Acked != 2 || page.Gap != nil {
		t.Fatalf("to its own connection the queue is drained up to %d, gap %v", page.Acked, page.Gap)
	}
}

func TestOnlyAWholePrefixIsAcknowledged(t *testing.T) {
	m, a, b := newMailbox(t, 6), new(nodeservice.Consumer), new(nodeservice.Consumer)
	first, second := m.drain(a, 2), m.drain(b, 2)
	m.has(m.drain(nil, 0), 5, 6) // is remembered as arrived
	second.Handout.Arrived()
	m.settle(b)
	m.acked(0)
	b.Close() // what it knew stays while a is there
	m.has(m.drain(nil, 0))
	first.Handout.Arrived()
	m.settle(a)
	m.acked(6)
	m.forgotten()
}

func TestWhatWasLostIsGivenAgain(t *testing.T) {
	m, a, b := newMailbox(t, 4), new(nodeservice.Consumer), new(nodeservice.Consumer)
	first, second := m.drain(a, 2), m.drain(a, 2)
	second.Handout.Arrived()
	m.settle(a)
	first.Handout.Lost()
	again := m.has(m.drain(a, 0), 1, 2) // and not 3 and 4, which arrived
	again.Handout.Doubted()
	m.has(m.drain(a, 0)) // it may be there: not on this connection
	other := m.has(m.drain(b, 0), 1, 2)
	again.Handout.Arrived() // too late to matter, but true
	m.settle(a)
	m.acked(4)
	other.Handout.Lost() // they are gone already
	m.has(m.drain(b, 0))
	m.forgotten()
}

func TestAClosedConsumerGivesBackAndIsGivenNothing(t *testing.T) {
	m, a, b := newMailbox(t, 4), new(nodeservice.Consumer), new(nodeservice.Consumer)
	page := m.drain(a, 2)
	m.has(m.drain(b, 2), 3, 4)
	a.Close()
	page.Handout.Arrived() // nobody listens any more
	m.settle(a)
	m.acked(0)
	if _, err := m.bob.Fetch(t.Context(), nodeservice.FetchRequest{Channel: m.id, Drain: true, Consumer: a}); nodeservice.CodeOf(err) != nodeservice.CodeUnavailable {
		t.Fatalf("a drain for a closed consumer: %v", err)
	}
	m.has(m.drain(b, 0), 1, 2)
	b.Close()
	m.forgotten()
	m.has(m.drain(nil, 0), 1, 2, 3, 4)
	m.acked(4)
}

func TestAConnectionThatDiedUnnoticedWithholdsForAWhile(t *testing.T) {
	m, a, b := newMailbox(t, 2), new(nodeservice.Consumer), new(nodeservice.Consumer)
	m.drain(a, 0)
	m.now = m.now.Add(nodeservice.HandoutPatience - time.Second)
	m.has(m.drain(b, 0))
	m.now = m.now.Add(time.Second)
	m.has(m.drain(a, 0)) // has it, and may yet say so
	m.has(m.drain(b, 0), 1, 2)
}

func TestAGapIsDrainedOnceItArrived(t *testing.T) {
	m, a, b := newMailbox(t, 2), new(nodeservice.Consumer), new(nodeservice.Consumer)
	m.drain(b, 1)
	m.now = m.now.Add(8 * 24 * time.Hour)
	m.send(1)
	page := m.has(m.drain(a, 0), 3)
	if page.Gap == nil || *page.Gap != (nodeservice.Gap{From: 1, To: 2, Reason: nodeservice.GapExpired}) {
		t.Fatalf("gap %v", page.Gap)
	}
	page.Handout.Arrived()
	m.settle(a)
	m.acked(3)
	m.forgotten()
}

func TestAcknowledgementsFromElsewhereMakeWay(t *testing.T) {
	m, a, b := newMailbox(t, 6), new(nodeservice.Consumer), new(nodeservice.Consumer)
	first, second := m.drain(a, 2), m.drain(a, 2)
	second.Handout.Arrived()
	first.Handout.Lost()
	m.has(m.fetch(nodeservice.FetchRequest{AckThrough: 2}), 3, 4, 5, 6) // by a reader that keeps
	m.has(m.drain(b, 0), 5, 6)
	m.has(m.drain(b, 0)) // and acknowledges what a knows to have arrived
	m.acked(4)
	m.has(m.fetch(nodeservice.FetchRequest{AckThrough: 5}), 6) // into the middle of a page
	m.has(m.drain(a, 0))
	b.Close()
	m.has(m.drain(a, 0), 6)
}

// TestADrainFromACursorLeavesWhatOthersWereHanded: what it skips by its own will
// counts as drained, what another was handed does not.
func TestADrainFromACursorLeavesWhatOthersWereHanded(t *testing.T) {
	m, a, b := newMailbox(t, 6), new(nodeservice.Consumer), new(nodeservice.Consumer)
	first := m.drain(a, 2)
	m.has(m.fetch(nodeservice.FetchRequest{Drain: true, After: 4}), 5, 6)
	m.acked(0)
	first.Handout.Arrived()
	m.settle(a)
	m.acked(6)
	m.send(2)
	page := m.has(m.fetch(nodeservice.FetchRequest{Drain: true, After: 3, Consumer: b}), 7, 8)
	if page.Gap == nil || *page.Gap != (nodeservice.Gap{From: 4, To: 6, Reason: nodeservice.GapAcked}) {
		t.Fatalf("gap %v", page.Gap)
	}
	if _, err := m.bob.Fetch(t.Context(), nodeservice.FetchRequest{Channel: m.id, Drain: true, After: 9}); nodeservice.CodeOf(err) != nodeservice.CodeInvalidArgument {
		t.Fatalf("after above head: %v", err)
	}
}

func TestAFailedAcknowledgementLosesAndWedgesNothing(t *testing.T) {
	m, a := newMailbox(t, 4), new(nodeservice.Consumer)
	m.store.setAway(true)
	m.drain(a, 2).Handout.Arrived()
	if err := a.Settle(t.Context()); nodeservice.CodeOf(err) != nodeservice.CodeUnavailable {
		t.Fatalf("a store that is away: %v", err)
	}
	last := m.has(m.drain(a, 0), 3, 4) // and goes on
	if _, err := m.bob.Fetch(t.Context(), nodeservice.FetchRequest{Channel: m.id, Drain: true, Limit: 1}); err != nil {
		t.Fatal(err) // there is nothing to remove
	}
	m.store.setAway(false)
	m.has(m.drain(a, 0)) // tries again
	m.acked(2)
	m.store.setAway(true)
	last.Handout.Lost()
	if _, err := m.bob.Fetch(t.Context(), nodeservice.FetchRequest{Channel: m.id, Drain: true}); nodeservice.CodeOf(err) != nodeservice.CodeUnavailable {
		t.Fatalf("removing at once, with the store away: %v", err)
	}
	m.store.setAway(false)
	m.drain(a, 1).Handout.Arrived()
	m.store.setAway(true)
	_ = a.Settle(t.Context()) // fails, and the connection ends
	a.Close()
	m.forgotten()
	m.store.setAway(false)
	m.has(m.drain(nil, 0), 3, 4) // comes again
	m.forgotten()
}

// TestSettlingOutlivesTheSession: between an answer and what shows that it
// arrived a token may expire, or be revoked.
func TestSettlingOutlivesTheSession(t *testing.T) {
	m, c := newMailbox(t, 2), new(nodeservice.Consumer)
	page := m.drain(c, 0)
	if err := m.bob.Revoke(t.Context()); err != nil {
		t.Fatal(err)
	}
	page.Handout.Arrived()
	m.settle(c)
	if fmt.Sprint(m.store.acks) != "[2]" {
		t.Fatalf("acknowledged: %v", m.store.acks)
	}
}

// TestASlowStoreHoldsUpNoDrain: while one acknowledgement is under way, pages are
// handed out, arrive, and go with the next.
func TestASlowStoreHoldsUpNoDrain(t *testing.T) {
	m, c := newMailbox(t, 30), new(nodeservice.Consumer)
	gate := make(chan struct{})
	m.store.gate = gate
	m.drain(c, 1).Handout.Arrived()
	settled := make(chan error)
	go func() { settled <- c.Settle(context.Background()) }()
	for range 29 {
		m.drain(c, 1).Handout.Arrived()
	}
	m.has(m.drain(c, 0))
	close(gate)
	if err := <-settled; err != nil {
		t.Fatal(err)
	}
	m.settle(c)
	m.acked(30)
	if len(m.store.acks) > 2 {
		t.Fatalf("acknowledged one by one: %v", m.store.acks)
	}
}

func TestWhatAConsumerLetsStandIsBounded(t *testing.T) {
	const most = 50
	m, c := newMailbox(t, most+1), new(nodeservice.Consumer)
	m.node.LimitHandouts(most)
	var last nodeservice.Page
	for range most {
		last = m.drain(c, 1)
	}
	_, err := m.bob.Fetch(t.Context(), nodeservice.FetchRequest{Channel: m.id, Drain: true, Consumer: c})
	if nodeservice.CodeOf(err) != nodeservice.CodeQuotaExceeded {
		t.Fatalf("one more: %v", err)
	}
	last.Handout.Arrived()
	m.has(m.drain(c, 0), most+1)
	c.Close()
	m.forgotten()
}

// TestAWaitIsWokenByWhatIsGivenBack, and does not turn in circles before that.
func TestAWaitIsWokenByWhatIsGivenBack(t *testing.T) {
	for name, giveBack := range map[string]func(*nodeservice.Consumer, *nodeservice.Handout){
		"lost":    func(_ *nodeservice.Consumer, h *nodeservice.Handout) { h.Lost() },
		"doubted": func(_ *nodeservice.Consumer, h *nodeservice.Handout) { h.Doubted() },
		"closed":  func(c *nodeservice.Consumer, _ *nodeservice.Handout) { c.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m, a, b := newMailbox(t, 2), new(nodeservice.Consumer), new(nodeservice.Consumer)
				handed := m.drain(a, 0).Handout
				woken := make(chan nodeservice.Page)
				go func() {
					woken <- m.fetch(nodeservice.FetchRequest{Drain: true, Consumer: b, Wait: time.Minute})
				}()
				synctest.Wait() // is reached only if nothing turns
				giveBack(a, handed)
				m.has(<-woken, 1, 2)
			})
		})
	}
}

// TestAWaitIsWokenByWhatIsForgotten: what arrived, but could not be removed before
// the last connection ended that knew, comes again at once.
func TestAWaitIsWokenByWhatIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, a := newMailbox(t, 2), new(nodeservice.Consumer)
		m.store.setAway(true)
		m.drain(a, 0).Handout.Arrived()
		_ = a.Settle(t.Context()) // fails
		woken, begun := make(chan nodeservice.Page), time.Now()
		go func() {
			woken <- m.fetch(nodeservice.FetchRequest{Drain: true, Consumer: new(nodeservice.Consumer), Wait: time.Minute})
		}()
		synctest.Wait()
		a.Close()
		m.has(<-woken, 1, 2)
		if !time.Now().Equal(begun) {
			t.Error("only once it had waited as long as it may")
		}
	})
}
