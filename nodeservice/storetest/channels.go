package storetest

import (
	"sync/atomic"

	"github.com/quicproquo/node/nodeservice"
)

var channelPromises = []promise{
	{"a channel is created once", (*fixture).channelCreatedOnce},
	{"creators at once get the same channel", (*fixture).creatorsAtOnce},
	{"a channel that was never created is not found", (*fixture).channelNotFound},
	{"only members see a channel's state", (*fixture).strangersSeeNoState},
	{"a channel's state is one per viewer", (*fixture).statePerViewer},
	{"an account creates so many channels", (*fixture).createdChannelsBounded},
	{"an account creates so many channels, at once too", (*fixture).createdChannelsBoundedAtOnce},
	{"identities that begin with one another are kept apart", (*fixture).twinsKeptApart},
}

func (f *fixture) channelCreatedOnce() {
	alice, bob := f.someone(), f.someone()
	first := f.create(alice, bob)
	want := nodeservice.CreatedChannel{
		Created: true, Announced: true,
		State: nodeservice.ChannelState{
			Channel: nodeservice.Channel{ID: first.State.Channel.ID, Members: nodeservice.Pair(alice, bob), CreatedAt: f.now},
			Ordinal: 1,
		},
	}
	f.same("the first creation", first, want)
	if first.State.Channel.ID != f.channels[0] {
		f.Errorf("the channel has the id %s, not the one given", first.State.Channel.ID)
	}
	f.now += second
	want.Created, want.Announced = false, false
	f.same("a second creation", f.create(alice, bob), want)
	f.crash()
	f.same("a creation after a crash", f.create(alice, bob), want)
	f.found(want.State.Channel)
	if _, found, err := f.store.Channel(f.ctx, f.channels[1]); found || err != nil {
		f.Errorf("the id that a later creator offered names a channel: %v %v", found, err)
	}
}

// found insists that a channel is found by its id and by its pair.
func (f *fixture) found(want nodeservice.Channel) {
	f.Helper()
	byID, found, err := f.store.Channel(f.ctx, want.ID)
	f.same("Channel", must(f, byID, err), want)
	byPair, foundByPair, err := f.store.ChannelByPair(f.ctx, want.Members)
	f.same("ChannelByPair", must(f, byPair, err), want)
	if !found || !foundByPair {
		f.Errorf("found by id: %v, by pair: %v", found, foundByPair)
	}
}

func (f *fixture) creatorsAtOnce() {
	alice, bob := f.someone(), f.someone()
	answers := make([]nodeservice.CreatedChannel, 20)
	atOnce(len(answers), func(i int) {
		if i%2 == 0 {
			answers[i] = f.create(alice, bob)
		} else {
			answers[i] = f.create(bob, alice)
		}
	})
	var created, announced int
	for _, a := range answers {
		if a.State.Channel != answers[0].State.Channel {
			f.Errorf("two channels for one pair: %+v and %+v", a.State.Channel, answers[0].State.Channel)
		}
		if a.Created {
			created++
		}
		if a.Announced {
			announced++
		}
	}
	f.same("how many created it", created, 1)
	f.same("how many made it visible to themselves", announced, 2)
	f.found(answers[0].State.Channel)
}

func (f *fixture) channelNotFound() {
	alice, bob := f.someone(), f.someone()
	id := channelID(f.number())
	_, found, err := f.store.Channel(f.ctx, id)
	f.same("Channel", []any{found, err}, []any{false, nil})
	_, found, err = f.store.ChannelByPair(f.ctx, nodeservice.Pair(alice, bob))
	f.same("ChannelByPair", []any{found, err}, []any{false, nil})
	_, found, err = f.store.ChannelState(f.ctx, id, alice, f.now)
	f.same("ChannelState", []any{found, err}, []any{false, nil})
	f.same("the list of channels", len(f.list(alice)), 0)
}

func (f *fixture) strangersSeeNoState() {
	id, alices, bobs := f.pair()
	f.send(bobs)
	for _, member := range []nodeservice.Identity{alices.Recipient, bobs.Recipient} {
		if _, found := f.state(id, member); !found {
			f.Errorf("a member does not find its channel")
		}
	}
	if state, found := f.state(id, f.someone()); found {
		f.Errorf("a stranger sees %+v", state)
	}
}

