package redisstore

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/quicproquo/node/nodeservice"
)

// Limiter counts rates for all nodes of a Redis together: generic cell rate
// buckets, charged by a script. On one server a Take is one atomic step. In a
// cluster buckets lie in different slots, so they are charged one after the
// other, and given back when a later one refuses: in between others see them
// charged, so more may be refused than need be, never less.
//
// Limits protect the service, they guard no secrets. While Redis is slow or away
// each node counts by itself, from full buckets. Nodes tell the time by their own
// clocks: what these differ by, buckets are wrong by.
type Limiter struct {
	client  *Client
	alone   *nodeservice.MemoryLimiter
	timeout time.Duration // static
	log     *slog.Logger

	openUntil atomic.Int64 // Unix ns until which Redis is not asked; 0: it answers
}

// LimiterOptions are what a Limiter may be told.
type LimiterOptions struct {
	Timeout time.Duration // how long Redis may take for a charge; 0: 50 ms
	Log     *slog.Logger  // nil: discarded
}

const (
	limitsAlone = 1 << 18     // buckets that a node remembers by itself
	limitsAgain = time.Second // until a Redis that failed is asked again, by one caller
)

// limitsEpoch keeps microseconds small enough that a float64 has room for their
// fractions: a byte of 10 MiB/s takes a tenth of one.
var limitsEpoch = time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)

//go:embed scripts/limits.lua
var limitsText string

var limitsScript = redis.NewScript(limitsText)

// NewLimiter counts in client's Redis.
func NewLimiter(client *Client, o LimiterOptions) *Limiter {
	l := &Limiter{client: client, alone: nodeservice.NewMemoryLimiter(limitsAlone), timeout: o.Timeout, log: o.Log}
	if l.timeout == 0 {
		l.timeout = 50 * time.Millisecond
	}
	if l.log == nil {
		l.log = slog.New(slog.DiscardHandler)
	}
	return l
}

// Take implements nodeservice.Limiter.
func (l *Limiter) Take(ctx context.Context, now time.Time, charges []nodeservice.Charge) (taken nodeservice.Taken, err error) {
	err = l.ask(ctx, func(ctx context.Context) error {
		taken, err = l.take(ctx, now, charges)
		return err
	})
	if err != nil {
		return l.alone.Take(ctx, now, charges)
	}
	return taken, nil
}

// Give implements nodeservice.Limiter.
func (l *Limiter) Give(ctx context.Context, now time.Time, charges []nodeservice.Charge) error {
	if l.ask(ctx, func(ctx context.Context) error { return l.shift(ctx, now, charges, -1) }) != nil {
		return l.alone.Give(ctx, now, charges)
	}
	return nil
}

// Owe implements nodeservice.Limiter.
func (l *Limiter) Owe(ctx context.Context, now time.Time, charges []nodeservice.Charge) error {
	if l.ask(ctx, func(ctx context.Context) error { return l.shift(ctx, now, charges, 1) }) != nil {
		return l.alone.Owe(ctx, now, charges)
	}
	return nil
}

// errAlone says that Redis was not asked.
var errAlone = errors.New("the shared limits are away")

// ask lets Redis be asked, unless it failed in the last second; then one caller
// tries. A caller that goes away itself says nothing about Redis.
func (l *Limiter) ask(ctx context.Context, do func(context.Context) error) error {
	open := l.openUntil.Load()
	if open != 0 {
		now := time.Now().UnixNano()
		if now < open || !l.openUntil.CompareAndSwap(open, now+int64(limitsAgain)) {
			return errAlone
		}
	}
	bounded, cancel := context.WithTimeout(ctx, l.timeout)
	defer cancel()
	err := do(bounded)
	switch {
	case err != nil && ctx.Err() == nil:
		if l.openUntil.Swap(time.Now().Add(limitsAgain).UnixNano()) == 0 {
			l.log.Warn("the shared limits cannot be reached; this node counts by itself", "cause", err)
		}
	case err == nil && open != 0 && l.openUntil.Swap(0) != 0:
		l.log.Info("limits are shared again")
	}
	return err
}

