package storetest

import (
	"fmt"
	"slices"

	"github.com/quicproquo/node/nodeservice"
)

var sweepPromises = []promise{
	{"a sweep deletes what has expired and counts it", (*fixture).sweepCounts},
	{"a sweep of nothing deletes nothing", (*fixture).sweepNothing},
	{"a sweep names the queues whose floor rose", (*fixture).sweepFloors},
	{"sweeps end, however much has expired", (*fixture).sweepMuch},
	{"other calls go on between the steps of a sweep", (*fixture).sweepBetweenCalls},
	{"a sweep leaves unread exact", (*fixture).sweepUnread},
}

// sweepCounts expires some of everything, and leaves some.
func (f *fixture) sweepCounts() {
	_, alices, bobs := f.pair()
	legacy, owner := f.legacy(), f.someone()
	last := map[nodeservice.Queue]nodeservice.Seq{}
	for _, life := range []nodeservice.UnixMilli{second, hour} {
		for _, q := range []nodeservice.Queue{bobs, alices, legacy} {
			req := f.named(q, fmt.Sprint("id ", life), "body")
			req.ExpiresAt = f.now + life
			last[q] = f.stored(req)
		}
		batch := f.packages(2, suite1)
		batch[0].ExpiresAt, batch[1].ExpiresAt = f.now+life, f.now+life
		f.puts(owner, false, batch, putStored)
		f.spend("nonce", [32]byte{byte(life)}, f.now+life)
		f.revoke(nodeservice.Revocation{Token: [32]byte{byte(life)}, Until: f.now + life})
	}
	f.now += second
	swept := f.sweep()
	swept.Floors = nil
	f.same("swept", swept, nodeservice.Swept{Messages: 3, MessageIDs: 3, KeyPackages: 2, Others: 2})
	f.crash()
	f.same("swept again", f.sweep(), nodeservice.Swept{})
	for q, seq := range last {
		f.holds(q, seq)
	}
	f.same("one-time packages left", f.stock(owner)[0].OneTime, uint32(2))
	f.same("revocations left", len(f.revocations()), 1)
	f.same("a digest left", f.spend("nonce", [32]byte{byte(hour % 256)}, f.now+hour), false)
}

func (f *fixture) sweepNothing() {
	f.same("swept of an empty store", f.sweep(), nodeservice.Swept{})
	_, _, bobs := f.pair()
	f.send(bobs)
	f.puts(bobs.Recipient, false, f.packages(2, suite1), putStored)
	before := f.view()
	f.same("swept before anything expired", f.sweep(), nodeservice.Swept{})
	f.same("all that is readable", f.view(), before)
}

func (f *fixture) sweepFloors() {
	_, alices, bobs := f.pair()
	_, _, fresh := f.pair()
	_, _, read := f.pair()
	legacy := f.legacy()
	for _, q := range []nodeservice.Queue{bobs, alices, legacy, read} {
		f.sendFor(q, second)
		f.sendFor(q, second)
	}
	f.send(fresh)
	f.ack(read, 2)
	f.now += second
	floors := f.sweep().Floors
	for _, q := range []nodeservice.Queue{bobs, alices, legacy, fresh, read} {
		f.same("the queue is named", slices.Contains(floors, q), q != fresh && q != read)
	}
	f.crash()
	f.same("floors of a second sweep", len(f.sweep().Floors), 0)
	f.same("the floors", []nodeservice.Seq{f.read(bobs).Floor, f.read(alices).Floor, f.read(legacy).Floor, f.read(read).Floor},
		[]nodeservice.Seq{2, 4, 2, 0})
}

// sweepMuch expires more than engines delete in one step.
func (f *fixture) sweepMuch() {
	const writers, each = 20, 120
	queues := make([]nodeservice.Queue, writers)
	for i := range queues {
		_, _, queues[i] = f.pair()
	}
	atOnce(writers, func(i int) {
		for range each {
			req := f.note(queues[i], payload(8, f.number()))
			req.MessageID, req.ExpiresAt = string(req.Payload), f.now+second
			f.stored(req)
		}
		f.send(queues[i])
	})
	f.now += 2 * second
	swept := f.sweep()
	f.same("swept", []int{swept.Messages, swept.MessageIDs}, []int{writers * each, writers * each})
	for _, q := range queues {
		f.same("floor", f.holds(q, each+1).Floor, nodeservice.Seq(each))
	}
}

// sweepBetweenCalls sweeps a queue while it is written and acknowledged.
func (f *fixture) sweepBetweenCalls() {
	_, _, bobs := f.pair()
	const before, during = 200, 30
	for range before {
		f.sendFor(bobs, second)
	}
	f.now += second
	atOnce(3, func(i int) {
		switch i {
		case 0:
			f.sweep()
		case 1:
			for range during {
				f.send(bobs)
			}
		default:
			for through := range nodeservice.Seq(during) {
				f.ack(bobs, through)
			}
		}
	})
	page := f.read(bobs)
	f.same("messages, head, floor, acked", []any{len(page.Messages), page.Head, page.Floor, page.Acked},
		[]any{during, nodeservice.Seq(before + during), nodeservice.Seq(before), nodeservice.Seq(during - 1)})
}

func (f *fixture) sweepUnread() {
	id, alices, bobs := f.pair()
	unread := func(want uint64) {
		f.Helper()
		f.sweep()
		state, _ := f.state(id, bobs.Recipient)
		f.same("unread", state.Unread, want)
	}
	unread(0)
	for range 3 {
		f.sendFor(bobs, second)
		f.send(alices)
	}
	f.sendFor(bobs, 2*week)
	unread(4)
	f.ack(bobs, 2)
	unread(3)
	f.crash()
	f.now += 2 * second // what expires does so with the line, after a week
	unread(3)
	f.now += week
	unread(1)
	f.crash()
	unread(1)
	f.ack(bobs, 7)
	unread(0)
}
