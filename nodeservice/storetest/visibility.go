package storetest

import "github.com/quicproquo/node/nodeservice"

var visibilityPromises = []promise{
	{"the peer sees a channel by its first message", (*fixture).seenByFirstMessage},
	{"the peer sees a channel by its first message, whoever sends it", (*fixture).seenByOwnMessage},
	{"the peer sees a channel that it creates as well", (*fixture).seenByCreation},
	{"a refused message makes nothing visible", (*fixture).refusedShowsNothing},
	{"channels are listed in the order in which they became visible", (*fixture).listedInOrder},
	{"the list of channels is read in pages", (*fixture).listedInPages},
	{"channels become visible once, at once too", (*fixture).visibleOnceAtOnce},
}

// ordinals are the viewer's, by the order of the list.
func (f *fixture) ordinals(viewer nodeservice.Identity) (ids []nodeservice.ChannelID) {
	f.Helper()
	for i, state := range f.list(viewer) {
		if state.Ordinal != uint64(i+1) {
			f.Errorf("the channel at place %d of the list has ordinal %d", i+1, state.Ordinal)
		}
		ids = append(ids, state.Channel.ID)
	}
	return ids
}

func (f *fixture) seenByFirstMessage() {
	id, alices, bobs := f.pair()
	f.same("the peer's list before a message", f.ordinals(bobs.Recipient), []nodeservice.ChannelID(nil))
	if state, found := f.state(id, bobs.Recipient); !found || state.Ordinal != 0 {
		f.Errorf("the peer's state before a message: %+v, found %v", state, found)
	}
	f.same("the first message announces", f.append(f.note(bobs, []byte("1"))).Announced, true)
	f.crash()
	f.same("the second message announces", f.append(f.note(bobs, []byte("2"))).Announced, false)
	f.same("an answer announces", f.append(f.note(alices, []byte("3"))).Announced, false)
	f.same("the peer's list", f.ordinals(bobs.Recipient), []nodeservice.ChannelID{id})
	f.same("a creation announces", f.create(bobs.Recipient, alices.Recipient).Announced, false)
	f.same("a legacy message announces", f.append(f.note(f.legacy(), []byte("4"))).Announced, false)
}

func (f *fixture) seenByOwnMessage() {
	id, alices, bobs := f.pair()
	f.same("a message to the creator announces", f.append(f.note(alices, []byte("1"))).Announced, false)
	f.same("the peer's list", f.ordinals(bobs.Recipient), []nodeservice.ChannelID{id})
	f.same("the answer announces", f.append(f.note(bobs, []byte("2"))).Announced, false)
}

func (f *fixture) seenByCreation() {
	id, alices, bobs := f.pair()
	created := f.create(bobs.Recipient, alices.Recipient)
	f.same("the peer's creation", []any{created.Created, created.Announced, created.State.Ordinal, created.State.Channel.ID},
		[]any{false, true, uint64(1), id})
	f.same("the first message announces", f.append(f.note(bobs, []byte("1"))).Announced, false)
	f.same("the peer's list", f.ordinals(bobs.Recipient), []nodeservice.ChannelID{id})
}

func (f *fixture) refusedShowsNothing() {
	_, _, bobs := f.pair()
	req := f.note(bobs, []byte("1"))
	req.IfHead = accept(7)
	f.same("a refused message announces", f.append(req).Announced, false)
	f.same("the peer's list", f.ordinals(bobs.Recipient), []nodeservice.ChannelID(nil))
}

func (f *fixture) listedInOrder() {
	bob := f.someone()
	var created []nodeservice.ChannelID
	for range 5 {
		created = append(created, f.create(f.someone(), bob).State.Channel.ID)
	}
	var want []nodeservice.ChannelID
	for _, i := range []int{3, 0, 4, 1} {
		f.send(nodeservice.Queue{Channel: created[i], Recipient: bob})
		want = append(want, created[i])
	}
	want = append(want, f.create(bob, f.someone()).State.Channel.ID)
	f.same("the list", f.ordinals(bob), want)
	f.crash()
	f.send(nodeservice.Queue{Channel: created[0], Recipient: bob}) // changes no place
	f.send(nodeservice.Queue{Channel: created[2], Recipient: bob})
	f.same("the list after a crash", f.ordinals(bob), append(want, created[2]))
}

func (f *fixture) listedInPages() {
	alice := f.someone()
	for range 7 {
		f.create(alice, f.someone())
	}
	whole := f.list(alice)
	f.same("the first page", f.listPage(alice, 0, 3), whole[:3])
	f.same("the next page", f.listPage(alice, whole[2].Ordinal, 3), whole[3:6])
	f.same("the last page", f.listPage(alice, whole[5].Ordinal, 3), whole[6:])
	f.same("beyond the last page", len(f.listPage(alice, whole[6].Ordinal, 3)), 0)
}

func (f *fixture) visibleOnceAtOnce() {
	bob := f.someone()
	var queues []nodeservice.Queue
	for range 4 {
		queues = append(queues, nodeservice.Queue{Channel: f.create(f.someone(), bob).State.Channel.ID, Recipient: bob})
	}
	announced := make([]bool, 24)
	atOnce(len(announced), func(i int) {
		announced[i] = f.append(f.note(queues[i%len(queues)], []byte{byte(i)})).Announced
	})
	var n int
	for _, a := range announced {
		if a {
			n++
		}
	}
	f.same("messages that announced", n, len(queues))
	f.same("channels listed", len(f.ordinals(bob)), len(queues))
}
