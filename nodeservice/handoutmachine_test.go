package nodeservice_test

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/quicproquo/node/nodeservice"
)

// handoutMachine drains one queue through several connections, in the ways in
// which they may end, and holds what comes against what may come.
type handoutMachine struct {
	*mailbox
	conns   [3]*nodeservice.Consumer
	pages   []*handedPage              // of which nothing was said yet
	has     map[nodeservice.Seq]bool   // what some client surely has
	skipped map[nodeservice.Seq][]bool // by connection: doubted there
	sent    nodeservice.Seq
	acked   nodeservice.Seq // by readers that keep
}

// handedPage is a page on its way to a connection.
type handedPage struct {
	page nodeservice.Page
	conn int
}

// TestNothingDrainedIsLostOrDoubled: a message is given to one connection at a
// time, never again to who has it while it is open, and in the end all have come.
func TestNothingDrainedIsLostOrDoubled(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		m := &handoutMachine{mailbox: newMailbox(t, 0), has: map[nodeservice.Seq]bool{}}
		m.skipped = map[nodeservice.Seq][]bool{}
		for i := range m.conns {
			m.conns[i] = new(nodeservice.Consumer)
		}
		r.Repeat(map[string]func(*rapid.T){
			"send":    m.sendSome,
			"drain":   m.drainSome,
			"remove":  m.removeSome,
			"arrived": m.arrives,
			"lost":    m.loses,
			"doubted": m.doubts,
			"settle":  func(r *rapid.T) { _ = m.conns[m.any(r)].Settle(t.Context()) },
			"close":   m.closes,
			"ack":     m.acks,
			"store":   func(r *rapid.T) { m.store.setAway(rapid.Bool().Draw(r, "away")) },
			"":        m.agrees,
		})
		m.ends(r)
	})
}

func (m *handoutMachine) any(r *rapid.T) int {
	return rapid.IntRange(0, len(m.conns)-1).Draw(r, "connection")
}

func (m *handoutMachine) sendSome(r *rapid.T) {
	n := rapid.IntRange(1, 4).Draw(r, "messages")
	m.send(n)
	m.sent += nodeservice.Seq(n)
}

// comes checks that a page may be given to a connection; below 0: to one that
// tells nothing.
func (m *handoutMachine) comes(r *rapid.T, page nodeservice.Page, conn int) {
	last := nodeservice.Seq(0)
	for _, message := range page.Messages {
		seq := message.Seq
		if seq <= last || seq <= m.acked {
			r.Fatalf("seq %d comes after %d, with %d acknowledged", seq, last, m.acked)
		}
		last = seq
		for _, p := range m.pages {
			if slices.ContainsFunc(p.page.Messages, func(o nodeservice.Message) bool { return o.Seq == seq }) {
				r.Fatalf("seq %d is on its way to connection %d, and given to %d", seq, p.conn, conn)
			}
		}
		if m.has[seq] {
			r.Fatalf("seq %d has arrived, and comes again", seq)
		}
		if conn >= 0 && m.skipped[seq] != nil && m.skipped[seq][conn] {
			r.Fatalf("seq %d is doubted on connection %d, and comes again there", seq, conn)
		}
	}
}

func (m *handoutMachine) drainSome(r *rapid.T) {
	conn := m.any(r)
	page := m.drain(m.conns[conn], rapid.IntRange(1, 5).Draw(r, "limit"))
	m.comes(r, page, conn)
	if page.Handout != nil {
		m.pages = append(m.pages, &handedPage{page, conn})
	}
}

func (m *handoutMachine) removeSome(r *rapid.T) {
	page, err := m.bob.Fetch(m.t.Context(), nodeservice.FetchRequest{
		Channel: m.id, Drain: true, Limit: rapid.IntRange(1, 5).Draw(r, "limit")})
	m.comes(r, page, -1)
	if err != nil && len(page.Messages) > 0 {
		r.Fatal("an error, and messages")
	}
	m.have(page)
}

func (m *handoutMachine) have(page nodeservice.Page) {
	for _, message := range page.Messages {
		m.has[message.Seq] = true
	}
}

