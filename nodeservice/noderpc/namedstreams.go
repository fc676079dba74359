package noderpc

import (
	"sync"

	"github.com/quicproquo/node/nodeservice"
)

// namedStreams are the open streams of a capability that its client named, to
// acknowledge within them. They are as many as the core lets an identity open.
type namedStreams struct {
	mu   sync.Mutex
	open map[uint32]nodeservice.Stream // guarded by mu
}

// add names a stream; remove takes the name back. 0 is no name.
func (n *namedStreams) add(id uint32, stream nodeservice.Stream) (remove func(), err error) {
	if id == 0 {
		return func() {}, nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.open[id] != nil {
		return nil, invalid("streamId %d is that of another open stream", id)
	}
	if n.open == nil {
		n.open = make(map[uint32]nodeservice.Stream)
	}
	n.open[id] = stream
	return func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		delete(n.open, id)
	}, nil
}

func (n *namedStreams) find(id uint32) (nodeservice.Stream, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if stream := n.open[id]; stream != nil {
		return stream, nil
	}
	return nil, invalid("streamId %d names no open stream of this capability", id)
}
