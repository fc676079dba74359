package noderpc

import (
	"fmt"
	"sync"

	rpccp "capnproto.org/go/capnp/v3/std/capnp/rpc"
)

// questionCost is charged for each of our questions until it is answered, for the
// runtime's records of it.
const questionCost = 2 << 10

// ownQuestions are our calls to the peer, the events of streams, that it has not
// answered. The runtime numbers a question before it sends it, and panics if the answer
// comes before that and the question then cannot be sent: so answers to questions that
// were not sent are refused. It also keeps a question that was given up until its answer
// comes, which may be never: so the question is charged for that long.
type ownQuestions struct {
	meter *meter

	mu   sync.Mutex
	open map[uint32]struct{} // guarded by mu: by question id; each is charged, which bounds them
}

// ask notes a question, and charges for it, before it is sent.
func (o *ownQuestions) ask(msg rpccp.Message) error {
	if msg.Which() != rpccp.Message_Which_call {
		return nil
	}
	call, err := msg.Call()
	if err != nil {
		return err
	}
	if err := o.meter.take(questionCost); err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.open == nil {
		o.open = make(map[uint32]struct{})
	}
	o.open[call.QuestionId()] = struct{}{}
	return nil
}

// answered notes that the peer has answered a question.
func (o *ownQuestions) answered(question uint32) error {
	o.mu.Lock()
	_, open := o.open[question]
	delete(o.open, question)
	o.mu.Unlock()
	if !open {
		return fmt.Errorf("%w: an answer to question %d, which is not open", errProtocol, question)
	}
	o.meter.give(questionCost)
	return nil
}
