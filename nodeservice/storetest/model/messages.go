package model

import (
	"context"
	"slices"

	"github.com/quicproquo/node/nodeservice"
)

// queue holds one recipient's messages: unacknowledged ones, ascending by seq.
type queue struct {
	messages []message
	acked    nodeservice.Seq
	floor    nodeservice.Seq // highest seq that a sweep deleted
}

type message struct {
	nodeservice.Message
	account nodeservice.Account // of the sender
}

// unexpired are the messages that still count at now.
func (q queue) unexpired(now nodeservice.UnixMilli) []message {
	var left []message
	for _, m := range q.messages {
		if m.ExpiresAt > now {
			left = append(left, m)
		}
	}
	return left
}

// floorAt is the floor with what expired by now, swept or not.
func (q queue) floorAt(now nodeservice.UnixMilli) nodeservice.Seq {
	floor := q.floor
	for _, m := range q.messages {
		if m.ExpiresAt <= now {
			floor = max(floor, m.Seq)
		}
	}
	if q.acked >= floor {
		return 0
	}
	return floor
}

// Read implements nodeservice.Store.
func (s *Store) Read(_ context.Context, req nodeservice.Read) (nodeservice.QueuePage, error) {
	return do(s, "Read", func(d *data) (nodeservice.QueuePage, error) { return d.read(req), nil })
}

func (d *data) read(req nodeservice.Read) nodeservice.QueuePage {
	q := d.queues[req.Queue]
	page := nodeservice.QueuePage{
		Head:  d.lines[lineOf(req.Queue)].head,
		Acked: q.acked,
		Floor: q.floorAt(req.Now),
	}
	if page.Floor > 0 {
		page.FloorReason = nodeservice.GapExpired
	}
	size := 0
	for _, m := range q.unexpired(req.Now) {
		if m.Seq <= max(req.After, page.Acked, page.Floor) {
			continue
		}
		size += len(m.Payload)
		if len(page.Messages) > 0 && (len(page.Messages) >= req.Limit || size > req.MaxBytes) {
			page.More = true
			break
		}
		m.Payload = slices.Clone(m.Payload)
		page.Messages = append(page.Messages, m.Message)
	}
	return page
}

// Ack implements nodeservice.Store.
func (s *Store) Ack(_ context.Context, req nodeservice.Ack) (nodeservice.Acked, error) {
	return do(s, "Ack", func(d *data) (nodeservice.Acked, error) { return d.ack(req), nil })
}

func (d *data) ack(req nodeservice.Ack) nodeservice.Acked {
	q := d.queues[req.Queue]
	head := d.lines[lineOf(req.Queue)].head
	answer := func(o nodeservice.AckOutcome) nodeservice.Acked {
		return nodeservice.Acked{Outcome: o, Acked: q.acked, Head: head}
	}
	switch {
	case req.Through > head:
		return answer(nodeservice.AckBeyondHead)
	case req.IfAcked != nil && *req.IfAcked != q.acked:
		return answer(nodeservice.AckConflict)
	case q.acked >= req.Through:
		return answer(nodeservice.AckUnchanged)
	}
	q.acked = req.Through
	q.messages = slices.DeleteFunc(q.messages, func(m message) bool { return m.Seq <= req.Through })
	d.queues[req.Queue] = q
	return answer(nodeservice.AckDone)
}
