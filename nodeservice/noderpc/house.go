package noderpc

import "sync/atomic"

// house counts what all connections of clients hold together. Nobody is refused when
// it is full: the connection that holds most is cut instead, until the rest fits. So
// a crowd that asks for answers and does not take them pays for itself, and clients
// that hold little do not notice. Gateways are not counted; they have their own limit,
// for many clients.
type house struct {
	limit    int64  // static after construction
	overfull func() // static after construction; called without a lock held
	used     atomic.Int64
	asked    atomic.Int64 // how often it was found full since nobody was looking whom to cut
}

// add counts n more, or less. Who finds the house full looks whom to cut, unless
// another is at it, who then looks once more.
func (h *house) add(n int64) {
	if h == nil || h.used.Add(n) <= h.limit || n <= 0 || h.asked.Add(1) > 1 {
		return
	}
	for seen := int64(1); ; seen = h.asked.Load() {
		h.overfull()
		if h.asked.CompareAndSwap(seen, 0) {
			return
		}
	}
}

// clear cuts the connections that hold most, until what the others hold fits. What
// those hold is freed as they end.
func (s *Server) clear() {
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
		if sum <= s.house.limit || largest == nil {
			return
		}
		largest.condemned = true
		s.log.Warn("cut the connection that held most: all together held too much", "bytes", most, "of", sum)
		s.running.Go(largest.wire.cut)
	}
}
