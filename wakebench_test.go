package node_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/quicproquo/node/nodeservice"
)

// BenchmarkWake sends messages of 1 KiB, one at a time, to somebody who waits for
// each and acknowledges it: in a fetch, or on a stream of all channels.
func BenchmarkWake(b *testing.B) {
	for _, door := range benchDoors {
		for _, way := range []struct {
			name string
			wait func(*testing.B, *benchPair) receiver
		}{{"fetch", fetching}, {"stream", streaming}} {
			b.Run(door.name+"/"+way.name, func(b *testing.B) {
				pair := newBench(b, door.open).pair(b)
				receive := way.wait(b, pair)
				received := make(chan error, 1)
				b.ReportAllocs()
				for b.Loop() {
					go func() { received <- receive(b.Context()) }() // and waits long before the message is durable
					_, err := pair.alice.Enqueue(b.Context(), nodeservice.EnqueueRequest{Channel: pair.channel, Payload: pair.payload})
					must(b, err)
					must(b, <-received)
				}
			})
		}
	}
}

// receiver waits for a message and acknowledges it.
type receiver func(context.Context) error

func fetching(_ *testing.B, pair *benchPair) receiver {
	return func(ctx context.Context) error {
		page, err := pair.bob.Fetch(ctx, nodeservice.FetchRequest{Channel: pair.channel, Wait: time.Minute})
		if err != nil || len(page.Messages) != 1 {
			return fmt.Errorf("%d messages: %w", len(page.Messages), err)
		}
		return pair.bob.Ack(ctx, nodeservice.AckRequest{Channel: pair.channel, Through: page.Messages[0].Seq})
	}
}

func streaming(b *testing.B, pair *benchPair) receiver {
	stream, err := pair.bob.Follow(b.Context(), nodeservice.FollowRequest{})
	must(b, err)
	b.Cleanup(func() { must(b, stream.Close()) })
	return func(ctx context.Context) error {
		for {
			event, err := stream.Next(ctx)
			if err != nil {
				return err
			}
			if m, ok := event.(nodeservice.MessageEvent); ok {
				return stream.Ack(ctx, m.Channel, m.Message.Seq)
			}
		}
	}
}
