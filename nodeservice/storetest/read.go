package storetest

import "github.com/quicproquo/node/nodeservice"

var readPromises = []promise{
	{"a queue never written reads as empty", (*fixture).emptyQueue},
	{"a page begins after its cursor", (*fixture).pageAfter},
	{"a page holds so many messages", (*fixture).pageLimit},
	{"a page holds so many bytes, but always one message", (*fixture).pageBytes},
	{"a reader's own messages are not delivered to it", (*fixture).ownNotDelivered},
	{"what expired is not read, swept or not", (*fixture).expiredNotRead},
	{"the floor is what expired unacknowledged, swept or not", (*fixture).floor},
	{"the floor is 0 once it is acknowledged", (*fixture).floorAcknowledged},
	{"a page is one moment", (*fixture).pageIsOneMoment},
}

func (f *fixture) emptyQueue() {
	_, alices, _ := f.pair()
	for _, q := range []nodeservice.Queue{alices, f.legacy()} {
		f.same("the page", f.read(q), nodeservice.QueuePage{})
		f.same("the page after 5", f.readPage(nodeservice.Read{Queue: q, After: 5, Limit: 1, MaxBytes: 1}), nodeservice.QueuePage{})
	}
}

// page reads with every bound given.
func (f *fixture) page(q nodeservice.Queue, after nodeservice.Seq, limit, maxBytes int, more bool, want ...nodeservice.Seq) {
	f.Helper()
	page := f.readPage(nodeservice.Read{Queue: q, After: after, Limit: limit, MaxBytes: maxBytes})
	f.same("seqs of the page", seqs(page.Messages), want)
	f.same("more behind the page", page.More, more)
}

func (f *fixture) pageAfter() {
	_, alices, bobs := f.pair()
	for range 3 {
		f.send(bobs)
		f.send(alices)
	}
	f.page(bobs, 0, everything, everything, false, 1, 3, 5)
	f.page(bobs, 1, everything, everything, false, 3, 5)
	f.page(bobs, 2, everything, everything, false, 3, 5)
	f.page(bobs, 5, everything, everything, false)
	f.page(bobs, 6, everything, everything, false)
	f.page(bobs, 700, everything, everything, false)
	f.page(bobs, nodeservice.MaxSeq, everything, everything, false)
	f.ack(bobs, 3)
	f.page(bobs, 1, everything, everything, false, 5)
	f.page(bobs, 4, everything, everything, false, 5)
}

func (f *fixture) pageLimit() {
	_, _, bobs := f.pair()
	for range 5 {
		f.send(bobs)
	}
	f.page(bobs, 0, 1, everything, true, 1)
	f.page(bobs, 0, 4, everything, true, 1, 2, 3, 4)
	f.page(bobs, 0, 5, everything, false, 1, 2, 3, 4, 5)
	f.page(bobs, 0, 6, everything, false, 1, 2, 3, 4, 5)
	f.page(bobs, 3, 1, everything, true, 4)
	f.page(bobs, 4, 1, everything, false, 5)
}

func (f *fixture) pageBytes() {
	_, _, bobs := f.pair()
	for _, size := range []int{100, 50, 1000, 10} {
		f.stored(f.note(bobs, payload(size, f.number())))
	}
	f.page(bobs, 0, everything, 0, true, 1)
	f.page(bobs, 0, everything, 1, true, 1)
	f.page(bobs, 0, everything, 149, true, 1)
	f.page(bobs, 0, everything, 150, true, 1, 2)
	f.page(bobs, 0, everything, 1149, true, 1, 2) // does not skip to what would fit
	f.page(bobs, 0, everything, 1150, true, 1, 2, 3)
	f.page(bobs, 0, everything, 1160, false, 1, 2, 3, 4)
	f.page(bobs, 2, everything, 10, true, 3)
	f.page(bobs, 3, everything, 1, false, 4)
	f.page(bobs, 0, 1, 150, true, 1)
}

