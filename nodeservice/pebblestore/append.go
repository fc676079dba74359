package pebblestore

import (
	"context"

	ns "github.com/quicproquo/node/nodeservice"
)

// Append implements nodeservice.Store. A large payload goes to its file before
// the step, in the caller's goroutine, so that large ones are written in
// parallel and the committer never waits for them.
func (s *Store) Append(ctx context.Context, req ns.Append) (ns.Appended, error) {
	if err := s.enter(); err != nil {
		return ns.Appended{}, err
	}
	defer s.leave()
	var ref blobRef
	if len(req.Payload) > maxInline {
		if refused, err := s.foresee(ctx, req); err != nil || refused.Outcome != 0 {
			return refused, err
		}
		name, err := s.blobs.put(ctx, req.Payload)
		if err != nil {
			return ns.Appended{}, err
		}
		ref = blobRef{name: name, digest: req.Digest}
	}
	appended, became, err := s.append(ctx, req, ref)
	if err == nil && appended.Outcome == ns.AppendOverQuota {
		// What has expired in the account's other queues must not count. The
		// sweep, which is due anyway, knows where it is.
		if err = s.sweepAll(ctx, req.Now); err == nil {
			appended, became, err = s.append(ctx, req, ref)
		}
	}
	// The file stays if its record is there, and if it may be: then the next
	// open finds out.
	unused := became == fateNone || became == fateDurable && appended.Outcome != ns.AppendStored
	if unused && !ref.isZero() {
		s.blobs.remove(ref.name)
	}
	return appended, err
}

func (s *Store) append(ctx context.Context, req ns.Append, ref blobRef) (appended ns.Appended, became fate, err error) {
	var garbage []blobName
	became, err = s.committer.do(ctx, min(len(req.Payload), maxInline), func(t *tx) (err error) {
		appended, garbage, err = t.append(req, ref)
		return err
	})
	if err != nil {
		return ns.Appended{}, became, err
	}
	s.blobs.remove(garbage...)
	return appended, became, nil
}

func (t *tx) append(req ns.Append, blob blobRef) (ns.Appended, []blobName, error) {
	ln, at, found, err := t.line(req.Queue)
	if err != nil {
		return ns.Appended{}, nil, err
	}
	if !found {
		return ns.Appended{}, nil, errNoChannel
	}
	ids, err := t.idsOf(ln, at, req.Account)
	if err != nil {
		return ns.Appended{}, nil, err
	}
	id, err := t.remembered(ids, req.MessageID)
	if err != nil {
		return ns.Appended{}, nil, err
	}
	if known := appendKnown(req, ln, id); known.Outcome != 0 {
		return known, nil, nil
	}
	outcome, garbage, err := t.appendQuota(req, ln, at)
	if err != nil {
		return ns.Appended{}, nil, err
	}
	if outcome != ns.AppendStored {
		return ns.Appended{Outcome: outcome, Head: ln.head}, garbage, nil
	}
	appended, err := t.store(req, blob, ln, at)
	if err == nil && req.MessageID != "" {
		err = t.remember(ids, req, id, appended, ln.expiresAt)
	}
	return appended, garbage, err
}

// appendKnown makes the checks that need no quota: messageId, then ifHead. Its
// Outcome is 0 if they pass.
func appendKnown(req ns.Append, ln *line, id *rememberedID) ns.Appended {
	switch {
	case id != nil && id.expiresAt > req.Now && id.digest == req.Digest:
		return ns.Appended{Outcome: ns.AppendDuplicate, Seq: id.seq, ReceivedAt: id.receivedAt, Head: ln.head}
	case id != nil && id.expiresAt > req.Now:
		return ns.Appended{Outcome: ns.AppendReused, Head: ln.head}
	case req.IfHead != nil && *req.IfHead != ln.head:
		return ns.Appended{Outcome: ns.AppendHeadMoved, Head: ln.head}
	}
	return ns.Appended{}
}

