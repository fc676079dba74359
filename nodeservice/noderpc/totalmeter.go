package noderpc

import "sync/atomic"

// totalMeter counts what all connections of clients hold together. Nobody is refused
// when that is too much: the connections that hold most are cut instead, until the rest
// fits. So a crowd of clients that ask for answers and do not take them pays for it, and
// those that hold little do not notice. Gateways are not counted here; each of their
// connections has a limit of its own, for many clients.
type totalMeter struct {
	limit int64        // bytes; static after construction
	cut   func()       // static after construction; cuts until the rest fits, and is called without a lock held
	used  atomic.Int64 // bytes
	calls atomic.Int64 // how many asked for cutting since one of them began to; 0: nobody is cutting
}

// add counts n bytes more, or less. Whoever finds that it is too much cuts; while
// somebody does, others only leave word, and so the one who cuts looks once more.
func (t *totalMeter) add(n int64) {
	if t == nil || t.used.Add(n) <= t.limit || n <= 0 || t.calls.Add(1) > 1 {
		return
	}
	for seen := int64(1); ; seen = t.calls.Load() {
		t.cut()
		if t.calls.CompareAndSwap(seen, 0) {
			return
		}
	}
}

// cutLargest cuts the connections that hold most, until what the others hold fits. The
// memory is free when they have ended.
func (s *Server) cutLargest() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for !s.closing {
		var largest *connection
		var most, sum int64
		for c := range s.conns {
			if c.trusted || c.condemned {
				continue
			}
			held := c.wire.meter.held()
			if sum += held; held > most {
				largest, most = c, held
			}
		}
		if sum <= s.total.limit || largest == nil {
			return
		}
		largest.condemned = true
		s.log.Warn("cut the connection that held most: all together held too much", "bytes", most, "of", sum)
		s.running.Go(largest.wire.cut)
	}
}
