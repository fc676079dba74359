package redisstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	ns "github.com/quicproquo/node/nodeservice"
)

// maxInline is the largest payload that goes through a script and into a stream.
// A larger one is sent as a key of its own first, which Redis takes without
// copying, and is given its place by the script.
const maxInline = 32 << 10

// comingLife is how long a payload without a message stays.
const comingLife = time.Minute

var appendScript = newScript(changes, "line", "append")

// unseen says which members do not have a channel in their list.
type unseen int64

const (
	unseenByRecipient unseen = 1
	unseenBySender    unseen = 2
)

// appendedTo is what append.lua answers.
type appendedTo struct {
	ns.Appended
	noted  noted // what the account has in the queue now
	unseen unseen
}

// Append implements nodeservice.Store: room is reserved with the account, the
// message is stored, the account is told; the first message shows the channel to
// its members. Whatever the context does, what was begun is brought to its end.
func (s *Store) Append(ctx context.Context, req ns.Append) (ns.Appended, error) {
	if err := s.enter(); err != nil {
		return ns.Appended{}, err
	}
	defer s.leave()
	if err := ctx.Err(); err != nil {
		return ns.Appended{}, unavailable(err)
	}
	token := newToken()
	room := reservation{account: req.Account, token: token, queue: entryOf(req.Queue), size: len(req.Payload)}
	over, err := s.reserve(ctx, &room, req)
	if err != nil {
		return ns.Appended{}, err
	}
	appended, err := s.store(ctx, req, token, over)
	after, cancel := afterwards(ctx)
	defer cancel()
	if err != nil {
		// It may have been stored. Then the reservation stands for it until it
		// runs out, and whoever needs the room looks into the queue.
		return ns.Appended{}, err
	}
	if err := s.settle(after, room, appended); err != nil {
		return ns.Appended{}, err
	}
	appended.Announced, err = s.showTo(after, req.Queue, appended.unseen)
	return appended.Appended, err
}

// afterwards is for what must follow a step that was taken, though the caller may
// have gone.
func afterwards(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
}

// store stores the message, if nothing speaks against it; over says that its
// account's quota does.
func (s *Store) store(ctx context.Context, req ns.Append, token string, over bool) (appendedTo, error) {
	line := lineOf(req.Queue)
	base := s.lineBase(line)
	payload, apart := req.Payload, ""
	if len(payload) > maxInline {
		payload, apart = nil, base+string(keyComing)+token
		if err := s.client.Set(ctx, apart, req.Payload, comingLife).Err(); err != nil {
			return appendedTo{}, asStoreError(err)
		}
	}
	ifHead := any("")
	if req.IfHead != nil {
		ifHead = uint64(*req.IfHead)
	}
	q := req.Quota
	answer, err := s.run(ctx, appendScript, []string{base + string(keyLine) + string(line[:])},
		base, line[:], memberOf(req.Queue), token, payload, len(req.Payload), req.Digest[:],
		apart, req.MessageID, ifHead, int64(req.Now), int64(req.ExpiresAt),
		q.QueueMessages, q.QueueBytes, q.ShareMessages, q.ShareBytes, q.RememberedIDs, over, req.Account[:])
	if err != nil {
		return appendedTo{}, err
	}
	appended, err := decodeAppended(answer)
	if err == nil && apart != "" && appended.Outcome != ns.AppendStored {
		// Redis would remove it by itself, later.
		_ = s.client.Unlink(ctx, apart).Err()
	}
	return appended, asStoreError(err)
}

func decodeAppended(answer *reply) (a appendedTo, err error) {
	outcome := answer.count()
	a.Outcome = ns.AppendOutcome(outcome)
	a.Seq, a.ReceivedAt, a.Head = answer.seq(), answer.time(), answer.seq()
	a.noted = noted{answer.count(), answer.count()}
	a.unseen = unseen(answer.count())
	if outcome < uint64(ns.AppendDuplicate) || outcome > uint64(ns.AppendStored) {
		return appendedTo{}, fmt.Errorf("%w: outcome %d of an append", errCorrupt, outcome)
	}
	return a, answer.done()
}

// memberOf is the recipient as the line's hash holds it.
func memberOf(q ns.Queue) string { return memberName(q.Recipient) }

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

var readScript = newScript(onlyReads, "line", "read")

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
