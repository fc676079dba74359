package nodetest

import (
	"time"

	"github.com/quicproquo/node/nodeservice"
)

var legacy = []Behaviour{
	{Name: "without a channel, whoever is logged in may send, and each reads its own", Needs: Legacy, Run: legacyConversation},
	{Name: "messages with and without a channel never meet", Needs: Legacy, Run: legacyApart},
	{Name: "without a channel, messageId dedups per sender", Needs: Legacy, Run: legacyDeduplicates},
	{Name: "without a channel, ifHead is refused", Needs: Legacy, Run: legacyIfHead},
	{Name: "without a channel, a sender has a share of the queue", Needs: Legacy, Config: func(cfg *nodeservice.Config) {
		cfg.Quotas.ShareMessages, cfg.Quotas.ShareBytes = 2, 1000
	}, Run: legacyShare},
	{Name: "without a channel, only one's own queue can be read", Needs: Legacy | Recipient, Run: legacyForeign},
	{Name: "without a channel, what expired is a gap", Needs: Legacy, Config: anHour, Run: legacyExpires},
	{Name: "without a channel, fetchWait is woken by a message", Needs: Legacy, Run: legacyWaits},
	{Name: "without a channel, drain removes", Needs: Legacy | Drain, Run: legacyDrains},
	{Name: "sending and fetching without a channel can be switched off", Needs: Legacy, Config: func(cfg *nodeservice.Config) { cfg.NoLegacy = true }, Run: legacyOff},
}

// sendTo stores a message without a channel.
func (a *Actor) sendTo(peer *Actor) (nodeservice.Receipt, []byte) {
	a.w.T.Helper()
	payload := a.w.payload(48)
	return a.enqueue(nodeservice.EnqueueRequest{Legacy: true, Recipient: peer.ID, Payload: payload}), payload
}

func (a *Actor) legacyQueue() nodeservice.Page {
	a.w.T.Helper()
	return a.fetch(nodeservice.FetchRequest{Legacy: true})
}

func legacyConversation(w *World) {
	alice, bob, carol := w.Actor(), w.Actor(), w.Actor()
	first, fromAlice := alice.sendTo(bob)
	second, fromCarol := carol.sendTo(bob)
	equal(w, "first seq", first.Seq, 1)
	equal(w, "second seq", second.Seq, 2)
	other, toAlice := bob.sendTo(alice)
	equal(w, "seq of another queue", other.Seq, 1)
	page := bob.legacyQueue()
	w.holds(page, fromAlice, fromCarol)
	equal(w, "head", page.Head, 2)
	w.holds(bob.fetch(nodeservice.FetchRequest{Legacy: true, AckThrough: 1}), fromCarol)
	w.holds(alice.legacyQueue(), toAlice)
	w.holds(carol.legacyQueue())
}

func legacyApart(w *World) {
	alice, bob, id := w.pair()
	_, without := alice.sendTo(bob)
	_, within := alice.send(id)
	w.holds(bob.legacyQueue(), without)
	w.holds(bob.unread(id), within)
	bob.sees(id)
	f := bob.follow(nodeservice.FollowRequest{})
	f.message(id, 1, within)
	next[nodeservice.CaughtUpEvent](f)
	alice.sendTo(bob)
	_, within = alice.send(id)
	f.message(id, 2, within) // and not the one without a channel
	bob.ack(id, 2)
	equal(w, "messages without a channel", len(bob.legacyQueue().Messages), 2)
}

func legacyDeduplicates(w *World) {
	alice, bob, carol := w.Actor(), w.Actor(), w.Actor()
	req := nodeservice.EnqueueRequest{Legacy: true, Recipient: bob.ID, Payload: w.payload(48), MessageID: []byte("m1")}
	first := alice.enqueue(req)
	w.duplicateOf(first, alice.enqueue(req))
	equal(w, "another sender's is a duplicate", carol.enqueue(req).Duplicate, false)
	req.Payload = w.payload(48)
	_, err := alice.Session.Enqueue(w.Ctx, req)
	w.refused(err, nodeservice.CodeMessageIDReused)
	equal(w, "messages", len(bob.legacyQueue().Messages), 2)
}

