package node_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/quicproquo/node/nodeservice"
)

// atOnce is a node whose drains remove before they answer, on every door.
type atOnce struct{ nodeservice.Node }

func (n atOnce) Login(ctx context.Context, from nodeservice.Origin, req nodeservice.LoginRequest) (nodeservice.Login, error) {
	login, err := n.Node.Login(ctx, from, req)
	login.Session = atOnceSession{login.Session}
	return login, err
}

type atOnceSession struct{ nodeservice.Session }

func (s atOnceSession) Fetch(ctx context.Context, req nodeservice.FetchRequest) (nodeservice.Page, error) {
	req.Consumer = nil
	return s.Session.Fetch(ctx, req)
}

// BenchmarkDrain sends a message of 1 KiB and drains it through Cap'n Proto:
// removed before the answer, or once the answer is known to have arrived.
func BenchmarkDrain(b *testing.B) {
	for _, form := range []struct {
		name string
		open func(*nodeservice.Service) nodeservice.Node
	}{
		{"before", func(core *nodeservice.Service) nodeservice.Node { return atOnce{core} }},
		{"arrived", func(core *nodeservice.Service) nodeservice.Node { return core }},
	} {
		for _, readers := range []int{1, 64} {
			b.Run(fmt.Sprintf("removed=%s/readers=%d", form.name, readers), func(b *testing.B) {
				w := newBench(b, func(b *testing.B, core *nodeservice.Service) nodeservice.Node {
					return benchNative(b, form.open(core))
				})
				synced := w.parallel(b, readers, func(ctx context.Context, pair *benchPair) error {
					_, err := pair.alice.Enqueue(ctx, nodeservice.EnqueueRequest{Channel: pair.channel, Payload: pair.payload})
					if err != nil {
						return err
					}
					page, err := pair.bob.Fetch(ctx, nodeservice.FetchRequest{Channel: pair.channel, Drain: true})
					if err == nil && len(page.Messages) != 1 {
						err = fmt.Errorf("%d messages", len(page.Messages))
					}
					return err
				})
				b.ReportMetric(float64(synced)/float64(b.N), "syncs/op")
			})
		}
	}
}
