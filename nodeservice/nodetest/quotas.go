package nodetest

import (
	"time"

	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/identity"
)

var quotas = []Behaviour{
	{Name: "a queue holds so many messages, and then the mailbox is full", Config: func(cfg *nodeservice.Config) { cfg.Quotas.QueueMessages = 3 }, Run: fullByCount},
	{Name: "a queue holds so many bytes, and then the mailbox is full", Config: func(cfg *nodeservice.Config) { cfg.Quotas.QueueBytes = 2500 }, Run: fullByBytes},
	{Name: "a sender may have so much undelivered, over all its queues", Config: func(cfg *nodeservice.Config) { cfg.Quotas.AccountBytes = 2500 }, Run: undeliveredBytes},
	{Name: "an identity may create so many channels", Config: func(cfg *nodeservice.Config) { cfg.Quotas.Channels = 2 }, Run: channelsBounded},
	{Name: "an identity may hold so many key packages", Config: func(cfg *nodeservice.Config) { cfg.Quotas.KeyPackages = 3 }, Run: keyPackagesBounded},
	{Name: "an identity has 16 streams at most", Run: streamsBounded},
	{Name: "a node short of space stores nothing new, and reads and acknowledges on", Config: func(cfg *nodeservice.Config) { cfg.MinFree = 0.05 }, Run: shortOfSpace},
}

func (a *Actor) enqueueRefused(id channelID, payload []byte, code nodeservice.Code) *nodeservice.Error {
	a.w.T.Helper()
	_, err := a.Session.Enqueue(a.w.Ctx, nodeservice.EnqueueRequest{Channel: id, Payload: payload})
	return a.w.refused(err, code)
}

func fullByCount(w *World) {
	alice, bob, id := w.pair()
	payloads := alice.sendAll(id, 3)
	alice.enqueueRefused(id, w.payload(24), nodeservice.CodeMailboxFull)
	bob.sendAll(id, 3) // the other queue is another queue
	w.holds(bob.unread(id), payloads...)
	bob.ack(id, 1)
	_, payload := alice.send(id)
	alice.enqueueRefused(id, w.payload(24), nodeservice.CodeMailboxFull)
	w.holds(bob.unread(id), append(payloads[1:], payload)...)
}

func fullByBytes(w *World) {
	alice, bob, id := w.pair()
	big := w.payload(1000)
	for range 2 {
		alice.enqueue(nodeservice.EnqueueRequest{Channel: id, Payload: big})
	}
	alice.enqueueRefused(id, w.payload(501), nodeservice.CodeMailboxFull)
	alice.enqueue(nodeservice.EnqueueRequest{Channel: id, Payload: w.payload(500)})
	alice.enqueueRefused(id, []byte{1}, nodeservice.CodeMailboxFull)
	bob.ack(id, 1)
	alice.enqueue(nodeservice.EnqueueRequest{Channel: id, Payload: big})
	equal(w, "messages", len(bob.unread(id).Messages), 3)
}

func undeliveredBytes(w *World) {
	alice, bob, first := w.pair()
	carol := w.Actor()
	second := alice.channel(carol)
	alice.enqueue(nodeservice.EnqueueRequest{Channel: first, Payload: w.payload(1200)})
	alice.enqueue(nodeservice.EnqueueRequest{Channel: second, Payload: w.payload(1200)})
	for _, id := range []channelID{first, second} {
		alice.enqueueRefused(id, w.payload(101), nodeservice.CodeQuotaExceeded)
	}
	bob.enqueue(nodeservice.EnqueueRequest{Channel: first, Payload: w.payload(2000)})
	bob.ack(first, 1)
	alice.enqueue(nodeservice.EnqueueRequest{Channel: second, Payload: w.payload(1200)})
	equal(w, "carol's messages", len(carol.unread(second).Messages), 2)
}

func channelsBounded(w *World) {
	alice, bob, id := w.pair()
	carol, dave := w.Actor(), w.Actor()
	alice.channel(carol)
	_, _, err := alice.Session.CreateChannel(w.Ctx, dave.ID)
	w.refused(err, nodeservice.CodeQuotaExceeded)
	equal(w, "a channel that is there", alice.channel(bob), id)
	his := dave.channel(alice) // counts as his
	equal(w, "a channel that another created", alice.channel(dave), his)
}

func keyPackagesBounded(w *World) {
	alice, bob := w.Actor(), w.Actor()
	alice.upload(alice.keyPackages(2)...)
	_, err := alice.Session.UploadKeyPackages(w.Ctx, nodeservice.UploadRequest{Packages: alice.keyPackages(2)})
	w.refused(err, nodeservice.CodeQuotaExceeded)
	equal(w, "one-time packages", alice.stock(suiteOne).OneTime, 2)
	alice.upload(alice.keyPackages(1)...)
	bob.claim(nodeservice.ClaimRequest{Owner: alice.ID})
	alice.upload(alice.keyPackages(1)...)
	bob.upload(bob.keyPackages(3)...)
}

func streamsBounded(w *World) {
	alice, bob, id := w.pair()
	var streams []*feed
	sessions := []*Actor{bob, bob.again()}
	for i := range 16 {
		f := sessions[i%2].follow(nodeservice.FollowRequest{})
		next[nodeservice.CaughtUpEvent](f)
		streams = append(streams, f)
	}
	w.refused(bob.again().followRefused(nodeservice.FollowRequest{}), nodeservice.CodeQuotaExceeded)
	w.refused(bob.followRefused(nodeservice.FollowRequest{Channel: id}), nodeservice.CodeQuotaExceeded)
	alice.followed()
	_, payload := alice.send(id)
	for _, f := range streams {
		next[nodeservice.ChannelEvent](f)
		f.message(id, 1, payload)
	}
}

func shortOfSpace(w *World) {
	alice, bob, id := w.pair()
	payloads := alice.sendAll(id, 2)
	package1 := alice.keyPackages(1)
	alice.upload(package1...)
	w.store.setFree(0.04)
	w.Clock.Move(time.Minute)
	alice.enqueueRefused(id, w.payload(24), nodeservice.CodeUnavailable)
	_, err := alice.Session.UploadKeyPackages(w.Ctx, nodeservice.UploadRequest{Packages: alice.keyPackages(1)})
	w.refused(err, nodeservice.CodeUnavailable)
	w.holds(bob.unread(id), payloads...)
	bob.ack(id, 1)
	bob.claim(nodeservice.ClaimRequest{Owner: alice.ID})
	w.store.setFree(0.5)
	w.Clock.Move(time.Minute)
	alice.send(id)
	w.actorOn(w.Dial(), identity.EdDSA)
}
