package nodeservice

import (
	"context"
	"sync"
	"time"
)

// stream is Follow: cursors and hints in, events out. It subscribes, then reads
// from its cursors, yields, and waits for a hint or the slow tick to read
// again. It runs in its reader's goroutine, so a reader that does not call Next
// costs nothing but its place.
type stream struct {
	sess   *session
	only   ChannelID // static: zero follows all channels
	window window    // owned by Next
	sub    *Subscription
	tick   ticker
	leave  func() // gives the stream's place in the quota back
	done   chan struct{}
	close  sync.Once

	// Owned by Next.
	events   []Event   // that come before any message, first in first out
	ring     []*cursor // queues to read, in turn; each once
	setAside []*cursor // queues whose share of the window is used up
	listed   uint64    // highest Ordinal of the channels told or there at the start
	begun    bool      // what was there at the start has its targets
	behind   int       // cursors that have not reached their target
	caughtUp bool
	pause    time.Duration // before anything more may be read; 0: none
	away     bool          // the store could not be read last time
	warned   UnixMilli     // the expiry that TokenExpiringEvent was sent for
	drained  bool
	low      map[CipherSuite]bool

	mu      sync.Mutex
	cursors map[ChannelID]*cursor // written by Next under mu, read by Ack under mu
}

// cursor is the stream's place in one queue. It lives while something delivered
// is unacknowledged or something is left to read.
type cursor struct {
	channel   ChannelID
	delivered Seq       // written by Next under the stream's mu
	acked     Seq       // the highest that is known to be stored
	target    Seq       // head at the stream's start; 0: reached
	page      []Message // read and not delivered; only the ring's first has any
	more      bool      // the queue goes on behind page
	stale     bool      // a hint came after page was read
	queued    bool      // it is in ring
	aside     bool      // it is in setAside
	out       []delivery
	outBytes  int
}

// delivery is a message above the stored acked.
type delivery struct {
	seq   Seq
	bytes int
}

// The sizes of one turn of the ring, so that channels are served in turn.
const (
	turnMessages = 16
	turnBytes    = 256 << 10
	listPage     = 256
	expiryNotice = 60 * time.Second
)

// Follow implements Session.
func (s *session) Follow(ctx context.Context, req FollowRequest) (Stream, error) {
	var st *stream
	open := func(c *call) (err error) {
		st, err = s.open(ctx, req, c)
		return err
	}
	do := func() error { return s.do(ctx, opFollow, req.Channel, open) }
	if req.Channel.IsZero() {
		do = func() error { return s.doNoChannel(ctx, opFollow, open) }
	}
	if err := do(); err != nil {
		return nil, err
	}
	return st, nil
}

func (s *session) open(ctx context.Context, req FollowRequest, c *call) (*stream, error) {
	if req.After > 0 && req.Channel.IsZero() {
		return nil, Errorf(CodeInvalidArgument, "after needs a channel: a stream of all begins at what is acknowledged")
	}
	leave, err := s.node.presence.enter(s.id, streaming, s.node.cfg.Quotas.Streams)
	if err != nil {
		return nil, err
	}
	st := &stream{
		sess:    s,
		only:    req.Channel,
		window:  newWindow(req.Window, req.Channel.IsZero()),
		tick:    newTicker(s.node.cfg.Tick),
		leave:   leave,
		done:    make(chan struct{}),
		low:     map[CipherSuite]bool{},
		cursors: map[ChannelID]*cursor{},
	}
	st.sub = s.node.cfg.Bus.Subscribe(s.id, st.concerns)
	if err := st.begin(ctx, req, c.now); err != nil {
		st.Close()
		return nil, err
	}
	return st, nil
}

// concerns keeps other channels' hints from a stream of one.
func (st *stream) concerns(h Hint) bool {
	switch h.Kind {
	case HintQueue, HintAcked:
		return !h.Channel.IsZero() && (st.only.IsZero() || h.Channel == st.only)
	case HintChannels:
		return st.only.IsZero()
	}
	return h.Kind == HintKeyPackages
}

// begin reads what is there: every queue with something in it gets its head as
// target, and the stream has caught up when all targets are reached.
func (st *stream) begin(ctx context.Context, req FollowRequest, now UnixMilli) error {
	if err := st.restock(ctx, now); err != nil {
		return err
	}
	if st.only.IsZero() {
		if err := st.list(ctx, 0, now, false); err != nil {
			return err
		}
	} else if err := st.beginOne(ctx, req.After, now); err != nil {
		return err
	}
	st.begun = true
	return nil
}

func (st *stream) beginOne(ctx context.Context, after Seq, now UnixMilli) error {
	state, _, err := st.state(ctx, st.only, now)
	if err != nil {
		return err
	}
	if after > state.Head {
		return beyondHead("after", after, state.Head)
	}
	c := st.cursor(state)
	st.aim(c, state.Head)
	if after > 0 {
		c.delivered = after
	}
	st.queue(c)
	return nil
}

// Ack implements Stream.
func (st *stream) Ack(ctx context.Context, id ChannelID, through Seq) error {
	return st.sess.do(ctx, opStreamAck, id, func(c *call) error {
		delivered, err := st.deliveredTo(ctx, id, c.now)
		if err != nil {
			return err
		}
		if through > delivered {
			return Errorf(CodeInvalidArgument, "through is %d, above %d, the last that this stream delivered of the channel", through, delivered)
		}
		return st.sess.acknowledge(ctx, c, Queue{Channel: id, Recipient: st.sess.id}, through)
	})
}

// deliveredTo is how far the stream may acknowledge. Without a cursor all that
// was delivered is acknowledged already.
func (st *stream) deliveredTo(ctx context.Context, id ChannelID, now UnixMilli) (Seq, error) {
	st.mu.Lock()
	c := st.cursors[id]
	var delivered Seq
	if c != nil {
		delivered = c.delivered
	}
	st.mu.Unlock()
	if c != nil {
		return delivered, nil
	}
	state, _, err := st.state(ctx, id, now)
	return state.Acked, err
}

// Close implements Stream.
func (st *stream) Close() error {
	st.close.Do(func() {
		close(st.done)
		st.sub.Close()
		st.tick.stop()
		st.leave()
	})
	return nil
}
