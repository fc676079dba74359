package noderpc

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	rpccp "capnproto.org/go/capnp/v3/std/capnp/rpc"

	"github.com/quicproquo/node/nodeservice"
)

const (
	maxTransform = 8 // path of a pipelined call; ours is one step
	maxParamCaps = 4 // capabilities in one call's parameters; ours is one
)

var (
	errProtocol   = errors.New("protocol error")
	errHeld       = errors.New("a call waited too long for the answer that it is pipelined on")
	errTooMany    = errors.New("too many calls in flight on this connection")
	errWireClosed = errors.New("the connection is closed")
)

// guard stands between a peer's messages and the RPC runtime, which trusts
// peers: a call pipelined on an answer that has not returned yet kills the
// process when its target turns out to reject at once (a null session, an
// unknown method), in a goroutine of the library where nothing recovers. So the
// guard holds such a call back until our Return for that answer has been sent;
// from then on the runtime answers it without that path. It also refuses what
// no client of ours has a use for, and bounds lists whose length costs memory
// that their encoding does not. It hears from the peer what became of the pages
// that were handed to it.
type guard struct {
	maxCalls int           // received and not yet answered; static
	hold     time.Duration // longest time a call is held back; static
	closed   <-chan struct{}
	arrivals *arrivals
	exact    bool // owned by the runtime's reading goroutine: the peer's Finishes tell answers it has from those it gave up

	mu        sync.Mutex
	questions map[uint32]*question // guarded by mu: those of the peer that it has not finished
	calls     int                  // guarded by mu: of them, without a Return
	idle      chan struct{}        // guarded by mu: closed when calls is next 0; nil: nobody waits
}

// question is the state of one of the peer's questions, guarded by guard.mu.
type question struct {
	sent     chan struct{} // closed once our Return is on its way
	returned bool
	finished bool                 // the peer wants no Return any more
	page     *nodeservice.Handout // that our Return carries; nil: none, or it is known what became of it
	end      atomic.Int64         // of our Return in all that is sent to the peer; 0: not sent yet
}

func newGuard(maxCalls int, hold time.Duration, closed <-chan struct{}, a *arrivals) *guard {
	return &guard{maxCalls: maxCalls, hold: hold, closed: closed, arrivals: a,
		questions: make(map[uint32]*question)}
}

// receive inspects a message before the runtime sees it, and may hold it back.
// An error ends the connection.
func (g *guard) receive(msg rpccp.Message) error {
	switch msg.Which() {
	case rpccp.Message_Which_bootstrap:
		boot, err := msg.Bootstrap()
		if err != nil {
			return err
		}
		return g.open(boot.QuestionId())
	case rpccp.Message_Which_call:
		return g.receiveCall(msg)
	case rpccp.Message_Which_finish:
		finish, err := msg.Finish()
		if err != nil {
			return err
		}
		g.finish(finish.QuestionId(), finish.ReleaseResultCaps())
		return nil
	case rpccp.Message_Which_return:
		return checkReturn(msg)
	case rpccp.Message_Which_resolve:
		return checkResolve(msg)
	case rpccp.Message_Which_release, rpccp.Message_Which_abort, rpccp.Message_Which_unimplemented:
		return nil
	}
	return fmt.Errorf("%w: no use for %v messages here", errProtocol, msg.Which())
}

func (g *guard) receiveCall(msg rpccp.Message) error {
	call, err := msg.Call()
	if err != nil {
		return err
	}
	if call.SendResultsTo().Which() != rpccp.Call_sendResultsTo_Which_caller {
		return fmt.Errorf("%w: results go to the caller", errProtocol)
	}
	params, err := call.Params()
	if err != nil {
		return err
	}
	if err := checkCaps(params, maxParamCaps); err != nil {
		return err
	}
	target, err := call.Target()
	if err != nil {
		return err
	}
	if target.Which() == rpccp.MessageTarget_Which_promisedAnswer {
		promised, err := target.PromisedAnswer()
		if err != nil {
			return err
		}
		if promised.QuestionId() == call.QuestionId() { // which the runtime would take for one under way
			return fmt.Errorf("%w: a call on its own answer", errProtocol)
		}
		if err := g.await(promised); err != nil {
			return err
		}
	}
	return g.open(call.QuestionId())
}

// await returns once the promised answer's Return has been sent. An answer that
// is not known here is not known to the runtime either, which says so.
func (g *guard) await(promised rpccp.PromisedAnswer) error {
	steps, err := promised.Transform()
	if err != nil {
		return err
	}
	if steps.Len() > maxTransform {
		return fmt.Errorf("%w: a path of %d steps", errProtocol, steps.Len())
	}
	g.mu.Lock()
	q := g.questions[promised.QuestionId()]
	g.mu.Unlock()
	if q == nil {
		return nil
	}
	select {
	case <-q.sent: // most often, and without a timer
		return nil
	default:
	}
	timer := time.NewTimer(g.hold)
	defer timer.Stop()
	select {
	case <-q.sent:
		return nil
	case <-timer.C:
		return errHeld
	case <-g.closed:
		return errWireClosed
	}
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

// finish hears that the peer is done with a question. With an answer on its way
// gaveUp is news: a peer that tells one from the other, by having finished an
// answer without it, never got this one. From a peer that has not, it may be the
// default of a field that it does not know.
func (g *guard) finish(id uint32, gaveUp bool) {
	q := g.close(id)
	if q == nil {
		return
	}
	g.exact = g.exact || !gaveUp
	if q.page != nil {
		g.told(q.page, gaveUp)
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

// sending notes a Return before it is written: once written, the peer may
// finish the question and use its id again. page is what the message was to
// carry. Was the question finished before, or is this an exception instead, then
// page is lost.
func (g *guard) sending(msg rpccp.Message, page *nodeservice.Handout) *question {
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

// checkReturn lets through answers to our events, which carry no capability.
func checkReturn(msg rpccp.Message) error {
	ret, err := msg.Return()
	if err != nil {
		return err
	}
	if ret.Which() != rpccp.Return_Which_results {
		return nil
	}
	results, err := ret.Results()
	if err != nil {
		return err
	}
	return checkCaps(results, 0)
}

// checkResolve lets a promised event sink become one that the peer hosts.
func checkResolve(msg rpccp.Message) error {
	resolve, err := msg.Resolve()
	if err != nil {
		return err
	}
	if resolve.Which() != rpccp.Resolve_Which_cap {
		return nil
	}
	desc, err := resolve.Cap()
	if err != nil {
		return err
	}
	return checkCap(desc)
}

func checkCaps(payload rpccp.Payload, most int) error {
	caps, err := payload.CapTable()
	if err != nil {
		return err
	}
	if caps.Len() > most {
		return fmt.Errorf("%w: %d capabilities in a message", errProtocol, caps.Len())
	}
	for i := range caps.Len() {
		if err := checkCap(caps.At(i)); err != nil {
			return err
		}
	}
	return nil
}

// checkCap takes capabilities that the peer hosts itself. Ours, handed back, or
// results of calls still open have no use as an event sink.
func checkCap(desc rpccp.CapDescriptor) error {
	switch desc.Which() {
	case rpccp.CapDescriptor_Which_none,
		rpccp.CapDescriptor_Which_senderHosted,
		rpccp.CapDescriptor_Which_senderPromise:
		return nil
	}
	return fmt.Errorf("%w: no use for capabilities of kind %v here", errProtocol, desc.Which())
}
