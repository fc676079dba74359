package gatewayclient_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/quicproquo/node/gateway"
	"github.com/quicproquo/node/gateway/gatewayclient"
	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/identity"
	"github.com/quicproquo/node/nodeservice/mls"
	"github.com/quicproquo/node/nodeservice/storetest/model"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const audience = "https://node.example"

// world is a core behind a gateway on a real socket, and a client of it.
type world struct {
	t       *testing.T
	ctx     context.Context
	core    *nodeservice.Service
	gateway *gateway.Gateway
	node    *gatewayclient.Client
}

func newWorld(t *testing.T, change func(*nodeservice.Config)) *world {
	keys, err := identity.GenerateSigningKeys()
	must(t, err)
	cfg := nodeservice.Config{
		Store: model.New(), Secret: bytes.Repeat([]byte{7}, 32), Keys: keys,
		PublicURL: audience, Quotas: nodeservice.DefaultQuotas(),
	}
	if change != nil {
		change(&cfg)
	}
	w := &world{t: t}
	w.core, err = nodeservice.New(cfg)
	must(t, err)
	w.gateway, err = gateway.New(gateway.Config{Node: w.core})
	must(t, err)
	server := httptest.NewServer(http.StripPrefix("/below", w.gateway))
	w.node, err = gatewayclient.New(gatewayclient.Config{BaseURL: server.URL + "/below/", MaxRetries: -1})
	must(t, err)
	var cancel context.CancelFunc
	w.ctx, cancel = context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(func() {
		cancel()
		must(t, w.node.Close())
		must(t, w.gateway.Close())
		server.Close()
		must(t, w.core.Close())
	})
	return w
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%v (cause: %v)", err, errors.Unwrap(err))
	}
}

func wantCode(t *testing.T, err error, code nodeservice.Code) *nodeservice.Error {
	t.Helper()
	var e *nodeservice.Error
	if !errors.As(err, &e) || e.Code != code || e.Detail == "" {
		t.Fatalf("got %v, want %s", err, code)
	}
	return e
}

// join is a new identity's session.
func (w *world) join() (nodeservice.Session, nodeservice.Login, *identity.PrivateKey) {
	w.t.Helper()
	key, err := identity.GenerateKey(identity.ES256)
	must(w.t, err)
	login := w.login(key)
	w.t.Cleanup(func() { must(w.t, login.Session.Close()) })
	return login.Session, login, key
}

func (w *world) login(key *identity.PrivateKey) nodeservice.Login {
	w.t.Helper()
	challenge, err := w.node.Challenge(w.ctx, nodeservice.Origin{}, key.Public())
	must(w.t, err)
	if challenge.Audience != audience || challenge.ExpiresAt == 0 {
		w.t.Fatalf("challenge %+v", challenge)
	}
	signature, err := key.Sign(identity.LoginMessage(audience, key.Public(), challenge.Nonce))
	must(w.t, err)
	login, err := w.node.Login(w.ctx, nodeservice.Origin{}, nodeservice.LoginRequest{Identity: key.Public(), Nonce: challenge.Nonce, Signature: signature})
	must(w.t, err)
	return login
}

// pair is two sessions and their channel.
func (w *world) pair() (alice, bob nodeservice.Session, id nodeservice.ChannelID) {
	w.t.Helper()
	alice, _, _ = w.join()
	bob, _, _ = w.join()
	view, created, err := alice.CreateChannel(w.ctx, bob.Identity())
	must(w.t, err)
	if !created || view.Peer != bob.Identity() || view.CreatedAt == 0 {
		w.t.Fatalf("created %v: %+v", created, view)
	}
	return alice, bob, view.ID
}

func (w *world) send(s nodeservice.Session, id nodeservice.ChannelID, payload string) {
	w.t.Helper()
	_, err := s.Enqueue(w.ctx, nodeservice.EnqueueRequest{Channel: id, Payload: []byte(payload)})
	must(w.t, err)
}

