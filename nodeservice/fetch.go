package nodeservice

import (
	"context"
	"time"
)

// Fetch implements Session.
func (s *session) Fetch(ctx context.Context, req FetchRequest) (page Page, err error) {
	if req.Legacy {
		err = s.doNoChannel(ctx, opFetch, func(c *call) error {
			if err := s.legacy(); err != nil {
				return err
			}
			page, err = s.fetch(ctx, c, req, Queue{Recipient: s.id})
			return err
		})
		return page, err
	}
	err = s.do(ctx, opFetch, req.Channel, func(c *call) error {
		page, err = s.fetch(ctx, c, req, Queue{Channel: req.Channel, Recipient: s.id})
		return err
	})
	return page, err
}

func (s *session) fetch(ctx context.Context, c *call, req FetchRequest, q Queue) (page Page, err error) {
	if err := s.checkFetch(&req); err != nil {
		return page, err
	}
	if err := s.pay(ctx, c, s.bytesOut(0)); err != nil {
		return page, err
	}
	if req.AckThrough > 0 {
		if err := s.acknowledgeFirst(ctx, *c, q, req.AckThrough); err != nil {
			return page, err
		}
	}
	page, err = s.take(ctx, req, q, c.now)
	if err == nil && req.Wait > 0 && page.empty() {
		page, err = s.await(ctx, req, q)
	}
	s.node.owe(ctx, c.now, s.bytesOut(payloadBytes(page.Messages)))
	c.quiet = len(page.Messages) == 0
	if !c.quiet {
		c.record.seq = page.Messages[len(page.Messages)-1].Seq
		c.record.count = len(page.Messages)
	}
	return page, err
}

// acknowledgeFirst is recorded apart from the fetch that asks for it, which may
// find nothing more, or fail. It has a call of its own to complete.
func (s *session) acknowledgeFirst(ctx context.Context, c call, q Queue, through Seq) error {
	err := s.acknowledge(ctx, &c, q, through)
	if err == nil && !c.quiet {
		c.record.event = opAck.String()
		err = s.node.audited(c.record, c.now, policies[opAck].audit)
	}
	return err
}

// bytesOut charges returned payload. Its size is known only afterwards: so a
// cost of 0 asks whether there is a debt, and then it is owed.
func (s *session) bytesOut(bytes int) Charge {
	return Charge{Bucket: "bytes out/" + s.id.Raw(), Cost: float64(bytes), Rate: s.node.cfg.Rates.BytesOut}
}

func payloadBytes(messages []Message) (n int) {
	for _, m := range messages {
		n += len(m.Payload)
	}
	return n
}

func (s *session) checkFetch(req *FetchRequest) error {
	switch {
	case !req.Recipient.IsZero() && req.Recipient != s.id:
		return Errorf(CodePermissionDenied, "recipientKey is not your own; you read only your own queue")
	case req.Limit < 0 || req.Limit > MaxFetch:
		return Errorf(CodeInvalidArgument, "limit must be 1 to %d", MaxFetch)
	case req.MaxBytes < 0 || req.MaxBytes > MaxFetchBytes:
		return Errorf(CodeInvalidArgument, "maxBytes must be 1 to %d", MaxFetchBytes)
	case req.Wait < 0 || req.Wait > MaxWait:
		return Errorf(CodeInvalidArgument, "the wait must be 0 to %d seconds", MaxWait/time.Second)
	case req.After > MaxSeq || req.AckThrough > MaxSeq:
		return Errorf(CodeInvalidArgument, "a seq is above 2^53-1")
	}
	orDefault(&req.Limit, MaxFetch)
	orDefault(&req.MaxBytes, MaxFetchBytes)
	return nil
}

// empty says that a waiting fetch has nothing to return yet.
func (p Page) empty() bool { return len(p.Messages) == 0 && p.Gap == nil }

// take reads a page and, for a drain, removes it or hands it out. A gap is
// drained as well: clients of version 0 do not see it, and would find it again
// for ever.
func (s *session) take(ctx context.Context, req FetchRequest, q Queue, now UnixMilli) (Page, error) {
	if req.Drain {
		return s.drain(ctx, req, q, now)
	}
	return s.keep(ctx, req, q, now)
}

