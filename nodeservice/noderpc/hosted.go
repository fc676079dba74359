package noderpc

import (
	"sync"

	"capnproto.org/go/capnp/v3/server"
)

// hosted is a capability as the runtime holds it, with its queue of calls. The runtime
// shuts it down when nobody refers to it any more. But it may forget one that was being
// sent when the connection broke: so the connection, when it ends, shuts down those that
// are left, and no session outlives it.
type hosted struct {
	*server.Server
	among *hosting
	once  sync.Once
}

// Shutdown implements capnp.ClientHook. The runtime and the connection may both call it.
func (h *hosted) Shutdown() {
	h.once.Do(func() {
		h.among.forget(h)
		h.Server.Shutdown()
	})
}

// hosting is what a connection hosts: the bootstrap capability, and those of its
// sessions, whose number Limits.Sessions bounds.
type hosting struct {
	mu   sync.Mutex
	live map[*hosted]struct{} // guarded by mu
	// shutting counts the capabilities that still have calls to end. Add is called when
	// the connection opens and from calls, and so before it is done.
	shutting sync.WaitGroup
}

// host starts the queue of an object's calls.
func (h *hosting) host(o *object, methods []server.Method) *hosted {
	h.shutting.Add(1)
	capability := &hosted{Server: server.New(methods, o, o), among: h}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.live == nil {
		h.live = make(map[*hosted]struct{})
	}
	h.live[capability] = struct{}{}
	return capability
}

func (h *hosting) forget(capability *hosted) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.live, capability)
}

// end shuts down what is left, and waits until all calls have ended. The
// connection is done by then.
func (h *hosting) end() {
	h.mu.Lock()
	var left []*hosted
	for capability := range h.live {
		left = append(left, capability)
	}
	h.mu.Unlock()
	for _, capability := range left {
		capability.Shutdown()
	}
	h.shutting.Wait()
}