// take is one of the pages on their way.
func (m *handoutMachine) take(r *rapid.T) *handedPage {
	if len(m.pages) == 0 {
		r.Skip()
	}
	i := rapid.IntRange(0, len(m.pages)-1).Draw(r, "page")
	p := m.pages[i]
	m.pages = slices.Delete(m.pages, i, i+1)
	return p
}

func (m *handoutMachine) arrives(r *rapid.T) {
	p := m.take(r)
	p.page.Handout.Arrived()
	m.have(p.page)
}

func (m *handoutMachine) loses(r *rapid.T) { m.take(r).page.Handout.Lost() }

func (m *handoutMachine) doubts(r *rapid.T) {
	p := m.take(r)
	p.page.Handout.Doubted()
	for _, message := range p.page.Messages {
		if m.skipped[message.Seq] == nil {
			m.skipped[message.Seq] = make([]bool, len(m.conns))
		}
		m.skipped[message.Seq][p.conn] = true
	}
}

// closes ends a connection and opens another in its place. What arrived there
// but was not acknowledged may come again, to whoever is there next.
func (m *handoutMachine) closes(r *rapid.T) {
	conn := m.any(r)
	m.conns[conn].Close()
	m.conns[conn] = new(nodeservice.Consumer)
	m.pages = slices.DeleteFunc(m.pages, func(p *handedPage) bool { return p.conn == conn })
	for _, on := range m.skipped {
		on[conn] = false
	}
	if m.node.HandedQueues() == 0 {
		m.forget()
	}
}

// forget: with nobody left to know better, the queue begins where it is acknowledged.
func (m *handoutMachine) forget() {
	acked := m.fetch(nodeservice.FetchRequest{}).Acked
	for seq := range m.has {
		if seq > acked {
			delete(m.has, seq)
		}
	}
}

// acks reads without draining, and acknowledges all that it read.
func (m *handoutMachine) acks(r *rapid.T) {
	page := m.stored(r)
	if len(page.Messages) == 0 {
		return
	}
	through := page.Messages[rapid.IntRange(0, len(page.Messages)-1).Draw(r, "through")].Seq
	err := m.bob.Ack(m.t.Context(), nodeservice.AckRequest{Channel: m.id, Through: through})
	if err == nil {
		m.acked = max(m.acked, through)
	}
}

// stored is a page of a reader that keeps: all that is stored, from its beginning.
func (m *handoutMachine) stored(r *rapid.T) nodeservice.Page {
	page := m.fetch(nodeservice.FetchRequest{})
	for i, message := range page.Messages {
		if message.Seq != page.Acked+nodeservice.Seq(i)+1 {
			r.Fatalf("seq %d is at place %d above %d", message.Seq, i, page.Acked)
		}
	}
	return page
}

// agrees: what is gone was acknowledged, or has arrived.
func (m *handoutMachine) agrees(r *rapid.T) {
	page := m.stored(r)
	for seq := m.acked + 1; seq <= page.Acked; seq++ {
		if !m.has[seq] {
			r.Fatalf("seq %d is gone, and nobody has it", seq)
		}
	}
}

// ends closes all connections; whoever comes then gets all that is left.
func (m *handoutMachine) ends(r *rapid.T) {
	m.store.setAway(false)
	for _, c := range m.conns {
		_ = c.Settle(m.t.Context())
		c.Close()
	}
	m.forgotten()
	m.pages, m.has = nil, map[nodeservice.Seq]bool{}
	acked := m.fetch(nodeservice.FetchRequest{}).Acked
	c := new(nodeservice.Consumer)
	for next := acked + 1; next <= m.sent; {
		page := m.drain(c, 3)
		for _, message := range page.Messages {
			if message.Seq != next {
				r.Fatalf("seq %d comes, want %d", message.Seq, next)
			}
			next++
		}
		if page.Handout == nil {
			r.Fatalf("nothing comes, want %d", next)
		}
		page.Handout.Arrived()
		m.settle(c)
	}
	m.forgotten()
}
