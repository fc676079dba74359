package redisstore

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"

	ns "github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/identity"
	"github.com/quicproquo/node/nodeservice/redisstore/redistest"
)

// counter is a hook that counts what goes to Redis.
type counter struct{ commands atomic.Int64 }

func (c *counter) DialHook(next redis.DialHook) redis.DialHook { return next }

func (c *counter) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		c.commands.Add(1)
		return next(ctx, cmd)
	}
}

func (c *counter) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		c.commands.Add(int64(len(cmds)))
		return next(ctx, cmds)
	}
}

// openBench opens a store on a server that syncs its log each second, unless told
// otherwise.
func openBench(b *testing.B, flags ...string) (*Store, *counter) {
	if len(flags) == 0 {
		flags = []string{"--appendonly", "yes"}
	}
	client := connected(b, redistest.Start(b, flags...).URL())
	store, err := Open(b.Context(), Config{Client: client})
	if err != nil {
		b.Fatal(err)
	}
	sent := &counter{}
	client.AddHook(sent)
	return store, sent
}

// stranger is an identity of no key: engines do not look.
func stranger(n uint64) ns.Identity {
	sum := sha256.Sum256(binary.BigEndian.AppendUint64(nil, n))
	return identity.TrustedKey(string(sum[:]))
}

// channelTo is the queue of a new channel, from an account of its own.
func channelTo(b *testing.B, s *Store, n uint64) (ns.Queue, ns.Account) {
	b.Helper()
	var id ns.ChannelID
	sum := sha256.Sum256(binary.BigEndian.AppendUint64([]byte("channel"), n))
	copy(id[:], sum[:])
	account := ns.Account(sum[16:])
	_, err := s.CreateChannel(b.Context(), ns.CreateChannel{
		ID: id, Creator: stranger(2 * n), Peer: stranger(2*n + 1), Account: account, Now: someTime, MaxChannels: 10_000,
	})
	if err != nil {
		b.Fatal(err)
	}
	return ns.Queue{Channel: id, Recipient: stranger(2*n + 1)}, account
}

// usual are the quotas of a node as it comes.
var usual = ns.AppendQuota{QueueMessages: 1 << 30, QueueBytes: 1 << 40, AccountBytes: 1 << 40, RememberedIDs: 10_000}

func kilobyte(to ns.Queue, from ns.Account) ns.Append {
	body := make([]byte, 1024)
	return ns.Append{Queue: to, Account: from, Payload: body, Digest: sha256.Sum256(body), Now: someTime, ExpiresAt: someTime + aWeek, Quota: usual}
}

// BenchmarkAppend stores messages of 1 KiB with ids, by one writer and by many,
// each in a channel of its own.
func BenchmarkAppend(b *testing.B) {
	for name, flags := range map[string][]string{"everysec": nil, "always": redistest.Durable()} {
		for _, writers := range []int{1, 64} {
			b.Run(fmt.Sprintf("fsync=%s/writers=%d", name, writers), func(b *testing.B) {
				s, sent := openBench(b, flags...)
				reqs := make([]ns.Append, writers)
				for i := range reqs {
					reqs[i] = kilobyte(channelTo(b, s, uint64(i)))
				}
				b.ReportAllocs()
				b.ResetTimer()
				sent.commands.Store(0)
				fill(b, s, reqs, b.N)
				b.ReportMetric(float64(sent.commands.Load())/float64(b.N), "commands/op")
			})
		}
	}
}

// fill appends n messages, with one writer for each request.
func fill(b *testing.B, s *Store, reqs []ns.Append, n int) {
	var next atomic.Int64
	var done sync.WaitGroup
	for _, req := range reqs {
		done.Go(func() {
			for i := next.Add(1); i <= int64(n); i = next.Add(1) {
				req.MessageID = fmt.Sprintf("%016x", i)
				if got, err := s.Append(b.Context(), req); err != nil || got.Outcome != ns.AppendStored {
					b.Errorf("append: %+v, %v", got, err)
					return
				}
			}
		})
	}
	done.Wait()
}

