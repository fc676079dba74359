package nodetest

import (
	"github.com/quicproquo/node/nodeservice"
)

var windows = []Behaviour{
	{Name: "one channel holds a quarter of a stream's window until it is acknowledged", Run: quarterOfWindow},
	{Name: "a stream of one channel has the whole window", Run: wholeWindow},
	{Name: "a stream's window is the client's choice, downwards", Needs: Window, Run: smallWindow},
	{Name: "an acknowledgement by whichever door opens the window", Run: anyDoorOpens},
	{Name: "a stream's window is bounded in bytes", Run: windowBytes},
	{Name: "an ack above what a stream delivered is refused and deletes nothing", Run: ackAboveDelivered},
	{Name: "a stream that nobody reads stalls no other", Run: unreadStallsNobody},
}

const window = 128 // nodeservice.DefaultWindow.Messages, as PRODUCT promises it

// messages reads so many of a channel, in order from a seq on.
func (f *feed) messages(id channelID, from seq, payloads [][]byte) {
	f.w.T.Helper()
	for i, payload := range payloads {
		f.message(id, from+seq(i), payload)
	}
}

// later is messages that come among acked events.
func (f *feed) later(id channelID, from seq, payloads [][]byte) {
	f.w.T.Helper()
	for i, payload := range payloads {
		event, passed := await[nodeservice.MessageEvent](f)
		for _, e := range passed {
			if _, ok := e.(nodeservice.AckedEvent); !ok {
				f.w.T.Fatalf("event %s, want messages and acks only", describe(e))
			}
		}
		f.isMessage(event, id, from+seq(i), payload)
	}
}

// isFull demands that a stream, being read, waits for anything but messages: it
// is woken by a notice about the reader's key packages.
func (f *feed) isFull(reader *Actor) {
	f.w.T.Helper()
	waiting := start(func() (nodeservice.Event, error) { return f.stream.Next(f.w.Ctx) })
	reader.upload(reader.keyPackages(1)...)
	answer := <-waiting
	f.w.ok(answer.err)
	if _, ok := answer.value.(nodeservice.KeyPackagesLowEvent); !ok {
		f.w.T.Fatalf("event %s in a full window", describe(answer.value))
	}
}

// quarterOfWindow: after the share, only the other channel's message comes.
func quarterOfWindow(w *World) {
	alice, bob, id := w.pair()
	carol := w.Actor()
	other := carol.channel(bob)
	payloads := alice.sendAll(id, window/4+8)
	f := bob.follow(nodeservice.FollowRequest{})
	f.messages(id, 1, payloads[:window/4])
	_, hers := carol.send(other)
	next[nodeservice.ChannelEvent](f)
	f.message(other, 1, hers)
	f.ack(id, 4)
	f.later(id, window/4+1, payloads[window/4:window/4+4])
	f.ack(id, window/4+4)
	f.later(id, window/4+5, payloads[window/4+4:])
	_, passed := await[nodeservice.CaughtUpEvent](f)
	for _, event := range passed {
		if _, ok := event.(nodeservice.AckedEvent); !ok {
			w.T.Errorf("event %s, want acks only", describe(event))
		}
	}
}

// wholeWindow: after the window, only what the acknowledgement opens comes.
func wholeWindow(w *World) {
	alice, bob, id := w.pair()
	payloads := alice.sendAll(id, window+2)
	f := bob.follow(nodeservice.FollowRequest{Channel: id})
	f.messages(id, 1, payloads[:window])
	f.isFull(bob)
	f.ack(id, 1)
	equal(w, "acked", next[nodeservice.AckedEvent](f).Through, 1)
	f.message(id, window+1, payloads[window])
	f.ack(id, 2)
	equal(w, "acked", next[nodeservice.AckedEvent](f).Through, 2)
	f.message(id, window+2, payloads[window+1])
	next[nodeservice.CaughtUpEvent](f)
}

func smallWindow(w *World) {
	alice, bob, id := w.pair()
	payloads := alice.sendAll(id, 5)
	f := bob.follow(nodeservice.FollowRequest{Channel: id, Window: nodeservice.Window{Messages: 2}})
	f.messages(id, 1, payloads[:2])
	f.isFull(bob)
	f.ack(id, 1)
	equal(w, "acked", next[nodeservice.AckedEvent](f).Through, 1)
	f.message(id, 3, payloads[2])
	f.ack(id, 3)
	equal(w, "acked", next[nodeservice.AckedEvent](f).Through, 3)
	f.messages(id, 4, payloads[3:])
	next[nodeservice.CaughtUpEvent](f)
}

func anyDoorOpens(w *World) {
	alice, bob, id := w.pair()
	payloads := alice.sendAll(id, window/4+2)
	f := bob.follow(nodeservice.FollowRequest{})
	f.messages(id, 1, payloads[:window/4])
	bob.again().ack(id, 1)
	f.later(id, window/4+1, payloads[window/4:window/4+1])
	bob.fetch(nodeservice.FetchRequest{Channel: id, AckThrough: window / 4})
	f.later(id, window/4+2, payloads[window/4+1:])
}

// windowBytes: of 16 MiB a channel's share is 4; a larger message passes, being
// the only one, and the least that follows must wait.
func windowBytes(w *World) {
	alice, bob, id := w.pair()
	carol := w.Actor()
	other := carol.channel(bob)
	payloads := [][]byte{w.payload(4<<20 + 1), w.payload(100), w.payload(4 << 20)}
	for _, payload := range payloads {
		alice.enqueue(nodeservice.EnqueueRequest{Channel: id, Payload: payload})
	}
	f := bob.follow(nodeservice.FollowRequest{})
	f.message(id, 1, payloads[0])
	_, hers := carol.send(other)
	next[nodeservice.ChannelEvent](f)
	f.message(other, 1, hers)
	f.ack(id, 1)
	f.later(id, 2, payloads[1:2])
	f.ack(id, 2)
	f.later(id, 3, payloads[2:])
}

func ackAboveDelivered(w *World) {
	alice, bob, id := w.pair()
	payloads := alice.sendAll(id, window/4+3)
	f := bob.follow(nodeservice.FollowRequest{})
	f.messages(id, 1, payloads[:window/4])
	w.refused(f.stream.Ack(w.Ctx, id, window/4+1), nodeservice.CodeInvalidArgument)
	w.refused(f.stream.Ack(w.Ctx, id, window/4+3), nodeservice.CodeInvalidArgument)
	page := bob.unread(id)
	w.holds(page, payloads...)
	equal(w, "acked", page.Acked, 0)
	f.ack(id, window/4) // the stream goes on
	f.later(id, window/4+1, payloads[window/4:])

	carol := w.Actor()
	other := carol.channel(alice)
	carol.send(other)
	w.refused(f.stream.Ack(w.Ctx, other, 1), nodeservice.CodeChannelNotFound)
}

// unreadStallsNobody sends past streams that are open and never read, while
// another is read and acknowledges.
func unreadStallsNobody(w *World) {
	alice, bob, id := w.pair()
	bob.again().follow(nodeservice.FollowRequest{}) // never read
	bob.again().follow(nodeservice.FollowRequest{Channel: id})
	f := bob.follow(nodeservice.FollowRequest{Channel: id})
	next[nodeservice.CaughtUpEvent](f)
	for i := range seq(6) {
		payload := w.payload(1 << 20)
		alice.enqueue(nodeservice.EnqueueRequest{Channel: id, Payload: payload})
		f.later(id, i+1, [][]byte{payload})
		f.ack(id, i+1)
	}
	equal(w, "acked", bob.unread(id).Acked, 6)
}
