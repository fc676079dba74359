package pebblestore

import (
	"context"
	"fmt"

	ns "github.com/quicproquo/node/nodeservice"
)

// maxSweepStep bounds the records that one step of the sweep touches one by
// one, so that writes that wait behind it wait a few milliseconds.
const maxSweepStep = 1000

// Sweep implements nodeservice.Store: one step, durable before the answer. Since
// it comes by regularly, it is also where a store that broke is opened again.
func (s *Store) Sweep(ctx context.Context, now ns.UnixMilli) (swept ns.Swept, more bool, err error) {
	s.heal()
	if err := s.enter(); err != nil {
		return ns.Swept{}, false, err
	}
	defer s.leave()
	if swept, more, err = s.sweep(ctx, now); err == nil && !more {
		s.recheck()
		s.reclaim(ctx)
	}
	return swept, more, err
}

func (s *Store) sweep(ctx context.Context, now ns.UnixMilli) (ns.Swept, bool, error) {
	var step sweepStep
	_, err := s.committer.do(ctx, 0, func(t *tx) error {
		step = sweepStep{now: now, budget: maxSweepStep}
		return t.sweep(&step)
	})
	if err != nil {
		return ns.Swept{}, false, err
	}
	s.blobs.remove(step.garbage...)
	return step.swept, step.budget <= 0, nil
}

// sweepAll sweeps until nothing is due, within reason.
func (s *Store) sweepAll(ctx context.Context, now ns.UnixMilli) error {
	for range 100 {
		if _, more, err := s.sweep(ctx, now); err != nil || !more {
			return err
		}
	}
	return nil
}

// sweepStep is one step of a sweep: what is left to do and what was done.
type sweepStep struct {
	now     ns.UnixMilli
	budget  int // records that may still be touched; 0 or less: there may be more
	swept   ns.Swept
	garbage []blobName
}

// sweep takes entries of the sweep index whose time has come, from the oldest
// on, and looks at what each names.
func (t *tx) sweep(step *sweepStep) error {
	var due [][]byte
	err := scan(t.batch, []byte{keySweep}, key(keySweep, timeField(step.now+1)), func(k, _ []byte) (bool, error) {
		due = append(due, append([]byte(nil), k...))
		return len(due) == step.budget, nil
	})
	if err != nil {
		return err
	}
	for _, entry := range due {
		if step.budget <= 0 {
			return nil
		}
		step.budget--
		t.delete(entry) // before what follows, which may set it anew
		if err := t.sweepEntry(step, entry); err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) sweepEntry(step *sweepStep, entry []byte) error {
	const kindAt = 1 + 8
	if len(entry) <= kindAt {
		return fmt.Errorf("sweep entry %x: %w", entry, errCorrupt)
	}
	rest := entry[kindAt+1:]
	switch kind := entry[kindAt]; {
	case kind == sweepQueue && len(rest) == len(queueKey{}):
		return t.sweepQueue(step, queueKey(rest))
	case kind == sweepIDs && len(rest) >= len(queueKey{}):
		return t.sweepScope(step, rest)
	case kind == sweepPackage && len(rest) > 32:
		return t.sweepPackage(step, rest)
	case kind == sweepRecord && len(rest) > 0:
		return t.sweepRecord(step, rest)
	}
	return fmt.Errorf("sweep entry %x: %w", entry, errCorrupt)
}

// sweepQueue expires the front of a queue, and enters the time of the next one.
func (t *tx) sweepQueue(step *sweepStep, q queueKey) error {
	ln, err := t.mustLine(q.line())
	if err != nil {
		return err
	}
	at := q.side()
	s := &ln.sides[at]
	ln.dirty = true
	s.sweepAt = 0
	removed, err := t.expire(ln, at, step.now, max(step.budget, 1))
	if err != nil {
		return err
	}
	step.budget -= removed.cost
	step.garbage = append(step.garbage, removed.garbage...)
	step.swept.Messages += int(removed.count)
	if floor, _ := s.shownFloor(); removed.count > 0 && floor > 0 {
		step.swept.Floors = append(step.swept.Floors, ln.queue(at))
	}
	next, found, err := t.front(ln, at)
	if err != nil || !found {
		return err
	}
	s.sweepAt = next.expiresAt
	t.set(sweepKey(s.sweepAt, sweepQueue, q[:]), nil)
	return nil
}

// front is the first message of a queue.
func (t *tx) front(ln *line, at int) (m message, found bool, err error) {
	if ln.sides[at].held().count == 0 {
		return message{}, false, nil
	}
	it, err := newQueueIter(t.batch, ln.key.queue(at), ln.sides[at].start())
	if err != nil {
		return message{}, false, err
	}
	m, found, err = it.first()
	m.payload = nil // the iterator's
	if closeErr := it.Close(); err == nil {
		err = closeErr
	}
	return m, found, err
}

// sweepScope forgets expired message ids.
func (t *tx) sweepScope(step *sweepStep, scope []byte) error {
	k := lineKey(scope[:len(lineKey{})])
	ln, err := t.mustLine(k)
	if err != nil {
		return err
	}
	at, from := 0, ns.Account{}
	if k.legacy() {
		copy(from[:], scope[len(k):])
	} else {
		at = queueKey(scope).side()
	}
	ids, err := t.idsOf(ln, at, from)
	if err != nil {
		return err
	}
	count, err := t.sweepIDs(ids, step.now, max(step.budget, 1))
	step.budget -= count
	step.swept.MessageIDs += count
	return err
}

func (t *tx) mustLine(k lineKey) (*line, error) {
	ln, found, err := t.lineByKey(k)
	if err == nil && !found {
		err = fmt.Errorf("%w: the sweep index names line %x, which does not exist", errCorrupt, k)
	}
	return ln, err
}

// sweepPackage drops a key package, if it is still there and no newer one of
// the same bytes has taken its place.
func (t *tx) sweepPackage(step *sweepStep, rest []byte) error {
	owner, ref := rest[:len(rest)-32], [32]byte(rest[len(rest)-32:])
	p, kind, found, err := readPackage(t.batch, owner, ref)
	if err != nil || !found || p.ExpiresAt > step.now {
		return err
	}
	t.dropPackage(owner, packageRef{kind, p.CipherSuite, p.ExpiresAt, ref})
	step.swept.KeyPackages++
	return nil
}

// sweepRecord deletes a record, if its time was not put off since.
func (t *tx) sweepRecord(step *sweepStep, k []byte) error {
	until, found, err := t.until(k)
	if err != nil || !found || until > step.now {
		return err
	}
	t.delete(k)
	step.swept.Others++
	return nil
}
