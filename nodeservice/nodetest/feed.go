package nodetest

import (
	"bytes"

	"github.com/quicproquo/node/nodeservice"
)

// feed is a stream as a behaviour reads it.
type feed struct {
	w      *World
	stream nodeservice.Stream
}

// follow opens a stream.
func (a *Actor) follow(req nodeservice.FollowRequest) *feed {
	a.w.T.Helper()
	stream, err := a.Session.Follow(a.w.Ctx, req)
	a.w.ok(err)
	a.w.T.Cleanup(func() { _ = stream.Close() }) // may be over already
	return &feed{a.w, stream}
}

// followed opens a stream of all channels and reads up to caught_up, which
// must be all that there is.
func (a *Actor) followed() *feed {
	a.w.T.Helper()
	f := a.follow(nodeservice.FollowRequest{})
	next[nodeservice.CaughtUpEvent](f)
	return f
}

func (f *feed) next() nodeservice.Event {
	f.w.T.Helper()
	event, err := f.stream.Next(f.w.Ctx)
	f.w.ok(err)
	return event
}

// next demands that the next event is of type E.
func next[E nodeservice.Event](f *feed) E {
	f.w.T.Helper()
	event := f.next()
	want, ok := event.(E)
	if !ok {
		f.w.T.Fatalf("event %s, want %T", describe(event), want)
	}
	return want
}

// await passes over events until one is of type E.
func await[E nodeservice.Event](f *feed) (wanted E, passed []nodeservice.Event) {
	f.w.T.Helper()
	for {
		event := f.next()
		if wanted, ok := event.(E); ok {
			return wanted, passed
		}
		passed = append(passed, event)
	}
}

// message demands that the next event delivers a payload.
func (f *feed) message(id channelID, at seq, payload []byte) {
	f.w.T.Helper()
	f.isMessage(next[nodeservice.MessageEvent](f), id, at, payload)
}

func (f *feed) isMessage(event nodeservice.MessageEvent, id channelID, at seq, payload []byte) {
	f.w.T.Helper()
	equal(f.w, "channel", event.Channel, id)
	equal(f.w, "seq", event.Message.Seq, at)
	if !bytes.Equal(event.Message.Payload, payload) {
		f.w.T.Fatalf("seq %d has not the payload that was sent", at)
	}
}

// ack acknowledges what was delivered.
func (f *feed) ack(id channelID, through seq) {
	f.w.T.Helper()
	f.w.ok(f.stream.Ack(f.w.Ctx, id, through))
}

// end passes over events until the stream ends, and returns why.
func (f *feed) end() error {
	f.w.T.Helper()
	for {
		if _, err := f.stream.Next(f.w.Ctx); err != nil {
			return err
		}
	}
}

// followRefused opens a stream that must not be: the refusal comes at once, or
// in place of the first event.
func (a *Actor) followRefused(req nodeservice.FollowRequest) error {
	a.w.T.Helper()
	stream, err := a.Session.Follow(a.w.Ctx, req)
	if err != nil {
		return err
	}
	defer stream.Close()
	event, err := stream.Next(a.w.Ctx)
	if err == nil {
		a.w.T.Fatalf("a stream that was to be refused begins with %s", describe(event))
	}
	return err
}

// describe names an event without spreading its payload.
func describe(event nodeservice.Event) string {
	switch e := event.(type) {
	case nodeservice.MessageEvent:
		return "message " + e.Channel.String()
	case nodeservice.GapEvent:
		return "gap " + e.Gap.Reason.String()
	case nodeservice.AckedEvent:
		return "acked"
	case nodeservice.ChannelEvent:
		return "channel " + e.Channel.ID.String()
	case nodeservice.CaughtUpEvent:
		return "caught_up"
	case nodeservice.KeyPackagesLowEvent:
		return "key_packages_low"
	case nodeservice.TokenExpiringEvent:
		return "token_expiring"
	case nodeservice.DrainingEvent:
		return "draining"
	}
	return "unknown"
}
