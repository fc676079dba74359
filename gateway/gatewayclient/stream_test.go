package gatewayclient_test

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/quicproquo/node/nodeservice"
)

func (w *world) follow(s nodeservice.Session, req nodeservice.FollowRequest) nodeservice.Stream {
	w.t.Helper()
	stream, err := s.Follow(w.ctx, req)
	must(w.t, err)
	w.t.Cleanup(func() { must(w.t, stream.Close()) })
	return stream
}

func next[E nodeservice.Event](w *world, s nodeservice.Stream) E {
	w.t.Helper()
	event, err := s.Next(w.ctx)
	must(w.t, err)
	want, ok := event.(E)
	if !ok {
		w.t.Fatalf("got %T, want %T", event, want)
	}
	return want
}

func TestAStreamDeliversAndAcknowledges(t *testing.T) {
	w := newWorld(t, nil)
	alice, bob, id := w.pair()
	s := w.follow(bob, nodeservice.FollowRequest{})
	next[nodeservice.CaughtUpEvent](w, s)
	large := bytes.Repeat([]byte{0xfb}, 5<<20)
	w.send(alice, id, "one")
	w.send(alice, id, string(large))
	if c := next[nodeservice.ChannelEvent](w, s); c.Channel.ID != id || c.Channel.Peer != alice.Identity() {
		t.Errorf("%+v", c)
	}
	if m := next[nodeservice.MessageEvent](w, s); m.Channel != id || m.Message.Seq != 1 || string(m.Message.Payload) != "one" || m.Message.ReceivedAt == 0 {
		t.Errorf("%+v", m)
	}
	must(t, s.Ack(w.ctx, id, 1)) // a large message must have room beside what waits for Next
	if a := next[nodeservice.AckedEvent](w, s); a.Channel != id || a.Through != 1 {
		t.Errorf("%+v", a)
	}
	if m := next[nodeservice.MessageEvent](w, s); m.Message.Seq != 2 || !bytes.Equal(m.Message.Payload, large) {
		t.Errorf("seq %d, %d bytes", m.Message.Seq, len(m.Message.Payload))
	}
	wantCode(t, s.Ack(w.ctx, id, 3), nodeservice.CodeInvalidArgument)
	wantCode(t, s.Ack(w.ctx, nodeservice.ChannelID{}, 1), nodeservice.CodeChannelNotFound)
	must(t, s.Ack(w.ctx, id, 1)) // which changes nothing, and tells nobody
	must(t, s.Ack(w.ctx, id, 2))
	if a := next[nodeservice.AckedEvent](w, s); a.Through != 2 {
		t.Errorf("%+v", a)
	}
	view, err := bob.Channel(w.ctx, id)
	must(t, err)
	if view.Acked != 2 {
		t.Errorf("acked is %d", view.Acked)
	}
	w.send(alice, id, "three")
	if m := next[nodeservice.MessageEvent](w, s); m.Message.Seq != 3 {
		t.Errorf("%+v", m)
	}
}

func TestAStreamOfOneChannel(t *testing.T) {
	w := newWorld(t, nil)
	alice, bob, id := w.pair()
	for range 3 {
		w.send(alice, id, "x")
	}
	must(t, bob.Ack(w.ctx, nodeservice.AckRequest{Channel: id, Through: 2}))
	s := w.follow(bob, nodeservice.FollowRequest{Channel: id, After: 1})
	if g := next[nodeservice.GapEvent](w, s); g.Gap != (nodeservice.Gap{From: 2, To: 2, Reason: nodeservice.GapAcked}) {
		t.Errorf("%+v", g)
	}
	next[nodeservice.MessageEvent](w, s)
	next[nodeservice.CaughtUpEvent](w, s)
	_, err := bob.Follow(w.ctx, nodeservice.FollowRequest{Channel: id, After: 9})
	if e := wantCode(t, err, nodeservice.CodeInvalidArgument); e.Head == nil || *e.Head != 3 {
		t.Errorf("head %v", e.Head)
	}
	_, err = bob.Follow(w.ctx, nodeservice.FollowRequest{After: 1})
	wantCode(t, err, nodeservice.CodeInvalidArgument)
	stranger, _, _ := w.join()
	_, err = stranger.Follow(w.ctx, nodeservice.FollowRequest{Channel: id})
	wantCode(t, err, nodeservice.CodeChannelNotFound)
}

