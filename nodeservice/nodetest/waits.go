package nodetest

import (
	"context"
	"time"

	"github.com/quicproquo/node/nodeservice"
)

var waits = []Behaviour{
	{Name: "fetchWait answers at once when there is a message", Run: waitsNot},
	{Name: "fetchWait times out with an empty page", Run: waitTimesOut},
	{Name: "fetchWait is woken by a message", Run: wokenByMessage},
	{Name: "fetchWait is not woken by the other queue", Run: notWokenByOwn},
	{Name: "fetchWait is woken by an expiry", Config: func(cfg *nodeservice.Config) {
		longSessions(cfg)
		cfg.Retention.Messages = time.Hour
	}, Run: wokenByExpiry},
	{Name: "fetchWait is woken by another session's ack beyond its cursor", Run: wokenByAck},
	{Name: "fetchWait finds a message though the hint was lost, if ticking", Config: func(cfg *nodeservice.Config) { cfg.Tick = 20 * time.Millisecond }, Run: wokenByTick},
	{Name: "fetchWait ends when its token is revoked", Run: waitRevoked},
	{Name: "fetchWait ends when the node drains", Run: waitDrained},
	{Name: "a wait of more than 60 s is refused, or cut", Run: waitTooLong},
	{Name: "an identity has 64 waits at most", Run: waitsBounded},
}

// awake is less than the minute for which fetches ask: one that nothing wakes, or that
// waits though it should not, fails.
const awake = 50 * time.Second

// wait starts a fetch and returns when it has subscribed: what changes from now
// on wakes it.
func (a *Actor) wait(req nodeservice.FetchRequest) <-chan outcome[nodeservice.Page] {
	a.w.T.Helper()
	before := a.w.bus.subscribed.now(a.ID)
	answer := start(func() (nodeservice.Page, error) {
		ctx, cancel := context.WithTimeout(a.w.Ctx, awake)
		defer cancel()
		return a.Session.Fetch(ctx, req)
	})
	a.w.ok(a.w.bus.subscribed.await(a.w.Ctx, a.ID, before+1))
	return answer
}

func waitsNot(w *World) {
	alice, bob, id := w.pair()
	_, payload := alice.send(id)
	w.holds(bob.fetch(nodeservice.FetchRequest{Channel: id, Wait: time.Minute}), payload)
}

func waitTimesOut(w *World) {
	alice, bob, id := w.pair()
	alice.send(id)
	page := bob.fetch(nodeservice.FetchRequest{Channel: id, After: 1, Wait: 100 * time.Millisecond})
	w.holds(page)
	w.noGap(page)
	equal(w, "head", page.Head, 1)
	equal(w, "more", page.More, false)
}

func wokenByMessage(w *World) {
	alice, bob, id := w.pair()
	waiting, second := bob.wait(nodeservice.FetchRequest{Channel: id, Wait: time.Minute}),
		bob.again().wait(nodeservice.FetchRequest{Channel: id, Wait: time.Minute})
	_, payload := alice.send(id)
	for _, answers := range []<-chan outcome[nodeservice.Page]{waiting, second} {
		answer := <-answers
		w.ok(answer.err)
		w.holds(answer.value, payload)
	}
}

func notWokenByOwn(w *World) {
	alice, bob, id := w.pair()
	carol := w.Actor()
	other := carol.channel(bob)
	waiting := bob.wait(nodeservice.FetchRequest{Channel: id, Wait: time.Minute})
	bob.again().send(id)
	carol.send(other)
	_, payload := alice.send(id)
	answer := <-waiting
	w.ok(answer.err)
	w.holds(answer.value, payload)
	equal(w, "seq", answer.value.Messages[0].Seq, 2)
}

// wokenByExpiry has a message stored unnoticed, its hint being lost, which then
// expires: all that the waiting fetch ever sees of it is the gap.
func wokenByExpiry(w *World) {
	alice, bob, id := w.pair()
	queue := nodeservice.Queue{Channel: id, Recipient: bob.ID}
	read := w.store.read.now(queue)
	waiting := bob.wait(nodeservice.FetchRequest{Channel: id, Wait: time.Minute})
	w.ok(w.store.read.await(w.Ctx, queue, read+2)) // before it subscribed, and after
	w.bus.lose(true)
	alice.send(id)
	w.bus.lose(false)
	w.Clock.Move(2 * time.Hour)
	w.sweep()
	answer := <-waiting
	w.ok(answer.err)
	w.holds(answer.value)
	w.gap(answer.value, nodeservice.Gap{From: 1, To: 1, Reason: nodeservice.GapExpired})
}

func wokenByAck(w *World) {
	alice, bob, id := w.pair()
	alice.send(id)
	bob.send(id)
	waiting := bob.wait(nodeservice.FetchRequest{Channel: id, After: 1, Wait: time.Minute})
	bob.again().ack(id, 2)
	answer := <-waiting
	w.ok(answer.err)
	w.gap(answer.value, nodeservice.Gap{From: 2, To: 2, Reason: nodeservice.GapAcked})
}

func wokenByTick(w *World) {
	alice, bob, id := w.pair()
	w.bus.lose(true)
	waiting := bob.wait(nodeservice.FetchRequest{Channel: id, Wait: time.Minute})
	_, payload := alice.send(id)
	answer := <-waiting
	w.ok(answer.err)
	w.holds(answer.value, payload)
}

func waitRevoked(w *World) {
	_, bob, id := w.pair()
	waiting := bob.wait(nodeservice.FetchRequest{Channel: id, Wait: time.Minute})
	w.ok(bob.with(bob.Token).Session.Revoke(w.Ctx))
	w.refused((<-waiting).err, nodeservice.CodeUnauthenticated)
}

func waitDrained(w *World) {
	_, bob, id := w.pair()
	waiting := bob.wait(nodeservice.FetchRequest{Channel: id, Wait: time.Minute})
	w.Core.Drain()
	w.refused((<-waiting).err, nodeservice.CodeUnavailable)
}

// waitTooLong: natively larger values are clamped, over HTTP they are refused.
// A message is there, so that no door really waits.
func waitTooLong(w *World) {
	alice, bob, id := w.pair()
	_, payload := alice.send(id)
	page, err := bob.Session.Fetch(w.Ctx, nodeservice.FetchRequest{Channel: id, Wait: 61 * time.Second})
	if err != nil {
		w.refused(err, nodeservice.CodeInvalidArgument)
		return
	}
	w.holds(page, payload)
}

func waitsBounded(w *World) {
	alice, bob, id := w.pair()
	sessions := []*Actor{bob, bob.again(), bob.again(), bob.again()}
	var waiting []<-chan outcome[nodeservice.Page]
	for i := range 64 {
		waiting = append(waiting, sessions[i%4].wait(nodeservice.FetchRequest{Channel: id, Wait: time.Minute}))
	}
	_, err := bob.again().Session.Fetch(w.Ctx, nodeservice.FetchRequest{Channel: id, Wait: time.Minute})
	w.refused(err, nodeservice.CodeQuotaExceeded)
	_, payload := alice.send(id)
	for _, answers := range waiting {
		answer := <-answers
		w.ok(answer.err)
		w.holds(answer.value, payload)
	}
	page := bob.fetch(nodeservice.FetchRequest{Channel: id, After: 1, Wait: time.Millisecond}) // they are free again
	w.holds(page)
}
