package pebblestore

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	ns "github.com/quicproquo/node/nodeservice"
)

func openBench(b *testing.B) *Store {
	s, err := Open(b.TempDir(), Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() })
	return s
}

// BenchmarkAppend stores messages of 1 KiB with ids, on the disk, by one writer
// and by many in parallel, each in a channel of its own.
func BenchmarkAppend(b *testing.B) {
	for _, writers := range []int{1, 64} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			s := openBench(b)
			queues := make([]ns.Queue, writers)
			for i := range queues {
				queues[i] = channelTo(b, s, byte(i))
			}
			before := s.Metrics().Syncs
			b.ReportAllocs()
			b.ResetTimer()
			var next atomic.Int64
			var done sync.WaitGroup
			for _, q := range queues {
				done.Go(func() {
					req := note(q, make([]byte, 1024))
					for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
						req.MessageID = fmt.Sprint(n)
						if got, err := s.Append(b.Context(), req); err != nil || got.Outcome != ns.AppendStored {
							b.Errorf("append: %+v, %v", got, err)
							return
						}
					}
				})
			}
			done.Wait()
			b.ReportMetric(float64(s.Metrics().Syncs-before)/float64(b.N), "syncs/op")
		})
	}
}

// BenchmarkAppendLarge stores payloads that get files of their own.
func BenchmarkAppendLarge(b *testing.B) {
	s := openBench(b)
	q := channelTo(b, s, 1)
	req := note(q, make([]byte, 1<<20))
	b.SetBytes(int64(len(req.Payload)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Append(b.Context(), req); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRead reads a page of 100 messages of 1 KiB.
func BenchmarkRead(b *testing.B) {
	s := openBench(b)
	q := channelTo(b, s, 1)
	for range 100 {
		send(b, s, q, make([]byte, 1024))
	}
	b.ReportAllocs()
	for b.Loop() {
		if p := page(b, s, q); len(p.Messages) != 100 {
			b.Fatalf("%d messages", len(p.Messages))
		}
	}
}

// BenchmarkAppendAck is a message's whole life, many at once.
func BenchmarkAppendAck(b *testing.B) {
	s := openBench(b)
	var writer atomic.Int64
	before := s.Metrics().Syncs
	b.SetParallelism(32)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		q := channelTo(b, s, byte(writer.Add(1)))
		req := note(q, make([]byte, 1024))
		for pb.Next() {
			got, err := s.Append(b.Context(), req)
			if err != nil {
				b.Error(err)
				return
			}
			if _, err := s.Ack(b.Context(), ns.Ack{Queue: q, Through: got.Seq, Now: testNow}); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(s.Metrics().Syncs-before)/float64(b.N), "syncs/op")
}

// BenchmarkAppendBesideFullMailboxes stores messages in an empty mailbox while
// eight writers hammer others that are full, and for comparison others that take
// what comes. times-alone compares with the same store left in peace before.
func BenchmarkAppendBesideFullMailboxes(b *testing.B) {
	for name, full := range map[string]bool{"full": true, "roomy": false} {
		b.Run(name, func(b *testing.B) {
			s := openBench(b)
			others := make([]ns.Append, 8)
			for n := range others {
				others[n] = note(channelTo(b, s, byte(n+1)), make([]byte, 1024))
				if full {
					others[n].Quota.QueueMessages = 1
					send(b, s, others[n].Queue, others[n].Payload)
				}
			}
			q, quiet := channelTo(b, s, 100), 1000
			begin := time.Now()
			for range quiet {
				send(b, s, q, make([]byte, 1024))
			}
			alone := time.Since(begin) / time.Duration(quiet)
			stop := hammer(b, s, others, full)
			for b.Loop() {
				send(b, s, q, make([]byte, 1024))
			}
			b.ReportMetric(float64(b.Elapsed())/float64(b.N)/float64(alone), "times-alone")
			stop()
		})
	}
}

// hammer makes each request again and again, until stop is called.
func hammer(b *testing.B, s *Store, requests []ns.Append, full bool) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var hammering sync.WaitGroup
	for _, req := range requests {
		hammering.Go(func() {
			for ctx.Err() == nil {
				got, err := s.Append(context.Background(), req)
				if refused := got.Outcome == ns.AppendQueueFull; err != nil || refused != full {
					b.Errorf("append: %+v, %v", got, err)
					return
				}
			}
		})
	}
	return func() {
		cancel()
		hammering.Wait()
	}
}
