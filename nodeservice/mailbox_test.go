package nodeservice_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/storetest/model"
)

// stubborn is a store that can refuse acknowledgements, or take its time.
type stubborn struct {
	nodeservice.Store

	mu   sync.Mutex
	away bool              // guarded by mu: acknowledgements fail
	gate chan struct{}     // guarded by mu: acknowledgements wait for it to close; nil: they do not
	acks []nodeservice.Seq // guarded by mu: those that were applied
}

func (s *stubborn) Ack(ctx context.Context, req nodeservice.Ack) (nodeservice.Acked, error) {
	s.mu.Lock()
	away, gate := s.away, s.gate
	s.mu.Unlock()
	if gate != nil {
		<-gate
	}
	if away {
		return nodeservice.Acked{}, nodeservice.Errorf(nodeservice.CodeUnavailable, "the disk is full")
	}
	done, err := s.Store.Ack(ctx, req)
	s.mu.Lock()
	defer s.mu.Unlock()
	if done.Outcome == nodeservice.AckDone {
		s.acks = append(s.acks, done.Acked)
	}
	return done, err
}

func (s *stubborn) setAway(away bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.away = away
}

// mailbox is a recipient with a channel to it, on a node of its own.
type mailbox struct {
	t          *testing.T
	node       *nodeservice.Service
	store      *stubborn
	alice, bob nodeservice.Session
	id         nodeservice.ChannelID
	now        time.Time
}

func newMailbox(t *testing.T, messages int) *mailbox {
	t.Helper()
	m := &mailbox{t: t, store: &stubborn{Store: model.New()}, now: time.Now()}
	m.node = newService(t, func(c *nodeservice.Config) {
		c.Store, c.Now = m.store, func() time.Time { return m.now }
		c.TokenTTL = 365 * 24 * time.Hour
	})
	m.alice, m.bob = login(t, m.node), login(t, m.node)
	view, _, err := m.alice.CreateChannel(t.Context(), m.bob.Identity())
	if err != nil {
		t.Fatal(err)
	}
	m.id = view.ID
	m.send(messages)
	return m
}

func (m *mailbox) send(messages int) {
	m.t.Helper()
	for range messages {
		send(m.t, m.alice, m.id, "a message")
	}
}

// drain is a page of at most limit messages for a consumer, nil: who tells nothing.
func (m *mailbox) drain(c *nodeservice.Consumer, limit int) nodeservice.Page {
	m.t.Helper()
	return m.fetch(nodeservice.FetchRequest{Drain: true, Consumer: c, Limit: limit})
}

func (m *mailbox) fetch(req nodeservice.FetchRequest) nodeservice.Page {
	m.t.Helper()
	req.Channel = m.id
	page, err := m.bob.Fetch(m.t.Context(), req)
	if err != nil {
		m.t.Fatal(err)
	}
	return page
}

// has demands a page's seqs.
func (m *mailbox) has(page nodeservice.Page, seqs ...nodeservice.Seq) nodeservice.Page {
	m.t.Helper()
	got := []nodeservice.Seq{}
	for _, message := range page.Messages {
		got = append(got, message.Seq)
	}
	if fmt.Sprint(got) != fmt.Sprint(append([]nodeservice.Seq{}, seqs...)) {
		m.t.Fatalf("seqs %v, want %v", got, seqs)
	}
	return page
}

// acked demands what is stored.
func (m *mailbox) acked(want nodeservice.Seq) {
	m.t.Helper()
	if page := m.fetch(nodeservice.FetchRequest{}); page.Acked != want {
		m.t.Fatalf("acked is %d, want %d", page.Acked, want)
	}
}

func (m *mailbox) settle(c *nodeservice.Consumer) {
	m.t.Helper()
	if err := c.Settle(m.t.Context()); err != nil {
		m.t.Fatal(err)
	}
}

// forgotten demands that the node remembers nothing of what it handed out.
func (m *mailbox) forgotten() {
	m.t.Helper()
	if n := m.node.HandedQueues(); n != 0 {
		m.t.Fatalf("%d queues are remembered", n)
	}
}
