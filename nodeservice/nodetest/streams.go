package nodetest

import (
	"time"

	"github.com/quicproquo/node/nodeservice"
)

var streams = []Behaviour{
	{Name: "a stream sends what is stored, says caught_up once, and goes on live", Run: streamsStored},
	{Name: "a stream begins at each queue's first unacknowledged message", Run: streamsUnacknowledged},
	{Name: "a stream comes again with what was not acknowledged", Run: streamsAgain},
	{Name: "a stream of several channels keeps each in order", Run: streamsSeveral},
	{Name: "a stream of one channel begins after a cursor, which acknowledges nothing", Run: streamsAfter},
	{Name: "a stream after beyond head is refused with the head", Run: streamsBeyondHead},
	{Name: "a stream of one channel tells of no other", Run: streamsOne},
	{Name: "a stream finds a message though the hint was lost, if ticking", Config: func(cfg *nodeservice.Config) { cfg.Tick = 20 * time.Millisecond }, Run: streamsTick},
}

// quiet reads a message that was sent just now: nothing else may have
// come before it.
func (f *feed) quiet(sender *Actor, id channelID) {
	f.w.T.Helper()
	receipt, payload := sender.send(id)
	f.message(id, receipt.Seq, payload)
}

func streamsStored(w *World) {
	alice, bob, id := w.pair()
	payloads := alice.sendAll(id, 3)
	f := bob.follow(nodeservice.FollowRequest{})
	for i, payload := range payloads {
		f.message(id, seq(i+1), payload)
	}
	next[nodeservice.CaughtUpEvent](f)
	f.quiet(alice, id)
	bob.send(id) // one's own is not delivered
	f.quiet(alice, id)
	equal(w, "messages in the queue", len(bob.unread(id).Messages), 5)
}

func streamsUnacknowledged(w *World) {
	alice, bob, id := w.pair()
	payloads := alice.sendAll(id, 3)
	bob.ack(id, 2)
	f := bob.follow(nodeservice.FollowRequest{})
	f.message(id, 3, payloads[2])
	next[nodeservice.CaughtUpEvent](f)
	f.ack(id, 3)
	await[nodeservice.AckedEvent](f)
	bob.followed()
	equal(w, "acked", bob.unread(id).Acked, 3)
}

func streamsAgain(w *World) {
	alice, bob, id := w.pair()
	payloads := alice.sendAll(id, 2)
	for range 2 {
		f := bob.again().follow(nodeservice.FollowRequest{})
		f.message(id, 1, payloads[0])
		f.message(id, 2, payloads[1])
		next[nodeservice.CaughtUpEvent](f)
		w.ok(f.stream.Close())
		w.ok(f.stream.Close()) // may be called twice
	}
}

func streamsSeveral(w *World) {
	bob := w.Actor()
	const channels, each = 3, 30
	type sender struct {
		id       channelID
		payloads [][]byte
		next     int
	}
	senders := map[channelID]*sender{}
	for range channels {
		peer := w.Actor()
		id := peer.channel(bob)
		senders[id] = &sender{id: id, payloads: peer.sendAll(id, each)}
	}
	f := bob.follow(nodeservice.FollowRequest{})
	for range channels * each {
		event := next[nodeservice.MessageEvent](f)
		from := senders[event.Channel]
		if from == nil || from.next == each {
			w.T.Fatalf("a message too many of channel %s", event.Channel)
		}
		f.isMessage(event, from.id, seq(from.next+1), from.payloads[from.next])
		from.next++
	}
	next[nodeservice.CaughtUpEvent](f)
}

func streamsAfter(w *World) {
	alice, bob, id := w.pair()
	payloads := alice.sendAll(id, 3)
	f := bob.follow(nodeservice.FollowRequest{Channel: id, After: 2})
	f.message(id, 3, payloads[2])
	next[nodeservice.CaughtUpEvent](f)
	w.holds(bob.unread(id), payloads...)
	g := bob.again().follow(nodeservice.FollowRequest{Channel: id, After: 3})
	next[nodeservice.CaughtUpEvent](g)
	g.ack(id, 3) // up to its starting cursor
	equal(w, "acked", next[nodeservice.AckedEvent](g).Through, 3)
	equal(w, "acked", next[nodeservice.AckedEvent](f).Through, 3)
	h := bob.again().follow(nodeservice.FollowRequest{Channel: id, After: 1})
	equal(w, "gap", next[nodeservice.GapEvent](h).Gap, nodeservice.Gap{From: 2, To: 3, Reason: nodeservice.GapAcked})
	next[nodeservice.CaughtUpEvent](h)
	h.quiet(alice, id)
}

func streamsBeyondHead(w *World) {
	alice, bob, id := w.pair()
	alice.sendAll(id, 2)
	w.refusedWithHead(bob.followRefused(nodeservice.FollowRequest{Channel: id, After: 3}), nodeservice.CodeInvalidArgument, 2)
	w.refused(bob.followRefused(nodeservice.FollowRequest{After: 1}), nodeservice.CodeInvalidArgument)
}

func streamsOne(w *World) {
	alice, bob, id := w.pair()
	carol := w.Actor()
	other := carol.channel(bob)
	carol.send(other)
	f := bob.follow(nodeservice.FollowRequest{Channel: id})
	next[nodeservice.CaughtUpEvent](f)
	carol.send(other)
	dave := w.Actor()
	dave.send(dave.channel(bob))
	bob.ack(other, 1)
	f.quiet(alice, id)
}

func streamsTick(w *World) {
	alice, bob, id := w.pair()
	f := bob.followed()
	w.bus.lose(true)
	receipt, payload := alice.send(id)
	next[nodeservice.ChannelEvent](f)
	f.message(id, receipt.Seq, payload)
	bob.ack(id, 1)
	equal(w, "acked", next[nodeservice.AckedEvent](f).Through, 1)
}