func (f *fixture) statePerViewer() {
	id, alices, bobs := f.pair()
	f.send(bobs)
	f.send(alices)
	f.send(bobs)
	f.ack(bobs, 1)
	alice, _ := f.state(id, alices.Recipient)
	bob, _ := f.state(id, bobs.Recipient)
	f.same("head, acked, unread, ordinal of alice",
		[]any{alice.Head, alice.Acked, alice.Unread, alice.Ordinal}, []any{nodeservice.Seq(3), nodeservice.Seq(0), uint64(1), uint64(1)})
	f.same("head, acked, unread, ordinal of bob",
		[]any{bob.Head, bob.Acked, bob.Unread, bob.Ordinal}, []any{nodeservice.Seq(3), nodeservice.Seq(1), uint64(1), uint64(1)})
	f.same("the list is of states", f.list(bobs.Recipient), []nodeservice.ChannelState{bob})
	f.same("a creation is answered with the state", f.create(bobs.Recipient, alices.Recipient).State, bob)
}

func (f *fixture) createdChannelsBounded() {
	alice, bob, carol := f.someone(), f.someone(), f.someone()
	f.createBounded(carol, alice, 2) // counts for carol, though alice gets it as well
	f.createBounded(alice, carol, 2)
	f.createBounded(alice, bob, 2)
	f.createBounded(alice, f.someone(), 2)
	f.crash()
	dave := f.someone()
	f.same("a creation beyond the bound", f.createBounded(alice, dave, 2), nodeservice.CreatedChannel{OverQuota: true})
	if _, found, _ := f.store.ChannelByPair(f.ctx, nodeservice.Pair(alice, dave)); found {
		f.Errorf("a refused channel was created")
	}
	f.same("visible to the refused creator", len(f.list(alice)), 3)
	if got := f.createBounded(alice, bob, 2); got.OverQuota || got.Created {
		f.Errorf("a channel that exists was refused or made again: %+v", got)
	}
	if got := f.createBounded(dave, alice, 2); !got.Created {
		f.Errorf("another account was refused: %+v", got)
	}
	if got := f.createBounded(alice, f.someone(), 0); !got.Created {
		f.Errorf("a bound of 0 bounds: %+v", got)
	}
}

func (f *fixture) createdChannelsBoundedAtOnce() {
	const most = 3
	alice := f.someone()
	var created atomic.Int32
	atOnce(12, func(int) {
		if f.createBounded(alice, f.someone(), most).Created {
			created.Add(1)
		}
	})
	f.same("channels created", created.Load(), int32(most))
	f.same("channels visible", len(f.list(alice)), most)
}

func (f *fixture) twinsKeptApart() {
	short, long := f.twins()
	peer := f.someone()
	a, b := f.create(short, peer).State.Channel, f.create(long, peer).State.Channel
	if a.ID == b.ID {
		f.Fatalf("two pairs have one channel")
	}
	f.send(nodeservice.Queue{Channel: a.ID, Recipient: short})
	f.send(nodeservice.Queue{Recipient: short})
	f.send(nodeservice.Queue{Recipient: short})
	f.holds(nodeservice.Queue{Recipient: long})
	f.send(nodeservice.Queue{Recipient: long})
	f.ack(nodeservice.Queue{Recipient: short}, 2)
	f.holds(nodeservice.Queue{Recipient: long}, 1)
	f.holds(nodeservice.Queue{Recipient: short})
	f.same("channels of the short one", len(f.list(short)), 1)
	f.same("channels of the long one", len(f.list(long)), 1)
	f.put(nodeservice.PutKeyPackages{Owner: long, Packages: f.packages(1, suite1)})
	f.same("key packages of the short one", len(f.stock(short)), 0)
	f.same("a claim of the short one's", f.claim(nodeservice.ClaimKeyPackageRequest{Owner: short, Claimer: peer, OneTime: true}).Found, false)
}
