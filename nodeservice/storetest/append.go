package storetest

import (
	"github.com/quicproquo/node/nodeservice"
)

var appendPromises = []promise{
	{"both directions share one dense line", (*fixture).oneDenseLine},
	{"a legacy queue is a line of its own", (*fixture).legacyLines},
	{"a message is read as it was appended", (*fixture).readAsAppended},
	{"ifHead stores only at that head", (*fixture).ifHead},
	{"the checks come in their order", (*fixture).checksInOrder},
	{"a refused message changes nothing", (*fixture).refusedChangesNothing},
	{"received and expires never decrease in a line", (*fixture).timesNeverDecrease},
	{"the line goes on after everything was acknowledged", (*fixture).lineOutlivesAck},
	{"the line goes on after everything has expired", (*fixture).lineOutlivesExpiry},
}

func (f *fixture) oneDenseLine() {
	_, alices, bobs := f.pair()
	for i := range nodeservice.Seq(12) {
		to := bobs
		if i%3 == 2 {
			to = alices
		}
		appended := f.append(f.note(to, []byte{byte(i)}))
		f.same("seq and head", []nodeservice.Seq{appended.Seq, appended.Head}, []nodeservice.Seq{i + 1, i + 1})
		if i == 6 {
			f.crash()
		}
	}
	f.holds(alices, 3, 6, 9, 12)
	f.holds(bobs, 1, 2, 4, 5, 7, 8, 10, 11)
	f.same("head of either side", []nodeservice.Seq{f.read(alices).Head, f.read(bobs).Head}, []nodeservice.Seq{12, 12})
}

func (f *fixture) legacyLines() {
	_, alices, bobs := f.pair()
	mine, other := nodeservice.Queue{Recipient: alices.Recipient}, f.legacy()
	f.send(bobs)
	f.send(bobs)
	for _, q := range []nodeservice.Queue{mine, other, alices} {
		want := f.read(q).Head + 1
		f.same("the next seq of its line", f.send(q), want)
	}
	f.same("heads", []nodeservice.Seq{f.read(mine).Head, f.read(other).Head, f.read(alices).Head}, []nodeservice.Seq{1, 1, 3})
	f.ack(mine, 1)
	f.holds(other, 1)
	f.holds(alices, 3)
}

func (f *fixture) readAsAppended() {
	_, _, bobs := f.pair()
	var want []nodeservice.Message
	for i := range 3 {
		req := f.note(bobs, payload(10+i, f.number()))
		req.ExpiresAt = f.now + hour*nodeservice.UnixMilli(i+1)
		appended := f.append(req)
		f.same("receivedAt", appended.ReceivedAt, f.now)
		want = append(want, nodeservice.Message{
			Seq: nodeservice.Seq(i + 1), ReceivedAt: f.now, ExpiresAt: req.ExpiresAt, Payload: req.Payload,
		})
		f.now += second
	}
	f.same("the page", f.read(bobs), nodeservice.QueuePage{Messages: want, Head: 3})
}

func (f *fixture) ifHead() {
	_, alices, bobs := f.pair()
	for i, q := range []nodeservice.Queue{bobs, alices, bobs} {
		req := f.note(q, []byte("commit"))
		req.IfHead = accept(nodeservice.Seq(i))
		f.same("seq", f.stored(req), nodeservice.Seq(i+1))
	}
	f.crash()
	for _, head := range []nodeservice.Seq{0, 2, 4, nodeservice.MaxSeq} {
		req := f.note(alices, []byte("commit"))
		req.IfHead = accept(head)
		f.same("an append at another head", f.append(req), nodeservice.Appended{Outcome: nodeservice.AppendHeadMoved, Head: 3})
	}
	legacy := f.legacy()
	req := f.note(legacy, []byte("commit"))
	req.IfHead = accept(0)
	f.same("seq in a line never written", f.stored(req), nodeservice.Seq(1))
}

