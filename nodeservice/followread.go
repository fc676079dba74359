package nodeservice

import "context"

// window bounds the deliveries of a stream above what is acknowledged.
type window struct {
	limit, share Window // of the stream, of one channel in it
	out          Window // what is delivered and unacknowledged
	full         bool   // the next message did not fit; until something is acknowledged
}

// newWindow takes at most the default; on a stream of all channels, one may
// hold a quarter.
func newWindow(w Window, all bool) window {
	fit := func(asked, def int) int {
		if asked <= 0 {
			return def
		}
		return min(asked, def)
	}
	limit := Window{Messages: fit(w.Messages, DefaultWindow.Messages), Bytes: fit(w.Bytes, DefaultWindow.Bytes)}
	share := limit
	if all {
		share = Window{Messages: max(1, limit.Messages/4), Bytes: limit.Bytes / 4}
	}
	return window{limit: limit, share: share}
}

// room is how much of a queue to read: what a turn takes and may be delivered,
// and at least one message.
func (w *window) room(c *cursor) Window {
	return Window{
		Messages: max(1, min(turnMessages, w.limit.Messages-w.out.Messages, w.share.Messages-len(c.out))),
		Bytes:    max(1, min(turnBytes, w.limit.Bytes-w.out.Bytes, w.share.Bytes-c.outBytes)),
	}
}

// fits says whether a message may follow what is out: one always may.
func (w Window) fits(out Window, bytes int) bool {
	return out.Messages == 0 || out.Messages < w.Messages && out.Bytes+bytes <= w.Bytes
}

func (st *stream) state(ctx context.Context, id ChannelID, now UnixMilli) (ChannelState, bool, error) {
	return st.sess.node.cfg.Store.ChannelState(ctx, id, st.sess.id, now)
}

// cursor finds or makes the cursor of a channel, at what is acknowledged.
func (st *stream) cursor(state ChannelState) *cursor {
	id := state.Channel.ID
	if c := st.cursors[id]; c != nil {
		return c
	}
	c := &cursor{channel: id, delivered: state.Acked, acked: state.Acked}
	st.mu.Lock()
	st.cursors[id] = c
	st.mu.Unlock()
	return c
}

// queue has the cursor read in its turn, or again if a turn is under way; one
// that is set aside has its turn when the window opens.
func (st *stream) queue(c *cursor) {
	c.stale = true
	if !c.queued && !c.aside {
		c.queued = true
		st.ring = append(st.ring, c)
	}
}

// rest takes the first cursor out of the ring, and forgets it if nothing it
// delivered is unacknowledged.
func (st *stream) rest(c *cursor) {
	st.ring = st.ring[1:]
	c.queued, c.page = false, nil
	if len(c.out) == 0 && c.delivered <= c.acked && st.only.IsZero() {
		st.mu.Lock()
		delete(st.cursors, c.channel)
		st.mu.Unlock()
	}
}

// advance moves the cursor; Ack may look at it meanwhile.
func (st *stream) advance(c *cursor, to Seq) {
	st.mu.Lock()
	c.delivered = to
	st.mu.Unlock()
	if c.target > 0 && to >= c.target {
		st.reached(c)
	}
}

// aim makes head what the cursor must reach before the stream has caught up.
func (st *stream) aim(c *cursor, head Seq) {
	c.target = max(head, 1)
	st.behind++
}

func (st *stream) reached(c *cursor) {
	if c.target > 0 {
		c.target = 0
		st.behind--
	}
}

