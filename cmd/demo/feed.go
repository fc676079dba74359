package main

import (
	"github.com/quicproquo/node/nodeservice"
)

// feed is a person's stream of all channels.
type feed struct {
	*person
	stream nodeservice.Stream
}

func (p *person) follow() *feed {
	stream, err := p.session.Follow(p.story.ctx, nodeservice.FollowRequest{})
	must(err)
	p.story.closers = append(p.story.closers, func() { _ = stream.Close() })
	p.say("follows all channels")
	return &feed{p, stream}
}

// next is the next event of a kind; those about the stock of key packages and
// about acknowledgements come whenever they come, and are passed over.
func next[E nodeservice.Event](f *feed) E {
	for {
		event, err := f.stream.Next(f.story.ctx)
		must(err)
		switch event := event.(type) {
		case E:
			return event
		case nodeservice.KeyPackagesLowEvent, nodeservice.AckedEvent:
		default:
			expect(false, "%s's stream has %#v", f.name, event)
		}
	}
}

func (f *feed) caughtUp() {
	next[nodeservice.CaughtUpEvent](f)
	f.say("has all that was stored")
}

func (f *feed) channel(id nodeservice.ChannelID, peer *person) {
	event := next[nodeservice.ChannelEvent](f)
	expect(event.Channel.ID == id && event.Channel.Peer == peer.key.Public(), "%s's stream has %v", f.name, event)
	f.say("sees the new channel with %s", peer.name)
}

func (f *feed) message(id nodeservice.ChannelID, seq nodeservice.Seq, text string) {
	event := next[nodeservice.MessageEvent](f)
	m := event.Message
	expect(event.Channel == id && m.Seq == seq && string(m.Payload) == text,
		"%s's stream has %d: %q, not %d: %q", f.name, m.Seq, m.Payload, seq, text)
	f.say("receives %d: %q", seq, text)
}

// ack waits until the node says that it is durable: the node may die next.
func (f *feed) ack(id nodeservice.ChannelID, through nodeservice.Seq) {
	must(f.stream.Ack(f.story.ctx, id, through))
	event := next[nodeservice.AckedEvent](f)
	expect(event.Channel == id && event.Through == through, "%s's stream has %v", f.name, event)
	f.say("acknowledges through %d", through)
}

// lost expects the stream to end without the node's having said so.
func (f *feed) lost() {
	_, err := f.stream.Next(f.story.ctx)
	expect(nodeservice.CodeOf(err) == nodeservice.CodeUnavailable, "%s's stream ends with %v", f.name, err)
	f.say("loses the connection")
}
