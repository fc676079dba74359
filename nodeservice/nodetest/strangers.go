package nodetest

import (
	"time"

	"github.com/google/uuid"

	"github.com/quicproquo/node/nodeservice"
)

var strangers = []Behaviour{
	{Name: "a stranger is refused on every operation of a channel, as if there were none", Run: refusesStrangers},
	{Name: "a stranger's wrong recipient is no answer either", Needs: Recipient, Run: membershipBeforeRecipient},
	{Name: "a member's wrong recipient is permission_denied", Needs: Recipient, Run: refusesRecipient},
	{Name: "a stranger cannot drain", Needs: Drain, Run: strangerDrains},
	{Name: "a stranger can neither spend nor sense a channel's limit", Config: func(cfg *nodeservice.Config) {
		cfg.Rates.Channel = nodeservice.Per(5, time.Hour)
	}, Run: strangersSpendNothing},
}

// onChannel is an operation of a channel, and its error.
type onChannel struct {
	name string
	try  func(a *Actor, id channelID) error
}

var operationsOnChannel = []onChannel{
	{"channel", func(a *Actor, id channelID) error {
		_, err := a.Session.Channel(a.w.Ctx, id)
		return err
	}},
	{"enqueue", func(a *Actor, id channelID) error {
		_, err := a.Session.Enqueue(a.w.Ctx, nodeservice.EnqueueRequest{Channel: id, Payload: a.w.payload(24)})
		return err
	}},
	{"enqueue with messageId and ifHead", func(a *Actor, id channelID) error {
		_, err := a.Session.Enqueue(a.w.Ctx, nodeservice.EnqueueRequest{
			Channel: id, Payload: a.w.payload(24), MessageID: []byte("m1"), IfHead: seqPtr(77)})
		return err
	}},
	{"fetch", func(a *Actor, id channelID) error {
		_, err := a.Session.Fetch(a.w.Ctx, nodeservice.FetchRequest{Channel: id})
		return err
	}},
	{"fetch after beyond head", func(a *Actor, id channelID) error {
		_, err := a.Session.Fetch(a.w.Ctx, nodeservice.FetchRequest{Channel: id, After: 77})
		return err
	}},
	{"fetch with ackThrough", func(a *Actor, id channelID) error {
		_, err := a.Session.Fetch(a.w.Ctx, nodeservice.FetchRequest{Channel: id, AckThrough: 1})
		return err
	}},
	{"fetchWait", func(a *Actor, id channelID) error {
		_, err := a.Session.Fetch(a.w.Ctx, nodeservice.FetchRequest{Channel: id, Wait: 30 * time.Second})
		return err
	}},
	{"ack", func(a *Actor, id channelID) error {
		return a.Session.Ack(a.w.Ctx, nodeservice.AckRequest{Channel: id, Through: 1})
	}},
	{"follow", func(a *Actor, id channelID) error {
		return a.followRefused(nodeservice.FollowRequest{Channel: id})
	}},
	{"follow after beyond head", func(a *Actor, id channelID) error {
		return a.followRefused(nodeservice.FollowRequest{Channel: id, After: 77})
	}},
}

func refusesStrangers(w *World) {
	alice, bob, foreign := w.pair()
	mallory := w.Actor()
	_, payload := alice.send(foreign)
	unknown := channelID(uuid.New())
	for _, op := range operationsOnChannel {
		there := w.refused(op.try(mallory, foreign), nodeservice.CodeChannelNotFound)
		nowhere := w.refused(op.try(mallory, unknown), nodeservice.CodeChannelNotFound)
		equal(w, op.name+": the foreign channel's detail", there.Detail, nowhere.Detail)
		if there.Head != nil || nowhere.Head != nil {
			w.T.Errorf("%s: the refusal tells a head", op.name)
		}
	}
	w.holds(bob.unread(foreign), payload)
	mallory.sees()
}

func membershipBeforeRecipient(w *World) {
	alice, _, foreign := w.pair()
	mallory := w.Actor()
	for _, id := range []channelID{foreign, channelID(uuid.New())} {
		_, err := mallory.Session.Enqueue(w.Ctx, nodeservice.EnqueueRequest{Channel: id, Recipient: mallory.ID, Payload: w.payload(24)})
		w.refused(err, nodeservice.CodeChannelNotFound)
		_, err = mallory.Session.Fetch(w.Ctx, nodeservice.FetchRequest{Channel: id, Recipient: alice.ID})
		w.refused(err, nodeservice.CodeChannelNotFound)
	}
}

func refusesRecipient(w *World) {
	alice, bob, id := w.pair()
	carol := w.Actor()
	for _, wrong := range []*Actor{alice, carol} {
		_, err := alice.Session.Enqueue(w.Ctx, nodeservice.EnqueueRequest{Channel: id, Recipient: wrong.ID, Payload: w.payload(24)})
		w.refused(err, nodeservice.CodePermissionDenied)
	}
	for _, wrong := range []*Actor{alice, carol} {
		_, err := bob.Session.Fetch(w.Ctx, nodeservice.FetchRequest{Channel: id, Recipient: wrong.ID})
		w.refused(err, nodeservice.CodePermissionDenied)
	}
	payload := w.payload(32)
	alice.enqueue(nodeservice.EnqueueRequest{Channel: id, Recipient: bob.ID, Payload: payload})
	w.holds(bob.fetch(nodeservice.FetchRequest{Channel: id, Recipient: bob.ID}), payload)
}

func strangerDrains(w *World) {
	alice, bob, id := w.pair()
	mallory := w.Actor()
	_, payload := alice.send(id)
	_, err := mallory.Session.Fetch(w.Ctx, nodeservice.FetchRequest{Channel: id, Drain: true})
	w.refused(err, nodeservice.CodeChannelNotFound)
	w.holds(bob.unread(id), payload)
}

func strangersSpendNothing(w *World) {
	alice, _, id := w.pair()
	mallory := w.Actor()
	for range 12 {
		_, err := mallory.Session.Fetch(w.Ctx, nodeservice.FetchRequest{Channel: id})
		w.refused(err, nodeservice.CodeChannelNotFound)
	}
	alice.sendAll(id, 5)
	_, err := alice.Session.Enqueue(w.Ctx, nodeservice.EnqueueRequest{Channel: id, Payload: w.payload(24)})
	w.refused(err, nodeservice.CodeRateLimited)
	_, err = mallory.Session.Fetch(w.Ctx, nodeservice.FetchRequest{Channel: id})
	w.refused(err, nodeservice.CodeChannelNotFound)
}