// take charges all buckets in one step, or in a cluster one by one.
func (l *Limiter) take(ctx context.Context, now time.Time, charges []nodeservice.Charge) (nodeservice.Taken, error) {
	taken := nodeservice.Taken{Tightest: -1}
	limited, places := limitedOf(charges)
	step := len(limited)
	if l.client.cluster != nil {
		step = 1
	}
	least := 0.0
	for at := 0; at < len(limited); at += step {
		wait, filling, err := l.run(ctx, now, "take", limited[at:at+step], 1)
		if err != nil {
			return taken, err
		}
		taken.RetryAfter = max(taken.RetryAfter, wait)
		for i, fullIn := range filling {
			rate := limited[at+i].Rate
			left := rate.Burst - fullIn.Seconds()*rate.PerSecond
			if share := left / rate.Burst; taken.Tightest < 0 || share < least {
				taken.Tightest, taken.Left, taken.FullIn, least = places[at+i], max(0, left), fullIn, share
			}
		}
		if wait > 0 && at > 0 {
			if err := l.shift(ctx, now, limited[:at], -1); err != nil {
				return taken, err
			}
		}
		if wait > 0 {
			return l.longestWait(ctx, now, taken, limited[at+step:])
		}
	}
	return taken, nil
}

// longestWait looks, without charging, at the buckets behind the one that
// refused: the caller is told once how long to wait.
func (l *Limiter) longestWait(ctx context.Context, now time.Time, taken nodeservice.Taken, rest []nodeservice.Charge) (nodeservice.Taken, error) {
	for i := range rest {
		wait, _, err := l.run(ctx, now, "take", rest[i:i+1], 0)
		if err != nil {
			return taken, err
		}
		taken.RetryAfter = max(taken.RetryAfter, wait)
	}
	return taken, nil
}

// shift charges without asking, or with sign -1 gives back.
func (l *Limiter) shift(ctx context.Context, now time.Time, charges []nodeservice.Charge, sign float64) error {
	limited, _ := limitedOf(charges)
	step := len(limited)
	if l.client.cluster != nil {
		step = 1
	}
	for at := 0; at < len(limited); at += step {
		if _, _, err := l.run(ctx, now, "shift", limited[at:at+step], sign); err != nil {
			return err
		}
	}
	return nil
}

// limitedOf leaves out charges that no rate limits; places are where the others
// stand among all.
func limitedOf(charges []nodeservice.Charge) (limited []nodeservice.Charge, places []int) {
	for i, c := range charges {
		if c.Rate.PerSecond > 0 {
			limited, places = append(limited, c), append(places, i)
		}
	}
	return limited, places
}

// run calls the script for charges that share a slot; what is added to the
// buckets is sign times the cost.
func (l *Limiter) run(ctx context.Context, now time.Time, mode string, charges []nodeservice.Charge, sign float64) (wait time.Duration, filling []time.Duration, err error) {
	keys, args := make([]string, len(charges)), make([]any, 0, 2+2*len(charges))
	args = append(args, micros(now.Sub(limitsEpoch).Seconds()*1e6), mode)
	for i, c := range charges {
		keys[i] = bucketKey(c.Bucket)
		wanted := c.Cost
		if wanted == 0 {
			wanted = min(1, c.Rate.Burst) // only asked: is there anything left
		}
		args = append(args, micros((c.Rate.Burst-wanted)/c.Rate.PerSecond*1e6), micros(sign*c.Cost/c.Rate.PerSecond*1e6))
	}
	answer, err := limitsScript.Run(ctx, l.client, keys, args...).StringSlice()
	if err == nil && len(answer) != 1+len(charges) {
		err = fmt.Errorf("%d numbers for %d buckets", len(answer), len(charges))
	}
	if err != nil {
		return 0, nil, fmt.Errorf("limits: %w", err)
	}
	times := make([]time.Duration, len(answer))
	for i, text := range answer {
		us, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return 0, nil, fmt.Errorf("limits: %w", err)
		}
		times[i] = time.Duration(us * 1e3)
	}
	return times[0], times[1:], nil
}

// micros spells microseconds as the script reads them.
func micros(us float64) string { return strconv.FormatFloat(us, 'f', 3, 64) }

// bucketKey hides whom a bucket belongs to, and keeps keys short.
func bucketKey(bucket string) string {
	sum := sha256.Sum256([]byte(bucket))
	return "qpq:limit:" + base64.RawURLEncoding.EncodeToString(sum[:16])
}
