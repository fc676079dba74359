package nodeservice

import (
	"slices"
	"sync"
)

// handouts are the pages of this node's queues that drains were handed and that
// are not settled. Nothing of it is stored: after a restart a queue begins where
// it is acknowledged. It is bounded by maxHandouts for each open consumer, and
// empty when none is open.
type handouts struct {
	most   int // a consumer may hold; static
	mu     sync.Mutex
	queues map[Queue]*handedQueue // guarded by mu: none without a page, an arrival or a drain under way
}

// of returns a queue's state, or a new one that is not kept yet.
func (r *handouts) of(q Queue) *handedQueue {
	if l := r.queues[q]; l != nil {
		return l
	}
	return &handedQueue{name: q, users: make(map[*Consumer]struct{})}
}

// tidy keeps a queue's state while there is some that matters to anybody.
func (r *handouts) tidy(l *handedQueue) {
	if l.abandoned() && l.due() == 0 {
		l.arrived = nil
	}
	if len(l.pages)+len(l.arrived)+l.drains > 0 {
		r.keep(l)
		return
	}
	for c := range l.users {
		delete(c.queues, l)
	}
	clear(l.users)
	delete(r.queues, l.name)
}

func (r *handouts) keep(l *handedQueue) {
	if r.queues == nil {
		r.queues = make(map[Queue]*handedQueue)
	}
	r.queues[l.name] = l
}

// enter keeps what is known of a queue while a drain is under way: what it read
// may be old when it comes, and is told from what is known by then.
func (r *handouts) enter(q Queue) (leave func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.of(q)
	l.drains++
	r.keep(l)
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		l.drains--
		r.tidy(l)
	}
}

// start is where a drain begins to read; 0: at what is acknowledged.
func (r *handouts) start(req FetchRequest, q Queue, now UnixMilli) Seq {
	r.mu.Lock()
	defer r.mu.Unlock()
	if l := r.queues[q]; l != nil {
		return l.place(req.Consumer, req.After, now).start
	}
	return req.After
}

// seen is how far a consumer drained a queue; 0: no further than it is acknowledged.
func (r *handouts) seen(q Queue, c *Consumer) Seq {
	r.mu.Lock()
	defer r.mu.Unlock()
	if l := r.queues[q]; l != nil && c != nil {
		return l.seen(c)
	}
	return 0
}

// hand makes a page of what was read above start, and notes that it is handed
// out; a nil Handout: there is nothing in it. moved says that this is not the
// place to read at any more.
func (r *handouts) hand(
	node *Service, req FetchRequest, q Queue, start Seq, stored QueuePage, now UnixMilli,
) (page Page, out *Handout, moved bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := req.Consumer
	if c != nil && c.closed.Load() {
		return page, nil, false, Errorf(CodeUnavailable, "the connection is closed")
	}
	l := r.of(q)
	defer r.tidy(l)
	l.raise(stored.Acked)
	p := l.place(c, req.After, now)
	if p.start != max(start, stored.Acked) {
		return page, nil, true, nil
	}
	after := p.start
	if 0 < req.After && req.After < stored.Acked {
		after = req.After // and what it skipped is a gap
	}
	page = pageOf(after, stored)
	page.cut(p.limit)
	switch end := page.end(); {
	case end > p.below && c != nil && c.open >= r.most:
		return Page{}, nil, false, Errorf(CodeQuotaExceeded,
			"too many fetches of this connection are not finished; finish them, or open another connection")
	case end > p.below:
		out = &Handout{node: node, queue: l, consumer: c, at: now, span: span{p.below, end}}
		l.add(out)
	case len(stored.Messages) > 0:
		l.arrive(span{p.start, p.limit}) // an empty place between two that are withheld
		return page, nil, true, nil
	}
	if c != nil {
		page.ackedThrough(l.seen(c))
	}
	return page, out, false, nil
}

// arrived settles a page that its client has.
func (r *handouts) arrived(h *Handout) {
	if h.settled {
		return
	}
	h.queue.remove(h)
	h.queue.arrive(h.span)
	r.tidy(h.queue)
}

// closing is the acknowledgement that removes a page at once, with what has
// arrived behind it, and what is acknowledged before it; through 0: something
// before it is not settled, and the page has arrived from now on: whoever makes
// way for it finds it.
func (r *handouts) closing(h *Handout) (d due, acked Seq) {
	r.mu.Lock()
	defer r.mu.Unlock()
	d, acked = due{queue: h.queue.name}, h.queue.acked
	if h.from > acked {
		r.arrived(h)
		return d, acked
	}
	d.through = h.to
	for _, a := range h.queue.arrived {
		if a.from <= d.through {
			d.through = max(d.through, a.to)
		}
	}
	return d, acked
}

// dueOf is what may be acknowledged of the queues that c was handed something of.
func (r *handouts) dueOf(c *Consumer) (all []due) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for l := range c.queues {
		if through := l.due(); through > 0 {
			l.neglected = false
			all = append(all, due{l.name, through})
		}
	}
	return all
}

// neglected is an acknowledgement that nobody else is about to make.
func (r *handouts) neglected(q Queue) (due, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.queues[q]
	if l == nil || !l.neglected || l.due() == 0 {
		return due{}, false
	}
	l.neglected = false
	return due{q, l.due()}, true
}

// acknowledged learns what became of an acknowledgement.
func (r *handouts) acknowledged(q Queue, done Acked, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.queues[q]
	switch {
	case l == nil:
		return
	case err != nil && l.abandoned():
		l.arrived = nil // it comes again
	case err != nil:
		l.neglected = true
	case done.Outcome == AckBeyondHead:
		l.arrived = nil // the store is not the one that these were read from
	default:
		l.raise(done.Acked)
	}
	r.tidy(l)
}

// leave takes out a consumer, and returns the queues of which it gives something back.
func (r *handouts) leave(c *Consumer) (back []Queue) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for l := range c.queues {
		held := len(l.pages) + len(l.arrived)
		l.pages = slices.DeleteFunc(l.pages, func(h *Handout) bool {
			if h.consumer == c {
				h.settle()
			}
			return h.consumer == c
		})
		if delete(l.users, c); l.abandoned() {
			l.arrived = nil
		}
		if len(l.pages)+len(l.arrived) < held {
			back = append(back, l.name)
		}
		r.tidy(l)
	}
	c.queues = nil
	return back
}
