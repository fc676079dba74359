package noderpc_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"capnproto.org/go/capnp/v3/rpc"

	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/noderpc"
	"github.com/quicproquo/node/schema"
)

// halfConn is a connection in memory of which one side can end alone.
type halfConn struct {
	io.Reader
	io.Writer
	closeAll func()
}

func (c halfConn) Close() error                     { c.closeAll(); return nil }
func (c halfConn) LocalAddr() net.Addr              { return &net.UnixAddr{} }
func (c halfConn) RemoteAddr() net.Addr             { return &net.UnixAddr{} }
func (c halfConn) SetDeadline(time.Time) error      { return nil }
func (c halfConn) SetReadDeadline(time.Time) error  { return nil }
func (c halfConn) SetWriteDeadline(time.Time) error { return nil }

// memory is a listener in memory.
type memory struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newMemory() *memory { return &memory{conns: make(chan net.Conn), closed: make(chan struct{})} }

func (m *memory) Accept() (net.Conn, error) {
	select {
	case conn := <-m.conns:
		return conn, nil
	case <-m.closed:
		return nil, net.ErrClosed
	}
}

func (m *memory) Close() error   { m.once.Do(func() { close(m.closed) }); return nil }
func (m *memory) Addr() net.Addr { return &net.UnixAddr{} }

// connect opens a connection: what the client writes, up to its end, and what the
// server answers, up to when it has closed the connection.
func (m *memory) connect() (toServer *io.PipeWriter, fromServer *io.PipeReader) {
	fromClient, toServer := io.Pipe()
	fromServer, toClient := io.Pipe()
	m.conns <- halfConn{fromClient, toClient, func() { _ = fromClient.Close(); _ = toClient.Close() }}
	return toServer, fromServer
}

// client is one of ours; what it sends is recorded.
func (m *memory) client(tb testing.TB, recorded io.Writer) net.Conn {
	toServer, fromServer := m.connect()
	return halfConn{fromServer, io.MultiWriter(recorded, toServer), func() { _ = toServer.Close(); _ = fromServer.Close() }}
}

// FuzzReceive gives a server what clients really send, and what becomes of it when
// it is mutated. Whatever comes, the connection ends when the client's side does, and
// another client is served.
func FuzzReceive(f *testing.F) {
	node := talkativeNode()
	server := noderpc.NewServer(noderpc.ServerConfig{
		Node: node, Log: slog.New(slog.DiscardHandler), MaxPayload: 64 << 10,
		Limits: noderpc.Limits{PipelinedMaximum: 20 * time.Millisecond, StrangerBytes: 2 << 20, ConnectionBytes: 4 << 20},
	})
	ln := newMemory()
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(context.Background(), ln) })
	f.Cleanup(func() { _ = server.Close(); serving.Wait() })
	for _, seed := range conversations(f, ln) { // beside those of testdata, with other identities
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, sent []byte) {
		toServer, fromServer := ln.connect()
		var reading sync.WaitGroup
		reading.Go(func() { _, _ = io.Copy(io.Discard, fromServer) }) // until the server has closed
		_, _ = toServer.Write(sent)                                   // fails if it closes before
		_ = toServer.Close()
		reading.Wait()
		honest, err := noderpc.NewClient(t.Context(), ln.client(t, io.Discard))
		if err == nil {
			_, err = honest.Info(t.Context())
			_ = honest.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
	})
}

// talkativeNode answers everything at once.
func talkativeNode() *scriptedNode {
	node := &scriptedNode{}
	message := nodeservice.Message{Seq: 1, Payload: []byte("payload")}
	node.session = scriptedSession{
		enqueue: func(context.Context, nodeservice.EnqueueRequest) (nodeservice.Receipt, error) {
			return nodeservice.Receipt{Seq: 1}, nil
		},
		fetch: func(context.Context, nodeservice.FetchRequest) (nodeservice.Page, error) {
			return nodeservice.Page{Messages: []nodeservice.Message{message}}, nil
		},
		ack: func(context.Context, nodeservice.AckRequest) error { return nil },
		follow: func(context.Context, nodeservice.FollowRequest) (nodeservice.Stream, error) {
			return newScriptedStream(nodeservice.CaughtUpEvent{}, nodeservice.MessageEvent{Channel: channel, Message: message}), nil
		},
		channels: func(context.Context, nodeservice.ChannelsRequest) (nodeservice.ChannelList, error) {
			return nodeservice.ChannelList{}, nil
		},
		channel: func(context.Context, nodeservice.ChannelID) (nodeservice.ChannelView, error) {
			return nodeservice.ChannelView{}, nodeservice.Errorf(nodeservice.CodeChannelNotFound, "none")
		},
		upload: func(context.Context, nodeservice.UploadRequest) ([]nodeservice.Fingerprint, error) {
			return []nodeservice.Fingerprint{{1}}, nil
		},
		claim: func(context.Context, nodeservice.ClaimRequest) (nodeservice.KeyPackage, error) {
			return nodeservice.KeyPackage{}, nodeservice.Errorf(nodeservice.CodeKeyPackageNotFound, "none")
		},
		renew:  func(context.Context, string) (nodeservice.UnixMilli, error) { return 99, nil },
		revoke: func(context.Context) error { return nil },
	}
	return node
}

