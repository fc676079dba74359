package nodetest

import (
	"time"

	"github.com/quicproquo/node/nodeservice"
)

// anHour is a retention that behaviours outlive by moving the clock.
func anHour(cfg *nodeservice.Config) {
	longSessions(cfg)
	cfg.Retention.Messages = time.Hour
}

var expiry = []Behaviour{
	{Name: "a message is kept for 7 days", Config: longSessions, Run: keptSevenDays},
	{Name: "what expired unacknowledged is a gap, swept or not", Config: anHour, Run: expiredIsGap},
	{Name: "a gap is over once it is acknowledged", Config: anHour, Run: gapAcknowledged},
	{Name: "reading from before what is acknowledged is a gap", Run: ackedIsGap},
	{Name: "expiry frees the mailbox, swept or not", Config: func(cfg *nodeservice.Config) {
		anHour(cfg)
		cfg.Quotas.QueueMessages = 2
	}, Run: expiryFrees},
	{Name: "received_at never decreases when the clock goes back", Config: anHour, Run: clockGoesBack},
}

func keptSevenDays(w *World) {
	alice, bob, id := w.pair()
	_, payload := alice.send(id)
	w.Clock.Move(7*24*time.Hour - time.Minute)
	w.sweep()
	w.holds(bob.unread(id), payload)
	w.Clock.Move(2 * time.Minute)
	page := bob.unread(id)
	w.holds(page)
	w.gap(page, nodeservice.Gap{From: 1, To: 1, Reason: nodeservice.GapExpired})
}

func expiredIsGap(w *World) {
	alice, bob, id := w.pair()
	alice.sendAll(id, 2)
	w.Clock.Move(30 * time.Minute)
	_, third := alice.send(id)
	w.Clock.Move(31 * time.Minute)
	for range 2 {
		page := bob.unread(id)
		w.holds(page, third)
		w.gap(page, nodeservice.Gap{From: 1, To: 2, Reason: nodeservice.GapExpired})
		equal(w, "floor", page.Floor, 2)
		equal(w, "acked", page.Acked, 0)
		equal(w, "head", page.Head, 3)
		page = bob.fetch(nodeservice.FetchRequest{Channel: id, After: 1})
		w.gap(page, nodeservice.Gap{From: 2, To: 2, Reason: nodeservice.GapExpired})
		page = bob.fetch(nodeservice.FetchRequest{Channel: id, After: 2})
		w.holds(page, third)
		w.noGap(page)
		w.sweep()
	}
	view, err := bob.Session.Channel(w.Ctx, id)
	w.ok(err)
	equal(w, "unread after the sweep", view.Unread, 1)
	waited := bob.fetch(nodeservice.FetchRequest{Channel: id, Wait: time.Minute})
	w.gap(waited, nodeservice.Gap{From: 1, To: 2, Reason: nodeservice.GapExpired})
}

func gapAcknowledged(w *World) {
	alice, bob, id := w.pair()
	alice.sendAll(id, 2)
	w.Clock.Move(2 * time.Hour)
	page := bob.unread(id)
	w.gap(page, nodeservice.Gap{From: 1, To: 2, Reason: nodeservice.GapExpired})
	bob.ack(id, page.Gap.To)
	_, third := alice.send(id)
	page = bob.unread(id)
	w.holds(page, third)
	w.noGap(page)
	equal(w, "floor", page.Floor, 0)
	equal(w, "acked", page.Acked, 2)
}

func ackedIsGap(w *World) {
	alice, bob, id := w.pair()
	payloads := alice.sendAll(id, 4)
	bob.ack(id, 3)
	page := bob.fetch(nodeservice.FetchRequest{Channel: id, After: 1})
	w.holds(page, payloads[3])
	w.gap(page, nodeservice.Gap{From: 2, To: 3, Reason: nodeservice.GapAcked})
	equal(w, "floor", page.Floor, 0)
	w.noGap(bob.unread(id))
	w.noGap(bob.fetch(nodeservice.FetchRequest{Channel: id, After: 3}))
}

func expiryFrees(w *World) {
	alice, bob, id := w.pair()
	alice.sendAll(id, 2)
	_, err := alice.Session.Enqueue(w.Ctx, nodeservice.EnqueueRequest{Channel: id, Payload: w.payload(24)})
	w.refused(err, nodeservice.CodeMailboxFull)
	w.Clock.Move(2 * time.Hour)
	receipt, payload := alice.send(id)
	equal(w, "seq", receipt.Seq, 3)
	page := bob.unread(id)
	w.holds(page, payload)
	w.gap(page, nodeservice.Gap{From: 1, To: 2, Reason: nodeservice.GapExpired})
}

func clockGoesBack(w *World) {
	alice, bob, id := w.pair()
	first, _ := alice.send(id)
	w.Clock.Move(-30 * time.Minute)
	second, payload := alice.send(id)
	if second.ReceivedAt < first.ReceivedAt {
		w.T.Errorf("received_at went from %d to %d", first.ReceivedAt, second.ReceivedAt)
	}
	w.Restart()
	alice, bob = alice.again(), bob.again() // the tokens of before come from the future
	third, _ := alice.send(id)
	if third.ReceivedAt < first.ReceivedAt {
		w.T.Errorf("received_at went from %d to %d over a restart", first.ReceivedAt, third.ReceivedAt)
	}
	page := bob.unread(id)
	equal(w, "messages", len(page.Messages), 3)
	equal(w, "ReceivedAt of the second", page.Messages[1].ReceivedAt, second.ReceivedAt)
	equal(w, "payload of the second", string(page.Messages[1].Payload), string(payload))
	last := page.Messages[0]
	for _, m := range page.Messages[1:] {
		if m.ReceivedAt < last.ReceivedAt || m.ExpiresAt < last.ExpiresAt {
			w.T.Errorf("times decrease from seq %d to %d", last.Seq, m.Seq)
		}
		last = m
	}
}