// Acks from several goroutines, faster than the gateway takes frames, all come
// through.
func TestAcksKeepTheirPace(t *testing.T) {
	w := newWorld(t, nil)
	alice, bob, id := w.pair()
	s := w.follow(bob, nodeservice.FollowRequest{Channel: id})
	next[nodeservice.CaughtUpEvent](w, s)
	var acks sync.WaitGroup
	for seq := range nodeservice.Seq(120) {
		w.send(alice, id, "x")
		for { // the acked events of earlier ones come between
			event, err := s.Next(w.ctx)
			must(t, err)
			if _, ok := event.(nodeservice.MessageEvent); ok {
				break
			}
		}
		acks.Go(func() {
			if err := s.Ack(w.ctx, id, seq+1); err != nil {
				t.Errorf("ack %d: %v", seq+1, err)
			}
		})
	}
	acks.Wait()
	view, err := bob.Channel(w.ctx, id)
	must(t, err)
	if view.Acked != 120 {
		t.Errorf("acked is %d", view.Acked)
	}
}

func TestHowStreamsEnd(t *testing.T) {
	w := newWorld(t, nil)
	_, bob, id := w.pair()
	s := w.follow(bob, nodeservice.FollowRequest{})
	next[nodeservice.CaughtUpEvent](w, s)
	ctx, cancel := context.WithCancel(w.ctx)
	cancel()
	if _, err := s.Next(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Next with a context that ended: %v", err)
	}
	must(t, s.Close())
	_, err := s.Next(w.ctx)
	wantCode(t, err, nodeservice.CodeUnavailable)
	wantCode(t, s.Ack(w.ctx, id, 1), nodeservice.CodeUnavailable)
	must(t, s.Close())

	s = w.follow(bob, nodeservice.FollowRequest{})
	next[nodeservice.CaughtUpEvent](w, s)
	must(t, bob.Revoke(w.ctx))
	_, err = s.Next(w.ctx)
	wantCode(t, err, nodeservice.CodeUnauthenticated)

	carol, _, _ := w.join()
	s = w.follow(carol, nodeservice.FollowRequest{})
	must(t, carol.Close())
	_, err = s.Next(w.ctx)
	wantCode(t, err, nodeservice.CodeUnavailable)
	_, err = carol.Follow(w.ctx, nodeservice.FollowRequest{})
	wantCode(t, err, nodeservice.CodeUnauthenticated)

	dave, _, _ := w.join()
	s = w.follow(dave, nodeservice.FollowRequest{})
	next[nodeservice.CaughtUpEvent](w, s)
	must(t, w.gateway.Shutdown(w.ctx))
	if d := next[nodeservice.DrainingEvent](w, s); d.RetryAfter <= 0 {
		t.Errorf("%+v", d)
	}
	_, err = s.Next(w.ctx)
	wantCode(t, err, nodeservice.CodeUnavailable)
	_, err = dave.Follow(w.ctx, nodeservice.FollowRequest{})
	if e := wantCode(t, err, nodeservice.CodeUnavailable); e.RetryAfter <= 0 {
		t.Errorf("retry after %v", e.RetryAfter)
	}
}

// A renewed session's streams outlive the old token.
func TestRenewingReachesStreams(t *testing.T) {
	w := newWorld(t, nil)
	alice, _, id := w.pair()
	carol, old, private := w.join()
	s := w.follow(carol, nodeservice.FollowRequest{})
	next[nodeservice.CaughtUpEvent](w, s)
	newer := w.login(private)
	_, err := carol.Renew(w.ctx, newer.Token)
	must(t, err)
	// An ack is answered after the frames before it: the stream has been renewed.
	wantCode(t, s.Ack(w.ctx, id, 1), nodeservice.CodeChannelNotFound)
	before, err := w.node.Authenticate(w.ctx, nodeservice.Origin{}, old.Token)
	must(t, err)
	must(t, before.Revoke(w.ctx))
	view, _, err := alice.CreateChannel(w.ctx, carol.Identity())
	must(t, err)
	w.send(alice, view.ID, "x")
	next[nodeservice.ChannelEvent](w, s)
	next[nodeservice.MessageEvent](w, s)
}
