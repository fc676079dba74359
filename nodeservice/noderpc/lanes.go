package noderpc

import "sync"

// lanes keep calls in the order in which they came where a client can tell: two
// messages enqueued to one channel, an acknowledgement and the fetch behind it.
// Calls in different lanes run side by side. A connection has as many lanes as
// it has calls in flight, at most.
type lanes struct {
	mu   sync.Mutex
	last map[string]chan struct{} // guarded by mu: closed when the lane's last call has left
}

// enter takes the next place in a lane; the caller calls turn to wait for those ahead,
// and leave when it is done. A call that is cancelled meanwhile still waits its turn,
// or those behind it would overtake; only short calls are in lanes.
func (l *lanes) enter(lane string) (turn, leave func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.last == nil {
		l.last = make(map[string]chan struct{})
	}
	ahead, mine := l.last[lane], make(chan struct{})
	l.last[lane] = mine
	turn = func() {
		if ahead != nil {
			<-ahead
		}
	}
	return turn, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.last[lane] == mine {
			delete(l.last, lane)
		}
		close(mine)
	}
}
