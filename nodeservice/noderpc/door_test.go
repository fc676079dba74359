package noderpc_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/quicproquo/node/nodeservice"
)

func TestEveryMethodReachesTheSession(t *testing.T) {
	node := &scriptedNode{}
	var enqueued nodeservice.EnqueueRequest
	var fetched nodeservice.FetchRequest
	peer := newIdentity(t)
	page := nodeservice.Page{
		Messages: []nodeservice.Message{{Seq: 4, ReceivedAt: 9, Payload: []byte("x")}},
		Head:     5, Acked: 2, Floor: 3, More: true,
		Gap: &nodeservice.Gap{From: 3, To: 3, Reason: nodeservice.GapExpired},
	}
	view := nodeservice.ChannelView{ID: channel, Peer: peer, CreatedAt: 1, Head: 2, Acked: 1, Unread: 1}
	node.session = scriptedSession{
		enqueue: func(_ context.Context, r nodeservice.EnqueueRequest) (nodeservice.Receipt, error) {
			enqueued = r
			return nodeservice.Receipt{Seq: 3, ReceivedAt: 4, Duplicate: true}, nil
		},
		fetch: func(_ context.Context, r nodeservice.FetchRequest) (nodeservice.Page, error) {
			fetched, fetched.Consumer = r, nil
			return page, nil
		},
		channel: func(_ context.Context, id nodeservice.ChannelID) (nodeservice.ChannelView, error) {
			if id != channel {
				return nodeservice.ChannelView{}, nodeservice.Errorf(nodeservice.CodeChannelNotFound, "none of yours")
			}
			return view, nil
		},
		renew: func(_ context.Context, token string) (nodeservice.UnixMilli, error) {
			return nodeservice.UnixMilli(len(token)), nil
		},
	}
	_, address := serve(t, node, noLimits)
	s := authenticate(t, dial(t, address))
	ctx := t.Context()

	head := nodeservice.Seq(0)
	receipt, err := s.Enqueue(ctx, nodeservice.EnqueueRequest{
		Channel: channel, Recipient: peer, Payload: []byte("hello"), MessageID: []byte("m"), IfHead: &head,
	})
	if err != nil || receipt != (nodeservice.Receipt{Seq: 3, ReceivedAt: 4, Duplicate: true}) {
		t.Fatalf("enqueue: %+v, %v", receipt, err)
	}
	if enqueued.Channel != channel || enqueued.Recipient != peer || string(enqueued.Payload) != "hello" ||
		string(enqueued.MessageID) != "m" || enqueued.IfHead == nil || *enqueued.IfHead != 0 || enqueued.Legacy {
		t.Fatalf("enqueue arrived as %+v", enqueued)
	}
	got, err := s.Fetch(ctx, nodeservice.FetchRequest{
		Channel: channel, After: 1, Limit: 1000, MaxBytes: 1 << 30, AckThrough: 2, Wait: nodeservice.MaxWait * 2,
	})
	if err != nil || fmt.Sprintf("%+v %+v", got, *got.Gap) != fmt.Sprintf("%+v %+v", withGap(page, got.Gap), *page.Gap) {
		t.Fatalf("fetch: %+v, %v", got, err)
	}
	want := nodeservice.FetchRequest{
		Channel: channel, After: 1, Limit: nodeservice.MaxFetch, MaxBytes: nodeservice.MaxFetchBytes,
		AckThrough: 2, Wait: nodeservice.MaxWait,
	}
	if fetched != want {
		t.Fatalf("fetch arrived as %+v, want %+v", fetched, want)
	}
	if _, err := s.Fetch(ctx, nodeservice.FetchRequest{Legacy: true, Drain: true}); err != nil {
		t.Fatal(err)
	}
	if want := (nodeservice.FetchRequest{Legacy: true, Drain: true}); fetched != want {
		t.Fatalf("fetch arrived as %+v, want %+v", fetched, want)
	}
	if found, err := s.Channel(ctx, channel); err != nil || found != view {
		t.Fatalf("channel: %+v, %v", found, err)
	}
	_, err = s.Channel(ctx, nodeservice.ChannelID{9})
	wantCode(t, err, nodeservice.CodeChannelNotFound)
	if expiresAt, err := s.Renew(ctx, "123"); err != nil || expiresAt != 3 || s.ExpiresAt() != 3 {
		t.Fatalf("renew: %v, %v", expiresAt, err)
	}
}

func withGap(p nodeservice.Page, gap *nodeservice.Gap) nodeservice.Page {
	p.Gap = gap // compared by value elsewhere
	return p
}

