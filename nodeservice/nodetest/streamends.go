package nodetest

import (
	"context"
	"errors"
	"time"

	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/identity"
)

var streamEnds = []Behaviour{
	{Name: "a stream is warned 60 s before its token expires", Config: func(cfg *nodeservice.Config) { cfg.TokenTTL = 62 * time.Second }, Run: streamWarned},
	{Name: "a stream ends with its token, unless it was renewed", Run: streamRenewed},
	{Name: "a stream ends when its token is revoked", Run: streamRevoked},
	{Name: "a login that voids earlier tokens ends their streams", Run: streamsOfOlderEnd},
	{Name: "a stream is told that the node drains, and ends", Run: streamDrained},
	{Name: "a stream survives its reader's impatience", Run: streamPatient},
	{Name: "a stream ends when it or its session is closed", Run: streamClosed},
}

func streamWarned(w *World) {
	alice, bob, id := w.pair()
	f := bob.followed()
	expiring := next[nodeservice.TokenExpiringEvent](f)
	equal(w, "expiry", expiring.ExpiresAt, bob.Session.ExpiresAt())
	if left := expiring.ExpiresAt.Time().Sub(w.Clock.Now()); left > time.Minute {
		w.T.Errorf("the warning comes %v before the token expires", left)
	}
	_, payload := alice.again().send(id)
	next[nodeservice.ChannelEvent](f)
	f.message(id, 1, payload)
}

// streamRenewed has two streams of the same short token, of which one session
// renews: when the other has ended, the renewed one goes on.
func streamRenewed(w *World) {
	alice, bob, id := w.pair()
	short := w.Mint(bob.ID, w.Clock.Now(), 4*time.Second)
	renewing, lapsing := bob.with(short), bob.with(short)
	f, g := renewing.follow(nodeservice.FollowRequest{}), lapsing.follow(nodeservice.FollowRequest{})
	await[nodeservice.CaughtUpEvent](f)
	_, err := renewing.Session.Renew(w.Ctx, w.Mint(bob.ID, w.Clock.Now(), time.Hour))
	w.ok(err)
	w.refused(g.end(), nodeservice.CodeTokenExpired)
	_, payload := alice.send(id)
	message, _ := await[nodeservice.MessageEvent](f)
	f.isMessage(message, id, 1, payload)
	f.ack(id, 1)
	_, err = lapsing.Session.KeyPackageStatus(w.Ctx)
	w.refused(err, nodeservice.CodeTokenExpired)
}

func streamRevoked(w *World) {
	alice, bob, id := w.pair()
	other := bob.again()
	f, g := bob.followed(), other.followed()
	w.ok(bob.with(bob.Token).Session.Revoke(w.Ctx))
	w.refused(f.end(), nodeservice.CodeUnauthenticated)
	alice.send(id)
	next[nodeservice.ChannelEvent](g)
	next[nodeservice.MessageEvent](g)
}

func streamsOfOlderEnd(w *World) {
	alice, bob, id := w.pair()
	f := bob.followed()
	w.Clock.Move(time.Second)
	newer := bob.with(bob.login(true).Token)
	w.refused(f.end(), nodeservice.CodeUnauthenticated)
	g := newer.followed()
	alice.send(id)
	next[nodeservice.ChannelEvent](g)
	next[nodeservice.MessageEvent](g)
}

func streamDrained(w *World) {
	_, bob, id := w.pair()
	streams := []*feed{bob.followed(), bob.again().follow(nodeservice.FollowRequest{Channel: id})}
	next[nodeservice.CaughtUpEvent](streams[1])
	w.Core.Drain()
	for _, f := range streams {
		if draining := next[nodeservice.DrainingEvent](f); draining.RetryAfter <= 0 {
			w.T.Error("draining comes without a time to come back after")
		}
		w.refused(f.end(), nodeservice.CodeUnavailable)
	}
}

func streamPatient(w *World) {
	alice, bob, id := w.pair()
	f := bob.follow(nodeservice.FollowRequest{Channel: id})
	next[nodeservice.CaughtUpEvent](f)
	impatient, cancel := context.WithCancel(w.Ctx)
	waiting := start(func() (nodeservice.Event, error) { return f.stream.Next(impatient) })
	cancel()
	if answer := <-waiting; !errors.Is(answer.err, context.Canceled) {
		w.T.Fatalf("a cancelled Next gives %v, want context.Canceled", answer.err)
	}
	f.quiet(alice, id)
}

func streamClosed(w *World) {
	bob := w.actorOn(w.Dial(), identity.EdDSA)
	f := bob.followed()
	waiting := start(func() (nodeservice.Event, error) { return f.stream.Next(w.Ctx) })
	w.ok(f.stream.Close())
	if answer := <-waiting; answer.err == nil {
		w.T.Error("Next goes on after Close")
	}
	other := bob.again()
	g := other.followed()
	waiting = start(func() (nodeservice.Event, error) { return g.stream.Next(w.Ctx) })
	w.ok(other.Session.Close())
	w.ok(other.Session.Close()) // may be called twice
	if answer := <-waiting; answer.err == nil {
		w.T.Error("Next goes on after the session's Close")
	}
	bob.followed()
	bob.with(other.Token).followed() // the token stays valid
}
