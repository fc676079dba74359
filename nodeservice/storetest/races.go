package storetest

import (
	"slices"
	"sync/atomic"

	"github.com/quicproquo/node/nodeservice"
)

var racePromises = []promise{
	{"many appends at once get dense seqs of their own", (*fixture).appendsAtOnce},
	{"appends to many channels at once keep each line dense", (*fixture).linesAtOnce},
	{"of appends at one head one wins", (*fixture).ifHeadAtOnce},
	{"a queue drained by many is delivered once", (*fixture).drainsAtOnce},
}

// appendsAtOnce sends in both directions and compares what was answered with
// what is read.
func (f *fixture) appendsAtOnce() {
	_, alices, bobs := f.pair()
	const writers, each = 16, 15
	bodies := make([][]byte, writers*each+1) // by seq; each has one writer
	atOnce(writers, func(i int) {
		for range each {
			req := f.note([]nodeservice.Queue{alices, bobs}[i%2], payload(40, f.number()))
			appended := f.append(req)
			f.outcome(appended, nodeservice.AppendStored)
			if appended.Seq < 1 || int(appended.Seq) >= len(bodies) || bodies[appended.Seq] != nil {
				f.Errorf("seq %d was given twice, or is not dense", appended.Seq)
				return
			}
			bodies[appended.Seq] = req.Payload
		}
	})
	f.crash()
	messages := slices.Concat(f.read(alices).Messages, f.read(bobs).Messages)
	f.same("messages stored", len(messages), writers*each)
	for _, m := range messages {
		f.same("the payload at its seq", m.Payload, bodies[m.Seq])
	}
}

func (f *fixture) linesAtOnce() {
	const channels, each = 12, 15
	queues := make([]nodeservice.Queue, channels)
	for i := range queues {
		_, _, queues[i] = f.pair()
	}
	atOnce(channels, func(i int) {
		for n := range channels * each {
			f.append(f.note(queues[(i+n)%channels], []byte{byte(i), byte(n)}))
		}
	})
	for _, q := range queues {
		page := f.read(q)
		f.same("messages and head", []int{len(page.Messages), int(page.Head)}, []int{channels * each, channels * each})
		for i, m := range page.Messages {
			f.same("seq", m.Seq, nodeservice.Seq(i+1))
		}
	}
}

func (f *fixture) ifHeadAtOnce() {
	_, alices, bobs := f.pair()
	const rounds, rivals = 8, 10
	for round := range nodeservice.Seq(rounds) {
		var won atomic.Int32
		atOnce(rivals, func(i int) {
			req := f.note([]nodeservice.Queue{alices, bobs}[i%2], []byte{byte(i)})
			req.IfHead = accept(round)
			got := f.append(req)
			if got.Outcome == nodeservice.AppendStored {
				won.Add(1)
			} else {
				f.same("a loser's answer", got, nodeservice.Appended{Outcome: nodeservice.AppendHeadMoved, Head: round + 1})
			}
		})
		f.same("winners", won.Load(), int32(1))
	}
	f.same("head", f.read(bobs).Head, nodeservice.Seq(rounds))
}

// drainsAtOnce reads and acknowledges as sessions in drain mode do: what a
// conditional acknowledgement applied to is the drainer's alone.
func (f *fixture) drainsAtOnce() {
	_, _, bobs := f.pair()
	const messages, drainers = 40, 5
	for range messages {
		f.send(bobs)
	}
	var delivered [messages + 1]atomic.Int32
	atOnce(drainers, func(int) {
		for {
			page := f.readPage(nodeservice.Read{Queue: bobs, Limit: 3, MaxBytes: everything})
			if len(page.Messages) == 0 {
				return
			}
			through := page.Messages[len(page.Messages)-1].Seq
			got, err := f.store.Ack(f.ctx, nodeservice.Ack{Queue: bobs, Through: through, IfAcked: &page.Acked, Now: f.now})
			if must(f, got, err).Outcome != nodeservice.AckDone {
				continue
			}
			for _, m := range page.Messages {
				delivered[m.Seq].Add(1)
			}
		}
	})
	for seq := range delivered[1:] {
		f.same("times that a message was delivered", delivered[seq+1].Load(), int32(1))
	}
}
