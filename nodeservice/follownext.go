package nodeservice

import (
	"context"
	"math/rand/v2"
	"time"
)

// Next implements Stream.
func (st *stream) Next(ctx context.Context) (Event, error) {
	for {
		now := st.sess.node.now()
		revoked := st.sess.node.revoked.anew()
		if err := st.alive(now); err != nil {
			return nil, err
		}
		event, err := st.read(ctx, now)
		switch {
		case event != nil:
			return event, nil
		case err != nil:
			err = st.failed(ctx, err)
		default:
			st.away = false
		}
		if err == nil {
			err = st.wait(ctx, now, revoked)
		}
		if err != nil {
			return nil, err
		}
	}
}

// read yields what there is to tell now, or nil. What is known is told before
// anything is read: the store may be away.
func (st *stream) read(ctx context.Context, now UnixMilli) (Event, error) {
	if event := st.told(); event != nil {
		return event, nil
	}
	if err := st.lookAtHints(ctx, now); err != nil {
		return nil, err
	}
	if len(st.events) == 0 {
		if event, err := st.deliver(ctx, now); event != nil || err != nil {
			return event, err
		}
	}
	event := st.told()
	if event == nil && st.behind == 0 && !st.caughtUp {
		st.caughtUp = true
		event = CaughtUpEvent{}
	}
	return event, nil
}

// told takes the first event that waits, or nil.
func (st *stream) told() Event {
	if len(st.events) == 0 {
		return nil
	}
	event := st.events[0]
	st.events = st.events[1:]
	return event
}

// failed says whether the stream must end: not if only the caller's patience
// did, nor while the store is away. What was about to be read is read anew, by
// the next call or when the store may be back.
func (st *stream) failed(ctx context.Context, err error) error {
	e := AsError(err)
	switch {
	case ctx.Err() != nil:
		st.sub.DeliverAll()
		return ctx.Err()
	case e.Code == CodeUnavailable:
		if !st.away {
			st.sess.node.logCause(opFollow, e)
		}
		st.away = true
		return nil
	}
	st.sess.node.logCause(opFollow, e)
	return e
}

// alive says why the stream must end, if it must, and queues the notices that
// come before that.
func (st *stream) alive(now UnixMilli) error {
	select {
	case <-st.done:
		return Errorf(CodeUnavailable, "the stream was closed")
	case <-st.sess.node.draining:
		if st.drained {
			return shuttingDown()
		}
		st.drained = true
		st.events = append([]Event{DrainingEvent{RetryAfter: drainDelay}}, st.events...)
	default:
	}
	if err := st.sess.valid(now); err != nil {
		return err
	}
	if expires := st.sess.ExpiresAt(); expires != st.warned && now >= expires.Add(-expiryNotice) {
		st.warned = expires
		st.events = append(st.events, TokenExpiringEvent{ExpiresAt: expires})
	}
	return nil
}

// retryAway is how often a stream looks whether its store is back, at least; up
// to as much again is added, so that not all come at once.
const retryAway = time.Second

// wait blocks until there may be something new.
func (st *stream) wait(ctx context.Context, now UnixMilli, revoked <-chan struct{}) error {
	next := st.sess.ExpiresAt()
	if next != st.warned {
		next = next.Add(-expiryNotice)
	}
	quiet := next.Time().Sub(now.Time())
	if st.pause > 0 {
		quiet = min(quiet, st.pause)
	}
	hints := st.sub.Ready()
	if st.away {
		hints = nil // they are kept; everything is read anew
		quiet = min(quiet, retryAway+rand.N(retryAway))
		defer st.sub.DeliverAll()
	}
	timer := time.NewTimer(quiet)
	defer timer.Stop()
	select {
	case <-hints:
		st.sub.wake() // lookAtHints takes them
	case <-st.tick.c:
		st.sub.DeliverAll()
	case <-timer.C:
	case <-revoked:
	case <-st.drainNotice():
	case <-st.sess.done:
	case <-st.done:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// drainNotice is nil, and blocks, once the notice was given.
func (st *stream) drainNotice() <-chan struct{} {
	if st.drained {
		return nil
	}
	return st.sess.node.draining
}
