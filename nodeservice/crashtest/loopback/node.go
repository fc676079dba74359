// Package loopback serves nodes in this process on loopback, through both doors:
// for tests of whole nodes, which people of the crash kit use.
package loopback

import (
	"context"
	"errors"
	"log/slog"
	"net"

	"github.com/quicproquo/node/gateway"
	"github.com/quicproquo/node/gateway/gatewayclient"
	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/crashtest"
	"github.com/quicproquo/node/nodeservice/noderpc"
	"github.com/quicproquo/node/nodeservice/nodetest"
)

// Node is a node in this process, with both doors on loopback.
type Node struct {
	store nodeservice.Store
	core  *nodeservice.Service
	doors []crashtest.Door
	stops []func()
}

// Open puts a core and both doors over a configuration's store, which it takes
// over in any case.
func Open(c nodeservice.Config) (*Node, error) {
	core, err := nodeservice.New(c)
	if err != nil {
		return nil, errors.Join(err, c.Store.Close())
	}
	n := &Node{store: c.Store, core: core}
	run, end := context.WithCancel(context.Background())
	n.stops = append(n.stops, nodetest.Serving(func() { _ = core.Run(run) }, end))
	if err := n.open(); err != nil {
		return nil, errors.Join(err, n.Stop())
	}
	return n, nil
}

// Doors are the native door and the gateway, in this order.
func (n *Node) Doors() []crashtest.Door { return n.doors }

// Core is what stands behind the doors.
func (n *Node) Core() *nodeservice.Service { return n.core }

// open opens both doors.
func (n *Node) open() error {
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
		nodetest.Serving(func() { _ = server.Serve(context.Background(), rpc) }, func() { _ = server.Close() }),
		nodetest.Serving(func() { _ = httpServer.Serve(web) }, func() { _, _ = door.Close(), httpServer.Close() }))
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

// Stop stops doors and core, and closes the store.
func (n *Node) Stop() error {
	for _, stop := range n.stops {
		stop()
	}
	return errors.Join(n.core.Close(), n.store.Close())
}
