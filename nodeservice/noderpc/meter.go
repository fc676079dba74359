package noderpc

import (
	"context"
	"errors"
	"sync"

	"github.com/quicproquo/node/nodeservice"
)

// What a call that waits is charged until it returns, in bytes, besides its message: its
// goroutines with their stacks, and the records that it is woken by.
const (
	waitCost   = 8 << 10
	followCost = 16 << 10
)

var (
	errConnectionFull = errors.New("the connection holds too many bytes of unanswered or unfinished calls")
	errStrangersFull  = errors.New("connections without a login hold too much memory; try again later")
)

// pool counts what all connections without a login hold together, in bytes.
type pool struct {
	mu    sync.Mutex
	used  int64 // guarded by mu
	limit int64 // static after construction
}

func (p *pool) take(n int64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.used+n > p.limit {
		return false
	}
	p.used += n
	return true
}

// takeAnyway takes n even beyond the limit.
func (p *pool) takeAnyway(n int64) { p.give(-n) }

func (p *pool) give(n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.used -= n
}

// meter counts the bytes that a connection makes the node hold: those of messages, both
// ways, from their allocation to their release.
type meter struct {
	limit int64 // bytes that may be taken; static after construction

	mu        sync.Mutex
	used      int64         // guarded by mu: bytes that are taken
	waiting   int64         // guarded by mu: bytes beside them: of answers that wait in reserve, and of copies to be written
	strangers *pool         // guarded by mu: also charged with used; nil once the connection has logged in, and for clients
	total     *totalMeter   // guarded by mu: also charged with both; nil for clients and gateways, and once the connection has ended
	freed     chan struct{} // guarded by mu: closed by the next give; nil: nobody waits
}

// take takes n bytes or fails, and then the connection ends.
func (m *meter) take(n int) error { return m.takeWithin(n, m.limit) }

// takeForWait takes n bytes for a call that waits. If it fails, so does that call, and
// the connection goes on. Half of the limit is left for what does not wait.
func (m *meter) takeForWait(n int) error {
	if m.takeWithin(n, m.limit/2) == nil {
		return nil
	}
	return nodeservice.Errorf(nodeservice.CodeQuotaExceeded,
		"too much waits on this connection: end some of it, or open another connection")
}

func (m *meter) takeWithin(n int, limit int64) error {
	total, err := m.tryTake(n, limit)
	if err == nil {
		total.add(int64(n)) // without mu: it may ask every meter what it holds
	}
	return err
}

// tryTake returns the total that is still to be charged.
func (m *meter) tryTake(n int, limit int64) (*totalMeter, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.used+int64(n) > limit {
		return nil, errConnectionFull
	}
	if m.strangers != nil && !m.strangers.take(int64(n)) {
		return nil, errStrangersFull
	}
	m.used += int64(n)
	return m.total, nil
}

// give gives back what was taken or reserved.
func (m *meter) give(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.used -= int64(n)
	m.total.add(int64(-n))
	if m.freed != nil {
		close(m.freed)
		m.freed = nil
	}
	if m.strangers != nil {
		m.strangers.give(int64(n))
	}
}

// reserve takes n bytes of an answer as soon as they fit into half of the limit: a peer
// that asks for much at once is served as fast as it finishes calls, where take would
// end its connection. The other half is for the encoded answer, while both exist.
func (m *meter) reserve(ctx context.Context, n int) error {
	m.addWaiting(int64(n)).add(int64(n))
	err := m.awaitRoom(ctx, int64(n))
	m.endWaiting(int64(n), err == nil)
	return err
}

func (m *meter) awaitRoom(ctx context.Context, n int64) error {
	for {
		freed, err := m.tryReserve(n)
		if freed == nil {
			return err
		}
		select {
		case <-freed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// addWaiting counts n bytes that are in memory and not taken; it returns the total that
// is still to be charged.
func (m *meter) addWaiting(n int64) *totalMeter {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.waiting += n
	return m.total
}

// endWaiting counts them out again; taken: they are in used now.
func (m *meter) endWaiting(n int64, taken bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.waiting -= n
	if !taken {
		m.total.add(-n)
	}
}

// tryReserve takes n bytes, or returns a channel to wait for if there is no room now.
func (m *meter) tryReserve(n int64) (freed <-chan struct{}, _ error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case n > m.limit/2:
		return nil, errConnectionFull
	case m.used+n <= m.limit/2:
		m.used += n
		if m.strangers != nil {
			m.strangers.takeAnyway(n)
		}
		return nil, nil
	}
	if m.freed == nil {
		m.freed = make(chan struct{})
	}
	return m.freed, nil
}

// addCopies counts n bytes more, or less, that wait to be written: the message that they
// are a copy of is counted beside them.
func (m *meter) addCopies(n int64) { m.addWaiting(n).add(n) }

// held is what the connection makes the node hold.
func (m *meter) held() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.used + m.waiting
}

// leave gives everything back: the connection has ended, and what it held is garbage.
func (m *meter) leave() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.total.add(-m.used - m.waiting)
	m.total = nil
}

// leaveStrangers moves the connection out of the common pool: it logged in, or
// it is closed and what it held is garbage.
func (m *meter) leaveStrangers() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.strangers != nil {
		m.strangers.give(m.used)
		m.strangers = nil
	}
}

// stranger says that nobody has logged in on the connection yet.
func (m *meter) stranger() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.strangers != nil
}
