package noderpc

import (
	"net"
	"sync"
	"sync/atomic"
	"time"

	"capnproto.org/go/capnp/v3"
)

const (
	gatherLimit = 256 << 10 // bytes waiting above which senders block
	writeChunk  = 256 << 10 // bytes under one write deadline
)

// gatherer writes messages to a connection from one goroutine. What gathers
// during one write goes out in the next, so that many calls in flight share
// system calls (and TLS records). "Sent" means: in its buffer.
type gatherer struct {
	conn    net.Conn
	timeout time.Duration // of one chunk
	charge  func(n int64) // is told of n bytes more, or less, that wait here; static from the first send on

	mu      sync.Mutex
	changed sync.Cond
	waiting []byte // guarded by mu
	taken   int64  // guarded by mu: bytes that send has taken, in all
	begun   int64  // guarded by mu: of them, those whose write has begun
	written int64  // guarded by mu: of them, those whose write has returned
	ended   bool   // guarded by mu: nothing more is taken
	err     error  // guarded by mu: of the write that failed

	done chan struct{} // closed when run has returned
}

func newGatherer(conn net.Conn, timeout time.Duration) *gatherer {
	g := &gatherer{conn: conn, timeout: timeout, charge: func(int64) {}, done: make(chan struct{})}
	g.changed.L = &g.mu
	go g.run()
	return g
}

// send takes a copy of the message; it blocks while too much waits. Before any of the
// message is written, it stores in end where the message ends in all that is sent; nil:
// nobody asks.
func (g *gatherer) send(msg *capnp.Message, end *atomic.Int64) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	for len(g.waiting) > gatherLimit && g.err == nil && !g.ended {
		g.changed.Wait()
	}
	if g.err != nil {
		return g.err
	}
	if g.ended {
		return net.ErrClosed
	}
	longer, err := appendFrame(g.waiting, msg)
	if err != nil {
		return err // and half a frame is not sent
	}
	g.taken += int64(len(longer) - len(g.waiting))
	g.charge(int64(len(longer) - len(g.waiting)))
	if end != nil {
		end.Store(g.taken)
	}
	g.waiting = longer
	g.changed.Broadcast()
	return nil
}

// hasBegun says whether the write of all bytes up to end has begun. A peer cannot have
// received what was not written.
func (g *gatherer) hasBegun(end int64) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return 0 < end && end <= g.begun
}

// writtenByNow says how many bytes are written. A peer may answer a message before the
// write of that message has returned: so a write under way is waited for, within the
// timeout.
func (g *gatherer) writtenByNow(timeout time.Duration) int64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	begun, late := g.begun, false
	timer := time.AfterFunc(timeout, func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		late = true
		g.changed.Broadcast()
	})
	defer timer.Stop()
	for g.written < begun && g.err == nil && !late {
		g.changed.Wait()
	}
	return min(g.written, begun)
}

// end lets what waits be written, within the timeout, and then waits for run.
func (g *gatherer) end(timeout time.Duration) {
	g.mu.Lock()
	g.ended = true
	g.changed.Broadcast()
	g.mu.Unlock()
	select {
	case <-g.done:
	case <-time.After(timeout):
	}
	_ = g.conn.Close() // a write in progress ends with it
	<-g.done
}

// run owns the writing side of the connection until end or a failed write.
func (g *gatherer) run() {
	defer close(g.done)
	var writing []byte
	for {
		g.mu.Lock()
		for len(g.waiting) == 0 && !g.ended {
			g.changed.Wait()
		}
		if len(g.waiting) == 0 {
			g.mu.Unlock()
			return
		}
		writing, g.waiting = g.waiting, recycled(writing)
		g.changed.Broadcast()
		g.mu.Unlock()
		err := g.write(writing)
		g.charge(int64(-len(writing)))
		if err != nil {
			g.fail(err)
			return
		}
	}
}

// recycled keeps a buffer for reuse, unless one large message made it large.
func recycled(buf []byte) []byte {
	if cap(buf) > 2*gatherLimit {
		return nil
	}
	return buf[:0]
}

func (g *gatherer) write(buf []byte) error {
	for len(buf) > 0 {
		chunk := buf[:min(len(buf), writeChunk)]
		if err := g.conn.SetWriteDeadline(time.Now().Add(g.timeout)); err != nil {
			return err
		}
		g.count(&g.begun, len(chunk))
		if _, err := g.conn.Write(chunk); err != nil {
			return err
		}
		g.count(&g.written, len(chunk))
		buf = buf[len(chunk):]
	}
	return nil
}

func (g *gatherer) count(bytes *int64, n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	*bytes += int64(n)
	g.changed.Broadcast()
}

// fail ends the connection: its reader sees that at once.
func (g *gatherer) fail(err error) {
	g.mu.Lock()
	g.err = err
	g.changed.Broadcast()
	g.mu.Unlock()
	_ = g.conn.Close()
}
