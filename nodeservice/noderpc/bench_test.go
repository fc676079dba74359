package noderpc_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quicproquo/node/nodeservice"
)

// BenchmarkCalls measures the door alone: the operation behind it does nothing.
func BenchmarkCalls(b *testing.B) {
	node := &scriptedNode{}
	node.session.enqueue = func(_ context.Context, r nodeservice.EnqueueRequest) (nodeservice.Receipt, error) {
		return nodeservice.Receipt{Seq: nodeservice.Seq(len(r.Payload))}, nil
	}
	_, address := serve(b, node, noLimits)
	c := dial(b, address)
	s := authenticate(b, c)
	payload := make([]byte, 1024)
	var channels atomic.Uint64
	calls := map[string]func(nodeservice.ChannelID) error{
		"info": func(nodeservice.ChannelID) error {
			_, err := c.Info(b.Context())
			return err
		},
		"enqueue": func(id nodeservice.ChannelID) error {
			_, err := s.Enqueue(b.Context(), nodeservice.EnqueueRequest{Channel: id, Payload: payload})
			return err
		},
	}
	for _, name := range []string{"info", "enqueue"} {
		for _, inFlight := range []int{1, 64} {
			b.Run(fmt.Sprintf("%s/in flight=%d", name, inFlight), func(b *testing.B) {
				b.ReportAllocs()
				b.SetParallelism((inFlight + 1) / 2) // times GOMAXPROCS, which is 2 where the numbers come from
				if inFlight == 1 {
					for b.Loop() {
						if err := calls[name](channel); err != nil {
							b.Fatal(err)
						}
					}
					return
				}
				b.RunParallel(func(pb *testing.PB) {
					id := nodeservice.ChannelID{byte(channels.Add(1)), 1}
					for pb.Next() {
						if err := calls[name](id); err != nil {
							b.Error(err)
							return
						}
					}
				})
			})
		}
	}
}

// BenchmarkGatewayRequest is what a gateway that stands apart does for a request:
// authenticate, one operation, close; over a unix socket.
func BenchmarkGatewayRequest(b *testing.B) {
	node := &scriptedNode{}
	node.session.enqueue = func(context.Context, nodeservice.EnqueueRequest) (nodeservice.Receipt, error) {
		return nodeservice.Receipt{}, nil
	}
	for name, lifetime := range map[string]time.Duration{"known token": time.Hour, "unknown token": 0} {
		node.session.expiresAt = nodeservice.Milli(time.Now().Add(lifetime))
		socket := socketName(b)
		serveGateways(b, node, socket, true)
		g, token := gatewayNode(b, socket), tokenOf(newIdentity(b))
		request := func() error {
			s, err := g.Authenticate(b.Context(), afar, token)
			if err == nil {
				_, err = s.Enqueue(b.Context(), nodeservice.EnqueueRequest{Channel: channel, Payload: make([]byte, 1024)})
			}
			return closeAfter(s, err)
		}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := request(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