func (f *fixture) ownNotDelivered() {
	_, alices, bobs := f.pair()
	f.send(alices)
	f.send(alices)
	f.same("the sender's page", f.read(bobs), nodeservice.QueuePage{Head: 2})
	f.send(bobs)
	f.page(bobs, 0, 1, everything, false, 3)
	f.page(alices, 0, 2, everything, false, 1, 2)
}

func (f *fixture) expiredNotRead() {
	_, _, bobs := f.pair()
	f.sendFor(bobs, second)
	f.sendFor(bobs, 2*second)
	f.sendFor(bobs, hour)
	f.now += second - 1
	f.holds(bobs, 1, 2, 3)
	f.now++
	f.holds(bobs, 2, 3)
	f.crash()
	f.holds(bobs, 2, 3)
	f.now += second
	f.page(bobs, 0, 1, everything, false, 3)
	f.page(bobs, 1, 1, everything, false, 3)
	f.sweep()
	f.page(bobs, 1, 1, everything, false, 3)
	f.now += hour
	f.holds(bobs)
}

// floor expires a queue from its front, between messages of the other side.
func (f *fixture) floor() {
	id, alices, bobs := f.pair()
	f.sendFor(bobs, second)
	f.sendFor(alices, second)
	f.sendFor(bobs, second)
	f.sendFor(bobs, hour)
	expect := func(q nodeservice.Queue, floor nodeservice.Seq, messages ...nodeservice.Seq) {
		f.Helper()
		page := f.holds(q, messages...)
		var reason nodeservice.GapReason
		if floor > 0 {
			reason = nodeservice.GapExpired
		}
		f.same("floor and its reason", []any{page.Floor, page.FloorReason}, []any{floor, reason})
		state, _ := f.state(id, q.Recipient)
		f.same("floor of the channel's state", state.Floor, floor)
		f.same("head and acked", []nodeservice.Seq{page.Head, page.Acked}, []nodeservice.Seq{4, 0})
	}
	expect(bobs, 0, 1, 3, 4)
	f.now += second
	for _, settle := range []func(){func() {}, f.crash, func() { f.sweep() }, f.crash} {
		settle()
		expect(bobs, 3, 4)
		expect(alices, 2)
		f.page(bobs, 1, everything, everything, false, 4)
	}
	f.now += hour
	expect(bobs, 4)
	f.sweep()
	expect(bobs, 4)
	f.same("unread after a sweep", f.list(bobs.Recipient)[0].Unread, uint64(0))
}

func (f *fixture) floorAcknowledged() {
	for _, swept := range []bool{false, true} {
		_, alices, bobs := f.pair()
		for range 3 {
			f.sendFor(bobs, second)
		}
		f.send(alices)
		f.send(bobs)
		f.now += second
		if swept {
			f.sweep()
		}
		f.same("acked", f.ack(bobs, 2), nodeservice.Acked{Outcome: nodeservice.AckDone, Acked: 2, Head: 5})
		page := f.holds(bobs, 5)
		f.same("floor above acked", page.Floor, nodeservice.Seq(3))
		f.ack(bobs, 3)
		page = f.holds(bobs, 5)
		f.same("floor and reason at acked", []any{page.Floor, page.FloorReason}, []any{nodeservice.Seq(0), nodeservice.GapReason(0)})
		f.sweep()
		f.crash()
		page = f.holds(bobs, 5)
		f.same("acked and floor", []nodeservice.Seq{page.Acked, page.Floor}, []nodeservice.Seq{3, 0})
	}
}

// pageIsOneMoment reads while one side writes and acknowledges: whatever the
// moment is, the messages are exactly those between its acked and its head.
func (f *fixture) pageIsOneMoment() {
	_, _, bobs := f.pair()
	const messages = 60
	atOnce(4, func(i int) {
		for n := range messages {
			switch i {
			case 0:
				f.send(bobs)
			case 1:
				f.ack(bobs, min(nodeservice.Seq(n), f.read(bobs).Head))
			default:
				page := f.read(bobs)
				want := page.Acked
				for _, m := range page.Messages {
					want++
					f.same("seq on the page", m.Seq, want)
				}
				f.same("head of the page", page.Head, want)
			}
		}
	})
}
