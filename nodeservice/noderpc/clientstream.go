package noderpc

import (
	"context"
	"sync"

	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/schema"
)

// clientStream is the follower's end of a native follow: an event sink, and the
// call that lasts as long as the stream. The server pushes; an event is answered
// when there is room for it here, so that a reader who does not read stops the
// server at the stream's window.
type clientStream struct {
	session *clientSession
	id      uint32 // names it on the session's capability
	start   nodeservice.FollowRequest
	events  chan nodeservice.Event
	cancel  context.CancelFunc // ends the call
	begun   chan struct{}      // closed when the first event has come
	ended   chan struct{}      // closed when the call has returned
	err     error              // why; set before ended is closed

	mu        sync.Mutex
	delivered map[nodeservice.ChannelID]nodeservice.Seq // guarded by mu: highest seq that Next returned
}

// Follow implements nodeservice.Session. It returns with the first event, which
// soon comes on every stream, or with the node's refusal. The schema knows a
// window in messages alone; its bytes are always the node's default.
func (s *clientSession) Follow(
	ctx context.Context, req nodeservice.FollowRequest,
) (nodeservice.Stream, error) {
	f, err := s.startStream(ctx, req)
	if err != nil {
		return nil, err
	}
	select {
	case <-f.begun:
		return f, nil
	case <-f.ended:
		select {
		case <-f.begun: // and ended: Next tells both
			return f, nil
		default:
			err = f.err
		}
	case <-ctx.Done():
		err = nodeservice.AsError(ctx.Err())
	}
	_ = f.Close()
	return nil, err
}

func (s *clientSession) startStream(
	ctx context.Context, req nodeservice.FollowRequest,
) (*clientStream, error) {
	if err := s.bind(ctx); err != nil {
		return nil, err
	}
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	f := &clientStream{
		session:   s,
		start:     req,
		events:    make(chan nodeservice.Event, s.client.role.buffer),
		cancel:    cancel,
		begun:     make(chan struct{}),
		ended:     make(chan struct{}),
		delivered: make(map[nodeservice.ChannelID]nodeservice.Seq),
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		cancel()
		return nil, errSessionClosed
	}
	s.lastStream++
	f.id = s.lastStream
	s.streams[f] = struct{}{}
	go f.run(running)
	return f, nil
}

// run is the call; Close ends it and waits for it.
func (f *clientStream) run(ctx context.Context) {
	defer close(f.ended)
	sink := schema.EventSink_ServerToClient(&eventSink{stream: f, open: ctx})
	_, err := ask(ctx, f.session, schema.NodeService.Follow,
		func(p schema.NodeService_follow_Params) error {
			p.SetVersion(schema.Version)
			p.SetStreamId(f.id)
			p.SetUnanswered(f.session.client.role.unanswered)
			p.SetAfter(uint64(f.start.After))
			p.SetWindow(uint32(max(0, f.start.Window.Messages)))
			if err := p.SetSink(sink); err != nil { // takes the reference over
				return err
			}
			return setChannel(p, f.start.Channel, f.start.Channel.IsZero())
		}, readNothing[schema.NodeService_follow_Results])
	if err == nil {
		err = nodeservice.Errorf(nodeservice.CodeUnavailable, "the node ended the stream")
	}
	f.err = err
}

// Next implements nodeservice.Stream.
func (f *clientStream) Next(ctx context.Context) (nodeservice.Event, error) {
	select {
	case event := <-f.events:
		return f.deliver(event), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-f.ended:
	}
	select {
	case event := <-f.events: // what came before the end
		return f.deliver(event), nil
	default:
		return nil, f.err
	}
}

// deliver notes what the reader may acknowledge from now on.
func (f *clientStream) deliver(event nodeservice.Event) nodeservice.Event {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch e := event.(type) {
	case nodeservice.MessageEvent:
		f.delivered[e.Channel] = max(f.delivered[e.Channel], e.Message.Seq)
	case nodeservice.GapEvent:
		f.delivered[e.Channel] = max(f.delivered[e.Channel], e.Gap.To)
	case nodeservice.AckedEvent:
		f.delivered[e.Channel] = max(f.delivered[e.Channel], e.Through)
	}
	return event
}

// Ack implements nodeservice.Stream. For the node, events that wait here are delivered,
// though the reader has not seen them: so what the reader may acknowledge is checked
// here. What was acknowledged before the stream began is asked of the node when needed.
func (f *clientStream) Ack(ctx context.Context, id nodeservice.ChannelID, through nodeservice.Seq) error {
	f.mu.Lock()
	highest := f.delivered[id]
	f.mu.Unlock()
	if id == f.start.Channel {
		highest = max(highest, f.start.After)
	}
	if through > highest {
		view, err := f.session.Channel(ctx, id)
		if err != nil {
			return err
		}
		if through > view.Acked {
			return invalid("through is %d, above what this stream delivered: %d", through, highest)
		}
	}
	req, within := nodeservice.AckRequest{Channel: id, Through: through}, f.id
	select {
	case <-f.ended: // and gone at the node: what was delivered may be acknowledged still
		within = 0
	default:
	}
	return f.session.ack(ctx, req, within)
}

// Close implements nodeservice.Stream.
func (f *clientStream) Close() error {
	f.cancel()
	<-f.ended
	f.session.mu.Lock()
	defer f.session.mu.Unlock()
	delete(f.session.streams, f)
	return nil
}

// eventSink is the capability that the server calls.
type eventSink struct {
	stream *clientStream
	open   context.Context // of the stream
	first  sync.Once
}

// Event implements schema.EventSink_Server. The next call begins only when it returns,
// since it does not call Go: so events stay in order.
func (s *eventSink) Event(ctx context.Context, call schema.EventSink_event) error {
	in, err := call.Args().Event()
	if err != nil {
		return err
	}
	event, err := decodeEvent(in)
	if err != nil || event == nil {
		return err
	}
	select {
	case s.stream.events <- event:
		s.first.Do(func() { close(s.stream.begun) })
		return nil
	case <-s.open.Done():
		return s.open.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}
