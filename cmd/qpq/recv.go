package main

import (
	"context"
	"errors"

	"github.com/quicproquo/node/nodeservice"
)

// recvCommand prints messages. Each is printed before the state file says so,
// and acknowledged after that: killed in between, it prints a message again
// rather than never.
type recvCommand struct {
	From correspondent `arg:"" optional:"" name:"peer|channel" help:"An identity or a channel id. Default: all channels."`

	Ack    bool `help:"Acknowledge what was printed: the node deletes it."`
	All    bool `help:"Begin at the first message that is not acknowledged, printed before or not."`
	Follow bool `short:"f" help:"Wait for more, until interrupted. Without --ack the node stops after 128 messages that nobody acknowledged (32 of one channel)."`
	Count  int  `placeholder:"N" help:"Stop after N messages."`
}

// errEnough ends a recv that printed as many messages as it was to.
var errEnough = errors.New("enough")

// Run prints until it has all that there is, or follows.
func (r *recvCommand) Run(ctx context.Context, a *app) error {
	c, err := a.client(ctx)
	if err != nil {
		return err
	}
	reader := &reader{client: c, options: r, out: a.out(), peers: make(map[nodeservice.ChannelID]nodeservice.Identity)}
	if err := reader.begin(ctx); err != nil {
		return err
	}
	if r.Follow {
		err = reader.follow(ctx)
	} else {
		err = reader.fetchAll(ctx)
	}
	if errors.Is(err, errEnough) || ctx.Err() != nil {
		return nil // the user has what was wanted, or said that it is enough
	}
	return err
}

// reader prints the messages of channels and keeps their cursors.
type reader struct {
	client  *client
	options *recvCommand
	out     output

	views   []nodeservice.ChannelView                      // to read, as they were at the beginning
	peers   map[nodeservice.ChannelID]nodeservice.Identity // of the channels seen so far
	printed int                                            // messages
}

// begin finds the channels to read.
func (r *reader) begin(ctx context.Context) (err error) {
	if from := r.options.From; from.isZero() {
		r.views, err = r.client.channels(ctx)
	} else {
		view, err := r.client.known(ctx, from)
		if err != nil {
			return err
		}
		r.views = []nodeservice.ChannelView{view}
	}
	for _, view := range r.views {
		r.peers[view.ID] = view.Peer
	}
	return err
}

// cursor is the last seq that was printed, or acknowledged, whichever is
// higher. One above head is of a node that lost its memory: it means nothing.
func (r *reader) cursor(view nodeservice.ChannelView) (nodeservice.Seq, error) {
	if r.options.All {
		return view.Acked, nil
	}
	s, err := r.client.file.load()
	if err != nil {
		return 0, err
	}
	cursor := s.Cursors[view.ID.String()]
	if cursor > view.Head {
		cursor = 0
	}
	return max(cursor, view.Acked), nil
}

func (r *reader) fetchAll(ctx context.Context) error {
	for _, view := range r.views {
		after, err := r.cursor(view)
		if err != nil {
			return err
		}
		for more := after < view.Head; more; {
			if after, more, err = r.fetchPage(ctx, view.ID, after); err != nil {
				return err
			}
		}
	}
	return nil
}

// fetchPage prints a page, and says how far it went.
func (r *reader) fetchPage(ctx context.Context, id nodeservice.ChannelID, after nodeservice.Seq) (nodeservice.Seq, bool, error) {
	req := nodeservice.FetchRequest{Channel: id, After: after}
	if left := r.options.Count - r.printed; r.options.Count > 0 {
		req.Limit = min(left, nodeservice.MaxFetch)
	}
	var page nodeservice.Page
	err := r.client.do(ctx, func(s nodeservice.Session) (err error) {
		page, err = s.Fetch(ctx, req)
		return err
	})
	if err != nil {
		return after, false, err
	}
	if page.Gap != nil {
		after = max(after, page.Gap.To)
		if err := r.printGap(id, *page.Gap); err != nil {
			return after, false, err
		}
	}
	for _, m := range page.Messages {
		after = m.Seq
		if err := r.printMessage(id, m); err != nil {
			return after, false, err
		}
	}
	if err := r.settle(ctx, id, after, r.ack); err != nil {
		return after, false, err
	}
	return after, page.More, r.enough()
}

func (r *reader) ack(ctx context.Context, id nodeservice.ChannelID, through nodeservice.Seq) error {
	return r.client.do(ctx, func(s nodeservice.Session) error {
		return s.Ack(ctx, nodeservice.AckRequest{Channel: id, Through: through})
	})
}

// settle keeps the cursor, and then acknowledges if that is wanted.
func (r *reader) settle(ctx context.Context, id nodeservice.ChannelID, through nodeservice.Seq, ack func(context.Context, nodeservice.ChannelID, nodeservice.Seq) error) error {
	if through == 0 {
		return nil
	}
	err := r.client.file.update(func(s *state) error {
		if s.Cursors == nil {
			s.Cursors = make(map[string]nodeservice.Seq)
		}
		s.Cursors[id.String()] = through
		return nil
	})
	if err != nil || !r.options.Ack {
		return err
	}
	return ack(ctx, id, through)
}

func (r *reader) enough() error {
	if r.options.Count > 0 && r.printed >= r.options.Count {
		return errEnough
	}
	return nil
}

func (r *reader) printMessage(id nodeservice.ChannelID, m nodeservice.Message) error {
	r.printed++
	peer := r.peers[id].String()
	fields := object{"type": "message", "channel_id": id.String(), "peer": peer, "seq": m.Seq,
		"received_at": timeText(m.ReceivedAt), "payload": bytesText(m.Payload)}
	if text, ok := readable(m.Payload); ok {
		fields["text"] = text
	}
	return r.out.print(fields, "%s  %s  %d  %s", timeText(m.ReceivedAt), peer, m.Seq, payloadText(m.Payload))
}

func (r *reader) printGap(id nodeservice.ChannelID, g nodeservice.Gap) error {
	return r.out.print(
		object{"type": "gap", "channel_id": id.String(), "from": g.From, "to": g.To, "reason": g.Reason.String()},
		"(gap)  %s  %d to %d will not come: %s", r.peers[id], g.From, g.To, g.Reason)
}