func TestInfoIsTheCores(t *testing.T) {
	w := newWorld(t, nil)
	got, err := w.node.Info(w.ctx)
	must(t, err)
	want, err := w.core.Info(w.ctx)
	must(t, err)
	if got.Audience != want.Audience || got.MaxPayload != want.MaxPayload || got.MaxWait != want.MaxWait ||
		got.Durability != want.Durability || !bytes.Equal(got.JWKS, want.JWKS) || len(got.Capabilities) != len(want.Capabilities) ||
		got.Legacy != want.Legacy || got.MaxVersion != want.MaxVersion || got.MaxFetch != want.MaxFetch || got.ServerTime == 0 {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestSessions(t *testing.T) {
	w := newWorld(t, nil)
	alice, login, key := w.join()
	if alice.Identity() != key.Public() || alice.ExpiresAt() != login.ExpiresAt {
		t.Errorf("identity %v, expires %v", alice.Identity(), alice.ExpiresAt())
	}
	core, err := w.core.Authenticate(w.ctx, nodeservice.Origin{}, login.Token)
	must(t, err)
	if core.ExpiresAt() != login.ExpiresAt {
		t.Errorf("expires at %v, the core says %v", login.ExpiresAt, core.ExpiresAt())
	}
	again, err := w.node.Authenticate(w.ctx, nodeservice.Origin{}, login.Token)
	must(t, err)
	_, err = again.KeyPackageStatus(w.ctx)
	must(t, err)

	newer := w.login(key)
	expires, err := again.Renew(w.ctx, newer.Token)
	must(t, err)
	if expires != newer.ExpiresAt || again.ExpiresAt() != expires {
		t.Errorf("renewed until %v, want %v", expires, newer.ExpiresAt)
	}
	_, other, _ := w.join()
	_, err = again.Renew(w.ctx, other.Token)
	wantCode(t, err, nodeservice.CodePermissionDenied)
	_, err = again.Renew(w.ctx, "garbage")
	wantCode(t, err, nodeservice.CodeUnauthenticated)
	_, err = again.Renew(w.ctx, newer.Token+"A")
	wantCode(t, err, nodeservice.CodeUnauthenticated)
	_, err = w.node.Authenticate(w.ctx, nodeservice.Origin{}, "a.b.c")
	wantCode(t, err, nodeservice.CodeUnauthenticated)

	must(t, again.Revoke(w.ctx))
	_, err = again.KeyPackageStatus(w.ctx)
	wantCode(t, err, nodeservice.CodeUnauthenticated)
	_, err = alice.KeyPackageStatus(w.ctx)
	must(t, err)
	must(t, alice.Close())
	_, err = alice.KeyPackageStatus(w.ctx)
	wantCode(t, err, nodeservice.CodeUnauthenticated)
}

func TestMessages(t *testing.T) {
	w := newWorld(t, nil)
	alice, bob, id := w.pair()
	head := nodeservice.Seq(0)
	first := nodeservice.EnqueueRequest{Channel: id, Payload: []byte("\x00one"), MessageID: []byte(`"m1"`), IfHead: &head, Recipient: bob.Identity()}
	receipt, err := alice.Enqueue(w.ctx, first)
	must(t, err)
	again, err := alice.Enqueue(w.ctx, first)
	must(t, err)
	if receipt.Seq != 1 || receipt.Duplicate || !again.Duplicate || again.ReceivedAt != receipt.ReceivedAt {
		t.Errorf("%+v, then %+v", receipt, again)
	}
	first.MessageID = []byte("m1") // another id than the quoted one
	_, err = alice.Enqueue(w.ctx, first)
	if e := wantCode(t, err, nodeservice.CodePreconditionFailed); e.Head == nil || *e.Head != 1 {
		t.Errorf("head %v", e.Head)
	}
	w.send(alice, id, "two")
	w.send(alice, id, "three")

	page, err := bob.Fetch(w.ctx, nodeservice.FetchRequest{Channel: id, MaxBytes: 7, Wait: time.Second, Recipient: bob.Identity()})
	must(t, err)
	if len(page.Messages) != 2 || string(page.Messages[0].Payload) != "\x00one" || !page.More || page.Head != 3 || page.Messages[0].ReceivedAt != receipt.ReceivedAt {
		t.Errorf("%+v", page)
	}
	page, err = bob.Fetch(w.ctx, nodeservice.FetchRequest{Channel: id, MaxBytes: 1})
	must(t, err)
	if len(page.Messages) != 1 {
		t.Errorf("one message always passes: %+v", page)
	}
	page, err = bob.Fetch(w.ctx, nodeservice.FetchRequest{Channel: id, AckThrough: 2, After: 1, Limit: 5})
	must(t, err)
	want := nodeservice.Gap{From: 2, To: 2, Reason: nodeservice.GapAcked}
	if len(page.Messages) != 1 || page.Acked != 2 || page.Gap == nil || *page.Gap != want {
		t.Errorf("%+v", page)
	}
	err = bob.Ack(w.ctx, nodeservice.AckRequest{Channel: id, Through: 4})
	if e := wantCode(t, err, nodeservice.CodeInvalidArgument); e.Head == nil || *e.Head != 3 {
		t.Errorf("head %v", e.Head)
	}
	view, err := bob.Channel(w.ctx, id)
	must(t, err)
	if view.Acked != 2 || view.Unread != 1 || view.Peer != alice.Identity() {
		t.Errorf("%+v", view)
	}
}

func TestChannelsComeInPages(t *testing.T) {
	w := newWorld(t, nil)
	alice, _, first := w.pair()
	other, _, _ := w.join()
	second, _, err := alice.CreateChannel(w.ctx, other.Identity())
	must(t, err)
	page, err := alice.Channels(w.ctx, nodeservice.ChannelsRequest{Limit: 1})
	must(t, err)
	if len(page.Channels) != 1 || page.Channels[0].ID != first || page.Next == nil {
		t.Fatalf("%+v", page)
	}
	page, err = alice.Channels(w.ctx, nodeservice.ChannelsRequest{Limit: 1, Cursor: page.Next})
	must(t, err)
	if len(page.Channels) != 1 || page.Channels[0].ID != second.ID || page.Next != nil {
		t.Fatalf("%+v", page)
	}
	page, err = alice.Channels(w.ctx, nodeservice.ChannelsRequest{Peer: other.Identity()})
	must(t, err)
	if len(page.Channels) != 1 || page.Channels[0] != second {
		t.Fatalf("%+v", page)
	}
}

func TestKeyPackages(t *testing.T) {
	w := newWorld(t, nil)
	alice, _, key := w.join()
	bob, _, _ := w.join()
	now := time.Now()
	built, err := mls.KeyPackageTemplate{
		CipherSuite: 2, Signer: key.Signer(), Credential: []byte("alice"), NotBefore: now.Add(-time.Hour), NotAfter: now.Add(9 * time.Hour),
	}.Build()
	must(t, err)
	prints, err := alice.UploadKeyPackages(w.ctx, nodeservice.UploadRequest{Packages: [][]byte{built.Bytes}, LastResort: true})
	must(t, err)
	claimed, err := bob.ClaimKeyPackage(w.ctx, nodeservice.ClaimRequest{Owner: alice.Identity(), Suites: []nodeservice.CipherSuite{2}, ClaimID: []byte{0}})
	must(t, err)
	if len(prints) != 1 || claimed.Fingerprint != prints[0] || !bytes.Equal(claimed.Data, built.Bytes) || !claimed.LastResort || claimed.CipherSuite != 2 {
		t.Errorf("%v, %+v", prints, claimed)
	}
	stock, err := alice.KeyPackageStatus(w.ctx)
	must(t, err)
	if want := (nodeservice.KeyPackageStock{CipherSuite: 2, LastResort: true, LastResortUses: 1}); len(stock) != 1 || stock[0] != want {
		t.Errorf("%+v", stock)
	}
	_, err = alice.ClaimKeyPackage(w.ctx, nodeservice.ClaimRequest{Owner: bob.Identity()})
	wantCode(t, err, nodeservice.CodeKeyPackageNotFound)
}

// What HTTP has no words for is refused before anything is sent.
func TestRefusedHere(t *testing.T) {
	w := newWorld(t, nil)
	alice, bob, id := w.pair()
	_, err := alice.Enqueue(w.ctx, nodeservice.EnqueueRequest{Legacy: true, Recipient: bob.Identity(), Payload: []byte("x")})
	wantCode(t, err, nodeservice.CodeInvalidArgument)
	_, err = alice.Fetch(w.ctx, nodeservice.FetchRequest{Legacy: true})
	wantCode(t, err, nodeservice.CodeInvalidArgument)
	_, err = alice.Fetch(w.ctx, nodeservice.FetchRequest{Channel: id, Drain: true})
	wantCode(t, err, nodeservice.CodeInvalidArgument)
	wantCode(t, alice.Ack(w.ctx, nodeservice.AckRequest{Legacy: true}), nodeservice.CodeInvalidArgument)
	_, err = alice.Follow(w.ctx, nodeservice.FollowRequest{Window: nodeservice.Window{Messages: 1}})
	wantCode(t, err, nodeservice.CodeInvalidArgument)
	for _, bad := range []string{"", "a b", "ä", strings.Repeat("x", 65)} {
		_, err = alice.Enqueue(w.ctx, nodeservice.EnqueueRequest{Channel: id, Payload: []byte("x"), MessageID: []byte(bad)})
		wantCode(t, err, nodeservice.CodeInvalidArgument)
	}
	_, err = alice.UploadKeyPackages(w.ctx, nodeservice.UploadRequest{AnyLength: true})
	wantCode(t, err, nodeservice.CodeInvalidArgument)
	_, err = alice.ClaimKeyPackage(w.ctx, nodeservice.ClaimRequest{})
	wantCode(t, err, nodeservice.CodeInvalidArgument)

	// A recipient's key is judged after membership.
	_, err = alice.Enqueue(w.ctx, nodeservice.EnqueueRequest{Channel: id, Payload: []byte("x"), Recipient: alice.Identity()})
	wantCode(t, err, nodeservice.CodePermissionDenied)
	_, err = bob.Fetch(w.ctx, nodeservice.FetchRequest{Channel: id, Recipient: alice.Identity()})
	wantCode(t, err, nodeservice.CodePermissionDenied)
	stranger, _, _ := w.join()
	_, err = stranger.Fetch(w.ctx, nodeservice.FetchRequest{Channel: id, Recipient: alice.Identity()})
	wantCode(t, err, nodeservice.CodeChannelNotFound)
	_, err = stranger.Fetch(w.ctx, nodeservice.FetchRequest{})
	wantCode(t, err, nodeservice.CodeChannelNotFound)
}

func TestErrorsKeepWhatTheyCarry(t *testing.T) {
	w := newWorld(t, func(c *nodeservice.Config) { c.Rates.Identity = nodeservice.Rate{PerSecond: 0.1, Burst: 1} })
	alice, _, _ := w.join()
	_, err := alice.KeyPackageStatus(w.ctx)
	must(t, err)
	_, err = alice.KeyPackageStatus(w.ctx)
	if e := wantCode(t, err, nodeservice.CodeRateLimited); e.RetryAfter <= 0 || e.RetryAfter > 10*time.Second {
		t.Errorf("retry after %v", e.RetryAfter)
	}
	_, err = alice.Follow(w.ctx, nodeservice.FollowRequest{})
	if e := wantCode(t, err, nodeservice.CodeRateLimited); e.RetryAfter <= 0 {
		t.Errorf("a stream's retry after %v", e.RetryAfter)
	}
}

func TestNoGatewayThere(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	must(t, listener.Close())
	answers := map[int]nodeservice.Code{200: nodeservice.CodeInternal, 404: nodeservice.CodeInternal, 502: nodeservice.CodeUnavailable}
	for status, code := range answers {
		proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = w.Write([]byte("<html>"))
		}))
		c, err := gatewayclient.New(gatewayclient.Config{BaseURL: proxy.URL, MaxRetries: -1})
		must(t, err)
		_, err = c.Info(context.Background())
		wantCode(t, err, code)
		must(t, c.Close())
		proxy.Close()
	}
	c, err := gatewayclient.New(gatewayclient.Config{BaseURL: "http://" + listener.Addr().String(), MaxRetries: -1})
	must(t, err)
	_, err = c.Info(context.Background())
	wantCode(t, err, nodeservice.CodeUnavailable)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err = c.Info(ctx)
	if wantCode(t, err, nodeservice.CodeUnavailable); !errors.Is(err, context.Canceled) {
		t.Errorf("the cause is %v", errors.Unwrap(err))
	}
	for _, base := range []string{"", "node.example", "ftp://node.example", "http://"} {
		if _, err := gatewayclient.New(gatewayclient.Config{BaseURL: base}); err == nil {
			t.Errorf("%q is taken for a base URL", base)
		}
	}
}
