package noderpc_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http/httptest"
	"testing"
	"time"

	"capnproto.org/go/capnp/v3"
	"golang.org/x/sync/errgroup"

	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/noderpc"
	"github.com/quicproquo/node/schema"
	"github.com/quicproquo/node/schema/testdata/schema0"
)

func TestACancelledWaitStopsItsHandler(t *testing.T) {
	began, ended := make(chan struct{}), make(chan struct{})
	node := &scriptedNode{}
	node.session.fetch = func(ctx context.Context, _ nodeservice.FetchRequest) (nodeservice.Page, error) {
		close(began)
		<-ctx.Done()
		close(ended)
		return nodeservice.Page{}, ctx.Err()
	}
	_, address := serve(t, node, noLimits)
	s := authenticate(t, dial(t, address))
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-began; cancel() }()
	_, err := s.Fetch(ctx, nodeservice.FetchRequest{Channel: channel, Wait: time.Minute})
	wantCode(t, err, nodeservice.CodeUnavailable)
	<-ended
}

// TestAWaitHoldsUpNothing: the same capability answers while it waits.
func TestAWaitHoldsUpNothing(t *testing.T) {
	waiting := make(chan struct{})
	node := &scriptedNode{}
	node.session.fetch = func(ctx context.Context, r nodeservice.FetchRequest) (nodeservice.Page, error) {
		if r.Wait > 0 {
			close(waiting)
			<-ctx.Done()
		}
		return nodeservice.Page{}, ctx.Err()
	}
	srv, address := serve(t, node, noLimits)
	s := authenticate(t, dial(t, address))
	done := make(chan error)
	go func() {
		_, err := s.Fetch(t.Context(), nodeservice.FetchRequest{Channel: channel, Wait: time.Minute})
		done <- err
	}()
	<-waiting
	if _, err := s.Fetch(t.Context(), nodeservice.FetchRequest{Channel: channel}); err != nil {
		t.Fatal(err)
	}
	if err := srv.Shutdown(t.Context()); err != nil { // ends waits, with a hint
		t.Fatal(err)
	}
	err := <-done
	wantCode(t, err, nodeservice.CodeUnavailable)
	if nodeservice.AsError(err).RetryAfter == 0 {
		t.Fatalf("no hint when to come back: %v", err)
	}
}

func TestAClosedConnectionEndsItsSessionsAndCalls(t *testing.T) {
	began, ended := make(chan struct{}), make(chan struct{})
	node := &scriptedNode{}
	stream := newScriptedStream(nodeservice.CaughtUpEvent{})
	node.session.follow = func(context.Context, nodeservice.FollowRequest) (nodeservice.Stream, error) {
		return stream, nil
	}
	node.session.fetch = func(ctx context.Context, _ nodeservice.FetchRequest) (nodeservice.Page, error) {
		close(began)
		<-ctx.Done()
		close(ended)
		return nodeservice.Page{}, ctx.Err()
	}
	srv, address := serve(t, node, noLimits)
	c := dial(t, address)
	s := authenticate(t, c)
	f, err := s.Follow(t.Context(), nodeservice.FollowRequest{})
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		_, _ = s.Fetch(context.Background(), nodeservice.FetchRequest{Channel: channel, Wait: time.Minute})
	}()
	<-began
	c.Close()
	<-ended
	<-stream.closed
	if _, err := f.Next(t.Context()); err != nil {
		t.Fatal(err) // what had come before is still read
	}
	_, err = f.Next(t.Context())
	wantCode(t, err, nodeservice.CodeUnavailable)
	_, err = c.Info(t.Context())
	wantCode(t, err, nodeservice.CodeUnavailable)
	if err := srv.Close(); err != nil {
		t.Fatal(err)
	}
	if open := node.sessions.Load(); open != 0 {
		t.Fatalf("%d sessions are still open", open)
	}
}

// TestASinkThatNeverAnswersHoldsUpNoEnd: its stream stops at the window, and its
// connection still ends.
func TestASinkThatNeverAnswersHoldsUpNoEnd(t *testing.T) {
	node := &scriptedNode{}
	events := make([]nodeservice.Event, 50)
	for i := range events {
		events[i] = nodeservice.CaughtUpEvent{}
	}
	stream := newScriptedStream(events...)
	node.session.follow = func(context.Context, nodeservice.FollowRequest) (nodeservice.Stream, error) {
		return stream, nil
	}
	srv, address := serve(t, node, noLimits)
	session := rawDial(t, address).authenticate(newIdentity(t))
	sink := &deafSink{called: make(chan struct{}, len(events))}
	_, release := session.node.Follow(context.Background(), func(p schema.NodeService_follow_Params) error {
		p.SetVersion(1)
		p.SetWindow(4)
		return p.SetSink(schema.EventSink_ServerToClient(sink))
	})
	defer func() { go release() }() // returns with the connection
	for range 4 {
		<-sink.called
	}
	if left := len(stream.events); left < len(events)-5 { // four out, one pulled
		t.Fatalf("%d events went out with a window of 4", len(events)-left)
	}
	if err := srv.Close(); err != nil {
		t.Fatal(err)
	}
	<-stream.closed
}

