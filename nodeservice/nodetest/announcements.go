package nodetest

import (
	"slices"
	"time"

	"github.com/quicproquo/node/nodeservice"
)

// announcements are what streams tell besides messages.
var announcements = []Behaviour{
	{Name: "a stream announces a new channel before its first message", Run: streamsChannel},
	{Name: "a stream announces a channel that its own identity created", Run: streamsOwnChannel},
	{Name: "acked is told to every stream of the identity", Run: streamsAcked},
	{Name: "a stream announces what expired before it", Config: anHour, Run: streamsGap},
	{Name: "a stream announces what expired while its window was full", Config: anHour, Run: streamsGapLive},
	{Name: "key_packages_low comes on crossing 25, and at connect while it is low", Run: streamsLow},
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
