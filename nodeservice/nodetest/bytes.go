package nodetest

import (
	"time"

	"github.com/quicproquo/node/nodeservice"
)

// How much an identity may send and be sent, in bytes. The rates refill in hours
// of the moved clock, but for the last one.
var byteLimits = []Behaviour{
	{Name: "a send that is refused or a duplicate gives back its bytes", Config: func(cfg *nodeservice.Config) {
		longSessions(cfg)
		cfg.Rates.BytesIn = nodeservice.Per(3000, 3*time.Hour)
		cfg.Quotas.QueueMessages = 2
	}, Run: bytesGivenBack},
	{Name: "a send larger than a burst of bytes is never taken, and costs none", Config: func(cfg *nodeservice.Config) {
		longSessions(cfg)
		cfg.Rates.BytesIn = nodeservice.Per(3000, 3*time.Hour)
	}, Run: beyondBurst},
	{Name: "a stream pauses while its reader owes bytes, still tells of other things, and goes on", Config: func(cfg *nodeservice.Config) {
		longSessions(cfg)
		cfg.Rates.BytesOut = nodeservice.Per(3000, 3*time.Hour)
	}, Run: streamInDebt},
	{Name: "a stream that paused goes on by itself", Config: func(cfg *nodeservice.Config) {
		cfg.Rates.BytesOut = nodeservice.Rate{PerSecond: 50_000, Burst: 1000}
	}, Run: streamGoesOn},
}

func bytesGivenBack(w *World) {
	alice, _, id := w.pair()
	kept := nodeservice.EnqueueRequest{Channel: id, Payload: w.payload(900), MessageID: []byte("kept")}
	alice.enqueue(kept)
	for range 5 {
		equal(w, "duplicate", alice.enqueue(kept).Duplicate, true)
	}
	reused := kept
	reused.Payload = w.payload(900)
	for range 5 {
		_, err := alice.Session.Enqueue(w.Ctx, reused)
		w.refused(err, nodeservice.CodeMessageIDReused)
	}
	for range 5 {
		_, err := alice.Session.Enqueue(w.Ctx, nodeservice.EnqueueRequest{Channel: id, Payload: w.payload(900), IfHead: seqPtr(0)})
		w.refusedWithHead(err, nodeservice.CodePreconditionFailed, 1)
	}
	alice.enqueue(nodeservice.EnqueueRequest{Channel: id, Payload: w.payload(1000)})
	for range 5 {
		alice.enqueueRefused(id, w.payload(1000), nodeservice.CodeMailboxFull)
	}
	other := alice.channel(w.Actor())
	alice.enqueue(nodeservice.EnqueueRequest{Channel: other, Payload: w.payload(1000)}) // 100 are left
	retryAfter := w.limited(alice.enqueueRefused(other, w.payload(1000), nodeservice.CodeRateLimited))
	w.Clock.Move(retryAfter + time.Second)
	alice.enqueue(nodeservice.EnqueueRequest{Channel: other, Payload: w.payload(1000)})
	w.limited(alice.enqueueRefused(other, w.payload(1000), nodeservice.CodeRateLimited))
}

func beyondBurst(w *World) {
	alice, bob, id := w.pair()
	for range 3 {
		w.limited(alice.enqueueRefused(id, w.payload(3001), nodeservice.CodeRateLimited))
	}
	w.Clock.Move(4 * time.Hour)
	w.limited(alice.enqueueRefused(id, w.payload(3001), nodeservice.CodeRateLimited))
	payload := w.payload(3000)
	alice.enqueue(nodeservice.EnqueueRequest{Channel: id, Payload: payload})
	w.holds(bob.unread(id), payload)
}

// streamInDebt: 9000 bytes of a burst of 3000 leave a debt of six hours.
func streamInDebt(w *World) {
	alice, bob, id := w.pair()
	f := bob.followed()
	first := w.payload(9000)
	alice.enqueue(nodeservice.EnqueueRequest{Channel: id, Payload: first})
	next[nodeservice.ChannelEvent](f)
	f.message(id, 1, first)
	_, second := alice.send(id)
	f.isFull(bob)
	_, err := bob.Session.Fetch(w.Ctx, nodeservice.FetchRequest{Channel: id})
	w.limited(err) // one debt, however it is read
	f.ack(id, 1)   // and one may acknowledge meanwhile
	equal(w, "acked", next[nodeservice.AckedEvent](f).Through, 1)
	w.Clock.Move(12 * time.Hour)
	_, third := alice.send(id) // wakes the stream, whose own timer is not moved
	f.later(id, 2, [][]byte{second, third})
}

// streamGoesOn waits for what nothing but the stream's own timer brings.
func streamGoesOn(w *World) {
	alice, bob, id := w.pair()
	f := bob.follow(nodeservice.FollowRequest{Channel: id})
	next[nodeservice.CaughtUpEvent](f)
	for i := range seq(3) {
		payload := w.payload(10_000)
		alice.enqueue(nodeservice.EnqueueRequest{Channel: id, Payload: payload})
		f.message(id, i+1, payload)
	}
}
