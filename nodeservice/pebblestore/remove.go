package pebblestore

import (
	"context"
	"fmt"
	"math"

	ns "github.com/quicproquo/node/nodeservice"
)

const (
	// unbounded is the budget of a step that must be done in one.
	unbounded = math.MaxInt
	// maxPointDeletes is from where one range deletion is cheaper than many
	// deletions. Below it is not: every range deletion in a memtable costs all
	// readers of it something.
	maxPointDeletes = 256
)

// removal is what was removed from the front of a queue.
type removal struct {
	count   uint64     // messages
	cost    int        // records touched one by one, for budgets
	garbage []blobName // to remove once the step is durable
}

// Ack implements nodeservice.Store.
func (s *Store) Ack(ctx context.Context, req ns.Ack) (acked ns.Acked, err error) {
	if err := s.enter(); err != nil {
		return ns.Acked{}, err
	}
	defer s.leave()
	var garbage []blobName
	_, err = s.committer.do(ctx, 0, func(t *tx) (err error) {
		acked, garbage, err = t.ack(req)
		return err
	})
	if err != nil {
		return ns.Acked{}, err
	}
	s.blobs.remove(garbage...)
	return acked, nil
}

func (t *tx) ack(req ns.Ack) (ns.Acked, []blobName, error) {
	ln, at, found, err := t.line(req.Queue)
	if err != nil {
		return ns.Acked{}, nil, err
	}
	if !found {
		ln = new(line) // a queue never written
	}
	s := &ln.sides[at]
	unchanged := func(o ns.AckOutcome) (ns.Acked, []blobName, error) {
		return ns.Acked{Outcome: o, Acked: s.acked, Head: ln.head}, nil, nil
	}
	switch {
	case req.Through > ln.head:
		return unchanged(ns.AckBeyondHead)
	case req.IfAcked != nil && *req.IfAcked != s.acked:
		return unchanged(ns.AckConflict)
	case s.acked >= req.Through:
		return unchanged(ns.AckUnchanged)
	}
	removed, err := t.removeTo(ln, at, req.Through)
	if err != nil {
		return ns.Acked{}, nil, err
	}
	ln.dirty = true
	s.acked = req.Through
	return ns.Acked{Outcome: ns.AckDone, Acked: s.acked, Head: ln.head}, removed.garbage, nil
}

// removeTo removes the messages with seq <= through, which need not be one's.
func (t *tx) removeTo(ln *line, at int, through ns.Seq) (removal, error) {
	s := &ln.sides[at]
	if s.held().count == 0 || through < s.start() {
		return removal{}, nil
	}
	last, found, err := t.messageAt(ln, at, through)
	if err != nil || !found {
		return removal{}, err
	}
	removed, _, err := t.remove(ln, at, last, unbounded)
	return removed, err
}

// expire removes what has expired by now from the front of a queue, at most
// budget records of it, and raises its floor.
func (t *tx) expire(ln *line, at int, now ns.UnixMilli, budget int) (removal, error) {
	last, found, err := lastExpired(t.batch, ln, at, now)
	if err != nil || !found {
		return removal{}, err
	}
	removed, reached, err := t.remove(ln, at, last, budget)
	if err != nil {
		return removal{}, err
	}
	ln.sides[at].expired(reached)
	return removed, nil
}

// remove removes a queue's front through message last, or as much of it as
// budget allows; reached is the last seq removed. Only messages with records
// besides their own (blobs, legacy) count against the budget: the others go by
// subtraction and, when many, by one range deletion.
func (t *tx) remove(ln *line, at int, last message, budget int) (r removal, reached ns.Seq, err error) {
	s, q := &ln.sides[at], ln.key.queue(at)
	first := s.start()
	last, blobs, err := t.cut(ln, at, last, budget)
	if err != nil {
		return removal{}, 0, err
	}
	gone := last.through.minus(s.removed)
	r = removal{count: gone.count, cost: int(min(gone.count, maxPointDeletes))}
	if ln.key.legacy() {
		r.cost = int(gone.count)
		err = t.removeShares(ln.key, first, last.seq)
	} else {
		err = t.charge(s.account, -int64(gone.bytes))
	}
	if err != nil {
		return removal{}, 0, err
	}
	ln.dirty = true
	s.removed = last.through
	t.freed += min(gone.bytes, (gone.count-uint64(len(blobs)))*maxInline)
	for _, b := range blobs {
		t.delete(seqKey(keyBlob, q[:], b.seq))
		r.garbage = append(r.garbage, b.name)
		r.cost++
	}
	return r, last.seq, t.deleteMessages(q, first, last.seq, gone.count)
}

// cut moves last towards the front until what is before it fits into budget,
// and lists the blobs up to it.
func (t *tx) cut(ln *line, at int, last message, budget int) (message, []seqBlob, error) {
	first, reached := ln.sides[at].start(), last.seq
	if ln.key.legacy() && budget != unbounded {
		var err error
		if reached, err = t.cutShares(ln.key, first, reached, budget); err != nil {
			return message{}, nil, err
		}
	}
	blobs, err := t.blobsBetween(ln.key.queue(at), first, reached, budget)
	if err != nil {
		return message{}, nil, err
	}
	if len(blobs) == budget {
		reached = blobs[budget-1].seq
	}
	if reached != last.seq {
		last, err = t.mustMessage(ln, at, reached)
	}
	return last, blobs, err
}

func (t *tx) deleteMessages(q queueKey, first, last ns.Seq, count uint64) error {
	lower, upper := seqKey(keyMessage, q[:], first), seqKey(keyMessage, q[:], last+1)
	if count > maxPointDeletes {
		t.deleteRange(lower, upper)
		return nil
	}
	return scan(t.batch, lower, upper, func(k, _ []byte) (bool, error) {
		t.delete(k)
		return false, nil
	})
}

// seqBlob is a blob and the seq of its message.
type seqBlob struct {
	seq  ns.Seq
	name blobName
}

// blobsBetween lists the blobs of a queue's seqs from first to last, at most limit.
func (t *tx) blobsBetween(q queueKey, first, last ns.Seq, limit int) (blobs []seqBlob, err error) {
	err = scan(t.batch, seqKey(keyBlob, q[:], first), seqKey(keyBlob, q[:], last+1), func(k, value []byte) (bool, error) {
		if len(value) != len(blobName{}) {
			return true, fmt.Errorf("blob of %x: %w", k, errCorrupt)
		}
		blobs = append(blobs, seqBlob{seqOf(k), blobName(value)})
		return len(blobs) == limit, nil
	})
	return blobs, err
}

// messageAt finds the last message of a queue with a seq <= through.
func (t *tx) messageAt(ln *line, at int, through ns.Seq) (m message, found bool, err error) {
	it, err := newQueueIter(t.batch, ln.key.queue(at), ln.sides[at].start())
	if err != nil {
		return message{}, false, err
	}
	m, found, err = it.through(through)
	m.payload = nil // the iterator's
	if closeErr := it.Close(); err == nil {
		err = closeErr
	}
	return m, found, err
}

func (t *tx) mustMessage(ln *line, at int, seq ns.Seq) (message, error) {
	m, found, err := t.messageAt(ln, at, seq)
	if err == nil && (!found || m.seq != seq) {
		err = fmt.Errorf("%w: message %d has other records, but is not there", errCorrupt, seq)
	}
	return m, err
}
