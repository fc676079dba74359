package nodetest

import (
	"slices"
	"time"

	"github.com/quicproquo/node/nodeservice"
)

var streams = []Behaviour{
	{Name: "a stream sends what is stored, says caught_up once, and goes on live", Run: streamsStored},
	{Name: "a stream begins at each queue's first unacknowledged message", Run: streamsUnacknowledged},
	{Name: "a stream comes again with what was not acknowledged", Run: streamsAgain},
	{Name: "a stream of several channels keeps each in order", Run: streamsSeveral},
	{Name: "a stream announces a new channel before its first message", Run: streamsChannel},
	{Name: "a stream announces a channel that its own identity created", Run: streamsOwnChannel},
	{Name: "acked is told to every stream of the identity", Run: streamsAcked},
	{Name: "a stream announces what expired before it", Config: anHour, Run: streamsGap},
	{Name: "a stream announces what expired while its window was full", Config: anHour, Run: streamsGapLive},
	{Name: "a stream of one channel begins after a cursor, which acknowledges nothing", Run: streamsAfter},
	{Name: "a stream after beyond head is refused with the head", Run: streamsBeyondHead},
	{Name: "a stream of one channel tells of no other", Run: streamsOne},
	{Name: "a stream finds a message though the hint was lost, if ticking", Config: func(cfg *nodeservice.Config) { cfg.Tick = 20 * time.Millisecond }, Run: streamsTick},
	{Name: "key_packages_low comes on crossing 25, and at connect while it is low", Run: streamsLow},
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

func streamsChannel(w *World) {
	alice, bob := w.Actor(), w.Actor()
	f := bob.followed()
	id := alice.channel(bob)
	_, payload := alice.send(id)
	event := next[nodeservice.ChannelEvent](f)
	equal(w, "announced channel", event.Channel.ID, id)
	equal(w, "its peer", event.Channel.Peer, alice.ID)
	f.message(id, 1, payload)
	f.quiet(alice, id)
}

func streamsOwnChannel(w *World) {
	alice, bob := w.Actor(), w.Actor()
	f, other := bob.followed(), bob.again().followed()
	id := bob.channel(alice)
	for _, f := range []*feed{f, other} {
		event := next[nodeservice.ChannelEvent](f)
		equal(w, "announced channel", event.Channel.ID, id)
		equal(w, "its head", event.Channel.Head, 0)
	}
	alice.followed() // the peer sees nothing of it yet
	f.quiet(alice, id)
}

func streamsAcked(w *World) {
	alice, bob, id := w.pair()
	payloads := alice.sendAll(id, 4)
	streams := []*feed{bob.follow(nodeservice.FollowRequest{}), bob.again().follow(nodeservice.FollowRequest{}),
		bob.again().follow(nodeservice.FollowRequest{Channel: id})}
	for _, f := range streams {
		for i, payload := range payloads {
			f.message(id, seq(i+1), payload)
		}
		next[nodeservice.CaughtUpEvent](f)
	}
	acked := func(through seq) {
		for _, f := range streams {
			equal(w, "acked", next[nodeservice.AckedEvent](f), nodeservice.AckedEvent{Channel: id, Through: through})
		}
	}
	streams[1].ack(id, 1)
	acked(1)
	bob.ack(id, 2)
	acked(2)
	bob.fetch(nodeservice.FetchRequest{Channel: id, AckThrough: 3})
	acked(3)
	streams[2].ack(id, 4)
	acked(4)
	equal(w, "acked", bob.unread(id).Acked, 4)
}

func streamsGap(w *World) {
	alice, bob, id := w.pair()
	alice.sendAll(id, 2)
	w.Clock.Move(2 * time.Hour)
	_, payload := alice.send(id)
	w.sweep()
	for _, req := range []nodeservice.FollowRequest{{}, {Channel: id}} {
		f := bob.again().follow(req)
		gap := next[nodeservice.GapEvent](f)
		equal(w, "gap", gap, nodeservice.GapEvent{Channel: id, Gap: nodeservice.Gap{From: 1, To: 2, Reason: nodeservice.GapExpired}})
		f.message(id, 3, payload)
		next[nodeservice.CaughtUpEvent](f)
	}
}

// streamsGapLive fills one channel's share of the window, so that the next
// message waits behind it until it has expired.
func streamsGapLive(w *World) {
	alice, bob, id := w.pair()
	share := seq(nodeservice.DefaultWindow.Messages / 4)
	alice.sendAll(id, int(share)+1)
	f := bob.follow(nodeservice.FollowRequest{})
	for range share {
		next[nodeservice.MessageEvent](f)
	}
	w.Clock.Move(2 * time.Hour)
	w.sweep()
	_, payload := alice.send(id)
	f.ack(id, share)
	gap, passed := await[nodeservice.GapEvent](f)
	for _, event := range passed {
		if message, ok := event.(nodeservice.MessageEvent); ok {
			w.T.Errorf("seq %d came before the gap", message.Message.Seq)
		}
	}
	equal(w, "gap", gap, nodeservice.GapEvent{Channel: id, Gap: nodeservice.Gap{From: share + 1, To: share + 1, Reason: nodeservice.GapExpired}})
	message, _ := await[nodeservice.MessageEvent](f)
	f.isMessage(message, id, share+2, payload)
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

func streamsLow(w *World) {
	alice, bob, id := w.pair()
	bob.send(id)
	alice.ack(id, 1)
	alice.upload(alice.keyPackages(26)...)
	f := alice.followed()
	bob.claim(nodeservice.ClaimRequest{Owner: alice.ID}) // 25 are left
	f.quiet(bob, id)
	bob.claim(nodeservice.ClaimRequest{Owner: alice.ID})
	low := next[nodeservice.KeyPackagesLowEvent](f).Stock
	equal(w, "suite", low.CipherSuite, nodeservice.CipherSuite(suiteOne))
	equal(w, "remaining", low.OneTime, 24)
	bob.claim(nodeservice.ClaimRequest{Owner: alice.ID})
	f.quiet(bob, id)

	g := alice.again().follow(nodeservice.FollowRequest{})
	_, passed := await[nodeservice.CaughtUpEvent](g)
	at := slices.IndexFunc(passed, func(e nodeservice.Event) bool { _, ok := e.(nodeservice.KeyPackagesLowEvent); return ok })
	if at < 0 {
		low = next[nodeservice.KeyPackagesLowEvent](g).Stock
	} else {
		low = passed[at].(nodeservice.KeyPackagesLowEvent).Stock
	}
	equal(w, "remaining at connect", low.OneTime, 23)
	alice.upload(alice.keyPackages(2)...) // 25 again
	f.quiet(bob, id)
	bob.claim(nodeservice.ClaimRequest{Owner: alice.ID})
	equal(w, "remaining", next[nodeservice.KeyPackagesLowEvent](f).Stock.OneTime, 24)
}
