package nodetest

import (
	"time"

	"github.com/quicproquo/node/nodeservice"
)

var drains = []Behaviour{
	{Name: "drain removes what it returns, page by page", Needs: Drain, Run: drainRemoves},
	{Name: "keep keeps what a drain would remove", Needs: Drain, Run: keepKeeps},
	{Name: "two drains at once never return the same message", Needs: Drain, Run: drainsTogether},
	{Name: "a waiting drain removes what it was woken by", Needs: Drain, Run: drainWaits},
	{Name: "a drain passes a gap, and finds it once", Needs: Drain, Config: anHour, Run: drainPassesGap},
	{Name: "of two waiting drains one has the message, and the other waits on", Needs: Drain, Run: drainsWait},
	{Name: "what was drained stays drained over a restart", Needs: Drain, Run: drainOutlivesRestart},
	{Name: "a drain goes on behind what a reader that keeps acknowledged", Needs: Drain, Run: drainBesideKeep},
}

func drainRemoves(w *World) {
	alice, bob, id := w.pair()
	payloads := alice.sendAll(id, 5)
	page := bob.fetch(nodeservice.FetchRequest{Channel: id, Drain: true, Limit: 3})
	w.holds(page, payloads[:3]...)
	equal(w, "more", page.More, true)
	w.holds(bob.unread(id), payloads[3:]...)
	w.holds(bob.fetch(nodeservice.FetchRequest{Channel: id, Drain: true}), payloads[3:]...)
	page = bob.fetch(nodeservice.FetchRequest{Channel: id, Drain: true})
	w.holds(page)
	w.noGap(page)
	equal(w, "acked", page.Acked, 5)
	receipt, payload := alice.send(id)
	equal(w, "seq after drains", receipt.Seq, 6)
	w.holds(bob.fetch(nodeservice.FetchRequest{Channel: id, Drain: true}), payload)
}

func keepKeeps(w *World) {
	alice, bob, id := w.pair()
	payloads := alice.sendAll(id, 2)
	w.holds(bob.unread(id), payloads...)
	w.holds(bob.fetch(nodeservice.FetchRequest{Channel: id, Drain: true}), payloads...)
	w.holds(bob.unread(id))
}

func drainsTogether(w *World) {
	alice, bob, id := w.pair()
	const n = 40
	alice.sendAll(id, n)
	readers := []*Actor{bob, bob.again(), bob.again()}
	seen := map[seq]bool{}
	for len(seen) < n {
		before := len(seen)
		w.store.meet(len(readers))
		for _, o := range all(len(readers), func(i int) (nodeservice.Page, error) {
			return readers[i].Session.Fetch(w.Ctx, nodeservice.FetchRequest{Channel: id, Drain: true, Limit: 4})
		}) {
			w.ok(o.err)
			for _, m := range o.value.Messages {
				if seen[m.Seq] {
					w.T.Fatalf("seq %d was drained twice", m.Seq)
				}
				seen[m.Seq] = true
			}
		}
		if len(seen) == before {
			w.T.Fatalf("three drains found nothing, though %d messages are left", n-before)
		}
	}
	bob.drained(id, n)
	w.holds(bob.unread(id))
}

// drained waits until a drain is stored: natively that is once its answer is
// known to have arrived.
func (a *Actor) drained(id channelID, through seq) {
	a.w.T.Helper()
	f := a.follow(nodeservice.FollowRequest{Channel: id, After: through})
	f.next() // it follows
	for acked := a.again().unread(id).Acked; acked < through; {
		event, _ := await[nodeservice.AckedEvent](f)
		acked = event.Through
	}
}

func drainWaits(w *World) {
	alice, bob, id := w.pair()
	waiting := bob.wait(nodeservice.FetchRequest{Channel: id, Drain: true, Wait: time.Minute})
	_, payload := alice.send(id)
	answer := <-waiting
	w.ok(answer.err)
	w.holds(answer.value, payload)
	w.holds(bob.unread(id))
}

// drainPassesGap: who drains does not acknowledge, and a client of version 0 does
// not even see the gap; it must not find it again for ever.
func drainPassesGap(w *World) {
	alice, bob, id := w.pair()
	alice.sendAll(id, 2)
	w.Clock.Move(2 * time.Hour)
	page := bob.fetch(nodeservice.FetchRequest{Channel: id, Drain: true})
	w.holds(page)
	w.gap(page, nodeservice.Gap{From: 1, To: 2, Reason: nodeservice.GapExpired})
	page = bob.fetch(nodeservice.FetchRequest{Channel: id, Drain: true})
	w.holds(page)
	w.noGap(page)
	equal(w, "acked", page.Acked, 2)
	_, payload := alice.send(id)
	w.holds(bob.fetch(nodeservice.FetchRequest{Channel: id, Drain: true}), payload)
}

func drainsWait(w *World) {
	alice, bob, id := w.pair()
	drain := nodeservice.FetchRequest{Channel: id, Drain: true, Wait: time.Minute}
	one, other := bob.wait(drain), bob.again().wait(drain)
	_, first := alice.send(id)
	answer, rest := outcome[nodeservice.Page]{}, other
	select {
	case answer = <-one:
	case answer = <-other:
		rest = one
	}
	w.ok(answer.err)
	w.holds(answer.value, first)
	_, second := alice.send(id)
	answer = <-rest
	w.ok(answer.err)
	w.holds(answer.value, second)
}

func drainOutlivesRestart(w *World) {
	alice, bob, id := w.pair()
	payloads := alice.sendAll(id, 3)
	w.holds(bob.fetch(nodeservice.FetchRequest{Channel: id, Drain: true, Limit: 2}), payloads[:2]...)
	bob.drained(id, 2)
	w.Restart()
	bob.rejoin()
	w.holds(bob.fetch(nodeservice.FetchRequest{Channel: id, Drain: true}), payloads[2])
}

// drainBesideKeep: the reader that keeps acknowledges also what is on its way to
// the one that drains.
func drainBesideKeep(w *World) {
	alice, bob, id := w.pair()
	keeper := bob.again()
	payloads := alice.sendAll(id, 6)
	w.holds(bob.fetch(nodeservice.FetchRequest{Channel: id, Drain: true, Limit: 2}), payloads[:2]...)
	w.holds(keeper.fetch(nodeservice.FetchRequest{Channel: id, AckThrough: 3}), payloads[3:]...)
	w.holds(bob.fetch(nodeservice.FetchRequest{Channel: id, Drain: true, Limit: 2}), payloads[3:5]...)
	keeper.ack(id, 5)
	w.holds(bob.unread(id), payloads[5])
	w.holds(bob.fetch(nodeservice.FetchRequest{Channel: id, Drain: true}), payloads[5])
	w.holds(bob.fetch(nodeservice.FetchRequest{Channel: id, Drain: true}))
}
