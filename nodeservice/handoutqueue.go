package nodeservice

import (
	"cmp"
	"iter"
	"slices"
)

// handedQueue is a queue with something unsettled, guarded by handouts.mu. A
// page begins where the one before it ends, or at acked; so once all are
// settled, their spans are one.
type handedQueue struct {
	name    Queue
	acked   Seq        // as last heard
	pages   []*Handout // ascending by from
	arrived []span     // ascending, apart from one another, above acked: not acknowledged yet
	users   map[*Consumer]struct{}
	drains  int // that are under way

	// neglected says that something may be acknowledged and that perhaps nobody is
	// about to: an attempt failed, or another acknowledgement made way.
	neglected bool
}

// span is the seqs above from, up to to.
type span struct{ from, to Seq }

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

// abandoned says that nobody is there who was, or is about to be, handed something
// of the queue.
func (l *handedQueue) abandoned() bool {
	return len(l.pages) == 0 && len(l.users) == 0 && l.drains == 0
}
