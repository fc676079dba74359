package nodeservice

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quicproquo/node/nodeservice/identity"
)

// session is a verified identity: the Session that Service hands out.
type session struct {
	node   *Service
	id     Identity                       // static after construction
	origin Origin                         // static after construction
	token  atomic.Pointer[identity.Token] // replaced by Renew, never nil
	paid   atomic.Pointer[[]Charge]       // what Authenticate charged for the first operation; taken by it
	done   chan struct{}                  // closed by Close
	close  sync.Once
}

func (s *Service) newSession(from Origin, t identity.Token) *session {
	sess := &session{node: s, id: t.Identity, origin: from, done: make(chan struct{})}
	sess.token.Store(&t)
	return sess
}

// Identity implements Session.
func (s *session) Identity() Identity { return s.id }

// ExpiresAt implements Session.
func (s *session) ExpiresAt() UnixMilli { return Milli(s.token.Load().ExpiresAt) }

// Close implements Session.
func (s *session) Close() error {
	s.close.Do(func() { close(s.done) })
	return nil
}

// valid says whether the session may still act: a session never outlives its
// token, and a revoked token ends at once.
func (s *session) valid(now UnixMilli) error {
	select {
	case <-s.done:
		return Errorf(CodeUnauthenticated, "the session was closed; authenticate again")
	default:
	}
	return s.node.usable(s.token.Load(), now)
}

// call is one operation under way.
type call struct {
	now    UnixMilli
	paid   []Charge  // to be given back if a later limit refuses
	room   [4]Charge // where paid begins: what most calls pay
	peer   Identity  // the channel's other member, where the policy wants a member
	record record    // completed by the effect
	quiet  bool      // the effect found nothing worth a record
}

func newCall(now UnixMilli) *call {
	c := &call{now: now}
	c.paid = c.room[:0]
	return c
}

// do is the one path of every operation: token still valid, address and
// identity limits, membership, channel limit, effect, audit. It returns an
// *Error or nil. The zero target names no channel: for an operation that wants
// a member it is as unknown as any other.
func (s *session) do(ctx context.Context, op operation, target ChannelID, effect func(*call) error) error {
	return s.run(ctx, op, policies[op], target, effect)
}

// doNoChannel is do where no channel is named, and so no member wanted: the
// queues of before channels, and the stream of all channels.
func (s *session) doNoChannel(ctx context.Context, op operation, effect func(*call) error) error {
	p := policies[op]
	p.member = false
	return s.run(ctx, op, p, ChannelID{}, effect)
}

func (s *session) run(ctx context.Context, op operation, p policy, target ChannelID, effect func(*call) error) error {
	c := newCall(s.node.now())
	c.record = record{event: p.name, origin: s.origin, actor: s.id, channel: target}
	err := s.admit(ctx, p, target, c)
	if err == nil {
		err = effect(c)
	}
	s.node.counters.count(op, CodeOf(err))
	if err != nil {
		return s.refused(op, c, AsError(err))
	}
	if c.quiet {
		return nil
	}
	return s.node.audited(c.record, c.now, p.audit)
}

// admit is everything before the effect. No limit of a channel is touched
// before membership is proven, so strangers can neither spend it nor sense it.
func (s *session) admit(ctx context.Context, p policy, target ChannelID, c *call) error {
	if err := s.valid(c.now); err != nil {
		return err
	}
	if err := s.payRequest(ctx, c, p.cost); err != nil {
		return err
	}
	if !p.member {
		return nil
	}
	if err := s.member(ctx, target, c); err != nil || p.cost == 0 {
		return err
	}
	return s.pay(ctx, c, Charge{Bucket: "channel/" + string(target[:]) + s.id.Raw(), Cost: p.cost, Rate: s.node.cfg.Rates.Channel})
}

// payRequest charges the address and the identity, unless Authenticate did so
// for this operation: a request charges each bucket once.
func (s *session) payRequest(ctx context.Context, c *call, cost float64) error {
	if cost == 0 {
		return nil
	}
	if paid := s.paid.Swap(nil); paid != nil {
		c.paid = *paid
		return nil
	}
	return s.pay(ctx, c,
		Charge{Bucket: "address/" + s.origin.bucket(), Cost: cost, Rate: s.node.cfg.Rates.Address},
		Charge{Bucket: "identity/" + s.id.Raw(), Cost: cost, Rate: s.node.cfg.Rates.Identity})
}

