package noderpc

import (
	"fmt"

	rpccp "capnproto.org/go/capnp/v3/std/capnp/rpc"
)

// Capabilities that peers may send are sinks for events, and nothing else.

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
