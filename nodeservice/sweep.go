package nodeservice

import (
	"context"
	"sync"
	"time"
)

// Sweep deletes what has expired, in the store's bounded steps, and tells the
// readers of queues that have a gap now. Run calls it every SweepEvery.
func (s *Service) Sweep(ctx context.Context) error {
	now := s.now()
	s.revoked.forget(now)
	s.audit.flushFailures(now)
	for {
		swept, more, err := s.cfg.Store.Sweep(ctx, now)
		for _, q := range swept.Floors {
			s.cfg.Bus.Hint(Hint{Owner: q.Recipient, Kind: HintQueue, Channel: q.Channel})
		}
		if err != nil || !more {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}

// space remembers for a second how full the store is.
type space struct {
	mu      sync.Mutex
	checked UnixMilli // guarded by mu
	full    bool      // guarded by mu
}

// spaceMemory is how long a look at the free space serves.
const spaceMemory = time.Second

// spare refuses to store more when little space is left; reading and
// acknowledging go on, and make room.
func (s *Service) spare(ctx context.Context, now UnixMilli) error {
	if s.cfg.MinFree == 0 {
		return nil
	}
	s.space.mu.Lock()
	defer s.space.mu.Unlock()
	if now >= s.space.checked.Add(spaceMemory) || s.space.checked == 0 {
		free, err := s.cfg.Store.Free(ctx)
		if err != nil {
			return err
		}
		full := free < s.cfg.MinFree
		if full != s.space.full {
			s.cfg.Log.Warn("free space of the store crossed its limit", "free", free, "limit", s.cfg.MinFree)
		}
		s.space.checked, s.space.full = now, full
	}
	if s.space.full {
		e := Errorf(CodeUnavailable, "the node is short of space and stores nothing new for now")
		e.RetryAfter = time.Minute
		return e
	}
	return nil
}