// conversations are what clients send: ours, one of version 0, and one that
// pipelines all it can.
func conversations(f *testing.F, ln *memory) [][]byte {
	var ours, old bytes.Buffer
	converse(f, ln.client(f, &ours))
	converseOld(f, ln.client(f, &old))
	s := &script{t: f}
	s.bootstrap(0)
	s.call(1, 0, -1, methodAuthenticate, authParams(tokenOf(newIdentity(f))))
	s.call(2, 1, 0, methodInfo, nil)
	s.call(3, 1, 7, methodInfo, nil)
	s.call(4, 3, 0, methodAuthenticate, nil)
	s.finish(4)
	s.finish(1)
	hasty := &script{t: f} // answers events before they are sent
	hasty.bootstrap(0)
	hasty.call(1, 0, -1, methodAuthenticate, authParams(tokenOf(newIdentity(f))))
	hasty.with([]uint32{0, 1}, 2, 1, 0, methodFollow, followParams)
	hasty.returns(0)
	hasty.finish(2)
	return [][]byte{ours.Bytes(), old.Bytes(), s.sent, hasty.sent}
}

func converse(f *testing.F, conn net.Conn) {
	ctx := context.Background()
	c, err := noderpc.NewClient(ctx, conn)
	if err != nil {
		f.Fatal(err)
	}
	defer c.Close()
	id := newIdentity(f)
	_, err = c.Info(ctx)
	challenge, err2 := c.Challenge(ctx, nodeservice.Origin{}, id)
	login, err3 := c.Login(ctx, nodeservice.Origin{}, nodeservice.LoginRequest{Identity: id, Nonce: challenge.Nonce})
	if err := errors.Join(err, err2, err3); err != nil {
		f.Fatal(err)
	}
	s := login.Session
	head := nodeservice.Seq(7)
	_, err = s.Enqueue(ctx, nodeservice.EnqueueRequest{Channel: channel, Payload: []byte("hello"), MessageID: []byte("m"), IfHead: &head})
	_, err2 = s.Fetch(ctx, nodeservice.FetchRequest{Channel: channel, Limit: 3, AckThrough: 1})
	_, err3 = s.Fetch(ctx, nodeservice.FetchRequest{Channel: channel, Wait: time.Second, Drain: true})
	err4 := s.Ack(ctx, nodeservice.AckRequest{Channel: channel, Through: 1})
	_, err5 := s.Channels(ctx, nodeservice.ChannelsRequest{})
	_, err6 := s.UploadKeyPackages(ctx, nodeservice.UploadRequest{Packages: [][]byte{{1}, {2}}})
	_, _ = s.ClaimKeyPackage(ctx, nodeservice.ClaimRequest{Owner: newIdentity(f), ClaimID: []byte("c")}) // there is none
	stream, err7 := s.Follow(ctx, nodeservice.FollowRequest{})
	if err := errors.Join(err, err2, err3, err4, err5, err6, err7); err != nil {
		f.Fatal(err)
	}
	_, err = stream.Next(ctx)
	_, err2 = s.Renew(ctx, tokenOf(id))
	if err := errors.Join(err, err2, stream.Close(), s.Revoke(ctx), s.Close()); err != nil {
		f.Fatal(err)
	}
}

func converseOld(f *testing.F, conn net.Conn) {
	ctx := context.Background()
	c := rpc.NewConn(rpc.NewStreamTransport(conn), nil)
	defer c.Close()
	old := schema.NodeService(c.Bootstrap(ctx)) // whose parameters begin as version 0's do
	if err := old.Resolve(ctx); err != nil {
		f.Fatal(err)
	}
	id := newIdentity(f)
	auth := func(newAuth func() (schema.Auth, error)) error { return withToken(newAuth, tokenOf(id)) }
	stored, release := old.Enqueue(ctx, func(p schema.NodeService_enqueue_Params) error {
		return errors.Join(p.SetRecipientKey(id.Bytes()), p.SetPayload([]byte("hello")), auth(p.NewAuth))
	})
	defer release()
	fetched, release2 := old.FetchWait(ctx, func(p schema.NodeService_fetchWait_Params) error {
		p.SetTimeoutMs(1)
		return errors.Join(p.SetRecipientKey(id.Bytes()), auth(p.NewAuth))
	})
	defer release2()
	_, err := stored.Struct()
	_, err2 := fetched.Struct()
	if err := errors.Join(err, err2); err != nil {
		f.Fatal(err)
	}
}
