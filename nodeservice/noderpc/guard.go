package noderpc

import (
	"errors"
	"fmt"
	"sync"
	"time"

	rpccp "capnproto.org/go/capnp/v3/std/capnp/rpc"
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
// from then on the runtime answers it without that path. It also refuses what no
// client of ours has a use for, and bounds lists that cost more memory than their
// encoding does. From the peer's Finishes it learns which pages of messages arrived.
type guard struct {
	maxCalls int           // received and not yet answered; static
	hold     time.Duration // longest time a call is held back; static
	closed   <-chan struct{}
	out      *gatherer // where what is sent goes
	arrivals *arrivals
	own      ownQuestions
	exact    bool // owned by the runtime's reading goroutine: this peer's Finishes say whether it has the answer; see finish

	mu        sync.Mutex
	questions map[uint32]*question // guarded by mu: those of the peer that it has not finished
	calls     int                  // guarded by mu: how many of them have no Return yet
	idle      chan struct{}        // guarded by mu: closed when calls is next 0; nil: nobody waits
}

func newGuard(maxCalls int, hold time.Duration, w *wire, a *arrivals) *guard {
	return &guard{
		maxCalls: maxCalls, hold: hold, closed: w.closed, out: w.out, arrivals: a,
		own: ownQuestions{meter: w.meter}, questions: make(map[uint32]*question),
	}
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
		return g.receiveReturn(msg)
	case rpccp.Message_Which_release, rpccp.Message_Which_abort, rpccp.Message_Which_unimplemented:
		return nil
	}
	return fmt.Errorf("%w: messages of type %v are not taken", errProtocol, msg.Which())
}

func (g *guard) receiveCall(msg rpccp.Message) error {
	call, err := msg.Call()
	if err != nil {
		return err
	}
	if call.SendResultsTo().Which() != rpccp.Call_sendResultsTo_Which_caller {
		return fmt.Errorf("%w: the results of a call can go to its caller only", errProtocol)
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
		if promised.QuestionId() == call.QuestionId() { // the runtime would take it for a call under way
			return fmt.Errorf("%w: a call is pipelined on its own answer", errProtocol)
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
		return fmt.Errorf("%w: the path of a pipelined call has %d steps", errProtocol, steps.Len())
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
