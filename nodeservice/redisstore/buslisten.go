package redisstore

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// listen hears one channel until ctx ends, and closes heard the first time.
// Nobody can have subscribed before that; whenever it hears again, everybody must
// re-read everything.
func (b *Bus) listen(ctx context.Context, channel string, heard chan<- struct{}) {
	first, deaf := true, false
	subscribed := func() {
		if first {
			close(heard)
		} else {
			signal(b.lost)
		}
		if deaf {
			b.log.Info("hints of other nodes are heard again", "channel", channel)
		}
		first, deaf = false, false
	}
	for {
		err := b.hear(ctx, channel, subscribed)
		if ctx.Err() != nil {
			return
		}
		if !deaf {
			b.log.Warn("hints of other nodes are not heard, which delays deliveries; trying again", "channel", channel, "cause", err)
		}
		deaf = true
		rest(ctx, busRetry)
		if b.client.cluster != nil {
			b.client.cluster.ReloadState(ctx) // the channel's shard may be another now
		}
	}
}

// errSlotMoved ends a subscription that the server ended.
var errSlotMoved = errors.New("the channel moved to another shard")

// hear is one connection's life. What go-redis does by itself when a connection
// ends is not enough: it does not tell when another shard has the channel.
func (b *Bus) hear(ctx context.Context, channel string, subscribed func()) error {
	ctx, end := context.WithCancel(ctx)
	sub := b.connect(ctx, channel)
	shut := sync.OnceFunc(func() { _ = sub.Close() })
	context.AfterFunc(ctx, shut) // a receive does not heed ctx
	silence := time.AfterFunc(busSilence, shut)
	var pinging sync.WaitGroup
	pinging.Go(func() { ping(ctx, sub) })
	defer func() {
		silence.Stop()
		end()
		shut()
		pinging.Wait()
	}()
	for {
		message, err := sub.Receive(ctx)
		if err != nil {
			return err
		}
		silence.Reset(busSilence)
		switch message := message.(type) {
		case *redis.Subscription:
			if message.Kind != "subscribe" && message.Kind != "ssubscribe" {
				return errSlotMoved
			}
			subscribed()
		case *redis.Message:
			b.receive(message.Payload)
		}
	}
}

func (b *Bus) connect(ctx context.Context, channel string) *redis.PubSub {
	if b.client.cluster != nil {
		return b.client.cluster.SSubscribe(ctx, channel)
	}
	return b.client.Subscribe(ctx, channel)
}

// ping keeps a connection from being silent. One that fails is noticed by the
// receiver.
func ping(ctx context.Context, sub *redis.PubSub) {
	tick := time.NewTicker(busPing)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			_ = sub.Ping(ctx)
		case <-ctx.Done():
			return
		}
	}
}

// receive tells local subscribers what another node says.
func (b *Bus) receive(payload string) {
	hints, all, err := decodeHints(payload, b.node)
	if err != nil {
		b.log.Warn("a message between nodes was not understood; is there an older one?", "cause", err)
		all = true
	}
	for _, h := range hints {
		b.local.Hint(h)
	}
	if all {
		signal(b.lost)
	}
}
