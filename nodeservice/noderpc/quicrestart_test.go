package noderpc_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync/atomic"
	"testing"

	"github.com/quic-go/quic-go"

	"github.com/quicproquo/node/nodeservice/noderpc"
)

// mortalSocket sends nothing any more once its process is said to be dead.
type mortalSocket struct {
	net.PacketConn
	dead atomic.Bool
}

func (s *mortalSocket) WriteTo(p []byte, to net.Addr) (int, error) {
	if s.dead.Load() {
		return len(p), nil
	}
	return s.PacketConn.WriteTo(p, to)
}

// TestARestartedNodeSaysSo: a client of a node that died without a word hears from the
// one that comes back that its connection is gone, and so need not wait for a timeout.
func TestARestartedNodeSaysSo(t *testing.T) {
	secret := []byte("of this node alone")
	first := listenAgain(t, "127.0.0.1:0", secret)
	conn := first.raw(t)
	stream, err := conn.OpenStreamSync(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ours := first.dial(t)
	if _, err := ours.Info(t.Context()); err != nil {
		t.Fatal(err)
	}
	first.socket.dead.Store(true)
	first.stop()
	listenAgain(t, first.address, secret)
	if _, err := stream.Write(make([]byte, 100)); err != nil { // smaller packets are not answered
		t.Fatal(err)
	}
	<-conn.Context().Done()
	if err := context.Cause(conn.Context()); !errors.As(err, new(*quic.StatelessResetError)) {
		t.Errorf("the connection ended with %v", err)
	}
	_, _ = ours.Info(t.Context())
	<-ours.Done()
}

// mortalServer is a quicServer whose socket can die.
type mortalServer struct {
	*quicServer
	socket *mortalSocket
	stop   func()
}

func listenAgain(t *testing.T, address string, secret []byte) *mortalServer {
	t.Helper()
	socket, err := net.ListenPacket("udp", address)
	if err != nil {
		t.Fatal(err)
	}
	m := &mortalServer{socket: &mortalSocket{PacketConn: socket}}
	m.quicServer, m.stop = overSocket(t, noderpc.NewServer(noderpc.ServerConfig{
		Node: &scriptedNode{}, Log: slog.New(slog.DiscardHandler), QUICSecret: secret,
	}), m.socket)
	t.Cleanup(m.stop)
	return m
}
