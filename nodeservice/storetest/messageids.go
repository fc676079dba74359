package storetest

import (
	"fmt"

	"github.com/quicproquo/node/nodeservice"
)

var messageIDPromises = []promise{
	{"a repeated message gets the first receipt", (*fixture).repeatedMessage},
	{"a message id is remembered past acknowledgement", (*fixture).idOutlivesAck},
	{"a message id is remembered until its message expires", (*fixture).idExpires},
	{"a message id with other bytes is reused", (*fixture).idReused},
	{"refused messages are not remembered", (*fixture).refusedNotRemembered},
	{"message ids are scoped to channel and sender", (*fixture).idsScoped},
	{"a sender's latest message ids are remembered", (*fixture).latestIDs},
	{"a message sent many times at once is stored once", (*fixture).idAtOnce},
}

// named is a note with a message id.
func (f *fixture) named(to nodeservice.Queue, id, body string) nodeservice.Append {
	req := f.note(to, []byte(body))
	req.MessageID = id
	return req
}

func (f *fixture) repeatedMessage() {
	_, alices, bobs := f.pair()
	for _, q := range []nodeservice.Queue{bobs, f.legacy()} {
		req := f.named(q, "id", "body")
		first := f.append(req)
		f.outcome(first, nodeservice.AppendStored)
		f.now += second
		f.crash()
		req.Now, req.ExpiresAt = f.now, f.now+week
		f.same("the repetition", f.append(req), nodeservice.Appended{
			Outcome: nodeservice.AppendDuplicate, Seq: first.Seq, ReceivedAt: first.ReceivedAt, Head: first.Head,
		})
		f.holds(q, first.Seq)
	}
	f.send(alices)
	f.same("head in a repetition", f.append(f.named(bobs, "id", "body")).Head, nodeservice.Seq(2))
}

func (f *fixture) idOutlivesAck() {
	_, _, bobs := f.pair()
	legacy := f.legacy()
	for _, q := range []nodeservice.Queue{bobs, legacy} {
		f.stored(f.named(q, "id", "body"))
		f.ack(q, 1)
	}
	f.sweep()
	f.crash()
	for _, q := range []nodeservice.Queue{bobs, legacy} {
		f.outcome(f.append(f.named(q, "id", "body")), nodeservice.AppendDuplicate)
		f.outcome(f.append(f.named(q, "id", "other")), nodeservice.AppendReused)
		f.holds(q)
	}
}

func (f *fixture) idExpires() {
	_, _, bobs := f.pair()
	for _, swept := range []bool{false, true} {
		id := fmt.Sprint("swept ", swept)
		seq := f.stored(f.named(bobs, id, "body"))
		f.now += week - 1
		f.outcome(f.append(f.named(bobs, id, "body")), nodeservice.AppendDuplicate)
		f.now++
		if swept {
			f.sweep()
		}
		f.same("seq of the id's next message", f.stored(f.named(bobs, id, "another body")), seq+1)
		f.outcome(f.append(f.named(bobs, id, "another body")), nodeservice.AppendDuplicate)
		f.sweep()
		f.outcome(f.append(f.named(bobs, id, "another body")), nodeservice.AppendDuplicate)
		f.now += week
	}
}

func (f *fixture) idReused() {
	_, _, bobs := f.pair()
	f.stored(f.named(bobs, "id", "body"))
	f.same("other bytes", f.append(f.named(bobs, "id", "other")), nodeservice.Appended{Outcome: nodeservice.AppendReused, Head: 1})
	f.outcome(f.append(f.named(bobs, "id", "body")), nodeservice.AppendDuplicate)
	f.holds(bobs, 1)
}

func (f *fixture) refusedNotRemembered() {
	_, _, bobs := f.pair()
	f.stored(f.named(bobs, "first", "first"))
	for i, spoil := range []func(*nodeservice.Append){
		func(a *nodeservice.Append) { a.IfHead = accept(77) },
		func(a *nodeservice.Append) { a.Quota.QueueMessages = 1 },
		func(a *nodeservice.Append) { a.Quota.AccountBytes = 1 },
		func(a *nodeservice.Append) { a.MessageID = "first" },
	} {
		id := fmt.Sprint("id ", i)
		refused := f.named(bobs, id, "refused")
		spoil(&refused)
		if got := f.append(refused); got.Outcome == nodeservice.AppendStored {
			f.Fatalf("not refused: %+v", got)
		}
		f.stored(f.named(bobs, id, "stored"))
	}
}

func (f *fixture) idsScoped() {
	_, alices, bobs := f.pair()
	_, _, others := f.pair()
	legacy := f.legacy()
	for _, q := range []nodeservice.Queue{bobs, alices, others, legacy, f.legacy()} {
		f.stored(f.named(q, "id", "body"))
	}
	another := f.named(legacy, "id", "body")
	another.Account = nodeservice.Account{1}
	f.same("another account's id in a legacy queue", f.stored(another), nodeservice.Seq(2))
	f.outcome(f.append(another), nodeservice.AppendDuplicate)
}

// latestIDs sends ids 0 to 4 where three are remembered.
func (f *fixture) latestIDs() {
	_, alices, bobs := f.pair()
	for _, q := range []nodeservice.Queue{bobs, f.legacy()} {
		send := func(i int, want nodeservice.AppendOutcome) {
			f.Helper()
			req := f.named(q, fmt.Sprint("id ", i), "body")
			req.Quota.RememberedIDs = 3
			f.outcome(f.append(req), want)
		}
		other := f.named(alices, "of another sender", "body")
		other.Quota.RememberedIDs = 3
		f.append(other)
		for i := range 5 {
			send(i, nodeservice.AppendStored)
			f.send(q) // no id: takes no place
		}
		f.crash()
		for i := 2; i < 5; i++ {
			send(i, nodeservice.AppendDuplicate) // takes no place
		}
		send(0, nodeservice.AppendStored) // forgotten, and now takes the place of 2
		send(3, nodeservice.AppendDuplicate)
		send(4, nodeservice.AppendDuplicate)
		send(0, nodeservice.AppendDuplicate)
		send(2, nodeservice.AppendStored)
		f.outcome(f.append(other), nodeservice.AppendDuplicate)
	}
}

func (f *fixture) idAtOnce() {
	_, _, bobs := f.pair()
	answers := make([]nodeservice.Appended, 20)
	atOnce(len(answers), func(i int) { answers[i] = f.append(f.named(bobs, "id", "body")) })
	stored := 0
	for _, a := range answers {
		if a.Outcome == nodeservice.AppendStored {
			stored++
		} else {
			f.outcome(a, nodeservice.AppendDuplicate)
		}
		f.same("seq", a.Seq, nodeservice.Seq(1))
	}
	f.same("times that it was stored", stored, 1)
	f.holds(bobs, 1)
}
