package nodeservice_test

import (
	"bytes"
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/identity"
	"github.com/quicproquo/node/nodeservice/storetest/model"
)

// lossyBus loses every hint: what is left is the slow tick.
type lossyBus struct{ nodeservice.LocalBus }

func (*lossyBus) Hint(nodeservice.Hint) {}

const audience = "https://node.example"

func newService(t *testing.T, change func(*nodeservice.Config)) *nodeservice.Service {
	t.Helper()
	keys, err := identity.GenerateSigningKeys()
	if err != nil {
		t.Fatal(err)
	}
	cfg := nodeservice.Config{Store: model.New(), Secret: bytes.Repeat([]byte{7}, 32), Keys: keys, PublicURL: audience}
	change(&cfg)
	service, err := nodeservice.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = service.Close() })
	return service
}

func login(t *testing.T, node nodeservice.Node) nodeservice.Session {
	t.Helper()
	session, _ := loginWithToken(t, node)
	return session
}

func loginWithToken(t *testing.T, node nodeservice.Node) (nodeservice.Session, string) {
	t.Helper()
	_, done := newcomer(t, node)
	return done.Session, done.Token
}

// newcomer is the key of a new identity, and its first login.
func newcomer(t *testing.T, node nodeservice.Node) (*identity.PrivateKey, nodeservice.Login) {
	t.Helper()
	key, err := identity.GenerateKey(identity.EdDSA)
	if err != nil {
		t.Fatal(err)
	}
	done, err := loginAgain(t, node, key, false)
	if err != nil {
		t.Fatal(err)
	}
	return key, done
}

func loginAgain(t *testing.T, node nodeservice.Node, key *identity.PrivateKey, revokeOlder bool) (nodeservice.Login, error) {
	t.Helper()
	challenge, err := node.Challenge(t.Context(), nodeservice.Origin{}, key.Public())
	if err != nil {
		t.Fatal(err)
	}
	signature, err := key.Sign(identity.LoginMessage(audience, key.Public(), challenge.Nonce))
	if err != nil {
		t.Fatal(err)
	}
	return node.Login(t.Context(), nodeservice.Origin{}, nodeservice.LoginRequest{
		Identity: key.Public(), Nonce: challenge.Nonce, Signature: signature, RevokeOlder: revokeOlder,
	})
}

// TestLosingEveryHintCostsOnlyTime: with the bus silent, the slow tick brings
// the new channel, its message and the acknowledgement to a stream, and a
// message to a waiting fetch.
func TestLosingEveryHintCostsOnlyTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		node := newService(t, func(c *nodeservice.Config) { c.Bus, c.Tick = &lossyBus{}, 5*time.Second })
		alice, bob := login(t, node), login(t, node)
		stream := follow(t, bob)
		wantEvent[nodeservice.CaughtUpEvent](t, stream)

		view, _, err := alice.CreateChannel(t.Context(), bob.Identity())
		if err != nil {
			t.Fatal(err)
		}
		send(t, alice, view.ID, "first")
		wantEvent[nodeservice.ChannelEvent](t, stream)
		if got := wantEvent[nodeservice.MessageEvent](t, stream); string(got.Message.Payload) != "first" {
			t.Fatalf("the stream brought %q", got.Message.Payload)
		}

		go func() {
			time.Sleep(7 * time.Second)
			send(t, alice, view.ID, "second")
		}()
		page, err := bob.Fetch(t.Context(), nodeservice.FetchRequest{Channel: view.ID, After: 1, Wait: time.Minute})
		if err != nil || len(page.Messages) != 1 {
			t.Fatalf("the waiting fetch got %+v, %v", page, err)
		}
		if err := bob.Ack(t.Context(), nodeservice.AckRequest{Channel: view.ID, Through: 2}); err != nil {
			t.Fatal(err)
		}
		// The stream reads before it hears of the acknowledgement, or after.
		for {
			event, err := stream.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if acked, ok := event.(nodeservice.AckedEvent); ok && acked.Through == 2 {
				return
			}
		}
	})
}

