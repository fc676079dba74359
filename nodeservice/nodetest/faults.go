package nodetest

import (
	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/identity"
)

var faults = []Behaviour{
	{Name: "while the store is away nothing is confirmed, and afterwards nothing is missing", Run: storeAway},
	{Name: "a send whose answer was lost is sent again, and stored once", Run: answerLost},
	{Name: "a claim whose answer was lost is repeated, and hands out one key package", Run: claimAnswerLost},
	{Name: "a stream stays open while the store is away, and goes on when it is back", Run: streamOutlastsStore},
	{Name: "a login while the store is away gives no session, and its nonce may serve later", Run: loginAway},
}

func storeAway(w *World) {
	alice, bob, id := w.pair()
	carol := w.Actor()
	_, first := alice.send(id)
	alice.upload(alice.keyPackages(1)...)
	w.store.fail(failBefore)
	for name, try := range map[string]func() error{
		"enqueue": func() error {
			_, err := alice.Session.Enqueue(w.Ctx, nodeservice.EnqueueRequest{Channel: id, Payload: w.payload(24), MessageID: []byte("m1")})
			return err
		},
		"fetch": func() error {
			_, err := bob.Session.Fetch(w.Ctx, nodeservice.FetchRequest{Channel: id})
			return err
		},
		"ack": func() error { return bob.Session.Ack(w.Ctx, nodeservice.AckRequest{Channel: id, Through: 1}) },
		"createChannel": func() error {
			_, _, err := alice.Session.CreateChannel(w.Ctx, carol.ID)
			return err
		},
		"upload": func() error {
			_, err := alice.Session.UploadKeyPackages(w.Ctx, nodeservice.UploadRequest{Packages: alice.keyPackages(1)})
			return err
		},
		"claim": func() error {
			_, err := bob.Session.ClaimKeyPackage(w.Ctx, nodeservice.ClaimRequest{Owner: alice.ID})
			return err
		},
	} {
		if err := try(); nodeservice.CodeOf(err) != nodeservice.CodeUnavailable {
			w.T.Errorf("%s: %v, want unavailable", name, err)
		}
	}
	w.store.fail(healthy)
	alice.sees(id)
	equal(w, "one-time packages", alice.stock(suiteOne).OneTime, 1)
	second := alice.named(id, "m1", first) // other bytes: the refused send was not remembered
	equal(w, "duplicate", second.Duplicate, false)
	equal(w, "seq", second.Seq, 2)
	w.holds(bob.unread(id), first, first)
}

func answerLost(w *World) {
	alice, bob, id := w.pair()
	req := nodeservice.EnqueueRequest{Channel: id, Payload: w.payload(64), MessageID: []byte("m1"), IfHead: seqPtr(0)}
	w.store.fail(failAfter)
	_, err := alice.Session.Enqueue(w.Ctx, req)
	w.refused(err, nodeservice.CodeUnavailable)
	w.store.fail(healthy)
	receipt := alice.enqueue(req)
	equal(w, "duplicate", receipt.Duplicate, true)
	equal(w, "seq", receipt.Seq, 1)
	w.holds(bob.unread(id), req.Payload)
}

func claimAnswerLost(w *World) {
	alice, bob := w.Actor(), w.Actor()
	alice.upload(alice.keyPackages(3)...)
	req := nodeservice.ClaimRequest{Owner: alice.ID, ClaimID: []byte("c1")}
	w.store.fail(failAfter)
	bob.claimRefused(req, nodeservice.CodeUnavailable)
	w.store.fail(healthy)
	first := bob.claim(req)
	equal(w, "repeated", bob.claim(req).Fingerprint, first.Fingerprint)
	equal(w, "one-time packages", alice.stock(suiteOne).OneTime, 2)
}

func loginAway(w *World) {
	alice := w.newcomer(w.Dial(), identity.EdDSA)
	req := alice.signed(alice.challenge(), PublicURL)
	w.store.fail(failBefore)
	_, err := alice.Node.Login(w.Ctx, origin, req)
	w.refused(err, nodeservice.CodeUnavailable)
	w.store.fail(healthy)
	login, err := alice.Node.Login(w.Ctx, origin, req)
	w.ok(err)
	alice.hold(login)
	equal(w, "identity", alice.Session.Identity(), alice.ID)
}

// streamOutlastsStore: the stream is woken while nothing can be read.
func streamOutlastsStore(w *World) {
	alice, bob, id := w.pair()
	f := bob.followed()
	_, first := alice.send(id)
	next[nodeservice.ChannelEvent](f)
	f.message(id, 1, first)
	queue := nodeservice.Queue{Channel: id, Recipient: bob.ID}
	reads := w.store.read.now(queue)
	w.store.fail(failBefore)
	coming := start(func() (nodeservice.Event, error) { return f.stream.Next(w.Ctx) })
	w.bus.Hint(nodeservice.Hint{Owner: bob.ID, Kind: nodeservice.HintQueue, Channel: id})
	w.ok(w.store.read.await(w.Ctx, queue, reads+1))
	w.store.fail(healthy)
	_, second := alice.send(id)
	event := <-coming
	w.ok(event.err)
	message, ok := event.value.(nodeservice.MessageEvent)
	if !ok {
		w.T.Fatalf("event %s, want a message", describe(event.value))
	}
	f.isMessage(message, id, 2, second)
	f.ack(id, 2)
	w.holds(bob.unread(id))
}