func legacyIfHead(w *World) {
	alice, bob := w.Actor(), w.Actor()
	_, err := alice.Session.Enqueue(w.Ctx, nodeservice.EnqueueRequest{
		Legacy: true, Recipient: bob.ID, Payload: w.payload(24), IfHead: seqPtr(0)})
	w.refused(err, nodeservice.CodeInvalidArgument)
	w.holds(bob.legacyQueue())
}

func legacyShare(w *World) {
	alice, bob, carol := w.Actor(), w.Actor(), w.Actor()
	send := func(from *Actor, to *Actor, n int) error {
		_, err := from.Session.Enqueue(w.Ctx, nodeservice.EnqueueRequest{Legacy: true, Recipient: to.ID, Payload: w.payload(n)})
		return err
	}
	w.ok(send(alice, bob, 100))
	w.ok(send(alice, bob, 100))
	w.refused(send(alice, bob, 100), nodeservice.CodeQuotaExceeded)
	w.ok(send(alice, carol, 100)) // another queue
	w.ok(send(carol, bob, 600))   // another sender
	w.refused(send(carol, bob, 600), nodeservice.CodeQuotaExceeded)
	bob.fetch(nodeservice.FetchRequest{Legacy: true, AckThrough: 1})
	w.ok(send(alice, bob, 100))
	id := alice.channel(bob)
	alice.sendAll(id, 5) // a channel knows no shares
}

func legacyForeign(w *World) {
	alice, bob := w.Actor(), w.Actor()
	_, payload := alice.sendTo(bob)
	_, err := alice.Session.Fetch(w.Ctx, nodeservice.FetchRequest{Legacy: true, Recipient: bob.ID})
	w.refused(err, nodeservice.CodePermissionDenied)
	w.holds(bob.fetch(nodeservice.FetchRequest{Legacy: true, Recipient: bob.ID}), payload)
}

func legacyExpires(w *World) {
	alice, bob := w.Actor(), w.Actor()
	alice.sendTo(bob)
	w.Clock.Move(2 * time.Hour)
	_, payload := alice.sendTo(bob)
	page := bob.legacyQueue()
	w.holds(page, payload)
	w.gap(page, nodeservice.Gap{From: 1, To: 1, Reason: nodeservice.GapExpired})
}

func legacyWaits(w *World) {
	alice, bob := w.Actor(), w.Actor()
	waiting := bob.wait(nodeservice.FetchRequest{Legacy: true, Wait: time.Minute})
	_, payload := alice.sendTo(bob)
	answer := <-waiting
	w.ok(answer.err)
	w.holds(answer.value, payload)
}

func legacyDrains(w *World) {
	alice, bob := w.Actor(), w.Actor()
	_, first := alice.sendTo(bob)
	_, second := alice.sendTo(bob)
	w.holds(bob.fetch(nodeservice.FetchRequest{Legacy: true, Drain: true, Limit: 1}), first)
	w.holds(bob.fetch(nodeservice.FetchRequest{Legacy: true, Drain: true}), second)
	w.holds(bob.legacyQueue())
}

func legacyOff(w *World) {
	alice, bob, id := w.pair()
	_, err := alice.Session.Enqueue(w.Ctx, nodeservice.EnqueueRequest{Legacy: true, Recipient: bob.ID, Payload: w.payload(24)})
	w.refused(err, nodeservice.CodePermissionDenied)
	_, err = bob.Session.Fetch(w.Ctx, nodeservice.FetchRequest{Legacy: true})
	w.refused(err, nodeservice.CodePermissionDenied)
	_, payload := alice.send(id)
	w.holds(bob.unread(id), payload)
	info, err := alice.Node.Info(w.Ctx)
	w.ok(err)
	equal(w, "Legacy", info.Legacy, false)
}
