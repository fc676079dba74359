package noderpc

import (
	"context"
	"sync"

	"capnproto.org/go/capnp/v3"

	"github.com/quicproquo/node/nodeservice"
)

// fetches are those fetches of one connection that are under way and remove what they
// return. When one is cancelled, its page must be back in the queue before the next one
// looks: otherwise the messages of that page would come after later ones.
type fetches struct {
	mu    sync.Mutex
	begun map[*fetching]struct{} // guarded by mu: and not over
}

// fetching is one of them, from when it looks for messages until its answer is
// sent, or surely will not be.
type fetching struct {
	all     *fetches
	leaving <-chan struct{}      // closed when it is cancelled, and when its handler returns
	over    chan struct{}        // closed by end, under all.mu
	page    *nodeservice.Handout // owned by its handler, then by the message that carries it
}

// begin enters a fetch, once those before it that were cancelled are over. It is called
// when the fetch has had its turn in its lane, and waits only for fetches that began
// before: so no two wait for each other. ctx must end when the handler returns.
func (f *fetches) begin(ctx context.Context) (*fetching, error) {
	mine, ahead := f.enter(ctx)
	for _, other := range ahead {
		select {
		case <-other.over:
		case <-ctx.Done():
			mine.end()
			return nil, ctx.Err()
		}
	}
	return mine, nil
}

func (f *fetches) enter(ctx context.Context) (mine *fetching, ahead []*fetching) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for other := range f.begun {
		select {
		case <-other.leaving:
			ahead = append(ahead, other)
		default:
		}
	}
	mine = &fetching{all: f, leaving: ctx.Done(), over: make(chan struct{})}
	if f.begun == nil {
		f.begun = make(map[*fetching]struct{})
	}
	f.begun[mine] = struct{}{}
	return mine, ahead
}

// end says that nothing more will be given back. It may be called twice.
func (f *fetching) end() {
	f.all.mu.Lock()
	defer f.all.mu.Unlock()
	if _, begun := f.all.begun[f]; begun {
		delete(f.all.begun, f)
		close(f.over)
	}
}

// lose gives the page back, since no message carries it.
func (f *fetching) lose() {
	if f.page != nil {
		f.page.Lost()
	}
	f.end()
}

// carriedBy ties the page to the message that carries it, which then tells what became
// of it.
func (f *fetching) carriedBy(msg *capnp.Message) bool {
	arena, metered := msg.Arena.(*meteredArena)
	if metered {
		arena.fetch = f
	}
	return metered
}