// deafSink takes events and answers none.
type deafSink struct{ called chan struct{} }

func (s *deafSink) Event(ctx context.Context, call schema.EventSink_event) error {
	call.Go()
	s.called <- struct{}{}
	<-ctx.Done()
	return ctx.Err()
}

func TestEventsArriveWhole(t *testing.T) {
	peer := newIdentity(t)
	sent := []nodeservice.Event{
		nodeservice.ChannelEvent{Channel: nodeservice.ChannelView{ID: channel, Peer: peer, CreatedAt: 1, Head: 2, Acked: 1, Unread: 3}},
		nodeservice.GapEvent{Channel: channel, Gap: nodeservice.Gap{From: 1, To: 2, Reason: nodeservice.GapRestored}},
		nodeservice.CaughtUpEvent{},
		nodeservice.AckedEvent{Channel: channel, Through: 8},
		nodeservice.KeyPackagesLowEvent{Stock: nodeservice.KeyPackageStock{
			CipherSuite: 3, OneTime: 4, SoonestExpiry: 5, LastResort: true, LastResortUses: 6}},
		nodeservice.TokenExpiringEvent{ExpiresAt: 77},
		nodeservice.DrainingEvent{RetryAfter: 3 * time.Second},
	}
	stream := newScriptedStream(sent...)
	close(stream.events)
	node := &scriptedNode{}
	node.session.follow = func(context.Context, nodeservice.FollowRequest) (nodeservice.Stream, error) {
		return stream, nil
	}
	_, address := serve(t, node, noLimits)
	f, err := authenticate(t, dial(t, address)).Follow(t.Context(), nodeservice.FollowRequest{})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, want := range sent {
		if got, err := f.Next(t.Context()); err != nil || got != want {
			t.Fatalf("%+v arrived as %+v, %v", want, got, err)
		}
	}
	_, err = f.Next(t.Context())
	wantCode(t, err, nodeservice.CodeTokenExpired)
}

func TestTooManySessionsOnAConnection(t *testing.T) {
	node := &scriptedNode{}
	srv, address := serve(t, node, noderpc.Limits{Sessions: 2})
	c := dial(t, address)
	authenticate(t, c)
	authenticate(t, c)
	_, err := c.Authenticate(t.Context(), nodeservice.Origin{}, tokenOf(newIdentity(t)))
	wantCode(t, err, nodeservice.CodeQuotaExceeded)
	srv.Close()
	if open := node.sessions.Load(); open != 0 {
		t.Fatalf("%d sessions are still open", open)
	}
}

// TestTooManyWaitsOnAConnection: those beyond its memory are refused, and what does not
// wait goes on.
func TestTooManyWaitsOnAConnection(t *testing.T) {
	node := &scriptedNode{}
	node.session.fetch = func(ctx context.Context, r nodeservice.FetchRequest) (page nodeservice.Page, err error) {
		if r.Wait > 0 {
			<-ctx.Done()
			err = ctx.Err()
		}
		return page, err
	}
	_, address := serve(t, node, noderpc.Limits{ConnectionBytes: 1 << 20})
	s := authenticate(t, dial(t, address))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	const waits = 100
	for range waits {
		go func() {
			_, err := s.Fetch(ctx, nodeservice.FetchRequest{Channel: channel, Wait: nodeservice.MaxWait})
			ended <- err
		}()
	}
	wantCode(t, <-ended, nodeservice.CodeQuotaExceeded)
	if _, err := s.Fetch(ctx, nodeservice.FetchRequest{Channel: channel}); err != nil {
		t.Error(err)
	}
	cancel()
	for range waits - 1 {
		<-ended
	}
}

func TestANewerVersionIsRefusedAndTheConnectionKept(t *testing.T) {
	_, address := serve(t, &scriptedNode{}, noLimits)
	c := rawDial(t, address)
	for version, want := range map[uint16]nodeservice.Code{2: "unsupportedVersion", 1: "", 0: ""} {
		future, release := c.node.Info(t.Context(), func(p schema.NodeService_info_Params) error {
			p.SetVersion(version)
			return nil
		})
		res, err := future.Struct()
		if err != nil {
			t.Fatal(err)
		}
		err = resultError(res)
		release()
		if got := nodeservice.CodeOf(err); got != want {
			t.Errorf("version %d: %v", version, err)
		}
	}
}