// appendQuota makes the checks of quotas. Before one refuses, what has expired
// in the queue is removed: it must not count, and nobody can tell.
func (t *tx) appendQuota(req ns.Append, ln *line, at int) (ns.AppendOutcome, []blobName, error) {
	outcome, err := t.fits(req, ln, at)
	if err != nil || outcome == ns.AppendStored {
		return outcome, nil, err
	}
	removed, err := t.expire(ln, at, req.Now, unbounded)
	if err != nil || removed.count == 0 {
		return outcome, nil, err
	}
	outcome, err = t.fits(req, ln, at)
	return outcome, removed.garbage, err
}

func (t *tx) fits(req ns.Append, ln *line, at int) (ns.AppendOutcome, error) {
	a, err := t.account(req.Account)
	if err != nil {
		return 0, err
	}
	sh := new(share)
	if ln.key.legacy() {
		if sh, err = t.share(ln.key, req.Account); err != nil {
			return 0, err
		}
	}
	return fits(req, ln.sides[at].held(), a, sh), nil
}

// fits compares a message with what the queue, its sender, and its sender in that
// queue hold already.
func fits(req ns.Append, held tally, from *account, share *share) ns.AppendOutcome {
	q, size := req.Quota, uint64(len(req.Payload))
	switch {
	case beyond(held.count+1, q.QueueMessages) || beyond(held.bytes+size, q.QueueBytes):
		return ns.AppendQueueFull
	case q.AccountBytes > 0 && from.bytes+int64(size) > q.AccountBytes:
		return ns.AppendOverQuota
	case !req.Queue.Legacy(): // only there are shares counted
	case beyond(share.held.count+1, q.ShareMessages) || beyond(share.held.bytes+size, q.ShareBytes):
		return ns.AppendOverQuota
	}
	return ns.AppendStored
}

// beyond says that n exceeds a quota; 0 is none.
func beyond[Q int | int64](n uint64, quota Q) bool { return quota > 0 && n > uint64(quota) }

// store writes the message: every check has passed.
func (t *tx) store(req ns.Append, blob blobRef, ln *line, at int) (ns.Appended, error) {
	ln.dirty = true
	ln.head++
	ln.receivedAt = max(ln.receivedAt, req.Now)
	ln.expiresAt = max(ln.expiresAt, req.ExpiresAt)
	s := &ln.sides[at]
	s.added.count++
	s.added.bytes += uint64(len(req.Payload))
	m := message{
		seq: ln.head, receivedAt: ln.receivedAt, expiresAt: ln.expiresAt,
		through: s.added, size: len(req.Payload), blob: blob,
	}
	if blob.isZero() {
		m.payload = req.Payload
	}
	q := ln.key.queue(at)
	t.setMessage(q, &m)
	if !blob.isZero() {
		t.set(seqKey(keyBlob, q[:], m.seq), blob.name[:])
	}
	if s.sweepAt == 0 {
		s.sweepAt = m.expiresAt
		t.set(sweepKey(s.sweepAt, sweepQueue, q[:]), nil)
	}
	if err := t.own(req, ln, at, m); err != nil {
		return ns.Appended{}, err
	}
	announced, err := t.announceBoth(ln, at)
	return ns.Appended{Outcome: ns.AppendStored, Seq: m.seq, ReceivedAt: m.receivedAt, Head: ln.head, Announced: announced}, err
}

// announceBoth makes a channel that holds a message visible to the recipient,
// and to the sender, who may be the one that did not create it.
func (t *tx) announceBoth(ln *line, recipient int) (toRecipient bool, err error) {
	if ln.key.legacy() {
		return false, nil
	}
	if _, err := t.announce(ln, 1-recipient); err != nil {
		return false, err
	}
	return t.announce(ln, recipient)
}

// own charges the message to its sender. A channel's queue has one sender, and
// so one account; a legacy message carries its own.
func (t *tx) own(req ns.Append, ln *line, at int, m message) error {
	if ln.key.legacy() {
		return t.addShare(ln.key, req.Account, m)
	}
	s := &ln.sides[at]
	if s.account != req.Account {
		// The installation's secret, by which accounts are keyed, was replaced.
		before := int64(s.held().bytes) - int64(m.size)
		if before > 0 {
			if err := t.charge(s.account, -before); err != nil {
				return err
			}
			if err := t.charge(req.Account, before); err != nil {
				return err
			}
		}
		s.account = req.Account
	}
	return t.charge(req.Account, int64(m.size))
}
