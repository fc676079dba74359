package pebblestore

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

const (
	maxQueued     = 1024                   // requests that wait; more callers wait outside
	maxGroup      = 512                    // requests in one batch
	maxGroupBytes = 2 << 20                // of payload in one batch, unless the first is larger
	linger        = 100 * time.Microsecond // for the callers just answered to come back
)

// committer owns all writes: run applies requests in groups and commits each
// group with one sync.
type committer struct {
	db     *pebble.DB
	views  *views
	log    *slog.Logger
	broken *failure
	queue  chan *request
	done   chan struct{} // closed when run has returned

	tx     *tx  // owned by run
	target int  // owned by run: how many requests may come soon: the callers just answered, and who waited meanwhile
	wedged bool // owned by run until done: Pebble panicked in a commit, and may hold its locks

	syncs, commits atomic.Uint64
}

// request is one atomic step on its way through the committer.
type request struct {
	// apply does the step. It runs in the committer's goroutine and may run
	// twice, if another request of its group fails; so it sets its results
	// anew, and keeps nothing from the run before.
	apply func(*tx) error
	bytes int // of payload, about
	state atomic.Int32
	fate  fate          // set before done
	err   error         // set before done
	done  chan struct{} // closed once the request is answered
}

// The states of a request: its caller takes it back, or the committer takes it,
// whoever comes first.
const (
	waiting int32 = iota
	taken
	withdrawn
)

// fate says what became of a request's changes.
type fate uint8

const (
	fateNone    fate = iota // not applied
	fateDurable             // applied and synced
	fateUnknown             // the sync failed: applied or not, the log knows
)

func newCommitter(db *pebble.DB, v *views, broken *failure, log *slog.Logger) *committer {
	c := &committer{
		db: db, views: v, log: log, broken: broken,
		queue: make(chan *request, maxQueued), done: make(chan struct{}), tx: newTx(),
	}
	go c.run()
	return c
}

// stop ends run after what is queued. Nobody may be in do, now or later.
func (c *committer) stop() {
	close(c.queue)
	<-c.done
}

// do applies a step and returns when it is durable. A context that ends takes a
// request back that still waits; once the committer has it, do waits: the step
// reads its caller's bytes.
func (c *committer) do(ctx context.Context, bytes int, apply func(*tx) error) (fate, error) {
	if err := c.broken.refusal(); err != nil {
		return fateNone, unavailable(err)
	}
	r := &request{apply: apply, bytes: bytes, done: make(chan struct{})}
	select {
	case c.queue <- r:
	case <-ctx.Done():
		return fateNone, ctx.Err()
	}
	select {
	case <-r.done:
		return r.fate, r.err
	case <-ctx.Done():
	}
	if r.state.CompareAndSwap(waiting, withdrawn) {
		return fateNone, ctx.Err()
	}
	<-r.done
	return r.fate, r.err
}

func (c *committer) run() {
	defer close(c.done)
	group := make([]*request, 0, maxGroup)
	for {
		group = c.gather(group[:0])
		if len(group) == 0 {
			return
		}
		c.commit(group)
		c.target = len(group) + len(c.queue)
	}
}

// gather waits for a request and takes what else is there. It is empty when the
// queue is closed.
func (c *committer) gather(group []*request) []*request {
	r, ok := <-c.queue
	if !ok {
		return group
	}
	c.linger()
	for size := 0; ok; {
		if r.state.CompareAndSwap(waiting, taken) {
			group = append(group, r)
			size += r.bytes
		}
		if len(group) == maxGroup || size >= maxGroupBytes {
			return group
		}
		select {
		case r, ok = <-c.queue:
		default:
			if len(group) > 0 {
				return group
			}
			r, ok = <-c.queue // all were withdrawn
		}
	}
	return group
}

// linger lets the callers that were just answered come back, so that they share
// a sync with those who came during the last one, instead of taking turns with
// them. A lone caller has nobody to wait for. It yields rather than sleeps:
// timers are too coarse for this.
func (c *committer) linger() {
	if c.target < 2 {
		return
	}
	until := time.Now().Add(linger)
	for len(c.queue)+1 < min(c.target, maxGroup) && time.Now().Before(until) {
		runtime.Gosched()
	}
}

// commit applies a group and answers it. A request that fails in the middle
// spoils the batch: then each goes alone, and only that one fails.
func (c *committer) commit(group []*request) {
	if err := c.broken.refusal(); err != nil {
		answer(group, fateNone, unavailable(err))
		return
	}
	c.tx.begin(c.db)
	for _, r := range group {
		err := c.apply(r)
		if err == nil {
			continue
		}
		c.tx.end(false)
		if len(group) == 1 {
			answer(group, fateNone, asStoreError(err))
			return
		}
		for i := range group {
			c.commit(group[i : i+1])
		}
		return
	}
	c.tx.seal()
	outcome, err := c.sync()
	c.tx.end(err == nil)
	c.commits.Add(uint64(len(group)))
	answer(group, outcome, err)
}

// apply runs one step. A panic in it fails that request alone.
func (c *committer) apply(r *request) (err error) {
	defer func() {
		if p := recover(); p != nil {
			c.log.Error("a step of the store panicked", "panic", p, "stack", string(debug.Stack()))
			err = internal(fmt.Errorf("panic: %v", p))
		}
	}()
	return r.apply(c.tx)
}

// sync makes the batch durable, and only then shows it to readers.
func (c *committer) sync() (outcome fate, err error) {
	if c.tx.batch.Empty() {
		return fateDurable, nil // the group changed nothing
	}
	defer func() {
		if p := recover(); p != nil {
			c.wedged = true
			outcome, err = fateUnknown, unavailable(c.broken.store(fmt.Errorf("commit: %v", p)))
		}
	}()
	if err := c.db.Apply(c.tx.batch, pebble.Sync); err != nil {
		c.broken.store(err)
	}
	if err := c.broken.load(); err != nil {
		// Whether the group is on the disk is unknown, and Pebble shows it to
		// its readers all the same: ours keep the view of before.
		return fateUnknown, unavailable(err)
	}
	c.syncs.Add(1)
	c.views.publish(c.db.NewSnapshot())
	return fateDurable, nil
}

func answer(group []*request, outcome fate, err error) {
	for _, r := range group {
		r.fate, r.err = outcome, err
		close(r.done)
	}
}