func TestVersion0(t *testing.T) {
	node := &scriptedNode{}
	var fetched nodeservice.FetchRequest
	node.session.fetch = func(_ context.Context, r nodeservice.FetchRequest) (nodeservice.Page, error) {
		fetched, fetched.Consumer = r, nil
		return nodeservice.Page{Messages: []nodeservice.Message{{Seq: 1, Payload: []byte("a")}, {Seq: 2, Payload: []byte("b")}}}, nil
	}
	id := newIdentity(t)
	node.session.upload = func(_ context.Context, r nodeservice.UploadRequest) ([]nodeservice.Fingerprint, error) {
		if !r.AnyLength || r.LastResort || len(r.Packages) != 1 {
			t.Errorf("upload arrived as %+v", r)
		}
		if r.Owner != id {
			return nil, nodeservice.Errorf(nodeservice.CodePermissionDenied, "key packages are uploaded for oneself")
		}
		return []nodeservice.Fingerprint{{1}}, nil
	}
	_, address := serve(t, node, noLimits)
	old := schema0.NodeService(capnp.Client(rawDial(t, address).node))
	token := func(newAuth func() (schema0.Auth, error)) error {
		auth, err := newAuth()
		return errors.Join(err, auth.SetAccessToken([]byte(tokenOf(id))))
	}

	future, release := old.Fetch(t.Context(), func(p schema0.NodeService_fetch_Params) error { return token(p.NewAuth) })
	defer release()
	res, err := future.Struct()
	if err != nil {
		t.Fatal(err)
	}
	payloads, err := res.Payloads()
	if err != nil || payloads.Len() != 2 {
		t.Fatalf("%v, %v", payloads, err)
	}
	if second, err := payloads.At(1); err != nil || string(second) != "b" {
		t.Fatalf("%q, %v", second, err)
	}
	if want := (nodeservice.FetchRequest{Legacy: true, Drain: true}); fetched != want {
		t.Fatalf("fetch arrived as %+v", fetched)
	}

	upload, release := old.UploadKeyPackage(t.Context(), func(p schema0.NodeService_uploadKeyPackage_Params) error {
		return errors.Join(token(p.NewAuth), p.SetIdentityKey(newIdentity(t).Bytes()))
	})
	defer release()
	if _, err := upload.Struct(); err == nil || !containsAll(err.Error(), "permission_denied", "for oneself") {
		t.Fatalf("another's key package: %v", err)
	}
	upload, release = old.UploadKeyPackage(t.Context(), func(p schema0.NodeService_uploadKeyPackage_Params) error {
		return errors.Join(token(p.NewAuth), p.SetIdentityKey(id.Bytes()), p.SetPackage([]byte("kp")))
	})
	defer release()
	if _, err := upload.Struct(); err != nil {
		t.Fatal(err)
	}

	refused, release := old.Fetch(t.Context(), nil)
	defer release()
	if _, err := refused.Struct(); err == nil || !containsAll(err.Error(), "unauthenticated") {
		t.Fatalf("without a token: %v", err)
	}
}

// TestMuchAtOnceIsServedAsItFinishes: answers that do not fit into what a
// connection may hold wait for earlier ones, and the connection lives.
func TestMuchAtOnceIsServedAsItFinishes(t *testing.T) {
	const size, fetches = 512 << 10, 16
	node := &scriptedNode{}
	node.session.fetch = func(context.Context, nodeservice.FetchRequest) (nodeservice.Page, error) {
		return nodeservice.Page{Messages: []nodeservice.Message{{Seq: 1, Payload: make([]byte, size)}}}, nil
	}
	_, address := serve(t, node, noderpc.Limits{ConnectionBytes: 4 * size})
	s := authenticate(t, dial(t, address))
	var group errgroup.Group
	for i := range byte(fetches) {
		group.Go(func() error {
			page, err := s.Fetch(t.Context(), nodeservice.FetchRequest{Channel: nodeservice.ChannelID{i + 1}})
			if err == nil && len(page.Messages[0].Payload) != size {
				err = errors.New("cut short")
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
}

func TestOverTLS(t *testing.T) {
	certified := httptest.NewTLSServer(nil) // for its certificate
	defer certified.Close()
	srv := noderpc.NewServer(noderpc.ServerConfig{Node: &scriptedNode{}})
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		Certificates: certified.TLS.Certificates, MinVersion: tls.VersionTLS13,
	})
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error)
	go func() { served <- srv.Serve(t.Context(), ln) }()
	trusted := x509.NewCertPool()
	trusted.AddCert(certified.Certificate())
	c, err := noderpc.Dial(t.Context(), "tcp", ln.Addr().String(), &tls.Config{RootCAs: trusted})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Info(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.Close()
	_, err = noderpc.Dial(t.Context(), "tcp", ln.Addr().String(), &tls.Config{RootCAs: x509.NewCertPool()})
	wantCode(t, err, nodeservice.CodeUnavailable)
	srv.Close()
	if err := <-served; err != nil {
		t.Fatal(err)
	}
}