// keep reads a page. What was handed out is still stored, and so there for
// readers with a cursor, whose acknowledgement reaches below what they read; but
// who drained on the same connection does not find it at the queue's beginning.
func (s *session) keep(ctx context.Context, req FetchRequest, q Queue, now UnixMilli) (Page, error) {
	after := req.After
	if after == 0 {
		after = s.node.handouts.seen(q, req.Consumer)
	}
	stored, err := s.readQueue(ctx, req, q, after, now)
	if err != nil {
		return Page{}, err
	}
	if req.After > 0 {
		return pageOf(after, stored), nil
	}
	page := pageOf(max(after, stored.Acked), stored) // acknowledged meanwhile: no gap to whoever named no place
	page.ackedThrough(after)
	return page, nil
}

// end is the last seq that the page says something about; 0: none.
func (p Page) end() Seq {
	switch {
	case len(p.Messages) > 0:
		return p.Messages[len(p.Messages)-1].Seq
	case p.Gap != nil:
		return p.Gap.To
	}
	return 0
}

func (s *session) readQueue(ctx context.Context, req FetchRequest, q Queue, after Seq, now UnixMilli) (QueuePage, error) {
	stored, err := s.node.cfg.Store.Read(ctx, Read{Queue: q, After: after, Limit: req.Limit, MaxBytes: req.MaxBytes, Now: now})
	if err == nil && req.After > stored.Head {
		err = beyondHead("after", req.After, stored.Head)
	}
	return stored, err
}

// pageOf is what was read above after; 0: above what is acknowledged.
func pageOf(after Seq, stored QueuePage) Page {
	if after == 0 {
		after = stored.Acked
	}
	return Page{
		Messages: stored.Messages,
		Head:     stored.Head,
		Acked:    stored.Acked,
		Floor:    stored.Floor,
		Gap:      gapAfter(after, stored),
		More:     stored.More,
	}
}

// gapAfter is what a reader at after will never see. Loss outweighs the reader's
// own acknowledgement where both apply.
func gapAfter(after Seq, page QueuePage) *Gap {
	switch {
	case max(after, page.Acked) < page.Floor:
		return &Gap{From: after + 1, To: page.Floor, Reason: page.FloorReason}
	case after < page.Acked:
		return &Gap{From: after + 1, To: page.Acked, Reason: GapAcked}
	}
	return nil
}

// await subscribes, then reads, then waits for a hint or the slow tick, and
// reads again: a hint carries nothing, so a lost one costs only time.
func (s *session) await(ctx context.Context, req FetchRequest, q Queue) (Page, error) {
	release, err := s.node.presence.enter(s.id, waiting, s.node.cfg.Quotas.Waits)
	if err != nil {
		return Page{}, err
	}
	defer release()
	sub := s.node.cfg.Bus.Subscribe(s.id, func(h Hint) bool {
		return h.Channel == q.Channel && (h.Kind == HintQueue || h.Kind == HintAcked)
	})
	defer sub.Close()
	timeout := time.NewTimer(req.Wait)
	defer timeout.Stop()
	tick := newTicker(s.node.cfg.Tick)
	defer tick.stop()
	for timedOut := false; ; {
		now := s.node.now()
		revoked := s.node.revoked.anew()
		if err := s.valid(now); err != nil {
			return Page{}, err
		}
		page, err := s.take(ctx, req, q, now)
		if err != nil || timedOut || !page.empty() {
			return page, err
		}
		expiry := time.NewTimer(s.ExpiresAt().Time().Sub(now.Time()))
		select {
		case <-sub.Ready():
			sub.Take()
		case <-tick.c:
		case <-revoked:
		case <-expiry.C:
		case <-timeout.C:
			timedOut = true
		case <-s.node.draining:
			err = shuttingDown()
		case <-s.done:
		case <-ctx.Done():
			err = ctx.Err()
		}
		expiry.Stop()
		if err != nil {
			return Page{}, err
		}
	}
}

// drainDelay is how long clients of a node that shuts down should stay away.
const drainDelay = time.Second

func shuttingDown() error {
	e := Errorf(CodeUnavailable, "the node is shutting down; come back in a moment")
	e.RetryAfter = drainDelay
	return e
}

// ticker is a time.Ticker that may be switched off: then c is nil, and blocks.
type ticker struct {
	c    <-chan time.Time
	stop func()
}

func newTicker(every time.Duration) ticker {
	if every == 0 {
		return ticker{stop: func() {}}
	}
	t := time.NewTicker(every)
	return ticker{c: t.C, stop: t.Stop}
}
