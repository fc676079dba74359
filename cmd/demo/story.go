package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/quicproquo/node/cmd/internal/nodeprocess"
	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/identity"
	"github.com/quicproquo/node/nodeservice/mls"
)

// story is the demo's plot. What happens otherwise than told ends it, by a
// panic that run turns into its error: a plot has no use for error handling.
type story struct {
	ctx         context.Context
	out         io.Writer
	binary, dir string

	node    *nodeprocess.Process // nil: not running
	closers []func()
}

// unexpected ends the story.
type unexpected struct{ error }

// must ends the story unless err is nil.
func must(err error) {
	if err != nil {
		panic(unexpected{err})
	}
}

// expect ends the story unless ok.
func expect(ok bool, format string, args ...any) {
	if !ok {
		panic(unexpected{fmt.Errorf("unexpected: "+format, args...)})
	}
}

func (s *story) say(format string, args ...any) {
	_, err := fmt.Fprintf(s.out, format+"\n", args...)
	must(err)
}

// tell is the plot.
func (s *story) tell() {
	s.startNode()
	alice := s.person("Alice", identity.EdDSA, native)
	bob := s.person("Bob", identity.ES256, web)
	alice.login()
	bob.login()

	s.say("\n-- Bob leaves key packages for whoever wants to write to him; Alice does")
	bob.uploadKeyPackages(2)
	alice.claimKeyPackage(bob)
	feed := bob.follow()
	feed.caughtUp()
	channel := alice.open(bob)
	alice.send(channel, "a Welcome to our group", 1)
	alice.send(channel, "hello Bob", 2)

	s.say("\n-- Bob's WebSocket tells him of the new channel")
	feed.channel(channel, alice)
	feed.message(channel, 1, "a Welcome to our group")
	feed.message(channel, 2, "hello Bob")
	feed.ack(channel, 1)
	bob.send(channel, "hello Alice", 3)
	alice.fetchWait(channel, 3, "hello Alice")

	s.say("\n-- A third identity knows the channel's id, and nothing else")
	mallory := s.person("Mallory", identity.EdDSA, web)
	mallory.login()
	mallory.isRefused(channel)

	s.say("\n-- The node is killed. Bob has acknowledged 1, Alice nothing")
	s.killNode()
	feed.lost()
	s.startNode()
	alice.reconnect()
	bob.reconnect()
	feed = bob.follow()
	feed.message(channel, 2, "hello Bob")
	feed.caughtUp()
	feed.ack(channel, 2)
	alice.fetchWait(channel, 3, "hello Alice")
	alice.ack(channel, 3)
	alice.send(channel, "still there?", 4)
	feed.message(channel, 4, "still there?")

	s.say("\n-- The node is stopped")
	s.stopNode()
	s.say("\nEverything happened as told.")
}

func (s *story) startNode() {
	log, err := os.OpenFile(filepath.Join(s.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	must(err)
	defer log.Close() // the process has its own
	s.node, err = nodeprocess.Start(s.ctx, s.binary, filepath.Join(s.dir, "data"), log, "--public-url", publicURL, "--min-free", "0%")
	if err != nil {
		said, _ := os.ReadFile(log.Name())
		err = fmt.Errorf("%w\n%s", err, said)
	}
	must(err)
	s.say("qpqd    is ready: native at %s, HTTP at %s", s.node.RPC, s.node.HTTP)
}

func (s *story) killNode() {
	s.node.Kill()
	s.node = nil
	s.say("qpqd    killed (SIGKILL)")
}

func (s *story) stopNode() {
	must(s.node.Stop())
	s.node = nil
	s.say("qpqd    stopped gracefully (SIGTERM), exit code 0")
}

// end closes backwards what is still open.
func (s *story) end() {
	for _, closeIt := range slices.Backward(s.closers) {
		closeIt()
	}
	if s.node != nil {
		s.node.Kill()
	}
}

func (p *person) uploadKeyPackages(n int) {
	packages := make([][]byte, n)
	for i := range packages {
		built, err := p.keyPackage().Build()
		must(err)
		packages[i] = built.Bytes
	}
	_, err := p.session.UploadKeyPackages(p.story.ctx, nodeservice.UploadRequest{Packages: packages})
	must(err)
	p.say("uploads %d MLS key packages of %d bytes", n, len(packages[0]))
}

func (p *person) claimKeyPackage(owner *person) {
	claimed, err := p.session.ClaimKeyPackage(p.story.ctx, nodeservice.ClaimRequest{Owner: owner.key.Public()})
	must(err)
	parsed, err := mls.ParseKeyPackage(claimed.Data)
	must(err)
	expect(string(parsed.SignatureKey) == owner.key.Public().Raw(), "the key package is not %s's", owner.name)
	p.say("claims one of %s's key packages: signed by %s, one-time, cipher suite %d", owner.name, owner.name, claimed.CipherSuite)
}

func (p *person) open(peer *person) nodeservice.ChannelID {
	view, created, err := p.session.CreateChannel(p.story.ctx, peer.key.Public())
	must(err)
	expect(created, "the channel was there already")
	p.say("opens channel %s with %s", view.ID, peer.name)
	return view.ID
}

func (p *person) send(channel nodeservice.ChannelID, text string, seq nodeservice.Seq) {
	receipt, err := p.session.Enqueue(p.story.ctx, nodeservice.EnqueueRequest{Channel: channel, Payload: []byte(text)})
	must(err)
	expect(receipt.Seq == seq, "%s's message got seq %d, not %d", p.name, receipt.Seq, seq)
	p.say("sends %d: %q", seq, text)
}

func (p *person) fetchWait(channel nodeservice.ChannelID, seq nodeservice.Seq, text string) {
	page, err := p.session.Fetch(p.story.ctx, nodeservice.FetchRequest{Channel: channel, Wait: nodeservice.MaxWait})
	must(err)
	expect(len(page.Messages) == 1 && page.Messages[0].Seq == seq && string(page.Messages[0].Payload) == text,
		"%s fetched %v, not %d: %q", p.name, page.Messages, seq, text)
	p.say("fetches %d: %q", seq, text)
}

func (p *person) ack(channel nodeservice.ChannelID, through nodeservice.Seq) {
	must(p.session.Ack(p.story.ctx, nodeservice.AckRequest{Channel: channel, Through: through}))
	p.say("acknowledges through %d", through)
}

// isRefused tries everything that a member may do.
func (p *person) isRefused(channel nodeservice.ChannelID) {
	_, fetch := p.session.Fetch(p.story.ctx, nodeservice.FetchRequest{Channel: channel})
	_, send := p.session.Enqueue(p.story.ctx, nodeservice.EnqueueRequest{Channel: channel, Payload: []byte("hi")})
	ack := p.session.Ack(p.story.ctx, nodeservice.AckRequest{Channel: channel, Through: 1})
	for operation, err := range map[string]error{"fetch": fetch, "send": send, "ack": ack} {
		expect(nodeservice.CodeOf(err) == nodeservice.CodeChannelNotFound, "%s's %s gave %v", p.name, operation, err)
	}
	var refusal *nodeservice.Error
	expect(errors.As(fetch, &refusal), "%v", fetch)
	p.say("may not fetch, send or acknowledge: %s", refusal)
}
