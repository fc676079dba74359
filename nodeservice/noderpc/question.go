package noderpc

import (
	"fmt"
	"sync/atomic"

	rpccp "capnproto.org/go/capnp/v3/std/capnp/rpc"

	"github.com/quicproquo/node/nodeservice"
)

// question is the state of one of the peer's questions, guarded by guard.mu.
type question struct {
	sent     chan struct{}        // closed once our Return is on its way
	returned bool                 // there is a Return
	finished bool                 // the peer wants no Return any more
	page     *nodeservice.Handout // what our Return carries; nil: nothing, or it is known what became of it
	end      atomic.Int64         // where our Return ends in all that is sent to the peer, in bytes; 0: not sent yet
}

func (g *guard) open(id uint32) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.questions[id] != nil {
		return fmt.Errorf("%w: question %d is still open", errProtocol, id)
	}
	if g.calls++; g.calls > g.maxCalls {
		return errTooMany
	}
	g.questions[id] = &question{sent: make(chan struct{})}
	return nil
}

// finish hears that the peer is done with a question; gaveUp is releaseResultCaps, which
// runtimes set when they did not get the answer. It is the default of that field, too, so
// it is believed only of a peer that has finished another answer without it. And nobody
// has an answer whose end was not written, whatever the peer says.
func (g *guard) finish(id uint32, gaveUp bool) {
	q := g.close(id)
	if q == nil {
		return
	}
	begun := g.out.hasBegun(q.end.Load())
	g.exact = g.exact || begun && !gaveUp
	switch {
	case q.page == nil:
	case begun && !gaveUp:
		q.page.Arrived()
		g.arrivals.settle()
	case begun && !g.exact:
		q.page.Doubted()
	default:
		q.page.Lost()
	}
}

// close forgets a question, unless its Return is still to come, and then returns it.
func (g *guard) close(id uint32) *question {
	g.mu.Lock()
	defer g.mu.Unlock()
	q := g.questions[id]
	if q == nil {
		return nil
	}
	if !q.returned {
		q.finished = true
		return nil
	}
	delete(g.questions, id)
	return q
}

// sending notes a Return before it is written: once it is written, the peer may finish
// the question and use its id again. If fetch is not nil, its page was to go out with
// this message; the page is lost if the question was finished before, or if the Return
// is an exception instead.
func (g *guard) sending(msg rpccp.Message, fetch *fetching) *question {
	var page *nodeservice.Handout
	if fetch != nil {
		page = fetch.page
		defer fetch.end()
	}
	q := g.answering(msg, page)
	if page != nil && (q == nil || q.page == nil) {
		page.Lost()
	}
	if q != nil {
		close(q.sent)
	}
	return q
}

// answering returns the question that msg answers, if there is one.
func (g *guard) answering(msg rpccp.Message, page *nodeservice.Handout) *question {
	if msg.Which() != rpccp.Message_Which_return {
		return nil
	}
	ret, err := msg.Return()
	if err != nil {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	q := g.questions[ret.AnswerId()]
	if q == nil || q.returned {
		return nil
	}
	q.returned = true
	if g.calls--; g.calls == 0 && g.idle != nil {
		close(g.idle)
		g.idle = nil
	}
	if q.finished {
		delete(g.questions, ret.AnswerId())
	} else if ret.Which() == rpccp.Return_Which_results {
		q.page = page
	}
	return q
}

// inFlight counts the calls that have not been answered.
func (g *guard) inFlight() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.calls
}

// whenIdle is closed as soon as no call is in flight.
func (g *guard) whenIdle() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.calls == 0 {
		idle := make(chan struct{})
		close(idle)
		return idle
	}
	if g.idle == nil {
		g.idle = make(chan struct{})
	}
	return g.idle
}
