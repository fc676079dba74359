package model

import (
	"context"
	"slices"

	"github.com/quicproquo/node/nodeservice"
)

// lineKey names a line: a channel, or the recipient of a legacy queue.
type lineKey struct {
	channel nodeservice.ChannelID
	legacy  nodeservice.Identity
}

func lineOf(q nodeservice.Queue) lineKey {
	if q.Legacy() {
		return lineKey{legacy: q.Recipient}
	}
	return lineKey{channel: q.Channel}
}

// line is what the queues of a line share; nothing in it ever decreases.
type line struct {
	head       nodeservice.Seq
	receivedAt nodeservice.UnixMilli // of the last message
	expiresAt  nodeservice.UnixMilli // of the last message
}

// sender is within whose ids a message id is looked up. In a channel the
// recipient tells the sender; only a legacy queue needs the account.
type sender struct {
	queue   nodeservice.Queue
	account nodeservice.Account
}

func senderOf(req nodeservice.Append) sender {
	if req.Queue.Legacy() {
		return sender{req.Queue, req.Account}
	}
	return sender{queue: req.Queue}
}

// receipt is what is remembered of a message id.
type receipt struct {
	id         string
	digest     [32]byte
	seq        nodeservice.Seq
	receivedAt nodeservice.UnixMilli
	expiresAt  nodeservice.UnixMilli // the message's
}

// Append implements nodeservice.Store.
func (s *Store) Append(_ context.Context, req nodeservice.Append) (nodeservice.Appended, error) {
	return do(s, "Append", func(d *data) (nodeservice.Appended, error) {
		if _, found := d.channels[req.Queue.Channel]; !found && !req.Queue.Legacy() {
			return nodeservice.Appended{}, nodeservice.Errorf(nodeservice.CodeInternal, "append to a channel that was never created")
		}
		if refused, ok := d.refuse(req); ok {
			refused.Head = d.lines[lineOf(req.Queue)].head
			return refused, nil
		}
		return d.store(req), nil
	})
}

// refuse runs the checks of Append in their order.
func (d *data) refuse(req nodeservice.Append) (refused nodeservice.Appended, ok bool) {
	first, seen := d.remembered(req)
	head := d.lines[lineOf(req.Queue)].head
	switch {
	case seen && first.digest == req.Digest:
		return nodeservice.Appended{Outcome: nodeservice.AppendDuplicate, Seq: first.seq, ReceivedAt: first.receivedAt}, true
	case seen:
		return nodeservice.Appended{Outcome: nodeservice.AppendReused}, true
	case req.IfHead != nil && *req.IfHead != head:
		return nodeservice.Appended{Outcome: nodeservice.AppendHeadMoved}, true
	case d.queueFull(req):
		return nodeservice.Appended{Outcome: nodeservice.AppendQueueFull}, true
	case d.overQuota(req):
		return nodeservice.Appended{Outcome: nodeservice.AppendOverQuota}, true
	}
	return nodeservice.Appended{}, false
}

func (d *data) remembered(req nodeservice.Append) (first receipt, seen bool) {
	if req.MessageID == "" {
		return receipt{}, false
	}
	for _, r := range d.sent[senderOf(req)] {
		if r.id == req.MessageID && r.expiresAt > req.Now {
			return r, true
		}
	}
	return receipt{}, false
}

func (d *data) queueFull(req nodeservice.Append) bool {
	count, size := held(d.queues[req.Queue], req.Now, nil)
	return exceeds(count+1, req.Quota.QueueMessages) ||
		exceeds(size+int64(len(req.Payload)), req.Quota.QueueBytes)
}

func (d *data) overQuota(req nodeservice.Append) bool {
	var everywhere int64
	for _, q := range d.queues {
		_, size := held(q, req.Now, &req.Account)
		everywhere += size
	}
	count, size := held(d.queues[req.Queue], req.Now, &req.Account)
	return exceeds(everywhere+int64(len(req.Payload)), req.Quota.AccountBytes) ||
		exceeds(count+1, req.Quota.ShareMessages) ||
		exceeds(size+int64(len(req.Payload)), req.Quota.ShareBytes)
}

// held counts a queue's unexpired messages; with account != nil, those of it.
func held(q queue, now nodeservice.UnixMilli, account *nodeservice.Account) (count int, size int64) {
	for _, m := range q.messages {
		if m.ExpiresAt > now && (account == nil || m.account == *account) {
			count++
			size += int64(len(m.Payload))
		}
	}
	return count, size
}

// exceeds compares with a bound, of which 0 bounds nothing.
func exceeds[N int | int64](n, bound N) bool { return bound > 0 && n > bound }

// store adds a message to its queue, whatever the checks say.
func (d *data) store(req nodeservice.Append) nodeservice.Appended {
	key := lineOf(req.Queue)
	l := d.lines[key]
	l = line{
		head:       l.head + 1,
		receivedAt: max(l.receivedAt, req.Now),
		expiresAt:  max(l.expiresAt, req.ExpiresAt),
	}
	d.lines[key] = l
	q := d.queues[req.Queue]
	q.messages = append(q.messages, message{account: req.Account, Message: nodeservice.Message{
		Seq: l.head, ReceivedAt: l.receivedAt, ExpiresAt: l.expiresAt, Payload: slices.Clone(req.Payload),
	}})
	d.queues[req.Queue] = q
	d.remember(req, l)
	return nodeservice.Appended{
		Outcome:    nodeservice.AppendStored,
		Seq:        l.head,
		ReceivedAt: l.receivedAt,
		Head:       l.head,
		Announced:  d.announceBoth(req.Queue),
	}
}

// announceBoth makes a channel that holds a message visible to its members: to
// the peer of its creator, that is, whichever of the two sent it.
func (d *data) announceBoth(q nodeservice.Queue) (toRecipient bool) {
	if q.Legacy() {
		return false
	}
	for _, member := range d.channels[q.Channel].Members {
		announced := d.announce(q.Channel, member)
		toRecipient = toRecipient || announced && member == q.Recipient
	}
	return toRecipient
}

// remember keeps a message id, and of its sender's the latest.
func (d *data) remember(req nodeservice.Append, l line) {
	if req.MessageID == "" {
		return
	}
	ids := slices.DeleteFunc(d.sent[senderOf(req)], func(r receipt) bool { return r.id == req.MessageID })
	ids = append(ids, receipt{
		id: req.MessageID, digest: req.Digest, seq: l.head, receivedAt: l.receivedAt, expiresAt: l.expiresAt,
	})
	if n := req.Quota.RememberedIDs; n > 0 && len(ids) > n {
		ids = slices.Delete(ids, 0, len(ids)-n)
	}
	d.sent[senderOf(req)] = ids
}
