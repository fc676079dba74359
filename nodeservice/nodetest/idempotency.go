package nodetest

import (
	"time"

	"github.com/quicproquo/node/nodeservice"
)

var idempotency = []Behaviour{
	{Name: "the same messageId and bytes give the first receipt again", Run: deduplicates},
	{Name: "the same messageId with other bytes is refused", Run: reuses},
	{Name: "a duplicate wins over ifHead", Run: duplicateBeatsIfHead},
	{Name: "a duplicate wins over a full mailbox", Config: func(cfg *nodeservice.Config) { cfg.Quotas.QueueMessages = 1 }, Run: duplicateBeatsQuota},
	{Name: "a messageId is remembered past acknowledgement, and until retention ends", Config: func(cfg *nodeservice.Config) {
		longSessions(cfg)
		cfg.Retention.Messages = time.Hour
	}, Run: remembersUntilRetention},
	{Name: "a messageId is remembered per channel and sender", Run: remembersPerSender},
	{Name: "of a sender's messageIds the latest are remembered", Config: func(cfg *nodeservice.Config) { cfg.Quotas.RememberedIDs = 2 }, Run: remembersLatest},
	{Name: "a refused send is not remembered", Run: forgetsRefused},
	{Name: "a message sent ten times at once is stored once", Run: deduplicatesRaced},
	{Name: "a messageId of more than 64 bytes is refused", Run: refusesLongID},
	{Name: "ifHead lets one of ten win, and tells the others the head", Run: ifHeadRaced},
	{Name: "ifHead compares with the head, whatever was acknowledged", Run: ifHeadCompares},
}

// named sends a payload under a message id.
func (a *Actor) named(id channelID, name string, payload []byte) nodeservice.Receipt {
	a.w.T.Helper()
	return a.enqueue(nodeservice.EnqueueRequest{Channel: id, Payload: payload, MessageID: []byte(name)})
}

func (w *World) duplicateOf(first, second nodeservice.Receipt) {
	w.T.Helper()
	equal(w, "first is a duplicate", first.Duplicate, false)
	first.Duplicate = true
	equal(w, "receipt", second, first)
}

func deduplicates(w *World) {
	alice, bob, id := w.pair()
	payload := w.payload(100)
	first := alice.named(id, "m1", payload)
	w.Clock.Move(time.Minute)
	alice.send(id)
	w.duplicateOf(first, alice.named(id, "m1", payload))
	w.duplicateOf(first, alice.again().named(id, "m1", payload))
	equal(w, "messages", len(bob.unread(id).Messages), 2)
	w.Restart()
	alice.rejoin()
	w.duplicateOf(first, alice.named(id, "m1", payload))
}

func reuses(w *World) {
	alice, bob, id := w.pair()
	payload := w.payload(100)
	alice.named(id, "m1", payload)
	_, err := alice.Session.Enqueue(w.Ctx, nodeservice.EnqueueRequest{Channel: id, Payload: w.payload(100), MessageID: []byte("m1")})
	w.refused(err, nodeservice.CodeMessageIDReused)
	_, err = alice.Session.Enqueue(w.Ctx, nodeservice.EnqueueRequest{Channel: id, Payload: w.payload(100), MessageID: []byte("m1"), IfHead: seqPtr(7)})
	w.refused(err, nodeservice.CodeMessageIDReused)
	w.holds(bob.unread(id), payload)
}

func duplicateBeatsIfHead(w *World) {
	alice, bob, id := w.pair()
	req := nodeservice.EnqueueRequest{Channel: id, Payload: w.payload(64), MessageID: []byte("commit"), IfHead: seqPtr(0)}
	first := alice.enqueue(req)
	bob.send(id)
	w.duplicateOf(first, alice.enqueue(req))
	equal(w, "head", bob.unread(id).Head, 2)
}

func duplicateBeatsQuota(w *World) {
	alice, bob, id := w.pair()
	payload := w.payload(64)
	first := alice.named(id, "m1", payload)
	_, err := alice.Session.Enqueue(w.Ctx, nodeservice.EnqueueRequest{Channel: id, Payload: payload})
	w.refused(err, nodeservice.CodeMailboxFull)
	w.duplicateOf(first, alice.named(id, "m1", payload))
	w.holds(bob.unread(id), payload)
}

