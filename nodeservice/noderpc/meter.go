package noderpc

import (
	"context"
	"errors"
	"sync"

	"github.com/quicproquo/node/nodeservice"
)

// What a call that waits is charged until it returns, besides its message: goroutines
// with their stacks, and the records of whom to wake.
const (
	waitCost   = 8 << 10
	followCost = 16 << 10
)

var (
	errConnectionFull = errors.New("the connection holds too many bytes of unanswered or unfinished calls")
	errStrangersFull  = errors.New("connections without a login hold too much memory; try again later")
)

// pool is what all connections that have not logged in may hold together.
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

// owe takes n without asking.
func (p *pool) owe(n int64) { p.give(-n) }

func (p *pool) give(n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.used -= n
}

// meter counts the bytes that a connection makes the node hold: messages
// received until they are released, messages allocated until they are released.
type meter struct {
	mu        sync.Mutex
	used      int64         // guarded by mu
	limit     int64         // static after construction
	waiting   int64         // guarded by mu: of answers that are in memory and not taken yet, and of copies on their way out
	strangers *pool         // guarded by mu: also charged; nil once the connection has logged in
	house     *house        // guarded by mu: also charged; nil: of a client or a gateway, or the connection has ended
	given     chan struct{} // guarded by mu: closed by the next give; nil: nobody waits
}

func (m *meter) take(n int) error { return m.takeWithin(n, m.limit) }

// takeForWait is take on behalf of a call that waits, which fails alone. Half of the
// limit is left for what does not wait.
func (m *meter) takeForWait(n int) error {
	if m.takeWithin(n, m.limit/2) == nil {
		return nil
	}
	return nodeservice.Errorf(nodeservice.CodeQuotaExceeded,
		"too much waits on this connection: end some of it, or open another connection")
}

func (m *meter) takeWithin(n int, limit int64) error {
	h, err := m.tryTake(n, limit)
	if err == nil {
		h.add(int64(n)) // may look into every meter
	}
	return err
}

func (m *meter) tryTake(n int, limit int64) (*house, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.used+int64(n) > limit {
		return nil, errConnectionFull
	}
	if m.strangers != nil && !m.strangers.take(int64(n)) {
		return nil, errStrangersFull
	}
	m.used += int64(n)
	return m.house, nil
}

func (m *meter) give(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.used -= int64(n)
	m.house.add(int64(-n))
	if m.given != nil {
		close(m.given)
		m.given = nil
	}
	if m.strangers != nil {
		m.strangers.give(int64(n))
	}
}

// reserve waits until n bytes of an answer fit into half of the limit, and takes
// them: a peer that asks for much at once is served as fast as it finishes, where
// take would cut it. The other half is for the encoded answer, while both exist.
func (m *meter) reserve(ctx context.Context, n int) error {
	m.comes(int64(n)).add(int64(n))
	err := m.reserveNow(ctx, int64(n))
	m.came(int64(n), err == nil)
	return err
}

func (m *meter) reserveNow(ctx context.Context, n int64) error {
	for {
		given, err := m.tryReserve(n)
		if given == nil {
			return err
		}
		select {
		case <-given:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// comes counts an answer in that is in memory and not taken yet.
func (m *meter) comes(n int64) *house {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.waiting += n
	return m.house
}

// came counts it out again.
func (m *meter) came(n int64, taken bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.waiting -= n
	if !taken {
		m.house.add(-n)
	}
}

// tryReserve returns what to wait for if there is no room now.
func (m *meter) tryReserve(n int64) (given <-chan struct{}, _ error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case n > m.limit/2:
		return nil, errConnectionFull
	case m.used+n <= m.limit/2:
		m.used += n
		if m.strangers != nil {
			m.strangers.owe(n)
		}
		return nil, nil
	}
	if m.given == nil {
		m.given = make(chan struct{})
	}
	return m.given, nil
}

// copies counts what waits to be written, besides the message that it is a copy of.
func (m *meter) copies(n int64) { m.comes(n).add(n) }

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
	m.house.add(-m.used - m.waiting)
	m.house = nil
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
