package node_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/goleak"

	"github.com/quicproquo/node/gateway"
	"github.com/quicproquo/node/gateway/gatewayclient"
	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/identity"
	"github.com/quicproquo/node/nodeservice/noderpc"
	"github.com/quicproquo/node/nodeservice/nodetest"
	"github.com/quicproquo/node/nodeservice/pebblestore"
	"github.com/quicproquo/node/nodeservice/redisstore"
	"github.com/quicproquo/node/nodeservice/redisstore/redistest"
	"github.com/quicproquo/node/nodeservice/storetest/model"
	"github.com/quicproquo/node/openapi/openapitest"
)

// TestBehaviours tries what clients may rely on through every door, on every engine;
// through a gateway that stands apart on one, since that knows of a node what the
// native door shows.
func TestBehaviours(t *testing.T) {
	leaks := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, leaks) })
	nodetest.Run(t,
		[]nodetest.Door{
			{Name: "direct", Serve: direct, Has: nodetest.Drain | nodetest.Legacy | nodetest.Recipient |
				nodetest.MaxBytes | nodetest.Window | nodetest.Origins | nodetest.Held | nodetest.Proofs},
			{Name: "capnp", Serve: native, Has: nodetest.Drain | nodetest.Legacy | nodetest.Recipient |
				nodetest.MaxBytes | nodetest.Window | nodetest.Native | nodetest.Held},
			{Name: "http", Serve: overHTTP, Has: nodetest.HTTP | nodetest.Proofs},
		},
		[]nodetest.Engine{
			{Name: "model", Open: openModel},
			{Name: "pebble", Open: openPebble},
		},
		append(version0,
			nodetest.Behaviour{Name: "a version above ours is refused with the range we speak, and the connection kept",
				Needs: nodetest.Native, Run: refusesNewerVersion},
			nodetest.Behaviour{Name: "version 1 is answered in page, and version 0 in payloads, never both",
				Needs: nodetest.Native, Run: answersByVersion},
		)...,
	)
	nodetest.Run(t, []nodetest.Door{{Name: "apart", Serve: apart, Has: nodetest.HTTP | nodetest.Proofs}},
		[]nodetest.Engine{{Name: "pebble", Open: openPebble}})
}

// TestBehavioursOnRedis tries them on one server through both doors, and on a
// cluster of three shards at the core: what an engine could spoil there does not
// depend on the door.
func TestBehavioursOnRedis(t *testing.T) {
	leaks := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, leaks) })
	core := nodetest.Door{Name: "direct", Serve: direct, Has: nodetest.Drain | nodetest.Legacy | nodetest.Recipient |
		nodetest.MaxBytes | nodetest.Window | nodetest.Origins | nodetest.Held | nodetest.Proofs}
	nodetest.Run(t,
		[]nodetest.Door{
			core,
			{Name: "capnp", Serve: native, Has: nodetest.Drain | nodetest.Legacy | nodetest.Recipient |
				nodetest.MaxBytes | nodetest.Window | nodetest.Native | nodetest.Held},
			{Name: "http", Serve: overHTTP, Has: nodetest.HTTP | nodetest.Proofs},
		},
		[]nodetest.Engine{{Name: "redis", Open: onRedis(t, redistest.Start(t).URL())}},
	)
	nodetest.Run(t, []nodetest.Door{core},
		[]nodetest.Engine{{Name: "redis cluster", Open: onRedis(t, redistest.StartCluster(t, 0).URL())}})
}

// onRedis opens stores that share a Redis and a connection pool, each with keys of
// its own.
func onRedis(t *testing.T, url string) func(*testing.T) nodeservice.Store {
	client, err := redisstore.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closing(t, client) })
	var opened atomic.Int64
	return func(t *testing.T) nodeservice.Store {
		store, err := redisstore.Open(t.Context(), redisstore.Config{Client: client, Namespace: fmt.Sprintf("n%d", opened.Add(1))})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { closing(t, store) })
		return store
	}
}

func openModel(t *testing.T) nodeservice.Store {
	store := model.New()
	t.Cleanup(func() { closing(t, store) })
	return store
}