// deliver yields the next message or gap that the window lets pass, or nil.
func (st *stream) deliver(ctx context.Context, now UnixMilli) (Event, error) {
	st.pause = 0
	for len(st.ring) > 0 && !st.window.full {
		c := st.ring[0]
		if len(c.page) == 0 {
			if !c.more && !c.stale {
				st.reached(c)
				st.rest(c)
				continue
			}
			if st.inDebt(ctx, now) {
				return nil, nil
			}
			gap, err := st.load(ctx, c, now)
			if err != nil {
				// It may be this queue alone that cannot be read: the others go first next time.
				c.stale = true
				st.ring = append(st.ring[1:], c)
				return nil, err
			}
			if gap != nil {
				st.advance(c, gap.To)
				return GapEvent{Channel: c.channel, Gap: *gap}, nil
			}
			if len(st.events) > 0 {
				return nil, nil // an acknowledgement is told before what it lets pass
			}
			continue
		}
		if event := st.pass(c, now); event != nil {
			return event, nil
		}
	}
	return nil, nil
}

// inDebt says that the identity has to wait until it was returned less, and how
// long: the stream pauses, and loses nothing.
func (st *stream) inDebt(ctx context.Context, now UnixMilli) bool {
	err := st.sess.node.charge(ctx, Origin{}, now, []Charge{st.sess.bytesOut(0)})
	if err != nil {
		st.pause = AsError(err).RetryAfter
	}
	return st.pause > 0
}

// load reads the cursor's next turn.
func (st *stream) load(ctx context.Context, c *cursor, now UnixMilli) (*Gap, error) {
	c.stale = false
	room := st.window.room(c)
	page, err := st.sess.node.cfg.Store.Read(ctx, Read{
		Queue:    Queue{Channel: c.channel, Recipient: st.sess.id},
		After:    c.delivered,
		Limit:    room.Messages,
		MaxBytes: room.Bytes,
		Now:      now,
	})
	if err != nil {
		return nil, err
	}
	c.page, c.more = page.Messages, page.More
	st.settle(c, page.Acked)
	st.sess.node.owe(ctx, now, st.sess.bytesOut(payloadBytes(page.Messages)))
	if n := len(page.Messages); n > 0 {
		r := record{event: opFetch.String(), origin: st.sess.origin, actor: st.sess.id, channel: c.channel, seq: page.Messages[n-1].Seq, count: n}
		_ = st.sess.node.audit.write(r, now, false) // does not wait: drops are counted
	}
	return gapAfter(c.delivered, page), nil
}

// pass hands out the first message of the page, if the window lets it pass;
// else it drops the page, so that a slow reader costs no memory.
func (st *stream) pass(c *cursor, now UnixMilli) Event {
	m := c.page[0]
	size := len(m.Payload)
	switch {
	case m.ExpiresAt <= now: // while the page waited: read it anew, as a gap
		c.page, c.stale = nil, true
		return nil
	case !st.window.share.fits(Window{Messages: len(c.out), Bytes: c.outBytes}, size):
		c.stale, c.aside = true, true
		st.rest(c)
		st.setAside = append(st.setAside, c)
		return nil
	case !st.window.limit.fits(st.window.out, size):
		c.page, c.stale = nil, true
		st.window.full = true
		return nil
	}
	c.page = c.page[1:]
	c.out = append(c.out, delivery{seq: m.Seq, bytes: size})
	c.outBytes += size
	st.window.out.Messages++
	st.window.out.Bytes += size
	st.advance(c, m.Seq)
	if len(c.page) == 0 && len(st.ring) > 1 {
		st.ring = append(st.ring[1:], c) // the next channel's turn
	}
	return MessageEvent{Channel: c.channel, Message: m}
}

// settle takes note of what is acknowledged, by whichever door: it is told, and
// what it covers leaves the window.
func (st *stream) settle(c *cursor, acked Seq) {
	if acked <= c.acked {
		return
	}
	c.acked = acked
	st.events = append(st.events, AckedEvent{Channel: c.channel, Through: acked})
	released := 0
	for _, d := range c.out {
		if d.seq > acked {
			break
		}
		released++
		c.outBytes -= d.bytes
		st.window.out.Messages--
		st.window.out.Bytes -= d.bytes
	}
	if c.out = c.out[released:]; released == 0 {
		return
	}
	st.window.full = false
	for _, blocked := range st.setAside {
		blocked.aside = false
		st.queue(blocked)
	}
	st.setAside = st.setAside[:0]
}
