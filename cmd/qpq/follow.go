package main

import (
	"context"

	"github.com/quicproquo/node/nodeservice"
)

// follow prints events as they come. A stream whose token ended is opened
// again: its cursors are here and at the node, not in it.
func (r *reader) follow(ctx context.Context) error {
	skip := make(map[nodeservice.ChannelID]nodeservice.Seq, len(r.views))
	for _, view := range r.views {
		cursor, err := r.cursor(view)
		if err != nil {
			return err
		}
		skip[view.ID] = cursor
	}
	for {
		err := r.client.do(ctx, func(s nodeservice.Session) error { return r.followOnce(ctx, s, skip) })
		if !staleToken(err) {
			return err
		}
		// It was good when the stream began, and the second one in do as well.
		if err := r.client.login(ctx, false); err != nil {
			return err
		}
	}
}

func (r *reader) followOnce(ctx context.Context, session nodeservice.Session, skip map[nodeservice.ChannelID]nodeservice.Seq) error {
	var req nodeservice.FollowRequest
	if !r.options.From.isZero() {
		req.Channel = r.views[0].ID
		req.After = skip[req.Channel]
	}
	stream, err := session.Follow(ctx, req)
	if err != nil {
		return err
	}
	defer stream.Close()
	for {
		event, err := stream.Next(ctx)
		if err == nil {
			err = r.handle(ctx, stream, event, skip)
		}
		if err != nil {
			return err
		}
	}
}

// handle prints an event. What was printed before comes again on the stream of
// all channels, which knows no cursor but the acknowledgement; it still counts
// in the stream's window, and so is acknowledged here too.
func (r *reader) handle(ctx context.Context, stream nodeservice.Stream, event nodeservice.Event, skip map[nodeservice.ChannelID]nodeservice.Seq) error {
	switch e := event.(type) {
	case nodeservice.ChannelEvent:
		r.peers[e.Channel.ID] = e.Channel.Peer
		return r.client.remember([]nodeservice.ChannelView{e.Channel})
	case nodeservice.MessageEvent:
		if e.Message.Seq > skip[e.Channel] {
			if err := r.printMessage(e.Channel, e.Message); err != nil {
				return err
			}
		}
		return r.advance(ctx, stream, e.Channel, e.Message.Seq, skip)
	case nodeservice.GapEvent:
		if e.Gap.To > skip[e.Channel] {
			if err := r.printGap(e.Channel, e.Gap); err != nil {
				return err
			}
		}
		return r.advance(ctx, stream, e.Channel, e.Gap.To, skip)
	case nodeservice.TokenExpiringEvent:
		return r.client.renew(ctx)
	}
	return nil
}

// advance keeps the cursor, which never falls, and acknowledges by the stream.
func (r *reader) advance(ctx context.Context, stream nodeservice.Stream, id nodeservice.ChannelID, through nodeservice.Seq, skip map[nodeservice.ChannelID]nodeservice.Seq) error {
	skip[id] = max(skip[id], through)
	ack := func(ctx context.Context, id nodeservice.ChannelID, _ nodeservice.Seq) error {
		return stream.Ack(ctx, id, through)
	}
	if err := r.settle(ctx, id, skip[id], ack); err != nil {
		return err
	}
	return r.enough()
}
