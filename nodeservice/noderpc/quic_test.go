package noderpc_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http/httptest"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/noderpc"
)

// quicServer is a server that is reached over QUIC alone.
type quicServer struct {
	*noderpc.Server
	address string
	trust   *tls.Config // for clients
}

func serveQUIC(t *testing.T, node nodeservice.Node, limits noderpc.Limits) *quicServer {
	t.Helper()
	s := noderpc.NewServer(noderpc.ServerConfig{Node: node, Limits: limits, Log: slog.New(slog.DiscardHandler)})
	return openQUIC(t, s)
}

// openQUIC lets a server be reached over QUIC.
func openQUIC(t *testing.T, server *noderpc.Server) *quicServer {
	t.Helper()
	socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	s, stop := overSocket(t, server, socket)
	t.Cleanup(stop)
	return s
}

// overSocket is openQUIC through a socket of the caller's; stop may be called twice.
func overSocket(t *testing.T, server *noderpc.Server, socket net.PacketConn) (_ *quicServer, stop func()) {
	certified := httptest.NewTLSServer(nil) // for its certificate
	certified.Close()
	trusted := x509.NewCertPool()
	trusted.AddCert(certified.Certificate())
	served := make(chan error, 1)
	go func() {
		served <- server.ServeQUIC(context.Background(), socket, &tls.Config{Certificates: certified.TLS.Certificates, MinVersion: tls.VersionTLS13})
	}()
	return &quicServer{server, socket.LocalAddr().String(), &tls.Config{RootCAs: trusted, MinVersion: tls.VersionTLS13}}, sync.OnceFunc(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
}

func (s *quicServer) dial(t *testing.T) *noderpc.Client {
	t.Helper()
	c, err := noderpc.Dial(t.Context(), "quic", s.address, s.trust)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// raw is a QUIC connection of a client that is not ours.
func (s *quicServer) raw(t *testing.T) *quic.Conn {
	t.Helper()
	config := s.trust.Clone()
	config.NextProtos = []string{"quicproquo/1"}
	remote, err := net.ResolveUDPAddr("udp", s.address)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := udpTransport(t).Dial(t.Context(), remote, config, &quic.Config{MaxIdleTimeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.CloseWithError(0, "") })
	return conn
}

// udpTransport is a socket of its own.
func udpTransport(t *testing.T) *quic.Transport {
	t.Helper()
	socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	transport := &quic.Transport{Conn: socket}
	t.Cleanup(func() { _ = transport.Close(); _ = socket.Close() })
	return transport
}

// streamConn is a stream as a net.Conn.
type streamConn struct {
	*quic.Stream
	conn *quic.Conn
}

func (s streamConn) LocalAddr() net.Addr  { return s.conn.LocalAddr() }
func (s streamConn) RemoteAddr() net.Addr { return s.conn.RemoteAddr() }

// client is one of ours on a new stream of conn.
func client(t *testing.T, conn *quic.Conn) *noderpc.Client {
	t.Helper()
	stream, err := conn.OpenStreamSync(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c, err := noderpc.NewClient(t.Context(), streamConn{stream, conn})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestOverQUIC(t *testing.T) {
	payload := bytes.Repeat([]byte{7}, 2<<20)
	node := &scriptedNode{}
	node.session.enqueue = func(_ context.Context, r nodeservice.EnqueueRequest) (nodeservice.Receipt, error) {
		return nodeservice.Receipt{Seq: nodeservice.Seq(len(r.Payload))}, nil
	}
	node.session.fetch = func(context.Context, nodeservice.FetchRequest) (nodeservice.Page, error) {
		return nodeservice.Page{Messages: []nodeservice.Message{{Seq: 1, Payload: payload}}}, nil
	}
	srv := serveQUIC(t, node, noLimits)
	session := authenticate(t, srv.dial(t))
	receipt, err := session.Enqueue(t.Context(), nodeservice.EnqueueRequest{Channel: channel, Payload: payload})
	if err != nil || int(receipt.Seq) != len(payload) {
		t.Fatal(receipt, err)
	}
	page, err := session.Fetch(t.Context(), nodeservice.FetchRequest{Channel: channel})
	if err != nil || !bytes.Equal(page.Messages[0].Payload, payload) {
		t.Fatal(err)
	}
	_, err = noderpc.Dial(t.Context(), "quic", srv.address, nil) // by the system's certificates
	wantCode(t, err, nodeservice.CodeUnavailable)
	config := srv.trust.Clone()
	config.NextProtos = []string{"h3"}
	if _, err := quic.DialAddr(t.Context(), srv.address, config, nil); err == nil {
		t.Fatal("another protocol was accepted")
	}
	first := srv.raw(t)
	for range 3 { // each stream is a connection
		if _, err := client(t, first).Info(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// TestAClientChangesItsNetwork: calls under way and the session go on from another
// socket, as after a change from one network to another.
func TestAClientChangesItsNetwork(t *testing.T) {
	asked, answer := make(chan struct{}), make(chan struct{})
	node := &scriptedNode{}
	node.session.fetch = func(context.Context, nodeservice.FetchRequest) (nodeservice.Page, error) {
		close(asked)
		<-answer
		return nodeservice.Page{Head: 9}, nil
	}
	node.session.ack = func(context.Context, nodeservice.AckRequest) error { return nil }
	srv := serveQUIC(t, node, noLimits)
	conn := srv.raw(t)
	session := authenticate(t, client(t, conn))
	waiting := make(chan error, 1)
	go func() {
		page, err := session.Fetch(t.Context(), nodeservice.FetchRequest{Channel: channel, Wait: time.Minute})
		if err == nil && page.Head != 9 {
			err = io.ErrUnexpectedEOF
		}
		waiting <- err
	}()
	<-asked
	before := conn.LocalAddr().String()
	path, err := conn.AddPath(udpTransport(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := path.Probe(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := path.Switch(); err != nil {
		t.Fatal(err)
	}
	if err := session.Ack(t.Context(), nodeservice.AckRequest{Channel: channel, Through: 1}); err != nil {
		t.Fatal(err)
	}
	close(answer)
	if err := <-waiting; err != nil {
		t.Fatal(err)
	}
	if after := conn.LocalAddr().String(); after == before {
		t.Fatalf("it still goes by %s", after)
	}
}

// handshakes is FirstMessage in tests that wait for its end: a busy machine has twice
// needed over a second for a handshake, half of which may pass without a packet.
const handshakes = 4 * time.Second

// TestAQUICConnectionWithoutAStreamEnds, and one whose streams have ended.
func TestAQUICConnectionWithoutAStreamEnds(t *testing.T) {
	srv := serveQUIC(t, &scriptedNode{}, noderpc.Limits{FirstMessage: handshakes})
	for name, use := range map[string]func(*testing.T, *quic.Conn){
		"without one": func(*testing.T, *quic.Conn) {},
		"whose stream has ended": func(t *testing.T, conn *quic.Conn) {
			c := client(t, conn)
			if _, err := c.Info(t.Context()); err != nil {
				t.Fatal(err)
			}
			c.Close()
		},
		"whose stream stops in its first message": func(t *testing.T, conn *quic.Conn) {
			stream, err := conn.OpenStreamSync(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := stream.Write(header(5 << 20)); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // since each waits
			conn := srv.raw(t)
			use(t, conn)
			<-conn.Context().Done()
		})
	}
}

func TestQUICIsBounded(t *testing.T) {
	// They are all open at the end, however long it takes to open them.
	srv := serveQUIC(t, &scriptedNode{}, noderpc.Limits{ConnsPerAddress: 20, FirstMessage: 10 * time.Minute})
	conn := srv.raw(t)
	if _, err := conn.OpenUniStream(); err == nil {
		t.Error("it takes streams that carry nothing back")
	}
	if err := conn.SendDatagram([]byte("x")); err == nil {
		t.Error("it takes datagrams")
	}
	for range 16 {
		if _, err := client(t, conn).Info(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := conn.OpenStream(); err == nil {
		t.Error("one connection has more than 16 streams")
	}
	second := srv.raw(t)
	for range 4 {
		client(t, second)
	}
	stream, err := second.OpenStreamSync(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, err = noderpc.NewClient(t.Context(), streamConn{stream, second})
	wantCode(t, err, nodeservice.CodeUnavailable) // 20 streams are 20 connections
	for range 18 {
		srv.raw(t)
	}
	config := srv.trust.Clone()
	config.NextProtos = []string{"quicproquo/1"}
	if _, err := quic.DialAddr(t.Context(), srv.address, config, nil); err == nil {
		t.Error("an address has more than 20 QUIC connections")
	}
}

// TestAPeerThatReadsNothingIsCut: it gives no credit for more, and the server does
// not wait for it for ever.
func TestAPeerThatReadsNothingIsCut(t *testing.T) {
	node := &scriptedNode{}
	node.session.fetch = func(context.Context, nodeservice.FetchRequest) (nodeservice.Page, error) {
		return nodeservice.Page{Messages: []nodeservice.Message{{Seq: 1, Payload: make([]byte, 5<<20)}}}, nil
	}
	srv := serveQUIC(t, node, noderpc.Limits{Write: 100 * time.Millisecond, FirstMessage: handshakes})
	conn := srv.raw(t)
	stream, err := conn.OpenStreamSync(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s := &script{t: t}
	s.bootstrap(0)
	s.call(1, 0, -1, methodAuthenticate, authParams(tokenOf(newIdentity(t))))
	s.call(2, 1, 0, 3, nil) // fetch, on the session
	if _, err := stream.Write(s.sent); err != nil {
		t.Fatal(err)
	}
	<-conn.Context().Done() // first its only stream ends, and then it
}

// TestAFloodOfHandshakes: who begins and does not go on is soon asked to prove its
// address first, is sent little, and leaves nothing behind.
func TestAFloodOfHandshakes(t *testing.T) {
	srv := serveQUIC(t, &scriptedNode{}, noderpc.Limits{FirstMessage: handshakes, Conns: 64})
	honest := srv.dial(t)
	if _, err := honest.Info(t.Context()); err != nil {
		t.Fatal(err)
	}
	const flood = 48
	var packets [flood][]byte // recorded before, so that they all come within one handshake's time
	for i := range packets {
		packets[i] = firstPacket(t, srv)
	}
	goroutines := runtime.NumGoroutine()
	var sockets [flood]net.Conn
	for i := range sockets {
		var err error
		if sockets[i], err = net.Dial("udp", srv.address); err != nil {
			t.Fatal(err)
		}
		defer sockets[i].Close()
		if _, err := sockets[i].Write(packets[i]); err != nil {
			t.Fatal(err)
		}
		if _, err := honest.Info(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	// Without a call meanwhile: of each, the runtime keeps a goroutine for a while.
	for deadline := time.Now().Add(time.Minute); runtime.NumGoroutine() > goroutines; <-time.After(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines, %d before the flood", runtime.NumGoroutine(), goroutines)
		}
	}
	if _, err := honest.Info(t.Context()); err != nil {
		t.Fatal(err)
	}
	retries := 0
	for _, socket := range sockets {
		packets, bytes := received(t, socket)
		if bytes > 3*1280 {
			t.Errorf("an address that proved nothing was sent %d bytes", bytes)
		}
		if packets[0][0]&0xb0 == 0xb0 { // a long header of type Retry (RFC 9000, section 17.2.5)
			retries++
		}
	}
	if retries < flood/4 || retries == flood {
		t.Errorf("%d of %d were asked to prove their address", retries, flood)
	}
	if _, err := srv.dial(t).Info(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// received is all that has come to a socket, one packet at least.
func received(t *testing.T, socket net.Conn) (packets [][]byte, bytes int) {
	t.Helper()
	for {
		packet := make([]byte, 1500)
		if len(packets) > 0 {
			_ = socket.SetReadDeadline(time.Now().Add(time.Millisecond))
		}
		n, err := socket.Read(packet)
		if err != nil && len(packets) > 0 {
			return packets, bytes
		}
		if err != nil {
			t.Fatal(err)
		}
		packets, bytes = append(packets, packet[:n]), bytes+n
	}
}

// firstPacket is what a client sends first, recorded on its way to nobody.
func firstPacket(t *testing.T, srv *quicServer) []byte {
	t.Helper()
	nobody, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer nobody.Close()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = noderpc.Dial(ctx, "quic", nobody.LocalAddr().String(), srv.trust)
	}()
	packet := make([]byte, 1500)
	n, err := nobody.Read(packet)
	cancel()
	<-ended
	if err != nil {
		t.Fatal(err)
	}
	return packet[:n]
}

// TestServeQUICReturnsWhenItsSocketFails: a node must not go on as if it could still be
// reached over QUIC.
func TestServeQUICReturnsWhenItsSocketFails(t *testing.T) {
	socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	certified := httptest.NewTLSServer(nil) // for its certificate
	certified.Close()
	trusted := x509.NewCertPool()
	trusted.AddCert(certified.Certificate())
	server := noderpc.NewServer(noderpc.ServerConfig{Node: &scriptedNode{}})
	defer server.Close()
	served := make(chan error, 1)
	go func() {
		served <- server.ServeQUIC(t.Context(), socket, &tls.Config{Certificates: certified.TLS.Certificates, MinVersion: tls.VersionTLS13})
	}()
	s := &quicServer{server, socket.LocalAddr().String(), &tls.Config{RootCAs: trusted, MinVersion: tls.VersionTLS13}}
	_ = s.raw(t) // it serves
	if err := socket.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-served; !errors.Is(err, net.ErrClosed) {
		t.Errorf("ServeQUIC without a socket returned %v", err)
	}
}
