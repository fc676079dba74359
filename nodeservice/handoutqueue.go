package nodeservice

import (
	"cmp"
	"iter"
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
	queues map[Queue]*handedQueue // guarded by mu: none without a page or an arrival
}

// span is the seqs above from, up to to.
type span struct{ from, to Seq }

// handedQueue is a queue with something unsettled, guarded by handouts.mu. A
// page begins where the one before it ends, or at acked; so once all are
// settled, their spans are one.
type handedQueue struct {
	name    Queue
	acked   Seq        // as last heard
	pages   []*Handout // ascending by from
	arrived []span     // ascending, apart from one another, above acked: not acknowledged yet
	users   map[*Consumer]struct{}

	// neglected says that something may be acknowledged and that perhaps nobody is
	// about to: an attempt failed, or another acknowledgement made way.
	neglected bool
}

// spans are what is arrived or admitted, ascending by from. They may overlap.
func (l *handedQueue) spans(admit func(*Handout) bool) iter.Seq[span] {
	return func(yield func(span) bool) {
		arrived := l.arrived
		for _, h := range l.pages {
			if !admit(h) {
				continue
			}
			for len(arrived) > 0 && arrived[0].from <= h.from {
				if !yield(arrived[0]) {
					return
				}
				arrived = arrived[1:]
			}
			if !yield(h.span) {
				return
			}
		}
		for _, a := range arrived {
			if !yield(a) {
				return
			}
		}
	}
}

// place is where a drain finds messages that are not withheld from it.
type place struct {
	start Seq // it reads above
	below Seq // and its page says something about all above this: what lies between was skipped by its own will
	limit Seq // and up to here
}

func (l *handedQueue) place(c *Consumer, after Seq, now UnixMilli) place {
	p := place{start: max(after, l.acked), below: l.acked, limit: MaxSeq}
	for s := range l.spans(func(h *Handout) bool { return h.withholds(c, now) }) {
		if s.from > p.start {
			p.limit = s.from
			break
		}
		p.start = max(p.start, s.to)
		p.below = max(p.below, s.to)
	}
	return p
}

// seen is how far the queue is drained in the eyes of c: what it was handed it
// does not want to find again.
func (l *handedQueue) seen(c *Consumer) Seq {
	seen := l.acked
	for s := range l.spans(func(h *Handout) bool { return h.consumer == c && !h.doubted }) {
		if s.from > seen {
			break
		}
		seen = max(seen, s.to)
	}
	return seen
}

// due is how far the queue may be acknowledged; 0: no further.
func (l *handedQueue) due() Seq {
	if len(l.arrived) > 0 && l.arrived[0].from <= l.acked {
		return l.arrived[0].to
	}
	return 0
}

// add puts in a page that was handed out.
func (l *handedQueue) add(h *Handout) {
	at, _ := slices.BinarySearchFunc(l.pages, h.from+1, func(p *Handout, from Seq) int { return cmp.Compare(p.from, from) })
	l.pages = slices.Insert(l.pages, at, h)
	if c := h.consumer; c != nil {
		if c.queues == nil {
			c.queues = make(map[*handedQueue]struct{})
		}
		c.open++
		c.queues[l] = struct{}{}
		l.users[c] = struct{}{}
	}
}

// remove takes out a page, which is settled from now on.
func (l *handedQueue) remove(h *Handout) {
	l.pages = slices.DeleteFunc(l.pages, func(p *Handout) bool { return p == h })
	h.settle()
}

func (h *Handout) settle() {
	h.settled = true
	if h.consumer != nil {
		h.consumer.open--
	}
}

// arrive joins a span to those that have arrived.
func (l *handedQueue) arrive(s span) {
	if s.from = max(s.from, l.acked); s.to <= s.from {
		return
	}
	first, _ := slices.BinarySearchFunc(l.arrived, s.from, func(a span, from Seq) int { return cmp.Compare(a.to, from) })
	last := first
	for ; last < len(l.arrived) && l.arrived[last].from <= s.to; last++ {
		s.from, s.to = min(s.from, l.arrived[last].from), max(s.to, l.arrived[last].to)
	}
	l.arrived = slices.Replace(l.arrived, first, last, s)
}

// raise learns that the queue is acknowledged through acked.
func (l *handedQueue) raise(acked Seq) {
	if acked <= l.acked {
		return
	}
	l.acked = acked
	l.arrived = slices.DeleteFunc(l.arrived, func(a span) bool { return a.to <= acked })
	l.pages = slices.DeleteFunc(l.pages, func(h *Handout) bool {
		if h.to <= acked {
			h.settle()
		}
		return h.to <= acked
	})
	l.neglected = l.neglected || l.due() > 0
}

// of returns a queue's state, or a new one that is not kept yet.
func (r *handouts) of(q Queue) *handedQueue {
	if l := r.queues[q]; l != nil {
		return l
	}
	return &handedQueue{name: q, users: make(map[*Consumer]struct{})}
}

// abandoned says that nobody is there who was handed something of the queue.
func (l *handedQueue) abandoned() bool { return len(l.pages) == 0 && len(l.users) == 0 }

// tidy keeps a queue's state while there is some that matters to anybody.
func (r *handouts) tidy(l *handedQueue) {
	if l.abandoned() && l.due() == 0 {
		l.arrived = nil
	}
	if len(l.pages)+len(l.arrived) > 0 {
		if r.queues == nil {
			r.queues = make(map[Queue]*handedQueue)
		}
		r.queues[l.name] = l
		return
	}
	for c := range l.users {
		delete(c.queues, l)
	}
	clear(l.users)
	delete(r.queues, l.name)
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
// arrived behind it; through 0: something before it is not settled, and the page
// has arrived from now on: whoever makes way for it finds it.
func (r *handouts) closing(h *Handout) due {
	r.mu.Lock()
	defer r.mu.Unlock()
	d := due{queue: h.queue.name}
	if h.from > h.queue.acked {
		r.arrived(h)
		return d
	}
	d.through = h.to
	for _, a := range h.queue.arrived {
		if a.from <= d.through {
			d.through = max(d.through, a.to)
		}
	}
	return d
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
		pages := len(l.pages)
		l.pages = slices.DeleteFunc(l.pages, func(h *Handout) bool {
			if h.consumer == c {
				h.settle()
			}
			return h.consumer == c
		})
		if len(l.pages) < pages {
			back = append(back, l.name)
		}
		if delete(l.users, c); l.abandoned() {
			l.arrived = nil
		}
		r.tidy(l)
	}
	c.queues = nil
	return back
}
