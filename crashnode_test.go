package node_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"time"

	"github.com/quicproquo/node/gateway"
	"github.com/quicproquo/node/gateway/gatewayclient"
	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/crashtest"
	"github.com/quicproquo/node/nodeservice/identity"
	"github.com/quicproquo/node/nodeservice/noderpc"
)

// servedNode is a node in this process, with both doors on loopback.
type servedNode struct {
	store nodeservice.Store
	core  *nodeservice.Service
	doors []crashtest.Door
	stops []func()
}

// serveStore puts the core and both doors over a store, which it takes over.
func serveStore(store nodeservice.Store, keys *identity.SigningKeys, retention time.Duration) (*servedNode, error) {
	core, err := nodeservice.New(nodeservice.Config{
		Store: store, Secret: make([]byte, 32), Keys: keys, PublicURL: crashtest.Audience, TokenTTL: 24 * time.Hour,
		Quotas: nodeservice.DefaultQuotas(), SweepEvery: 50 * time.Millisecond,
		Retention: nodeservice.Retention{Messages: retention},
	})
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	n := &servedNode{store: store, core: core}
	run, end := context.WithCancel(context.Background())
	n.stops = append(n.stops, serving(func() { _ = core.Run(run) }, end))
	if err := n.open(); err != nil {
		return nil, errors.Join(err, n.stop())
	}
	return n, nil
}

func (n *servedNode) Doors() []crashtest.Door { return n.doors }

// open opens both doors.
func (n *servedNode) open() error {
	rpc, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	web, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return errors.Join(err, rpc.Close())
	}
	server := noderpc.NewServer(noderpc.ServerConfig{Node: n.core})
	door, err := gateway.New(gateway.Config{Node: n.core})
	if err != nil {
		return errors.Join(err, rpc.Close(), web.Close())
	}
	httpServer := gateway.NewServer(door, slog.New(slog.DiscardHandler))
	n.stops = append(n.stops,
		serving(func() { _ = server.Serve(context.Background(), rpc) }, func() { _ = server.Close() }),
		serving(func() { _ = httpServer.Serve(web) }, func() { _, _ = door.Close(), httpServer.Close() }))
	n.doors = []crashtest.Door{
		{Name: "capnp", Legacy: true, Dial: func(ctx context.Context) (nodeservice.Node, error) {
			return noderpc.Dial(ctx, "tcp", rpc.Addr().String(), nil)
		}},
		{Name: "http", Dial: func(context.Context) (nodeservice.Node, error) {
			return gatewayclient.New(gatewayclient.Config{BaseURL: "http://" + web.Addr().String(), MaxRetries: -1})
		}},
	}
	return nil
}

// stop stops doors and core, and closes the store.
func (n *servedNode) stop() error {
	for _, stop := range n.stops {
		stop()
	}
	return errors.Join(n.core.Close(), n.store.Close())
}