// checksInOrder takes away what speaks against a message one by one, from the
// first check to the last.
func (f *fixture) checksInOrder() {
	_, _, bobs := f.pair()
	first := f.note(bobs, []byte("first"))
	first.MessageID = "id"
	f.stored(first)

	req := first
	req.IfHead = accept(9)
	req.Quota = nodeservice.AppendQuota{QueueMessages: 1, QueueBytes: 1, AccountBytes: 1}
	f.now += second
	req.Now = f.now
	f.same("the same message", f.append(req),
		nodeservice.Appended{Outcome: nodeservice.AppendDuplicate, Seq: 1, ReceivedAt: first.Now, Head: 1})

	req.Payload, req.Digest = []byte("other"), f.note(bobs, []byte("other")).Digest
	for _, want := range []struct {
		outcome nodeservice.AppendOutcome
		mend    func()
	}{
		{nodeservice.AppendReused, func() { req.MessageID = "id2" }},
		{nodeservice.AppendHeadMoved, func() { req.IfHead = accept(1) }},
		{nodeservice.AppendQueueFull, func() { req.Quota.QueueMessages = 2 }},
		{nodeservice.AppendQueueFull, func() { req.Quota.QueueBytes = 10 }},
		{nodeservice.AppendOverQuota, func() { req.Quota.AccountBytes = 10 }},
	} {
		f.same("an append that is refused", f.append(req), nodeservice.Appended{Outcome: want.outcome, Head: 1})
		want.mend()
	}
	f.same("seq", f.stored(req), nodeservice.Seq(2))
}

func (f *fixture) refusedChangesNothing() {
	_, alices, bobs := f.pair()
	first := f.note(bobs, []byte("first"))
	first.MessageID = "id"
	f.stored(first)
	f.send(alices)
	before := f.view()
	f.append(first)
	for _, spoil := range []func(*nodeservice.Append){
		func(a *nodeservice.Append) { a.MessageID = "id" },
		func(a *nodeservice.Append) { a.IfHead = accept(1) },
		func(a *nodeservice.Append) { a.Quota.QueueMessages = 1 },
		func(a *nodeservice.Append) { a.Quota.AccountBytes = 1 },
	} {
		req := f.note(bobs, payload(20, f.number()))
		req.Now, req.ExpiresAt = f.now+hour, f.now+2*week
		spoil(&req)
		f.append(req)
	}
	f.same("all that is readable", f.view(), before)
	appended := f.append(f.note(bobs, []byte("next")))
	f.same("the next message", appended, nodeservice.Appended{
		Outcome: nodeservice.AppendStored, Seq: 3, Head: 3, ReceivedAt: f.now,
	})
}

// timesNeverDecrease lets the clock fall back as it may: over a restart.
func (f *fixture) timesNeverDecrease() {
	_, alices, bobs := f.pair()
	f.send(bobs)
	start := f.now
	f.crash()
	f.now -= hour
	req := f.note(alices, []byte("early"))
	req.MessageID = "early"
	appended := f.append(req)
	f.same("receivedAt after the clock fell back", appended.ReceivedAt, start)
	f.same("receivedAt of a duplicate", f.append(req).ReceivedAt, start)
	f.now = start + second
	short := f.note(bobs, []byte("short"))
	short.ExpiresAt = f.now + second
	f.stored(short)
	later := f.note(bobs, []byte("long"))
	later.ExpiresAt = f.now + 2*week
	f.stored(later)

	f.same("expiresAt of the early one", f.read(alices).Messages[0].ExpiresAt, start+week)
	var received, expires []nodeservice.UnixMilli
	for _, m := range f.read(bobs).Messages {
		received, expires = append(received, m.ReceivedAt), append(expires, m.ExpiresAt)
	}
	f.same("receivedAt", received, []nodeservice.UnixMilli{start, f.now, f.now})
	f.same("expiresAt", expires, []nodeservice.UnixMilli{start + week, start + week, f.now + 2*week})
}

func (f *fixture) lineOutlivesAck() {
	_, alices, bobs := f.pair()
	for range 3 {
		f.send(bobs)
	}
	f.send(alices)
	f.ack(bobs, 4)
	f.ack(alices, 4)
	f.sweep()
	f.crash()
	f.same("head of a line drained", f.read(bobs).Head, nodeservice.Seq(4))
	short := f.note(bobs, []byte("short"))
	short.ExpiresAt = f.now + second
	f.same("the next seq", f.stored(short), nodeservice.Seq(5))
	f.same("its expiry", f.holds(bobs, 5).Messages[0].ExpiresAt, f.now+week)
}

func (f *fixture) lineOutlivesExpiry() {
	_, _, bobs := f.pair()
	legacy := f.legacy()
	for _, q := range []nodeservice.Queue{bobs, legacy} {
		f.send(q)
		f.send(q)
	}
	f.now += week
	f.sweep()
	f.sweep()
	f.crash()
	for _, q := range []nodeservice.Queue{bobs, legacy} {
		page := f.holds(q)
		f.same("head and floor", []nodeservice.Seq{page.Head, page.Floor}, []nodeservice.Seq{2, 2})
		f.same("the next seq", f.send(q), nodeservice.Seq(3))
		f.holds(q, 3)
	}
}