func TestLoginInfoAndChallenge(t *testing.T) {
	node := &scriptedNode{origins: make(chan nodeservice.Origin, 1)}
	node.session.enqueue = func(context.Context, nodeservice.EnqueueRequest) (nodeservice.Receipt, error) {
		return nodeservice.Receipt{Seq: 1}, nil
	}
	_, address := serve(t, node, noLimits)
	c := dial(t, address)
	id := newIdentity(t)
	challenge, err := c.Challenge(t.Context(), nodeservice.Origin{}, id)
	if err != nil || string(challenge.Nonce) != "nonce" || challenge.Audience != "audience" || challenge.ExpiresAt != 7 {
		t.Fatalf("challenge: %+v, %v", challenge, err)
	}
	if from := <-node.origins; from.Door != "capnp" || !from.Address.IsLoopback() || from.Version != 1 {
		t.Fatalf("origin: %+v", from)
	}
	l, err := c.Login(t.Context(), nodeservice.Origin{}, nodeservice.LoginRequest{Identity: id, Nonce: challenge.Nonce})
	if err != nil || l.Token != tokenOf(id) || l.ExpiresAt != 99 || l.Session.Identity() != id {
		t.Fatalf("login: %+v, %v", l, err)
	}
	if _, err := l.Session.Enqueue(t.Context(), nodeservice.EnqueueRequest{Channel: channel, Payload: []byte{1}}); err != nil {
		t.Fatal(err)
	}
	if err := l.Session.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = c.Login(t.Context(), nodeservice.Origin{}, nodeservice.LoginRequest{Identity: id})
	wantCode(t, err, nodeservice.CodeUnauthenticated)
	info, err := c.Info(t.Context())
	wantInfo, _ := node.Info(t.Context())
	if err != nil || fmt.Sprint(info) != fmt.Sprint(wantInfo) {
		t.Fatalf("info: %+v, %v", info, err)
	}
}

func TestAPanicFailsItsCallAlone(t *testing.T) {
	node := &scriptedNode{} // without scripts every operation panics
	node.session.ack = func(context.Context, nodeservice.AckRequest) error { return nil }
	_, address := serve(t, node, noLimits)
	s := authenticate(t, dial(t, address))
	for range 3 {
		_, err := s.Enqueue(t.Context(), nodeservice.EnqueueRequest{Channel: channel, Payload: []byte{1}})
		wantCode(t, err, nodeservice.CodeInternal)
		_, err = s.Follow(t.Context(), nodeservice.FollowRequest{})
		wantCode(t, err, nodeservice.CodeInternal)
		if err := s.Ack(t.Context(), nodeservice.AckRequest{Channel: channel, Through: 1}); err != nil {
			t.Fatal(err) // on the same connection, the same capability, the same lane
		}
	}
}

func TestErrorsArriveWhole(t *testing.T) {
	head := nodeservice.Seq(17)
	sent := &nodeservice.Error{
		Code: nodeservice.CodePreconditionFailed, Detail: "the head moved", RetryAfter: 1500000, Head: &head,
		MinVersion: 1, MaxVersion: 2, Cause: context.Canceled,
	}
	node := &scriptedNode{}
	node.session.ack = func(context.Context, nodeservice.AckRequest) error { return sent }
	_, address := serve(t, node, noLimits)
	err := authenticate(t, dial(t, address)).Ack(t.Context(), nodeservice.AckRequest{Channel: channel})
	got := nodeservice.AsError(err)
	if got.Code != sent.Code || got.Detail != sent.Detail || *got.Head != head || got.MinVersion != 1 ||
		got.MaxVersion != 2 || got.RetryAfter.Milliseconds() != 2 || got.Cause != nil {
		t.Fatalf("%+v arrived as %+v", sent, got)
	}
}

// TestOrder: calls on one queue run in the order in which they were made, calls
// on different queues do not wait for one another.
func TestOrder(t *testing.T) {
	var mu sync.Mutex
	var order []byte
	blocked, release := make(chan struct{}), make(chan struct{})
	node := &scriptedNode{}
	node.session.enqueue = func(ctx context.Context, r nodeservice.EnqueueRequest) (nodeservice.Receipt, error) {
		if r.Channel != channel {
			return nodeservice.Receipt{}, nil
		}
		if r.Payload[0] == 0 {
			close(blocked)
			<-release
		}
		mu.Lock()
		defer mu.Unlock()
		order = append(order, r.Payload[0])
		return nodeservice.Receipt{}, nil
	}
	_, address := serve(t, node, noLimits)
	raw := rawDial(t, address)
	session := raw.authenticate(newIdentity(t))
	var pending []func() error
	const n = 100
	for i := range n {
		pending = append(pending, session.enqueue(channel, []byte{byte(i)}))
	}
	<-blocked
	if err := session.enqueue(nodeservice.ChannelID{7}, []byte{1})(); err != nil {
		t.Fatal(err) // another queue is not blocked
	}
	close(release)
	for _, done := range pending {
		if err := done(); err != nil {
			t.Fatal(err)
		}
	}
	if len(order) != n || !slices.IsSorted(order) {
		t.Fatalf("ran in the order %v", order)
	}
}
