package redisstore

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/redisstore/redistest"
	"github.com/quicproquo/node/nodeservice/storetest"
)

// patient never counts by itself because this machine is slow.
var patient = LimiterOptions{Timeout: time.Minute}

func TestLimiter(t *testing.T) {
	for name, url := range map[string]func() string{
		"one server":   func() string { return redistest.Start(t).URL() },
		"three shards": func() string { return redistest.StartCluster(t, 0).URL() },
	} {
		t.Run(name, func(t *testing.T) {
			client := connected(t, url())
			storetest.RunLimiter(t, func() nodeservice.Limiter {
				empty(t, client)
				return NewLimiter(client, patient)
			})
		})
	}
}

// empty removes everything.
func empty(t testing.TB, client *Client) {
	t.Helper()
	var err error
	if client.cluster != nil {
		err = client.cluster.ForEachMaster(t.Context(), func(ctx context.Context, master *redis.Client) error {
			return master.FlushAll(ctx).Err()
		})
	} else {
		err = client.FlushAll(t.Context()).Err()
	}
	if err != nil {
		t.Fatal(err)
	}
}

var hundred = []nodeservice.Charge{{Bucket: "everybody", Cost: 1, Rate: nodeservice.Per(100, time.Hour)}}

// A burst of a hundred over three nodes at once is a hundred.
func TestLimitsCountAcrossNodesExactly(t *testing.T) {
	url := redistest.Start(t).URL()
	now := time.Now()
	var taken atomic.Int32
	var nodes sync.WaitGroup
	for range 3 {
		limiter := NewLimiter(connected(t, url), patient)
		for range 5 {
			nodes.Go(func() {
				for range 20 {
					if done, err := limiter.Take(t.Context(), now, hundred); err == nil && done.RetryAfter == 0 {
						taken.Add(1)
					}
				}
			})
		}
	}
	nodes.Wait()
	if taken.Load() != 100 {
		t.Errorf("%d of a burst of 100 were taken", taken.Load())
	}
}

// take takes one of the hundred, whatever happens to Redis.
func take(t *testing.T, l *Limiter, now time.Time) nodeservice.Taken {
	t.Helper()
	done, err := l.Take(t.Context(), now, hundred)
	if err != nil {
		t.Fatal(err)
	}
	return done
}

// While Redis stands still a node counts by itself, and soon together with the
// others again.
func TestLimiterCountsByItselfWhileRedisIsAway(t *testing.T) {
	server := redistest.Start(t)
	now := time.Now()
	limiter := NewLimiter(connected(t, server.URL()), LimiterOptions{Timeout: 100 * time.Millisecond})
	other := NewLimiter(connected(t, server.URL()), patient)
	for range 60 {
		take(t, other, now)
	}
	server.Pause(t)
	for n := range 101 {
		if done := take(t, limiter, now); (done.RetryAfter == 0) != (n < 100) {
			t.Fatalf("request %d: %+v", n, done)
		}
	}
	server.Resume(t)
	for deadline := time.Now().Add(20 * time.Second); ; {
		done := take(t, limiter, now)
		if done.RetryAfter == 0 {
			if done.Left > 39 {
				t.Errorf("%v are left, of the other node's 40", done.Left)
			}
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("Redis is not asked any more")
		}
		<-time.After(20 * time.Millisecond)
	}
}

// Buckets go when they are full again, so Redis holds those in use alone.
func TestBucketsExpire(t *testing.T) {
	client := connected(t, redistest.Start(t).URL())
	limiter := NewLimiter(client, patient)
	if err := limiter.Owe(t.Context(), time.Now(), []nodeservice.Charge{{Bucket: "b", Cost: 90, Rate: nodeservice.Per(1, time.Second)}}); err != nil {
		t.Fatal(err)
	}
	ttl, err := client.PTTL(t.Context(), bucketKey("b")).Result()
	if err != nil || ttl < 140*time.Second || ttl > 155*time.Second {
		t.Errorf("a bucket that is full in 90 s stays for %v, %v", ttl, err)
	}
}
