package noderpc

import (
	"fmt"

	rpccp "capnproto.org/go/capnp/v3/std/capnp/rpc"
)

// Capabilities that peers may send are sinks for events, and nothing else.

// receiveReturn lets through answers to our events, which carry no capability.
func (g *guard) receiveReturn(msg rpccp.Message) error {
	ret, err := msg.Return()
	if err != nil {
		return err
	}
	if err := g.own.answered(ret.AnswerId()); err != nil || ret.Which() != rpccp.Return_Which_results {
		return err
	}
	results, err := ret.Results()
	if err != nil {
		return err
	}
	return checkCaps(results, 0)
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

// checkCap takes capabilities that the peer hosts itself. Our own, handed back, and
// results of calls still open are of no use as an event sink. Promises are refused, too:
// a peer may resolve one to itself, and the runtime would follow it without end.
func checkCap(desc rpccp.CapDescriptor) error {
	switch desc.Which() {
	case rpccp.CapDescriptor_Which_none,
		rpccp.CapDescriptor_Which_senderHosted:
		return nil
	case rpccp.CapDescriptor_Which_senderPromise:
		return fmt.Errorf("%w: the capability is a promise; send it once it is resolved", errProtocol)
	}
	return fmt.Errorf("%w: capabilities of kind %v are not taken", errProtocol, desc.Which())
}
