package schema_test

import (
	"context"
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/identity"
	"github.com/quicproquo/node/nodeservice/noderpc"
	"github.com/quicproquo/node/nodeservice/nodetest"
	"github.com/quicproquo/node/nodeservice/pebblestore"
)

// peerAudience is what the clients of schema/testdata are configured for.
const peerAudience = "https://node.example"

// peerNode is a node that they talk with, through three listeners.
type peerNode struct {
	core        *nodeservice.Service
	plain       *net.TCPAddr
	socket      string
	tls         *net.TCPAddr
	certificate string // the file of
	keys        *identity.SigningKeys
	written     chan int // what is written to connections, in bytes, while there is room
}

// newPeerNode lets a connection hold few sessions, so that a client that does not
// release them is found out.
func newPeerNode(t *testing.T) *peerNode {
	keys, err := identity.GenerateSigningKeys()
	if err != nil {
		t.Fatal(err)
	}
	store, err := pebblestore.Open("node", pebblestore.Options{FS: vfs.NewMem(), CacheBytes: 1 << 20, MemTableBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closing(t, store) })
	n := &peerNode{keys: keys, written: make(chan int, 64)}
	n.core, err = nodeservice.New(nodeservice.Config{
		Store: store, Secret: make([]byte, 32), Keys: keys, PublicURL: peerAudience,
		Quotas: nodeservice.DefaultQuotas(), Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	running, cancel := context.WithCancel(context.Background())
	t.Cleanup(func() { closing(t, n.core) })
	t.Cleanup(nodetest.Serving(func() { _ = n.core.Run(running) }, cancel))
	server := noderpc.NewServer(noderpc.ServerConfig{Node: n.core, Limits: noderpc.Limits{Sessions: 16}})
	t.Cleanup(func() { closing(t, server) })
	n.listen(t, server)
	return n
}

func (n *peerNode) listen(t *testing.T, server *noderpc.Server) {
	dir, err := os.MkdirTemp("", "qpq") // t.TempDir is too long for the name of a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	bound, err := net.Listen("unix", filepath.Join(dir, "node"))
	if err != nil {
		t.Fatal(err)
	}
	var plain, encrypted, socket net.Listener = watched{loopback(t), n}, watched{loopback(t), n}, watched{bound, n}
	certificate := nodetest.Certificate(t)
	n.plain, n.tls = plain.Addr().(*net.TCPAddr), encrypted.Addr().(*net.TCPAddr)
	n.socket, n.certificate = socket.Addr().String(), filepath.Join(dir, "certificate.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Certificate[0]})
	if err := os.WriteFile(n.certificate, block, 0o600); err != nil {
		t.Fatal(err)
	}
	encrypted = tls.NewListener(noderpc.WatchEnds(encrypted), &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{certificate}})
	for _, listener := range []net.Listener{plain, socket, encrypted} {
		t.Cleanup(nodetest.Serving(func() { _ = server.Serve(context.Background(), listener) }, func() { _ = listener.Close() }))
	}
}

func loopback(t *testing.T) net.Listener {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return listener
}

func closing(t *testing.T, c io.Closer) {
	if err := c.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
}

// watched is a listener whose connections tell what is written to them.
type watched struct {
	net.Listener
	node *peerNode
}

func (l watched) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	return watchedConn{conn, l.node}, err
}

type watchedConn struct {
	net.Conn
	node *peerNode
}

func (c watchedConn) Write(data []byte) (int, error) {
	n, err := c.Conn.Write(data)
	select {
	case c.node.written <- n:
	default: // nobody waits for it
	}
	return n, err
}

// waitWritten returns once so many bytes have been written to connections.
func (n *peerNode) waitWritten(t *testing.T, bytes int) {
	t.Helper()
	for bytes > 0 {
		select {
		case more := <-n.written:
			bytes -= more
		case <-t.Context().Done():
			t.Fatal("nothing more is written")
		}
	}
}

// people are the identities of one run, by the names that the clients know.
type people map[string]*identity.PrivateKey

func newPeople(t *testing.T) people {
	all := people{}
	for _, name := range []string{"alice", "bob"} {
		key, err := identity.GenerateKey(identity.EdDSA)
		if err != nil {
			t.Fatal(err)
		}
		all[name] = key
	}
	return all
}

func (n *peerNode) token(t *testing.T, of *identity.PrivateKey) string {
	t.Helper()
	issuer := identity.NewIssuer(identity.IssuerConfig{URL: peerAudience, Keys: n.keys, TTL: 15 * time.Minute})
	token, _, err := issuer.Mint(of.Public(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// session is a person's, past the doors.
func (n *peerNode) session(t *testing.T, of *identity.PrivateKey) nodeservice.Session {
	t.Helper()
	session, err := n.core.Authenticate(t.Context(), nodeservice.Origin{Door: "direct"}, n.token(t, of))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = session.Close() })
	return session
}

// fill puts messages into bob's queue of before channels, from as many senders as
// it takes.
func (n *peerNode) fill(t *testing.T, who people, messages int) {
	t.Helper()
	var sender nodeservice.Session
	for i := range messages {
		if i%100 == 0 {
			sender = n.session(t, newPeople(t)["alice"])
		}
		_, err := sender.Enqueue(t.Context(), nodeservice.EnqueueRequest{
			Legacy: true, Recipient: who["bob"].Public(), Payload: fmt.Appendf(nil, "%500d", i),
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// waitEmpty returns once nothing is left in bob's queue of before channels, which
// is soon after a client showed that it has what it drained.
func (n *peerNode) waitEmpty(t *testing.T, who people) {
	t.Helper()
	bob := n.session(t, who["bob"])
	for deadline := time.Now().Add(time.Minute); ; {
		page, err := bob.Fetch(t.Context(), nodeservice.FetchRequest{Legacy: true})
		if err != nil {
			t.Fatal(err)
		}
		if len(page.Messages) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d messages are left", len(page.Messages))
		}
	}
}