func remembersUntilRetention(w *World) {
	alice, bob, id := w.pair()
	payload := w.payload(64)
	first := alice.named(id, "m1", payload)
	bob.ack(id, 1)
	w.sweep()
	w.Clock.Move(59 * time.Minute)
	w.duplicateOf(first, alice.named(id, "m1", payload))
	w.holds(bob.unread(id))
	w.Clock.Move(2 * time.Minute)
	w.sweep()
	again := alice.named(id, "m1", payload)
	equal(w, "duplicate after retention", again.Duplicate, false)
	equal(w, "seq after retention", again.Seq, 2)
	w.holds(bob.unread(id), payload)
}

func remembersPerSender(w *World) {
	alice, bob, id := w.pair()
	carol := w.Actor()
	other := alice.channel(carol)
	for _, receipt := range []nodeservice.Receipt{
		alice.named(id, "m1", w.payload(64)), bob.named(id, "m1", w.payload(64)), alice.named(other, "m1", w.payload(64)),
	} {
		equal(w, "duplicate", receipt.Duplicate, false)
	}
}

func remembersLatest(w *World) {
	alice, _, id := w.pair()
	payload := w.payload(64)
	for _, name := range []string{"m1", "m2", "m3"} {
		equal(w, name+" is a duplicate", alice.named(id, name, payload).Duplicate, false)
	}
	for _, name := range []string{"m2", "m3"} {
		equal(w, name+" is a duplicate", alice.named(id, name, payload).Duplicate, true)
	}
	equal(w, "m1 is a duplicate", alice.named(id, "m1", payload).Duplicate, false)
}

func forgetsRefused(w *World) {
	alice, bob, id := w.pair()
	alice.send(id)
	payload := w.payload(64)
	_, err := alice.Session.Enqueue(w.Ctx, nodeservice.EnqueueRequest{Channel: id, Payload: w.payload(64), MessageID: []byte("m1"), IfHead: seqPtr(0)})
	w.refusedWithHead(err, nodeservice.CodePreconditionFailed, 1)
	equal(w, "duplicate", alice.named(id, "m1", payload).Duplicate, false)
	equal(w, "messages", len(bob.unread(id).Messages), 2)
}

func deduplicatesRaced(w *World) {
	alice, bob, id := w.pair()
	other := alice.again()
	payload := w.payload(64)
	originals := 0
	for _, o := range all(10, func(i int) (nodeservice.Receipt, error) {
		return []*Actor{alice, other}[i%2].Session.Enqueue(w.Ctx,
			nodeservice.EnqueueRequest{Channel: id, Payload: payload, MessageID: []byte("m1")})
	}) {
		w.ok(o.err)
		equal(w, "seq", o.value.Seq, 1)
		if !o.value.Duplicate {
			originals++
		}
	}
	equal(w, "times stored", originals, 1)
	w.holds(bob.unread(id), payload)
}

func refusesLongID(w *World) {
	alice, _, id := w.pair()
	long := make([]byte, nodeservice.MaxMessageID+1)
	for i := range long {
		long[i] = 'm'
	}
	_, err := alice.Session.Enqueue(w.Ctx, nodeservice.EnqueueRequest{Channel: id, Payload: w.payload(24), MessageID: long})
	w.refused(err, nodeservice.CodeInvalidArgument)
	alice.named(id, string(long[1:]), w.payload(24))
}

func ifHeadRaced(w *World) {
	alice, bob, id := w.pair()
	senders := []*Actor{alice, bob, alice.again(), bob.again()}
	won := 0
	for _, o := range all(10, func(i int) (nodeservice.Receipt, error) {
		return senders[i%4].Session.Enqueue(w.Ctx, nodeservice.EnqueueRequest{Channel: id, Payload: w.payload(64), IfHead: seqPtr(0)})
	}) {
		if o.err == nil {
			won++
			equal(w, "the winner's seq", o.value.Seq, 1)
			continue
		}
		w.refusedWithHead(o.err, nodeservice.CodePreconditionFailed, 1)
	}
	equal(w, "winners", won, 1)
	equal(w, "messages", len(alice.unread(id).Messages)+len(bob.unread(id).Messages), 1)
}

func ifHeadCompares(w *World) {
	alice, bob, id := w.pair()
	alice.sendAll(id, 2)
	bob.ack(id, 2)
	for _, wrong := range []seq{0, 1, 3, nodeservice.MaxSeq} {
		_, err := bob.Session.Enqueue(w.Ctx, nodeservice.EnqueueRequest{Channel: id, Payload: w.payload(24), IfHead: &wrong})
		w.refusedWithHead(err, nodeservice.CodePreconditionFailed, 2)
	}
	equal(w, "seq", bob.enqueue(nodeservice.EnqueueRequest{Channel: id, Payload: w.payload(24), IfHead: seqPtr(2)}).Seq, 3)
}
