package noderpc

import (
	"context"
	"errors"

	"capnproto.org/go/capnp/v3"

	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/schema"
)

// Follow implements schema.NodeService_Server: it pulls events from the core's stream and
// pushes them into the peer's sink, with a bound on those that are not answered. A sink
// that does not answer stops the pulling, and costs no more.
func (o *object) Follow(ctx context.Context, call schema.NodeService_follow) error {
	args := call.Args()
	req, err := decodeFollow(args)
	r := o.request(call.Call, args).with("", err)
	sink := args.Sink() // lives as long as the call
	streamID, unanswered := args.StreamId(), atMost(args.Unanswered(), req.Window.Messages)
	if unanswered == 0 {
		unanswered = req.Window.Messages
	}
	if streamID != 0 && o.bound == nil {
		r = r.with("", invalid("streamId is for a capability that login or authenticate returned"))
	}
	return answer(ctx, o, r, call.AllocResults,
		func(ctx context.Context, s nodeservice.Session) (nothing, error) {
			meter := o.conn.wire.meter
			if err := meter.takeForWait(followCost); err != nil {
				return nothing{}, err
			}
			defer meter.give(followCost)
			stream, err := s.Follow(ctx, req)
			if err != nil {
				return nothing{}, err
			}
			defer stream.Close()
			unname, err := o.streams.add(streamID, stream)
			if err != nil {
				return nothing{}, err
			}
			defer unname()
			return nothing{}, o.push(ctx, stream, sink, unanswered)
		},
		encodeNothing[schema.NodeService_follow_Results])
}

func decodeFollow(args schema.NodeService_follow_Params) (req nodeservice.FollowRequest, err error) {
	req.Window = nodeservice.DefaultWindow
	if window := atMost(args.Window(), req.Window.Messages); window > 0 {
		req.Window.Messages = window
	}
	if !args.Sink().IsValid() {
		return req, invalid("follow needs a sink for its events")
	}
	if req.Channel, _, err = channelID(args.ChannelId()); err != nil {
		return req, err
	}
	req.After, err = seq("after", args.After())
	return req, err
}

// pushing is the way of one stream's events into a sink.
type pushing struct {
	stream nodeservice.Stream
	sink   schema.EventSink
	slots  chan struct{}    // one for each event without an answer
	sent   chan outstanding // to collect; as large as slots, so that sending never blocks
}

// outstanding is one event that the sink has not answered.
type outstanding struct {
	answer  schema.EventSink_event_Results_Future
	release capnp.ReleaseFunc
}

// push returns when the stream has ended, and every event has been answered.
func (o *object) push(
	ctx context.Context, stream nodeservice.Stream, sink schema.EventSink, unanswered int,
) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	p := &pushing{
		stream: stream, sink: sink,
		slots: make(chan struct{}, unanswered), sent: make(chan outstanding, unanswered),
	}
	collected := make(chan struct{})
	go func() {
		defer close(collected)
		p.collect(ctx, o.conn, cancel)
	}()
	err := o.pump(ctx, p)
	close(p.sent)
	<-collected
	var refused *nodeservice.Error
	if errors.As(context.Cause(ctx), &refused) {
		return refused
	}
	return err
}

// pump pulls until the stream or ctx ends, or the node shuts down.
func (o *object) pump(ctx context.Context, p *pushing) error {
	pulling, stop := o.untilDraining(ctx)
	defer stop()
	for {
		event, err := p.stream.Next(pulling)
		switch {
		case err == nil:
			err = p.event(ctx, event)
		case ctx.Err() == nil && o.conn.server.isDraining():
			err = errors.Join(p.event(ctx, nodeservice.DrainingEvent{RetryAfter: drainRetry}), shuttingDown())
		}
		if err != nil {
			return err
		}
	}
}

// event sends one event once there is a slot for it.
func (p *pushing) event(ctx context.Context, event nodeservice.Event) error {
	select {
	case p.slots <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	answer, release := p.sink.Event(ctx, func(params schema.EventSink_event_Params) error {
		out, err := params.NewEvent()
		if err != nil {
			return err
		}
		return encodeEvent(out, event)
	})
	p.sent <- outstanding{answer, release}
	return nil
}

// collect waits for the answers in order; the first refusal ends the stream.
// Once ctx has ended it waits no longer: the runtime settles the calls of a
// connection that closes only after our own handlers have returned.
func (p *pushing) collect(ctx context.Context, c *connection, cancel context.CancelCauseFunc) {
	for event := range p.sent {
		select {
		case <-event.answer.Done():
			if _, err := event.answer.Struct(); err != nil {
				cancel(&nodeservice.Error{
					Code: nodeservice.CodeUnavailable, Detail: "the event sink failed", Cause: err,
				})
			}
			event.release()
		case <-ctx.Done():
			c.releasing.Go(event.release)
		}
		<-p.slots
	}
}
