package nodeservice

import (
	"context"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// A drain removes what it returns. Where a door can learn whether its answer
// arrived, the messages stay stored until then: the page is handed out, and
// nobody else on this node is given it meanwhile.

// Consumer is where drained pages go, and where news of them come from: one
// connection of a door. Its zero value is ready to use. It holds at most
// maxHandouts pages, and its owner closes it.
type Consumer struct {
	node   atomic.Pointer[Service] // which handed it something; nil: none yet
	closed atomic.Bool             // read under handouts.mu

	open   int                       // guarded by handouts.mu: pages that it was handed and that are not settled
	queues map[*handedQueue]struct{} // guarded by handouts.mu: where it was handed something
}

// maxHandouts bounds what one consumer was handed and has not settled. A client
// that lets so much stand is refused more; connecting anew settles all. A Go
// client finishes a quarter of a second late, and so lets a few thousand stand
// where no rate is limited.
const maxHandouts = 16_384

// handoutPatience is how long a page that was handed out, and of which nothing
// was heard, is withheld from others: a connection may have died unnoticed.
const handoutPatience = 30 * time.Second

// Handout is a page that a drain gave to a Consumer. Exactly one of Arrived, Lost
// and Doubted says what became of it; if none does, closing the Consumer is as
// good as Lost. None of them blocks, and what comes too late changes nothing.
type Handout struct {
	node     *Service
	queue    *handedQueue
	consumer *Consumer // nil: of a fetch that tells of its arrival itself
	at       UnixMilli
	span     // what the page says something about

	settled bool // guarded by handouts.mu: it is in queue.pages no more
	doubted bool // guarded by handouts.mu
}

// Arrived says that the client has the page. It is acknowledged by the
// consumer's next Settle, once all before it is: acked is one number.
func (h *Handout) Arrived() {
	r := &h.node.handouts
	r.mu.Lock()
	defer r.mu.Unlock()
	r.arrived(h)
}

// Lost says that the client surely does not have the page, and never will:
// anybody may be given it again, this consumer included.
func (h *Handout) Lost() {
	r := &h.node.handouts
	r.mu.Lock()
	if h.settled {
		r.mu.Unlock()
		return
	}
	h.queue.remove(h)
	r.tidy(h.queue)
	r.mu.Unlock()
	h.node.backAgain(h.queue.name)
}

// Doubted says that nothing more will be heard of the page, and that the client
// may or may not have it. Others may be given it from now on; this consumer
// skips it until it is closed, so that a client that has it after all, and asks
// until its queue is empty, comes to an end.
func (h *Handout) Doubted() {
	r := &h.node.handouts
	r.mu.Lock()
	told := h.settled || h.doubted
	h.doubted = true
	r.mu.Unlock()
	if !told {
		h.node.backAgain(h.queue.name)
	}
}

// withholds says whether a page is kept from c. Its own consumer is not given it
// twice, whatever time it takes.
func (h *Handout) withholds(c *Consumer, now UnixMilli) bool {
	if h.consumer != nil && h.consumer == c {
		return true
	}
	return !h.doubted && now < h.at.Add(handoutPatience)
}

// Settle acknowledges, durably, what has arrived and has nothing unsettled
// before it. It depends on no session: a token may have expired since the page
// was fetched. What could not be acknowledged stays withheld, and is tried again
// by the next Settle or the next drain of the queue.
func (c *Consumer) Settle(ctx context.Context) error {
	node := c.node.Load()
	if node == nil {
		return nil
	}
	var settling errgroup.Group // together, since an engine syncs once for many
	settling.SetLimit(settleAtOnce)
	for _, due := range node.handouts.dueOf(c) {
		settling.Go(func() error { return node.settle(ctx, due) })
	}
	return settling.Wait()
}

// settleAtOnce bounds the acknowledgements that one consumer has under way.
const settleAtOnce = 16

// Close ends the consumer: what it was handed and is not known to have arrived
// may be given to others. What it knew to have arrived, but could not be
// acknowledged since something before it was not, is forgotten with the last
// consumer of the queue: it comes again, too. Close may be called twice.
func (c *Consumer) Close() {
	c.closed.Store(true)
	node := c.node.Load()
	if node == nil {
		return // and none will be: its drain finds it closed
	}
	for _, q := range node.handouts.leave(c) {
		node.backAgain(q)
	}
}

// due is an acknowledgement to be made.
type due struct {
	queue   Queue
	through Seq
}

func (s *Service) settle(ctx context.Context, d due) error {
	done, err := s.cfg.Store.Ack(ctx, Ack{Queue: d.queue, Through: d.through, Now: s.now()})
	s.handouts.acknowledged(d.queue, done, err)
	if err != nil {
		s.cfg.Log.Warn("messages that were drained and arrived cannot be removed yet", "cause", err)
		return AsError(err)
	}
	if done.Outcome == AckDone {
		s.cfg.Bus.Hint(Hint{Owner: d.queue.Recipient, Kind: HintAcked, Channel: d.queue.Channel})
	}
	s.settleNeglected(ctx, d.queue) // what arrived meanwhile, of which perhaps nobody else tells
	return nil
}

// backAgain wakes who waits for messages: some that were handed out may be
// given to others now.
func (s *Service) backAgain(q Queue) {
	s.cfg.Bus.Hint(Hint{Owner: q.Recipient, Kind: HintQueue, Channel: q.Channel})
}
