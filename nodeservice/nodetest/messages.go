package nodetest

import (
	"fmt"

	"github.com/quicproquo/node/nodeservice"
)

var messages = []Behaviour{
	{Name: "seq is dense per channel over both directions", Run: denseSeq},
	{Name: "seq is dense under concurrent senders", Run: denseSeqRaced},
	{Name: "a payload of 5 MiB passes byte for byte", Run: largestPayload},
	{Name: "payloads of 0 and of more than 5 MiB are refused", Run: refusedPayloads},
	{Name: "a fetch is bounded by its limit and goes on after it", Run: fetchLimits},
	{Name: "a fetch returns at most 256 messages", Run: fetchDefaultLimit},
	{Name: "a fetch returns at most 8 MiB, and always one", Run: fetchDefaultBytes},
	{Name: "a fetch is bounded by maxBytes, and always returns one", Needs: MaxBytes, Run: fetchBytes},
	{Name: "fetch after beyond head is refused with the head", Run: afterBeyondHead},
	{Name: "a message comes again until it is acknowledged", Run: comesAgain},
	{Name: "ack is cumulative, idempotent and never falls", Run: acksCumulatively},
	{Name: "ack beyond head is refused with the head and deletes nothing", Run: ackBeyondHead},
	{Name: "ackThrough acknowledges before it fetches", Run: acksThrough},
	{Name: "any session of an identity acknowledges for all", Run: acksForAll},
}

func denseSeq(w *World) {
	alice, bob, id := w.pair()
	var toAlice, toBob [][]byte
	for i := range 9 {
		sender, payloads := alice, &toBob
		if i%3 == 0 {
			sender, payloads = bob, &toAlice
		}
		receipt, payload := sender.send(id)
		equal(w, "seq", receipt.Seq, seq(i+1))
		*payloads = append(*payloads, payload)
	}
	page := bob.unread(id)
	w.holds(page, toBob...)
	equal(w, "bob's seqs", fmt.Sprint(seqsOf(page)), "[2 3 5 6 8 9]")
	equal(w, "head", page.Head, 9)
	page = alice.unread(id)
	w.holds(page, toAlice...)
	equal(w, "alice's seqs", fmt.Sprint(seqsOf(page)), "[1 4 7]")
	equal(w, "head", page.Head, 9)
}

func denseSeqRaced(w *World) {
	alice, bob, id := w.pair()
	senders := []*Actor{alice, bob, alice.again(), bob.again()}
	const n = 40
	seen := map[seq]bool{}
	for _, o := range all(n, func(i int) (nodeservice.Receipt, error) {
		return senders[i%4].Session.Enqueue(w.Ctx, nodeservice.EnqueueRequest{Channel: id, Payload: w.payload(32)})
	}) {
		w.ok(o.err)
		if seen[o.value.Seq] || o.value.Seq < 1 || o.value.Seq > n {
			w.T.Fatalf("seq %d is given twice or out of range", o.value.Seq)
		}
		seen[o.value.Seq] = true
	}
	equal(w, "messages", len(alice.unread(id).Messages)+len(bob.unread(id).Messages), n)
}

func largestPayload(w *World) {
	alice, bob, id := w.pair()
	payload := w.payload(5 << 20)
	alice.enqueue(nodeservice.EnqueueRequest{Channel: id, Payload: payload})
	w.holds(bob.unread(id), payload)
	w.holds(bob.unread(id), payload)
}

func refusedPayloads(w *World) {
	alice, bob, id := w.pair()
	_, err := alice.Session.Enqueue(w.Ctx, nodeservice.EnqueueRequest{Channel: id, Payload: w.payload(5<<20 + 1)})
	w.refused(err, nodeservice.CodePayloadTooLarge)
	for _, empty := range [][]byte{nil, {}} {
		_, err = alice.Session.Enqueue(w.Ctx, nodeservice.EnqueueRequest{Channel: id, Payload: empty})
		w.refused(err, nodeservice.CodeInvalidArgument)
	}
	equal(w, "head", bob.unread(id).Head, 0)
	one := []byte{7}
	alice.enqueue(nodeservice.EnqueueRequest{Channel: id, Payload: one})
	w.holds(bob.unread(id), one)
}

func fetchLimits(w *World) {
	alice, bob, id := w.pair()
	payloads := alice.sendAll(id, 5)
	page := bob.fetch(nodeservice.FetchRequest{Channel: id, Limit: 2})
	w.holds(page, payloads[:2]...)
	equal(w, "more", page.More, true)
	page = bob.fetch(nodeservice.FetchRequest{Channel: id, After: 2, Limit: 3})
	w.holds(page, payloads[2:]...)
	equal(w, "more", page.More, false)
	page = bob.fetch(nodeservice.FetchRequest{Channel: id, After: 5})
	w.holds(page)
	equal(w, "more", page.More, false)
	equal(w, "head", page.Head, 5)
	equal(w, "acked", page.Acked, 0)
}

