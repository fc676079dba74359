package noderpc

import (
	"fmt"
	"sync"

	rpccp "capnproto.org/go/capnp/v3/std/capnp/rpc"
)

// questionCost is charged for each of our questions until it is answered, for the
// runtime's records of it.
const questionCost = 2 << 10

// asked are our own questions, the events of streams, that the peer has not answered.
// The runtime has given a question its number before it is sent, and dies if an answer
// comes first and then it cannot be sent any more; so answers to what was not sent are
// refused. And it keeps a question that was given up until its answer comes, if none
// comes for good: so it is charged that long.
type asked struct {
	meter *meter

	mu   sync.Mutex
	open map[uint32]struct{} // guarded by mu: by number
}

// ask notes a question before it is sent, which will not fail any more.
func (a *asked) ask(msg rpccp.Message) error {
	if msg.Which() != rpccp.Message_Which_call {
		return nil
	}
	call, err := msg.Call()
	if err != nil {
		return err
	}
	if err := a.meter.take(questionCost); err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.open == nil {
		a.open = make(map[uint32]struct{})
	}
	a.open[call.QuestionId()] = struct{}{}
	return nil
}

func (a *asked) answered(question uint32) error {
	a.mu.Lock()
	_, open := a.open[question]
	delete(a.open, question)
	a.mu.Unlock()
	if !open {
		return fmt.Errorf("%w: an answer to question %d, which is not open", errProtocol, question)
	}
	a.meter.give(questionCost)
	return nil
}
