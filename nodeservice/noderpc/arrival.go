package noderpc

import (
	"context"
	"errors"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/quicproquo/node/nodeservice"
)

// What a drain returned is removed once the connection itself shows that it
// arrived. For one answer that is a Finish which keeps the result's
// capabilities: a runtime sends it when it has the answer, and the other kind
// when it gives up on it. For all answers whose bytes were written it is an Abort
// or a tidy end of the stream, since a client that fetches and leaves sends no
// Finish at all. A reset, a timeout, a failed write or our own close show
// nothing, and neither does the next call.

// settleTimeout bounds one attempt to remove what arrived. What fails is logged,
// and comes again.
const settleTimeout = 5 * time.Second

// arrivals removes what has arrived, one attempt at a time, beside the
// connection's calls.
type arrivals struct {
	consumer nodeservice.Consumer

	mu      sync.Mutex
	more    bool           // guarded by mu: something arrived since run last looked
	active  bool           // guarded by mu: run is there
	ended   bool           // guarded by mu
	running sync.WaitGroup // run; Add under mu while not ended
}

// settle has what has arrived removed. It does not wait for that.
func (a *arrivals) settle() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ended {
		return
	}
	a.more = true
	if !a.active {
		a.active = true
		a.running.Go(a.run)
	}
}

func (a *arrivals) run() {
	for a.another() {
		ctx, cancel := context.WithTimeout(context.Background(), settleTimeout)
		_ = a.consumer.Settle(ctx) // has been logged; tried again with the next arrival
		cancel()
	}
}

func (a *arrivals) another() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.more {
		a.active = false
		return false
	}
	a.more = false
	return true
}

// end waits until what arrived is removed, and gives back what did not.
func (a *arrivals) end() {
	a.mu.Lock()
	a.ended = true
	a.mu.Unlock()
	a.running.Wait()
	a.consumer.Close()
}

// leaves hears that the peer ended the stream tidily, and that of what was sent
// to it so many bytes were written.
func (g *guard) leaves(written int64) {
	for _, page := range g.writtenPages(written) {
		page.Arrived()
	}
	g.arrivals.settle()
}

func (g *guard) writtenPages(written int64) (pages []*nodeservice.Handout) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, q := range g.questions {
		if end := q.end.Load(); q.page != nil && 0 < end && end <= written {
			pages = append(pages, q.page)
			q.page = nil
		}
	}
	return pages
}

// unsettled says whether the peer has an answer of which it may tell.
func (g *guard) unsettled() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, q := range g.questions {
		if q.page != nil {
			return true
		}
	}
	return false
}

// ended hears, once, how reading ended: tidily or not.
func (w *wire) ended(tidy bool) {
	if w.guard == nil || w.parted {
		return
	}
	w.parted = true
	if tidy && !w.isClosed() && w.guard.unsettled() {
		w.guard.leaves(w.out.writtenByNow(closeGrace))
	}
}

func (w *wire) isClosed() bool {
	select {
	case <-w.closed:
		return true
	default:
		return false
	}
}

// farewell hears an Abort. A client that leaves without having read all that was
// sent to it resets the connection right behind it: then its Abort shows nothing.
func (w *wire) farewell() {
	if w.guard == nil || !w.guard.unsettled() || w.conn.SetReadDeadline(time.Now().Add(closeGrace)) != nil {
		return
	}
	_, err := w.in.Peek(1)
	w.ended(!errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, net.ErrClosed))
}
