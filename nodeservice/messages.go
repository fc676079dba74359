package nodeservice

import (
	"context"
	"crypto/sha256"
)

// Enqueue implements Session.
func (s *session) Enqueue(ctx context.Context, req EnqueueRequest) (receipt Receipt, err error) {
	if req.Legacy {
		err = s.doNoChannel(ctx, opEnqueue, func(c *call) error {
			if err := s.checkLegacyEnqueue(req); err != nil {
				return err
			}
			receipt, err = s.append(ctx, c, req, Queue{Recipient: req.Recipient})
			return err
		})
		return receipt, err
	}
	err = s.do(ctx, opEnqueue, req.Channel, func(c *call) error {
		if !req.Recipient.IsZero() && req.Recipient != c.peer {
			return Errorf(CodePermissionDenied, "recipientKey is not the other member of this channel")
		}
		receipt, err = s.append(ctx, c, req, Queue{Channel: req.Channel, Recipient: c.peer})
		return err
	})
	return receipt, err
}

func (s *session) checkLegacyEnqueue(req EnqueueRequest) error {
	switch {
	case req.Recipient.IsZero():
		return Errorf(CodeInvalidArgument, "recipientKey is missing: without a channel it names the queue")
	case req.IfHead != nil:
		return Errorf(CodeInvalidArgument, "ifHead needs a channel")
	}
	return s.legacy()
}

// legacy admits the mode of before channels, and counts who still needs it.
func (s *session) legacy() error {
	if s.node.cfg.NoLegacy {
		return Errorf(CodePermissionDenied, "this node serves channels only; name a channelId")
	}
	s.node.counters.legacy(s.origin.Version)
	return nil
}

// append stores one message and, after the commit, hints its reader.
func (s *session) append(ctx context.Context, c *call, req EnqueueRequest, q Queue) (Receipt, error) {
	if err := s.checkMessage(req); err != nil {
		return Receipt{}, err
	}
	if err := s.node.spare(ctx, c.now); err != nil {
		return Receipt{}, err
	}
	bytes := Charge{Bucket: "bytes in/" + s.id.Raw(), Cost: float64(len(req.Payload)), Rate: s.node.cfg.Rates.BytesIn}
	if err := s.pay(ctx, c, bytes); err != nil {
		return Receipt{}, err
	}
	done, err := s.node.cfg.Store.Append(ctx, s.appendRequest(c, req, q))
	if err != nil {
		return Receipt{}, err
	}
	if done.Outcome != AppendStored {
		s.node.giveBack(ctx, c.now, []Charge{bytes})
	}
	if err := appendError(done); err != nil {
		return Receipt{}, err
	}
	if done.Announced {
		s.node.cfg.Bus.Hint(Hint{Owner: q.Recipient, Kind: HintChannels})
	}
	if done.Outcome == AppendStored {
		s.node.cfg.Bus.Hint(Hint{Owner: q.Recipient, Kind: HintQueue, Channel: q.Channel})
	}
	c.record.peer, c.record.seq, c.record.bytes = q.Recipient, done.Seq, len(req.Payload)
	return Receipt{Seq: done.Seq, ReceivedAt: done.ReceivedAt, Duplicate: done.Outcome == AppendDuplicate}, nil
}

func (s *session) checkMessage(req EnqueueRequest) error {
	switch limit := s.node.cfg.Quotas.MaxPayload; {
	case len(req.Payload) == 0:
		return Errorf(CodeInvalidArgument, "payload is empty")
	case len(req.Payload) > limit:
		return Errorf(CodePayloadTooLarge, "payload has %d bytes, more than %d", len(req.Payload), limit)
	case len(req.MessageID) > MaxMessageID:
		return Errorf(CodeInvalidArgument, "messageId has %d bytes, more than %d", len(req.MessageID), MaxMessageID)
	case req.IfHead != nil && *req.IfHead > MaxSeq:
		return Errorf(CodeInvalidArgument, "ifHead is above 2^53-1")
	}
	return nil
}

func (s *session) appendRequest(c *call, req EnqueueRequest, q Queue) Append {
	quotas := &s.node.cfg.Quotas
	a := Append{
		Queue:     q,
		Account:   s.node.account(s.id),
		Payload:   req.Payload,
		Digest:    sha256.Sum256(req.Payload),
		MessageID: string(req.MessageID),
		IfHead:    req.IfHead,
		Now:       c.now,
		ExpiresAt: c.now.Add(s.node.cfg.Retention.Messages),
		Quota: AppendQuota{
			QueueMessages: quotas.QueueMessages,
			QueueBytes:    quotas.QueueBytes,
			AccountBytes:  quotas.AccountBytes,
			RememberedIDs: quotas.RememberedIDs,
		},
	}
	if q.Legacy() {
		a.Quota.ShareMessages, a.Quota.ShareBytes = quotas.ShareMessages, quotas.ShareBytes
	}
	return a
}

// appendError says to the client what kept its message from being stored.
func appendError(done Appended) error {
	switch done.Outcome {
	case AppendReused:
		return Errorf(CodeMessageIDReused, "this messageId was used for other bytes; a retry sends the same bytes, a new message a new id")
	case AppendHeadMoved:
		head := done.Head // of its own, so that done need not escape
		e := Errorf(CodePreconditionFailed, "the channel's head is %d; read up to it and send again", head)
		e.Head = &head
		return e
	case AppendQueueFull:
		return Errorf(CodeMailboxFull, "the recipient's queue is full until messages are acknowledged or expire")
	case AppendOverQuota:
		return Errorf(CodeQuotaExceeded, "too much of what you sent is undelivered; wait until it is acknowledged or expires")
	}
	return nil
}

// Ack implements Session.
func (s *session) Ack(ctx context.Context, req AckRequest) error {
	if req.Legacy {
		return s.doNoChannel(ctx, opAck, func(c *call) error {
			if err := s.legacy(); err != nil {
				return err
			}
			return s.acknowledge(ctx, c, Queue{Recipient: s.id}, req.Through)
		})
	}
	return s.do(ctx, opAck, req.Channel, func(c *call) error {
		return s.acknowledge(ctx, c, Queue{Channel: req.Channel, Recipient: s.id}, req.Through)
	})
}

// acknowledge deletes durably, and then tells the identity's other sessions.
func (s *session) acknowledge(ctx context.Context, c *call, q Queue, through Seq) error {
	done, err := s.node.cfg.Store.Ack(ctx, Ack{Queue: q, Through: through, Now: c.now})
	if err != nil {
		return err
	}
	c.record.seq = through
	switch done.Outcome {
	case AckBeyondHead:
		return beyondHead("through", through, done.Head)
	case AckDone:
		s.node.cfg.Bus.Hint(Hint{Owner: s.id, Kind: HintAcked, Channel: q.Channel})
	default:
		c.quiet = true
	}
	return nil
}

func beyondHead(name string, got, head Seq) error {
	e := Errorf(CodeInvalidArgument, "%s is %d, above the channel's head %d; take it only from a message or gap", name, got, head)
	e.Head = &head
	return e
}
