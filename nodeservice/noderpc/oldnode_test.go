package noderpc_test

import (
	"context"
	"errors"
	"net"
	"testing"

	"capnproto.org/go/capnp/v3"
	"capnproto.org/go/capnp/v3/rpc"

	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/noderpc"
	"github.com/quicproquo/node/schema/testdata/schema0"
)

// oldNode is a node from before version 1, made of the frozen schema. It has five
// methods, which a client of today must not even reach: such a node does not see a
// condition or a message id, and would do without.
type oldNode struct{}

var errNotServed = errors.New("this must not be called")

func (oldNode) UploadKeyPackage(context.Context, schema0.NodeService_uploadKeyPackage) error {
	return errNotServed
}

func (oldNode) FetchKeyPackage(context.Context, schema0.NodeService_fetchKeyPackage) error {
	return errNotServed
}

func (oldNode) FetchWait(context.Context, schema0.NodeService_fetchWait) error {
	return errNotServed
}

func (oldNode) Enqueue(context.Context, schema0.NodeService_enqueue) error { return errNotServed }

func (oldNode) Fetch(context.Context, schema0.NodeService_fetch) error { return errNotServed }

// serveOld serves one connection to an oldNode.
func serveOld(t *testing.T, node oldNode) net.Conn {
	ours, theirs := net.Pipe()
	served := rpc.NewConn(rpc.NewStreamTransport(theirs), &rpc.Options{
		BootstrapClient: capnp.Client(schema0.NodeService_ServerToClient(node)),
	})
	t.Cleanup(func() { _ = served.Close() }) // tells that the peer is gone
	return ours
}

// TestANodeOlderThanTheClientIsToldSo: whatever today's client asks of a node of
// version 0 fails with a code and a sentence, and the connection goes on.
func TestANodeOlderThanTheClientIsToldSo(t *testing.T) {
	client, err := noderpc.NewClient(t.Context(), serveOld(t, oldNode{}))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	id := newIdentity(t)
	for range 2 {
		for name, ask := range map[string]func() error{
			"info":      func() error { _, err := client.Info(t.Context()); return err },
			"challenge": func() error { _, err := client.Challenge(t.Context(), nodeservice.Origin{}, id); return err },
			"login": func() error {
				_, err := client.Login(t.Context(), nodeservice.Origin{}, nodeservice.LoginRequest{Identity: id})
				return err
			},
			"authenticate": func() error {
				_, err := client.Authenticate(t.Context(), nodeservice.Origin{}, tokenOf(id))
				return err
			},
		} {
			err := ask()
			if nodeservice.CodeOf(err) != nodeservice.CodeUnsupportedVersion || !containsAll(err.Error(), "older than the client") {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}
