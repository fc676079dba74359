package crashtest

import (
	"context"

	"github.com/quicproquo/node/nodeservice"
)

// followAnything reads a stream until it has caught up: of all channels, or of
// one, and that perhaps from a place in its middle.
func (c *client) followAnything() Outcome {
	var req nodeservice.FollowRequest
	if ch := c.anyChannel(); ch != nil && c.chance.IntN(2) == 0 {
		req.Channel = ch.id
		if _, seen := ch.known(); seen > 0 && c.chance.IntN(3) == 0 {
			req.After = nodeservice.Seq(c.chance.IntN(int(seen))) + 1
		}
	}
	return c.follow(req)
}

func (c *client) follow(req nodeservice.FollowRequest) Outcome {
	return c.call(Op{Kind: Follow, Channel: req.Channel, After: req.After}, func(ctx context.Context, op *Op) error {
		stream, err := c.session.Follow(ctx, req)
		if err != nil {
			return err
		}
		f := follower{client: c, stream: stream, op: op, open: map[nodeservice.ChannelID]int{}}
		for err == nil && !op.CaughtUp {
			err = f.next(ctx)
		}
		_ = stream.Close() // the answer is complete, or the error says more
		return err
	}).Outcome
}

// follower reads one stream, and acknowledges in it.
type follower struct {
	client *client
	stream nodeservice.Stream
	op     *Op
	open   map[nodeservice.ChannelID]int // delivered since the last acknowledgement
}

// maxOpen is less than any window: who acknowledges by then is never left waiting.
const maxOpen = 8

func (f *follower) next(ctx context.Context) error {
	event, err := f.stream.Next(ctx)
	if err != nil {
		return err
	}
	told := func(e Event) { f.op.Events = append(f.op.Events, e) }
	switch e := event.(type) {
	case nodeservice.MessageEvent:
		told(Event{Channel: e.Channel, Message: deliveredOf(e.Message)})
		return f.received(e.Channel, e.Message.Seq)
	case nodeservice.GapEvent:
		told(Event{Channel: e.Channel, Gap: e.Gap})
	case nodeservice.AckedEvent:
		told(Event{Channel: e.Channel, Acked: e.Through})
	case nodeservice.CaughtUpEvent:
		f.op.CaughtUp = true
	}
	return nil
}

// received acknowledges now and then, as an operation of its own.
func (f *follower) received(id nodeservice.ChannelID, at nodeservice.Seq) error {
	c := f.client
	f.open[id]++
	if f.open[id] < maxOpen && c.chance.IntN(4) != 0 {
		return nil
	}
	f.open[id] = 0
	var err error
	c.call(Op{Kind: Ack, Channel: id, Through: at, Stream: f.op.Begin}, func(ctx context.Context, _ *Op) error {
		err = f.stream.Ack(ctx, id, at)
		return err
	})
	return err
}
