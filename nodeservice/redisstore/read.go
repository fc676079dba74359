package redisstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"

	ns "github.com/quicproquo/node/nodeservice"
)

var readScript = newScript(onlyReads, "line", "read")

// Read implements nodeservice.Store. Payloads that are keys of their own are
// fetched after the script, while an acknowledgement may remove them: then the
// moment is over, and the read starts anew.
func (s *Store) Read(ctx context.Context, req ns.Read) (ns.QueuePage, error) {
	if err := s.enter(); err != nil {
		return ns.QueuePage{}, err
	}
	defer s.leave()
	const tries = 16 // each time, the queue has moved on
	line := lineOf(req.Queue)
	base := s.lineBase(line)
	for range tries {
		answer, err := s.run(ctx, readScript, []string{base + string(keyLine) + string(line[:])},
			base, line[:], memberOf(req.Queue), uint64(min(req.After, ns.MaxSeq)), max(req.Limit, 1), req.MaxBytes, int64(req.Now))
		if err != nil {
			return ns.QueuePage{}, err
		}
		page, apart, err := decodePage(answer)
		if err != nil {
			return ns.QueuePage{}, asStoreError(err)
		}
		missing, err := s.fetch(ctx, base+string(keyPayload)+string(line[:]), &page, apart)
		if err != nil || !missing {
			return page, asStoreError(err)
		}
	}
	return ns.QueuePage{}, internal(fmt.Errorf("%w: a message's payload is not there", errCorrupt))
}

// payloadApart is a payload that a page lacks.
type payloadApart struct {
	at   int    // in the page's messages
	name string // side and seq, as its key ends
	size uint64
}

func decodePage(answer *reply) (page ns.QueuePage, apart []payloadApart, err error) {
	page.Head, page.Acked, page.Floor = answer.seq(), answer.seq(), answer.seq()
	if page.Floor > 0 {
		page.FloorReason = ns.GapExpired
	}
	page.More = answer.bool()
	messages := answer.list()
	side := answer.text()
	for messages.more() {
		one := messages.list()
		m := ns.Message{Seq: one.seq(), ReceivedAt: one.time(), ExpiresAt: one.time(), Payload: []byte(one.text())}
		size := one.count()
		if err := one.done(); err != nil {
			return ns.QueuePage{}, nil, err
		}
		switch {
		case size > maxInline && len(m.Payload) == 0:
			apart = append(apart, payloadApart{len(page.Messages), fmt.Sprintf("%s%d", side, m.Seq), size})
		case size != uint64(len(m.Payload)):
			return ns.QueuePage{}, nil, fmt.Errorf("%w: a payload of %d bytes where %d were stored", errCorrupt, len(m.Payload), size)
		}
		page.Messages = append(page.Messages, m)
	}
	return page, apart, errors.Join(messages.done(), answer.done())
}

// fetch fills in the payloads that are kept apart.
func (s *Store) fetch(ctx context.Context, prefix string, page *ns.QueuePage, apart []payloadApart) (missing bool, err error) {
	if len(apart) == 0 {
		return false, nil
	}
	pipe := s.client.Pipeline()
	answers := make([]*redis.StringCmd, len(apart))
	for i, p := range apart {
		answers[i] = pipe.Get(ctx, prefix+p.name)
	}
	_, _ = pipe.Exec(ctx) // each command has its own error
	for i, p := range apart {
		payload, err := answers[i].Bytes()
		switch {
		case errors.Is(err, redis.Nil):
			return true, nil
		case err != nil:
			return false, err
		case uint64(len(payload)) != p.size:
			return false, fmt.Errorf("%w: a payload of %d bytes where %d were stored", errCorrupt, len(payload), p.size)
		}
		page.Messages[p.at].Payload = payload
	}
	return false, nil
}

var ackScript = newScript(makesRoom, "line", "ack")

// Ack implements nodeservice.Store.
func (s *Store) Ack(ctx context.Context, req ns.Ack) (acked ns.Acked, err error) {
	if err := s.enter(); err != nil {
		return ns.Acked{}, err
	}
	defer s.leave()
	line := lineOf(req.Queue)
	base := s.lineBase(line)
	ifAcked := any("")
	if req.IfAcked != nil {
		ifAcked = uint64(*req.IfAcked)
	}
	answer, err := s.run(ctx, ackScript, []string{base + string(keyLine) + string(line[:])},
		base, line[:], memberOf(req.Queue), uint64(req.Through), ifAcked, newToken())
	if err != nil {
		return ns.Acked{}, err
	}
	acked = ns.Acked{Outcome: ns.AckOutcome(answer.count()), Acked: answer.seq(), Head: answer.seq()}
	if err := answer.done(); err != nil {
		return ns.Acked{}, asStoreError(err)
	}
	return acked, nil
}
