package noderpc

import (
	"context"
	"sync"

	"capnproto.org/go/capnp/v3"

	"github.com/quicproquo/node/nodeservice"
)

// fetches are the drains of one connection that are under way. Messages come in
// order only if the page of one that was cancelled is back before the next one
// looks: or what it holds would come after what follows it.
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

// begin enters a drain that has had its turn, once those before it that are
// leaving are over. It waits for no turn of others, and only for those that began
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

// carriedBy has a message tell what becomes of the page.
func (f *fetching) carriedBy(msg *capnp.Message) bool {
	arena, metered := msg.Arena.(*meteredArena)
	if metered {
		arena.fetch = f
	}
	return metered
}