// BenchmarkAppendLarge stores payloads that are keys of their own.
func BenchmarkAppendLarge(b *testing.B) {
	s, _ := openBench(b, "--save", "")
	req := kilobyte(channelTo(b, s, 1))
	req.Payload = make([]byte, 1<<20)
	b.SetBytes(int64(len(req.Payload)))
	b.ReportAllocs()
	for b.Loop() {
		got, err := s.Append(b.Context(), req)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := s.Ack(b.Context(), ns.Ack{Queue: req.Queue, Through: got.Seq, Now: someTime}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRead reads a page of 32 messages of 1 KiB.
func BenchmarkRead(b *testing.B) {
	for _, readers := range []int{1, 64} {
		b.Run(fmt.Sprintf("readers=%d", readers), func(b *testing.B) {
			s, sent := openBench(b)
			req := kilobyte(channelTo(b, s, 1))
			fill(b, s, []ns.Append{req}, 32)
			b.ReportAllocs()
			b.ResetTimer()
			sent.commands.Store(0)
			var next atomic.Int64
			var done sync.WaitGroup
			for range readers {
				done.Go(func() {
					for next.Add(1) <= int64(b.N) {
						page, err := s.Read(b.Context(), ns.Read{Queue: req.Queue, Limit: 256, MaxBytes: 8 << 20, Now: someTime})
						if err != nil || len(page.Messages) != 32 {
							b.Errorf("%d messages, %v", len(page.Messages), err)
							return
						}
					}
				})
			}
			done.Wait()
			b.ReportMetric(float64(sent.commands.Load())/float64(b.N), "commands/op")
		})
	}
}

// BenchmarkSweepOfNothing is what the sweep costs where nothing is due.
func BenchmarkSweepOfNothing(b *testing.B) {
	s, _ := openBench(b)
	for b.Loop() {
		if _, _, err := s.Sweep(b.Context(), someTime); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkMemory measures what channels and messages take in Redis; run it with
// -benchtime 1x.
func BenchmarkMemory(b *testing.B) {
	const channels, messages = 10_000, 100_000
	s, _ := openBench(b, "--save", "")
	used := func() float64 {
		n, err := s.client.InfoMap(b.Context(), "memory").Result()
		if err != nil {
			b.Fatal(err)
		}
		var bytes float64
		_, _ = fmt.Sscan(n["Memory"]["used_memory_dataset"], &bytes)
		return bytes
	}
	for b.Loop() {
		start := used()
		reqs := make([]ns.Append, channels)
		var done sync.WaitGroup
		const creators = 16
		for at := range creators {
			done.Go(func() {
				for n := at; n < channels; n += creators {
					reqs[n] = kilobyte(channelTo(b, s, uint64(n)))
				}
			})
		}
		done.Wait()
		created := used()
		b.ReportMetric((created-start)/channels, "B/channel")
		each := func(id bool) {
			for at := range creators {
				done.Go(func() {
					for n := at; n < messages; n += creators {
						req := reqs[n%channels]
						if id {
							req.MessageID = fmt.Sprintf("%016x", n)
						}
						if _, err := s.Append(b.Context(), req); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			done.Wait()
		}
		each(true)
		filled := used()
		b.ReportMetric((filled-created)/messages, "B/message")
		for at := range creators {
			done.Go(func() {
				for n := at; n < channels; n += creators {
					_, err := s.Ack(b.Context(), ns.Ack{Queue: reqs[n].Queue, Through: messages / channels, Now: someTime})
					if err != nil {
						b.Error(err)
						return
					}
				}
			})
		}
		done.Wait()
		b.ReportMetric((used()-created)/messages, "B/acked-message-with-id")
		for more := true; more; {
			var err error
			if _, more, err = s.Sweep(b.Context(), someTime+2*aWeek); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric((used()-start)/channels, "B/idle-channel")
	}
}
