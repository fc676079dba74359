package nodeservice

import (
	"cmp"
	"context"
	"slices"
)

// drain reads a page that nobody else was handed, and hands it out; or, where
// nobody tells of its arrival, removes it at once.
func (s *session) drain(ctx context.Context, req FetchRequest, q Queue, now UnixMilli) (Page, error) {
	r := &s.node.handouts
	if req.Consumer != nil {
		req.Consumer.node.Store(s.node)
	}
	defer r.enter(q)()
	s.node.settleNeglected(ctx, q)
	for {
		start := r.start(req, q, now)
		stored, err := s.readQueue(ctx, req, q, start, now)
		if err != nil {
			return Page{}, err
		}
		page, out, moved, err := r.hand(s.node, req, q, start, stored, now)
		if err != nil || !moved && out == nil {
			return page, err
		}
		if moved {
			continue // another drain was here meanwhile, or an acknowledgement
		}
		if req.Consumer != nil {
			page.Handout = out
			return page, nil
		}
		if removed, err := s.remove(ctx, out, &page, now); removed || err != nil {
			return page, err
		}
	}
}

// remove is the simple form: the messages are gone before the answer is written.
// The acknowledgement holds only if acked is still what this node knows, which may
// have risen since the page was read: so two drains do not return the same message
// even on two nodes. Behind a page
// that is handed out and not settled nothing can be acknowledged; then it is
// remembered as arrived.
func (s *session) remove(ctx context.Context, out *Handout, page *Page, now UnixMilli) (removed bool, err error) {
	r := &s.node.handouts
	d, acked := r.closing(out)
	if d.through == 0 {
		return true, nil
	}
	done, err := s.node.cfg.Store.Ack(ctx, Ack{Queue: d.queue, Through: d.through, IfAcked: &acked, Now: now})
	if err != nil {
		out.Lost()
		*page = Page{}
		return false, err
	}
	if done.Outcome == AckConflict { // acknowledged elsewhere, and perhaps drained on another node
		r.acknowledged(d.queue, done, nil)
		out.Lost()
		return false, nil
	}
	r.acknowledged(d.queue, done, nil)
	s.node.cfg.Bus.Hint(Hint{Owner: s.id, Kind: HintAcked, Channel: d.queue.Channel})
	page.ackedThrough(done.Acked)
	s.node.settleNeglected(ctx, d.queue) // another such page, which waited for this one
	return true, nil
}

// settleNeglected tries again what was not acknowledged, or may be only now. If
// it fails it is logged, and stays withheld.
func (s *Service) settleNeglected(ctx context.Context, q Queue) {
	if d, neglected := s.handouts.neglected(q); neglected {
		_ = s.settle(ctx, d)
	}
}

// ackedThrough shows a page to a reader that acknowledged, or drained, up to acked.
func (p *Page) ackedThrough(acked Seq) {
	p.Acked = max(p.Acked, acked)
	if p.Acked >= p.Floor {
		p.Floor = 0
	}
}

// cut leaves out what another drain was handed: all from the first message
// above limit on.
func (p *Page) cut(limit Seq) {
	n, _ := slices.BinarySearchFunc(p.Messages, limit+1, func(m Message, seq Seq) int { return cmp.Compare(m.Seq, seq) })
	if n < len(p.Messages) {
		p.Messages, p.More = p.Messages[:n:n], true
	}
}