func openPebble(t *testing.T) nodeservice.Store {
	store, err := pebblestore.Open("node", pebblestore.Options{FS: vfs.NewMem(), CacheBytes: 1 << 20, MemTableBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closing(t, store) })
	return store
}

func closing(t *testing.T, c interface{ Close() error }) {
	if err := c.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
}

// direct is no door at all: the core itself.
func direct(_ *testing.T, core *nodeservice.Service, _ *slog.Logger) nodetest.Served {
	return nodetest.Served{
		Dial:  func(*testing.T) nodeservice.Node { return core },
		Prove: func(_ *testing.T, key *identity.PrivateKey) nodeservice.Node { return proving{core, key} },
		Present: func(_ *testing.T, proof func(method, url string) string) nodeservice.Node {
			return presenting{core, proof}
		},
		Stop: func() {},
	}
}

// native is Cap'n Proto on a loopback socket.
func native(t *testing.T, core *nodeservice.Service, log *slog.Logger) nodetest.Served {
	server := noderpc.NewServer(noderpc.ServerConfig{Node: core, Log: log})
	listener := listen(t)
	stop := nodetest.Serving(func() { _ = server.Serve(context.Background(), listener) }, func() { closing(t, server) })
	t.Cleanup(stop)
	return nodetest.Served{
		Addr: listener.Addr().String(),
		Stop: stop,
		Dial: func(t *testing.T) nodeservice.Node {
			client, err := noderpc.Dial(t.Context(), "tcp", listener.Addr().String(), nil)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { closing(t, client) })
			return client
		},
	}
}

// overHTTP is the gateway on a loopback socket.
func overHTTP(t *testing.T, core *nodeservice.Service, log *slog.Logger) nodetest.Served {
	return gatewayTo(t, core, log)
}

// apart is the gateway standing apart: in front of the native door, on a socket
// that only gateways can open.
func apart(t *testing.T, core *nodeservice.Service, log *slog.Logger) nodetest.Served {
	server := noderpc.NewServer(noderpc.ServerConfig{Node: core, Log: log})
	dir, err := os.MkdirTemp("", "qpq") // t.TempDir is too long for the name of a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	listener, err := net.Listen("unix", filepath.Join(dir, "node"))
	if err != nil {
		t.Fatal(err)
	}
	stopNode := nodetest.Serving(func() { _ = server.ServeTrusted(context.Background(), listener) }, func() { closing(t, server) })
	node := noderpc.NewGatewayNode(noderpc.GatewayNodeConfig{Log: log, Dial: func(ctx context.Context) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", listener.Addr().String())
	}})
	if err := node.Connected(t.Context()); err != nil {
		t.Fatal(err)
	}
	served := gatewayTo(t, node, log)
	stopGateway := served.Stop
	served.Stop = func() { stopGateway(); closing(t, node); stopNode() }
	t.Cleanup(served.Stop)
	return served
}

func gatewayTo(t *testing.T, node nodeservice.Node, log *slog.Logger) nodetest.Served {
	door, err := gateway.New(gateway.Config{Node: node, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	listener := listen(t)
	server := gateway.NewServer(openapitest.Contract(t, door), log)
	stop := nodetest.Serving(func() { _ = server.Serve(listener) }, func() { closing(t, door); closing(t, server) })
	t.Cleanup(stop)
	return nodetest.Served{
		Addr: listener.Addr().String(),
		Stop: stop,
		Dial: func(t *testing.T) nodeservice.Node {
			return dialHTTP(t, listener, gatewayclient.Config{})
		},
		Prove: func(t *testing.T, key *identity.PrivateKey) nodeservice.Node {
			return dialHTTP(t, listener, gatewayclient.Config{Key: key})
		},
		Present: func(t *testing.T, proof func(method, url string) string) nodeservice.Node {
			return dialHTTP(t, listener, gatewayclient.Config{HTTPClient: presentingHTTP(t, proof)})
		},
	}
}

func listen(t *testing.T) net.Listener {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return listener
}