func fetchDefaultLimit(w *World) {
	alice, bob, id := w.pair()
	payloads := alice.sendAll(id, nodeservice.MaxFetch+1)
	page := bob.unread(id)
	w.holds(page, payloads[:nodeservice.MaxFetch]...)
	equal(w, "more", page.More, true)
	w.holds(bob.fetch(nodeservice.FetchRequest{Channel: id, After: nodeservice.MaxFetch}), payloads[nodeservice.MaxFetch])
}

func fetchDefaultBytes(w *World) {
	alice, bob, id := w.pair()
	payloads := [][]byte{w.payload(3 << 20), w.payload(3 << 20), w.payload(3 << 20)}
	for _, payload := range payloads {
		alice.enqueue(nodeservice.EnqueueRequest{Channel: id, Payload: payload})
	}
	page := bob.unread(id)
	w.holds(page, payloads[:2]...)
	equal(w, "more", page.More, true)
	w.holds(bob.fetch(nodeservice.FetchRequest{Channel: id, After: 2}), payloads[2])
}

func fetchBytes(w *World) {
	alice, bob, id := w.pair()
	var payloads [][]byte
	for range 3 {
		payloads = append(payloads, w.payload(1000))
		alice.enqueue(nodeservice.EnqueueRequest{Channel: id, Payload: payloads[len(payloads)-1]})
	}
	for maxBytes, n := range map[int]int{1: 1, 1999: 1, 2000: 2, 2999: 2, 3000: 3} {
		page := bob.fetch(nodeservice.FetchRequest{Channel: id, MaxBytes: maxBytes})
		w.holds(page, payloads[:n]...)
		equal(w, "more", page.More, n < 3)
	}
}

func afterBeyondHead(w *World) {
	alice, bob, id := w.pair()
	alice.sendAll(id, 2)
	_, err := bob.Session.Fetch(w.Ctx, nodeservice.FetchRequest{Channel: id, After: 3})
	w.refusedWithHead(err, nodeservice.CodeInvalidArgument, 2)
	_, err = bob.Session.Fetch(w.Ctx, nodeservice.FetchRequest{Channel: id, After: nodeservice.MaxSeq})
	w.refusedWithHead(err, nodeservice.CodeInvalidArgument, 2)
	_, err = bob.Session.Fetch(w.Ctx, nodeservice.FetchRequest{Channel: id, After: nodeservice.MaxSeq + 1})
	w.refused(err, nodeservice.CodeInvalidArgument)
}

func comesAgain(w *World) {
	alice, bob, id := w.pair()
	payloads := alice.sendAll(id, 3)
	for range 3 {
		w.holds(bob.unread(id), payloads...)
	}
	bob.ack(id, 1)
	w.holds(bob.unread(id), payloads[1:]...)
	w.holds(bob.again().unread(id), payloads[1:]...)
}

func acksCumulatively(w *World) {
	alice, bob, id := w.pair()
	payloads := alice.sendAll(id, 4)
	for _, through := range []seq{3, 3, 1, 3} {
		bob.ack(id, through)
		page := bob.unread(id)
		w.holds(page, payloads[3])
		equal(w, "acked", page.Acked, 3)
		equal(w, "head", page.Head, 4)
	}
	bob.send(id)
	bob.ack(id, 5) // his own send: through a seq that he never receives
	w.holds(bob.unread(id))
	equal(w, "alice's acked", alice.unread(id).Acked, 0)
}

func ackBeyondHead(w *World) {
	alice, bob, id := w.pair()
	payloads := alice.sendAll(id, 2)
	for _, through := range []seq{3, nodeservice.MaxSeq} {
		err := bob.Session.Ack(w.Ctx, nodeservice.AckRequest{Channel: id, Through: through})
		w.refusedWithHead(err, nodeservice.CodeInvalidArgument, 2)
		_, err = bob.Session.Fetch(w.Ctx, nodeservice.FetchRequest{Channel: id, AckThrough: through})
		w.refusedWithHead(err, nodeservice.CodeInvalidArgument, 2)
	}
	page := bob.unread(id)
	w.holds(page, payloads...)
	equal(w, "acked", page.Acked, 0)
}

func acksThrough(w *World) {
	alice, bob, id := w.pair()
	payloads := alice.sendAll(id, 3)
	page := bob.fetch(nodeservice.FetchRequest{Channel: id, AckThrough: 2})
	w.holds(page, payloads[2])
	equal(w, "acked", page.Acked, 2)
	w.noGap(page)
	w.holds(bob.unread(id), payloads[2])
}

func acksForAll(w *World) {
	alice, bob, id := w.pair()
	payloads := alice.sendAll(id, 3)
	bob.again().ack(id, 2)
	w.holds(bob.unread(id), payloads[2])
}
