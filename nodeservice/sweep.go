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
	checked UnixMilli // guarded by mu: when the last look began; 0: never
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
	full, due := s.space.known(now)
	if due {
		free, err := s.cfg.Store.Free(ctx)
		if err != nil {
			return err
		}
		if full = free < s.cfg.MinFree; s.space.changed(full) {
			s.cfg.Log.Warn("free space of the store crossed its limit", "free", free, "limit", s.cfg.MinFree)
		}
	}
	if full {
		e := Errorf(CodeUnavailable, "the node is short of space and stores nothing new for now")
		e.RetryAfter = time.Minute
		return e
	}
	return nil
}

// known is what the last look found; due says that the caller is the one to look
// again. The others go on with it meanwhile: a look at a store that is away takes
// long, and they must not take turns to find that out.
func (sp *space) known(now UnixMilli) (full, due bool) {
	sp.mu.Lock()
	defer sp.mu.Unlock()
	if due = sp.checked == 0 || now >= sp.checked.Add(spaceMemory); due {
		sp.checked = now
	}
	return sp.full, due
}

// changed takes note of a look, and says whether it found what the last did not.
func (sp *space) changed(full bool) bool {
	sp.mu.Lock()
	defer sp.mu.Unlock()
	was := sp.full
	sp.full = full
	return was != full
}
