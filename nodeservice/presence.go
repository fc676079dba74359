package nodeservice

import "sync"

// presence counts what identities hold open on this node. It is bounded by
// what is open.
type presence struct {
	mu   sync.Mutex
	open map[holding]int // guarded by mu; no zeros
}

type holding struct {
	id   Identity
	what presenceKind
}

type presenceKind uint8

const (
	waiting presenceKind = iota + 1
	streaming
)

func newPresence() *presence { return &presence{open: map[holding]int{}} }

// enter counts one more, unless there are limit already (0: any number).
func (p *presence) enter(id Identity, what presenceKind, limit int) (leave func(), err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	h := holding{id, what}
	if limit > 0 && p.open[h] >= limit {
		return nil, Errorf(CodeQuotaExceeded, "you have %d %s open, as many as one identity may", limit, what)
	}
	p.open[h]++
	return sync.OnceFunc(func() { p.leave(h) }), nil
}

func (p *presence) leave(h holding) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open[h]--; p.open[h] == 0 {
		delete(p.open, h)
	}
}

func (k presenceKind) String() string {
	if k == waiting {
		return "waiting fetches"
	}
	return "streams"
}
