package nodetest

import (
	"fmt"

	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/identity"
)

var channels = []Behaviour{
	{Name: "createChannel gets what is there", Run: createsOnce},
	{Name: "createChannel from both sides at once gives one channel, created once", Run: createsTogether},
	{Name: "createChannel with oneself is refused", Run: createsAlone},
	{Name: "an empty channel is unseen by the peer until its first message", Run: unseenUntilMessage},
	{Name: "an empty channel is unseen by the peer until the peer creates it", Run: unseenUntilCreated},
	{Name: "channels are listed page by page, each once", Run: listsPages},
	{Name: "channels are found by peer", Run: findsByPeer},
	{Name: "a channel's view counts head, acked and unread", Run: views},
}

func createsOnce(w *World) {
	alice, bob := w.Actor(), w.Actor()
	first, created, err := alice.Session.CreateChannel(w.Ctx, bob.ID)
	w.ok(err)
	equal(w, "created", created, true)
	equal(w, "peer", first.Peer, bob.ID)
	equal(w, "head", first.Head, 0)
	if first.ID.IsZero() || first.CreatedAt <= 0 {
		w.T.Errorf("a channel without id or time: %v", first)
	}
	alice.send(first.ID)
	second, created, err := alice.Session.CreateChannel(w.Ctx, bob.ID)
	w.ok(err)
	equal(w, "created again", created, false)
	equal(w, "id", second.ID, first.ID)
	equal(w, "CreatedAt", second.CreatedAt, first.CreatedAt)
	equal(w, "head", second.Head, 1)
}

func createsTogether(w *World) {
	alice, bob := w.Actor(), w.Actor()
	sides := []*Actor{alice, bob, alice.again(), bob.again()}
	type result struct {
		view    nodeservice.ChannelView
		created bool
	}
	outcomes := all(12, func(i int) (result, error) {
		caller := sides[i%len(sides)]
		peer := sides[(i+1)%2]
		view, created, err := caller.Session.CreateChannel(w.Ctx, peer.ID)
		return result{view, created}, err
	})
	created := 0
	for _, o := range outcomes {
		w.ok(o.err)
		equal(w, "channel", o.value.view.ID, outcomes[0].value.view.ID)
		if o.value.created {
			created++
		}
	}
	equal(w, "times created", created, 1)
}

func createsAlone(w *World) {
	alice := w.Actor()
	_, _, err := alice.Session.CreateChannel(w.Ctx, alice.ID)
	w.refused(err, nodeservice.CodeInvalidArgument)
	equal(w, "channels", len(alice.channels(nodeservice.ChannelsRequest{}).Channels), 0)
}

func (a *Actor) channels(req nodeservice.ChannelsRequest) nodeservice.ChannelList {
	a.w.T.Helper()
	list, err := a.Session.Channels(a.w.Ctx, req)
	a.w.ok(err)
	return list
}

// sees demands that the actor's channels are these, in this order.
func (a *Actor) sees(ids ...channelID) {
	a.w.T.Helper()
	list := a.channels(nodeservice.ChannelsRequest{})
	got := make([]channelID, 0, len(ids))
	for _, view := range list.Channels {
		got = append(got, view.ID)
	}
	equal(a.w, "channels", fmt.Sprint(got), fmt.Sprint(append([]channelID{}, ids...)))
}

func unseenUntilMessage(w *World) {
	alice, bob, id := w.pair()
	alice.sees(id)
	bob.sees()
	equal(w, "channels with alice", len(bob.channels(nodeservice.ChannelsRequest{Peer: alice.ID}).Channels), 0)
	_, payload := alice.send(id)
	bob.sees(id)
	w.holds(bob.unread(id), payload)
}

func unseenUntilCreated(w *World) {
	alice, bob, id := w.pair()
	bob.sees()
	view, created, err := bob.Session.CreateChannel(w.Ctx, alice.ID)
	w.ok(err)
	equal(w, "created by the second side", created, false)
	equal(w, "id", view.ID, id)
	equal(w, "peer", view.Peer, alice.ID)
	bob.sees(id)
	alice.sees(id)
}

func listsPages(w *World) {
	alice := w.Actor()
	node := w.Dial()
	var want, got []channelID
	for i := range 7 {
		peer := w.actorOn(node, identity.EdDSA)
		if i%2 == 0 {
			want = append(want, alice.channel(peer))
			continue
		}
		id := peer.channel(alice)
		peer.send(id)
		want = append(want, id)
	}
	req := nodeservice.ChannelsRequest{Limit: 3}
	for range 4 { // one more than there are
		list := alice.channels(req)
		if len(list.Channels) > 3 {
			w.T.Fatalf("a page of %d channels, want at most 3", len(list.Channels))
		}
		for _, view := range list.Channels {
			got = append(got, view.ID)
		}
		if req.Cursor = list.Next; req.Cursor == nil {
			break
		}
	}
	equal(w, "channels over all pages", fmt.Sprint(got), fmt.Sprint(want))
	if req.Cursor != nil {
		w.T.Error("the last page has a cursor")
	}
}

func findsByPeer(w *World) {
	alice, bob, id := w.pair()
	carol, stranger := w.Actor(), w.Actor()
	other := alice.channel(carol)
	for peer, want := range map[*Actor]channelID{bob: id, carol: other} {
		list := alice.channels(nodeservice.ChannelsRequest{Peer: peer.ID})
		equal(w, "channels with the peer", len(list.Channels), 1)
		equal(w, "channel", list.Channels[0].ID, want)
		equal(w, "peer", list.Channels[0].Peer, peer.ID)
	}
	equal(w, "channels with a stranger", len(alice.channels(nodeservice.ChannelsRequest{Peer: stranger.ID}).Channels), 0)
}

func views(w *World) {
	alice, bob, id := w.pair()
	alice.sendAll(id, 3)
	bob.send(id)
	alice.send(id)
	bob.ack(id, 2)
	mine, err := bob.Session.Channel(w.Ctx, id)
	w.ok(err)
	equal(w, "bob's view", mine, nodeservice.ChannelView{
		ID: id, Peer: alice.ID, CreatedAt: mine.CreatedAt, Head: 5, Acked: 2, Unread: 2})
	equal(w, "bob's view in the list", bob.channels(nodeservice.ChannelsRequest{}).Channels[0], mine)
	his, err := alice.Session.Channel(w.Ctx, id)
	w.ok(err)
	equal(w, "alice's view", his, nodeservice.ChannelView{
		ID: id, Peer: bob.ID, CreatedAt: mine.CreatedAt, Head: 5, Acked: 0, Unread: 1})
}