// pay charges the call. What one limit refuses charges none: then the call gets
// back what it paid to the limits before.
func (s *session) pay(ctx context.Context, c *call, charges ...Charge) error {
	before := c.paid
	c.paid = append(c.paid, charges...)
	if err := s.node.charge(ctx, s.origin, c.now, c.paid[len(before):]); err != nil {
		c.paid = before
		s.node.giveBack(ctx, c.now, c.paid)
		return err
	}
	return nil
}

// member fills in the peer, or refuses: an unknown channel and a foreign one
// get the same answer after the same store read.
func (s *session) member(ctx context.Context, id ChannelID, c *call) error {
	key := membership{channel: id, caller: s.id}
	if peer, known := s.node.members.Get(key); known {
		c.peer = peer
		return nil
	}
	channel, found, err := s.node.cfg.Store.Channel(ctx, id)
	if err != nil {
		return err
	}
	peer, isMember := channel.Peer(s.id)
	if !found || !isMember {
		return Errorf(CodeChannelNotFound, "there is no such channel, or you are not a member of it")
	}
	s.node.members.Add(key, peer)
	c.peer = peer
	return nil
}

// refused counts and records what did not happen, and tells operators the cause
// of what is our own fault.
func (s *session) refused(op operation, c *call, e *Error) error {
	switch e.Code {
	case CodeChannelNotFound, CodePermissionDenied, CodeUnauthenticated, CodeTokenExpired:
		s.node.recordFailure(c.now, c.record, e.Code)
	case CodeInternal, CodeUnavailable:
		s.node.logCause(op, e)
	}
	return e
}

// logCause names the cause of a failure that is not the client's; a client
// that went away is nobody's.
func (s *Service) logCause(op operation, e *Error) {
	if e.Cause != nil && !errors.Is(e.Cause, context.Canceled) {
		s.cfg.Log.Warn("operation failed", "operation", op.String(), "code", string(e.Code), "cause", e.Cause)
	}
}

// charge takes from buckets or refuses. A limiter that cannot tell lets pass:
// it protects the service, it does not guard secrets.
func (s *Service) charge(ctx context.Context, from Origin, now UnixMilli, charges []Charge) error {
	taken, err := s.cfg.Limiter.Take(ctx, now.Time(), charges)
	if err != nil {
		s.cfg.Log.Warn("limiter failed, letting requests pass", "cause", err)
		return nil
	}
	from.Budget.note(charges, taken)
	if taken.RetryAfter > 0 {
		return rateLimited(taken.RetryAfter)
	}
	return nil
}

func (s *Service) giveBack(ctx context.Context, now UnixMilli, charges []Charge) {
	if err := s.cfg.Limiter.Give(ctx, now.Time(), charges); err != nil {
		s.cfg.Log.Warn("limiter failed to take back a charge", "cause", err)
	}
}

func (s *Service) owe(ctx context.Context, now UnixMilli, charge Charge) {
	if charge.Cost == 0 {
		return
	}
	if err := s.cfg.Limiter.Owe(ctx, now.Time(), []Charge{charge}); err != nil {
		s.cfg.Log.Warn("limiter failed to note a debt", "cause", err)
	}
}

func rateLimited(retryAfter time.Duration) *Error {
	e := Errorf(CodeRateLimited, "too many requests; try again after %d ms", retryAfter.Milliseconds()+1)
	e.RetryAfter = retryAfter
	return e
}

// bucket names the limit that the address shares: IPv6 clients own a /64.
func (o Origin) bucket() string { return o.prefix(32, 64) }

// prefix cuts the address for limits or for the audit.
func (o Origin) prefix(v4, v6 int) string {
	addr := o.Address.Unmap().WithZone("")
	bits := v6
	if addr.Is4() {
		bits = v4
	}
	prefix, err := addr.Prefix(bits)
	if err != nil {
		prefix = netip.Prefix{} // no address: a unix socket
	}
	return string(prefix.AppendTo(make([]byte, 0, 48)))
}
