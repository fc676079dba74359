package storetest

import "github.com/quicproquo/node/nodeservice"

var ackPromises = []promise{
	{"an acknowledgement is cumulative", (*fixture).ackCumulative},
	{"an acknowledgement may be repeated", (*fixture).ackRepeated},
	{"acked never falls", (*fixture).ackedNeverFalls},
	{"beyond head nothing is acknowledged", (*fixture).ackBeyondHead},
	{"an acknowledgement may depend on acked", (*fixture).ackConditional},
	{"of conditional acknowledgements at once one applies", (*fixture).ackConditionalAtOnce},
	{"acknowledgements at once end at the highest", (*fixture).ackAtOnce},
}

func (f *fixture) ackCumulative() {
	_, alices, bobs := f.pair()
	legacy := f.legacy()
	for range 4 {
		f.send(bobs)
		f.send(legacy)
	}
	f.send(alices)
	f.same("acked", f.ack(bobs, 3), nodeservice.Acked{Outcome: nodeservice.AckDone, Acked: 3, Head: 5})
	f.holds(bobs, 4)
	f.holds(alices, 5) // queues are acknowledged apart
	f.holds(legacy, 1, 2, 3, 4)
	f.crash()
	page := f.holds(bobs, 4)
	f.same("acked on the page", page.Acked, nodeservice.Seq(3))
	f.same("through one's own message", f.ack(bobs, 5), nodeservice.Acked{Outcome: nodeservice.AckDone, Acked: 5, Head: 5})
	f.same("the legacy queue", f.ack(legacy, 4), nodeservice.Acked{Outcome: nodeservice.AckDone, Acked: 4, Head: 4})
	f.holds(bobs)
	f.holds(legacy)
}

func (f *fixture) ackRepeated() {
	_, _, bobs := f.pair()
	f.send(bobs)
	f.send(bobs)
	f.ack(bobs, 1)
	f.crash()
	for range 2 {
		f.same("a repetition", f.ack(bobs, 1), nodeservice.Acked{Outcome: nodeservice.AckUnchanged, Acked: 1, Head: 2})
	}
	f.holds(bobs, 2)
	f.same("a queue never written", f.ack(f.legacy(), 0), nodeservice.Acked{Outcome: nodeservice.AckUnchanged})
}

func (f *fixture) ackedNeverFalls() {
	_, _, bobs := f.pair()
	for range 5 {
		f.send(bobs)
	}
	f.ack(bobs, 4)
	for through := range nodeservice.Seq(4) {
		f.same("a lower one", f.ack(bobs, through), nodeservice.Acked{Outcome: nodeservice.AckUnchanged, Acked: 4, Head: 5})
	}
	f.same("acked", f.holds(bobs, 5).Acked, nodeservice.Seq(4))
	f.ack(bobs, 5)
	f.now += 2 * week
	f.sweep()
	f.crash()
	f.same("acked of an empty queue", f.holds(bobs).Acked, nodeservice.Seq(5))
	f.same("a lower one", f.ack(bobs, 1), nodeservice.Acked{Outcome: nodeservice.AckUnchanged, Acked: 5, Head: 5})
	f.send(bobs)
	f.holds(bobs, 6)
}

func (f *fixture) ackBeyondHead() {
	_, _, bobs := f.pair()
	legacy := f.legacy()
	for _, q := range []nodeservice.Queue{bobs, legacy} {
		f.same("of an empty queue", f.ack(q, 1), nodeservice.Acked{Outcome: nodeservice.AckBeyondHead})
		f.send(q)
		f.send(q)
		f.ack(q, 1)
		for _, through := range []nodeservice.Seq{3, nodeservice.MaxSeq} {
			f.same("beyond head", f.ack(q, through), nodeservice.Acked{Outcome: nodeservice.AckBeyondHead, Acked: 1, Head: 2})
		}
		f.holds(q, 2)
	}
}

func (f *fixture) ackConditional() {
	_, _, bobs := f.pair()
	for range 4 {
		f.send(bobs)
	}
	ack := func(through, ifAcked nodeservice.Seq, want nodeservice.AckOutcome, acked nodeservice.Seq) {
		f.Helper()
		got, err := f.store.Ack(f.ctx, nodeservice.Ack{Queue: bobs, Through: through, IfAcked: accept(ifAcked), Now: f.now})
		f.same("a conditional acknowledgement", must(f, got, err), nodeservice.Acked{Outcome: want, Acked: acked, Head: 4})
	}
	ack(5, 7, nodeservice.AckBeyondHead, 0)
	ack(2, 1, nodeservice.AckConflict, 0)
	f.holds(bobs, 1, 2, 3, 4)
	ack(2, 0, nodeservice.AckDone, 2)
	f.crash()
	ack(3, 0, nodeservice.AckConflict, 2)
	ack(1, 0, nodeservice.AckConflict, 2)
	ack(1, 2, nodeservice.AckUnchanged, 2)
	ack(4, 2, nodeservice.AckDone, 4)
}

func (f *fixture) ackConditionalAtOnce() {
	_, _, bobs := f.pair()
	const drains, rounds = 8, 5
	for round := range nodeservice.Seq(rounds) {
		f.send(bobs)
		answers := make([]nodeservice.Acked, drains)
		atOnce(drains, func(i int) {
			got, err := f.store.Ack(f.ctx, nodeservice.Ack{Queue: bobs, Through: round + 1, IfAcked: accept(round), Now: f.now})
			answers[i] = must(f, got, err)
		})
		applied := 0
		for _, a := range answers {
			if a.Outcome == nodeservice.AckDone {
				applied++
			} else {
				f.same("the others", a, nodeservice.Acked{Outcome: nodeservice.AckConflict, Acked: round + 1, Head: round + 1})
			}
		}
		f.same("how many applied", applied, 1)
	}
}

func (f *fixture) ackAtOnce() {
	_, _, bobs := f.pair()
	const messages = 20
	for range messages {
		f.send(bobs)
	}
	atOnce(messages, func(i int) {
		through := nodeservice.Seq(i)
		if got := f.ack(bobs, through); got.Acked < through {
			f.Errorf("acked through %d, and then acked is %d", through, got.Acked)
		}
	})
	f.same("acked", f.holds(bobs, messages).Acked, nodeservice.Seq(messages-1))
}