// TestChannelsAreServedInTurn: a channel with much to say does not keep another
// waiting, and holds at most a quarter of the window.
func TestChannelsAreServedInTurn(t *testing.T) {
	node := newService(t, func(*nodeservice.Config) {})
	bob := login(t, node)
	loud, quiet := login(t, node), login(t, node)
	for range 100 {
		send(t, loud, channel(t, loud, bob), "noise")
	}
	send(t, quiet, channel(t, quiet, bob), "a word")
	stream := follow(t, bob)
	want := channel(t, quiet, bob)
	noise := 0
	for {
		if got := wantEvent[nodeservice.MessageEvent](t, stream); got.Channel == want {
			break
		}
		noise++
	}
	if noise > nodeservice.DefaultWindow.Messages/4 {
		t.Errorf("%d messages of one channel came before the other's turn", noise)
	}
	for ; noise < nodeservice.DefaultWindow.Messages/4; noise++ {
		wantEvent[nodeservice.MessageEvent](t, stream)
	}
	wantNothing(t, stream)
}

// meanwhileStore lets something happen before the next read.
type meanwhileStore struct {
	nodeservice.Store
	happens func()
}

func (s *meanwhileStore) Read(ctx context.Context, req nodeservice.Read) (nodeservice.QueuePage, error) {
	if happens := s.happens; happens != nil {
		s.happens = nil
		happens()
	}
	return s.Store.Read(ctx, req)
}

// TestAnAcknowledgementIsToldBeforeWhatItLetsPass: also where it is found by the very
// read that brings the message.
func TestAnAcknowledgementIsToldBeforeWhatItLetsPass(t *testing.T) {
	store := &meanwhileStore{Store: model.New()}
	node := newService(t, func(cfg *nodeservice.Config) { cfg.Store = store })
	alice, bob := login(t, node), login(t, node)
	id := channel(t, alice, bob)
	send(t, alice, id, "first")
	send(t, alice, id, "second")
	stream, err := bob.Follow(t.Context(), nodeservice.FollowRequest{Channel: id, Window: nodeservice.Window{Messages: 1}})
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	wantEvent[nodeservice.MessageEvent](t, stream)
	store.happens = func() {
		if err := bob.Ack(t.Context(), nodeservice.AckRequest{Channel: id, Through: 1}); err != nil {
			t.Error(err)
		}
	}
	wantEvent[nodeservice.AckedEvent](t, stream)
	if second := wantEvent[nodeservice.MessageEvent](t, stream); string(second.Message.Payload) != "second" {
		t.Errorf("after the acknowledgement came %q", second.Message.Payload)
	}
}

// TestStreamGoesOnAfterItsReadersPatienceEnded: a Next whose context ends loses
// nothing.
func TestStreamGoesOnAfterItsReadersPatienceEnded(t *testing.T) {
	node := newService(t, func(*nodeservice.Config) {})
	alice, bob := login(t, node), login(t, node)
	stream := follow(t, bob)
	wantEvent[nodeservice.CaughtUpEvent](t, stream)
	wantNothing(t, stream)
	send(t, alice, channel(t, alice, bob), "still there?")
	wantEvent[nodeservice.ChannelEvent](t, stream)
	wantEvent[nodeservice.MessageEvent](t, stream)
}

func follow(t *testing.T, s nodeservice.Session) nodeservice.Stream {
	t.Helper()
	stream, err := s.Follow(t.Context(), nodeservice.FollowRequest{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = stream.Close() })
	return stream
}

func wantEvent[E nodeservice.Event](t *testing.T, stream nodeservice.Stream) E {
	t.Helper()
	event, err := stream.Next(t.Context())
	want, ok := event.(E)
	if err != nil || !ok {
		t.Fatalf("the stream brought %T %v, %v, not %T", event, event, err, want)
	}
	return want
}

// wantNothing asks with a context that has ended already.
func wantNothing(t *testing.T, stream nodeservice.Stream) {
	t.Helper()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if event, err := stream.Next(ended); err != context.Canceled {
		t.Fatalf("the stream brought %T %v, %v, not nothing", event, event, err)
	}
}

func channel(t *testing.T, s, peer nodeservice.Session) nodeservice.ChannelID {
	t.Helper()
	view, _, err := s.CreateChannel(t.Context(), peer.Identity())
	if err != nil {
		t.Fatal(err)
	}
	return view.ID
}

func send(t *testing.T, s nodeservice.Session, id nodeservice.ChannelID, text string) {
	t.Helper()
	if _, err := s.Enqueue(t.Context(), nodeservice.EnqueueRequest{Channel: id, Payload: []byte(text)}); err != nil {
		t.Error(err)
	}
}
