package redisstore

import (
	"context"

	"github.com/quicproquo/node/nodeservice"
)

// publish sends what waits until ctx ends. Whatever fails is sent again with what
// came since: a hint that comes twice is harmless.
func (b *Bus) publish(ctx context.Context) {
	for {
		select {
		case <-b.waiting:
		case <-ctx.Done():
			return
		}
		hints, all := b.take()
		if err := b.send(ctx, encodeHints(b.node, hints, all)); err != nil {
			b.putBack(hints, all)
			rest(ctx, busRetry)
		}
		rest(ctx, publishPause)
	}
}

func (b *Bus) send(ctx context.Context, payload []byte) error {
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	if b.client.cluster != nil {
		return b.client.SPublish(ctx, b.speaks, payload).Err()
	}
	return b.client.Publish(ctx, b.speaks, payload).Err()
}

// take returns what goes into one message.
func (b *Bus) take() (hints []nodeservice.Hint, all bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := min(len(b.queue), maxPublished)
	hints, b.queue = b.queue[:n:n], b.queue[n:]
	for _, h := range hints {
		delete(b.pending, h)
	}
	if len(b.queue) > 0 {
		signal(b.waiting)
	}
	all, b.overflow = b.overflow, false
	return hints, all
}

// putBack lets what could not be sent wait again, behind what came since.
func (b *Bus) putBack(hints []nodeservice.Hint, all bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, h := range hints {
		b.enqueue(h)
	}
	b.overflow = b.overflow || all
	signal(b.waiting)
}
