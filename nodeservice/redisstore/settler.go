package redisstore

import (
	"context"
	"sync"
	"time"

	ns "github.com/quicproquo/node/nodeservice"
)

// settler takes the third step of messages (account.go) after they were answered,
// many at a time. It has a goroutine while something is unsettled, for which wait
// waits. Nothing is lost with it: what nobody settles an audit does.
type settler struct {
	store    *Store             // static
	patience time.Duration      // static: of wait
	life     context.Context    // static: of the goroutine
	end      context.CancelFunc // static: ends life

	mu      sync.Mutex
	waiting []settlement // guarded by mu; at most maxUnsettled
	working bool         // guarded by mu: the goroutine runs

	running sync.WaitGroup
}

// settlement is what came of a reservation.
type settlement struct {
	room   reservation
	stored bool
	noted  noted // with stored: what the account has in the queue now
}

const (
	// maxUnsettled bounds what waits to be settled; messages beyond it settle before
	// they are answered.
	maxUnsettled = 1024

	// maxSettled is how many go to Redis together.
	maxSettled = 128

	// settlePatience bounds each of these goes, and how long Close waits for them all.
	settlePatience = 5 * time.Second
)

func newSettler(s *Store) *settler {
	life, end := context.WithCancel(context.Background())
	return &settler{store: s, patience: settlePatience, life: life, end: end}
}

// settle takes over a settlement, unless too many wait. The caller is within enter
// and leave of the store, so that nothing comes while wait waits.
func (t *settler) settle(one settlement) (taken bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.waiting) == maxUnsettled {
		return false
	}
	t.waiting = append(t.waiting, one)
	if !t.working {
		t.working = true
		t.running.Go(t.work)
	}
	return true
}

// work settles until nothing waits.
func (t *settler) work() {
	for {
		some := t.take()
		if len(some) == 0 {
			return
		}
		ctx, cancel := context.WithTimeout(t.life, settlePatience)
		// What fails is as if this node had died: it is left to an audit.
		_ = t.store.settleAll(ctx, some)
		cancel()
	}
}

// take is what comes next; nothing ends the work.
func (t *settler) take() []settlement {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := min(len(t.waiting), maxSettled)
	some := t.waiting[:n:n]
	if t.waiting = t.waiting[n:]; len(t.waiting) == 0 {
		t.waiting = nil
	}
	t.working = n > 0
	return some
}

// wait returns when all is settled, or given up.
func (t *settler) wait() {
	patience := time.AfterFunc(t.patience, t.end)
	defer patience.Stop()
	t.running.Wait()
	t.end()
}

// settleAll takes the third step of some messages, which may be of many accounts.
func (s *Store) settleAll(ctx context.Context, some []settlement) error {
	questions := make([]question, len(some))
	for i, one := range some {
		questions[i] = s.askSettle(one)
	}
	answers, err := s.runAll(ctx, settleScript, questions)
	if err != nil {
		return err
	}
	crowded := map[ns.Account]int{}
	for i, answer := range answers {
		fields, err := only(answer, nil)
		if err != nil {
			return err
		}
		if fields > manyNotes {
			crowded[some[i].room.account] += 2
		}
	}
	for account, n := range crowded {
		if err := s.auditSome(ctx, account, n); err != nil {
			return err
		}
	}
	return nil
}

// askSettle is how settle.lua is told.
func (s *Store) askSettle(one settlement) question {
	name, news := "", any("")
	if one.room.held {
		name = one.room.name
	}
	if one.stored {
		news = one.noted.bytes
	}
	return question{s.accountKey(one.room.account), []any{name, string(one.room.queue), one.noted.version, news, ""}}
}
