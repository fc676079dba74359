package redisstore

import (
	"context"
	"fmt"
	"time"

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
	room := reservation{account: req.Account, name: token + req.MessageID, queue: entryOf(req.Queue), size: len(req.Payload)}
	over, err := s.reserve(ctx, &room, req)
	if err != nil {
		return ns.Appended{}, err
	}
	appended, err := s.store(ctx, req, token, over)
	if err != nil {
		// It may have been stored. Then the reservation stands for it until it
		// runs out, and whoever needs the room looks into the queue.
		return ns.Appended{}, err
	}
	after, cancel := afterwards(ctx)
	defer cancel()
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
