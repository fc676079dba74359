package nodeservice

import "context"

// lookAtHints re-reads what hints name, or everything when some were lost.
func (st *stream) lookAtHints(ctx context.Context, now UnixMilli) error {
	select {
	case <-st.sub.Ready():
	default:
		return nil
	}
	hints, all := st.sub.Take()
	if all {
		return st.rereadAll(ctx, now)
	}
	if err := st.announce(ctx, hints, now); err != nil {
		return err
	}
	for _, h := range hints {
		if err := st.reread(ctx, h, now); err != nil {
			return err
		}
	}
	return nil
}

// announce tells new channels before any of their messages: on their own hint,
// and, should that be lost, before a queue is read that has no cursor.
func (st *stream) announce(ctx context.Context, hints []Hint, now UnixMilli) error {
	if !st.only.IsZero() {
		return nil
	}
	for _, h := range hints {
		if h.Kind == HintChannels || h.Kind == HintQueue && st.cursors[h.Channel] == nil {
			return st.list(ctx, st.listed, now, true)
		}
	}
	return nil
}

func (st *stream) reread(ctx context.Context, h Hint, now UnixMilli) error {
	c := st.cursors[h.Channel]
	switch {
	case h.Kind == HintKeyPackages:
		return st.restock(ctx, now)
	case h.Kind == HintQueue && c != nil:
		st.queue(c)
		return nil
	case h.Kind != HintQueue && h.Kind != HintAcked:
		return nil
	}
	state, found, err := st.state(ctx, h.Channel, now)
	switch {
	case err != nil || !found:
		return err
	case h.Kind == HintQueue:
		st.queue(st.cursor(state))
	case c != nil:
		st.settle(c, state.Acked)
		st.forget(c)
	default:
		st.events = append(st.events, AckedEvent{Channel: h.Channel, Through: state.Acked})
	}
	return nil
}

// forget drops a cursor that has nothing left to wait for.
func (st *stream) forget(c *cursor) {
	if c.queued || len(c.out) > 0 || c.delivered > c.acked || !st.only.IsZero() {
		return
	}
	st.mu.Lock()
	delete(st.cursors, c.channel)
	st.mu.Unlock()
}

// rereadAll is the slow tick, and the answer to lost hints.
func (st *stream) rereadAll(ctx context.Context, now UnixMilli) error {
	if err := st.restock(ctx, now); err != nil {
		return err
	}
	if st.only.IsZero() {
		return st.list(ctx, 0, now, true)
	}
	state, _, err := st.state(ctx, st.only, now)
	if err != nil {
		return err
	}
	st.look(state)
	return nil
}

// list looks at the channels behind an ordinal. Those behind the last one
// listed are new; at the stream's start they are merely there.
func (st *stream) list(ctx context.Context, after uint64, now UnixMilli, tell bool) error {
	for {
		states, err := st.sess.node.cfg.Store.Channels(ctx, st.sess.id, after, listPage, now)
		if err != nil {
			return err
		}
		for _, state := range states {
			after = state.Ordinal
			if state.Ordinal > st.listed {
				st.listed = state.Ordinal
				if tell {
					st.events = append(st.events, ChannelEvent{Channel: st.sess.view(state)})
				}
			}
			st.look(state)
		}
		if len(states) < listPage {
			return nil
		}
	}
}

// look queues a channel that has, or may have, something new.
func (st *stream) look(state ChannelState) {
	c := st.cursors[state.Channel.ID]
	if c == nil && state.Unread == 0 && state.Floor <= state.Acked {
		return
	}
	if c == nil {
		c = st.cursor(state)
		if !st.begun {
			st.aim(c, state.Head)
		}
	}
	st.settle(c, state.Acked)
	st.queue(c)
}

// restock tells the suites whose one-time stock has become low, or is so at the
// stream's start.
func (st *stream) restock(ctx context.Context, now UnixMilli) error {
	stock, err := st.sess.node.cfg.Store.KeyPackageStock(ctx, st.sess.id, now)
	if err != nil {
		return err
	}
	for _, s := range stock {
		low := s.OneTime < lowStock
		if low && !st.low[s.CipherSuite] {
			st.events = append(st.events, KeyPackagesLowEvent{Stock: s})
		}
		st.low[s.CipherSuite] = low
	}
	return nil
}
