package nodeservice

import (
	"context"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
)

// Limiter counts rates. Take charges all buckets or, if one has too little
// left, none; so what one refuses charges none.
type Limiter interface {
	// Take charges every bucket its Cost, or none. A charge with Cost 0 takes
	// nothing, but is refused while its bucket is empty. An error means that the
	// limiter could not tell; callers let the request pass.
	Take(ctx context.Context, now time.Time, charges []Charge) (Taken, error)

	// Give returns what Take charged, for work that was not done after all.
	Give(ctx context.Context, now time.Time, charges []Charge) error

	// Owe charges without asking: what a bucket lacks it owes.
	Owe(ctx context.Context, now time.Time, charges []Charge) error
}

// Charge is a cost to one bucket.
type Charge struct {
	Bucket string  // names the bucket; one name always comes with one Rate
	Cost   float64 // in the bucket's unit: requests, bytes
	Rate   Rate
	Shared bool // counted over all nodes together, whatever else is: it guards something that all hand out
}

// Taken is the answer to Take.
type Taken struct {
	RetryAfter time.Duration // 0: taken; else nothing was charged, and trying again makes sense after it

	// The bucket with the smallest share left, of those with a Rate: its place
	// among the charges (-1: none has a Rate), the units left in it, and the
	// time until it is full.
	Tightest int
	Left     float64
	FullIn   time.Duration
}

// Rate fills a bucket: PerSecond units, up to Burst. A zero Rate is no limit.
type Rate struct {
	PerSecond float64
	Burst     float64
}

// Per is n units per period, all of which may come at once.
func Per(n float64, period time.Duration) Rate {
	return Rate{PerSecond: n / period.Seconds(), Burst: n}
}

// MemoryLimiter is the Limiter of one node: generic cell rate buckets, of which
// the most recently used are remembered. A bucket forgotten is a full one, so
// its bound must exceed the buckets active within a burst's refill.
type MemoryLimiter struct {
	mu      sync.Mutex
	buckets *lru.Cache[string, time.Time] // guarded by mu: when the bucket is full again
}

// NewMemoryLimiter remembers at most size buckets.
func NewMemoryLimiter(size int) *MemoryLimiter {
	buckets, err := lru.New[string, time.Time](size)
	if err != nil {
		panic(err) // size <= 0: a programming error
	}
	return &MemoryLimiter{buckets: buckets}
}

// Take implements Limiter.
func (l *MemoryLimiter) Take(_ context.Context, now time.Time, charges []Charge) (Taken, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var t Taken
	for _, c := range charges {
		t.RetryAfter = max(t.RetryAfter, l.lacking(now, c))
	}
	if t.RetryAfter == 0 {
		l.shift(now, charges, 1)
	}
	t.Tightest, t.Left, t.FullIn = l.tightest(now, charges)
	return t, nil
}

// tightest looks for the smallest share left; the caller holds mu.
func (l *MemoryLimiter) tightest(now time.Time, charges []Charge) (at int, left float64, fullIn time.Duration) {
	at = -1
	least := 0.0
	for i, c := range charges {
		if c.Rate.PerSecond == 0 {
			continue
		}
		filling := l.fullAt(now, c.Bucket).Sub(now)
		units := c.Rate.Burst - filling.Seconds()*c.Rate.PerSecond
		if share := units / c.Rate.Burst; at < 0 || share < least {
			at, left, fullIn, least = i, max(0, units), filling, share
		}
	}
	return at, left, fullIn
}

// Give implements Limiter.
func (l *MemoryLimiter) Give(_ context.Context, now time.Time, charges []Charge) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.shift(now, charges, -1)
	return nil
}

// Owe implements Limiter.
func (l *MemoryLimiter) Owe(_ context.Context, now time.Time, charges []Charge) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.shift(now, charges, 1)
	return nil
}

// lacking is how long the bucket must fill before c fits; the caller holds mu.
func (l *MemoryLimiter) lacking(now time.Time, c Charge) time.Duration {
	if c.Rate.PerSecond == 0 {
		return 0
	}
	full := l.fullAt(now, c.Bucket)
	wanted := c.Cost
	if wanted == 0 {
		wanted = min(1, c.Rate.Burst) // only asked: is there anything left
	}
	spare := c.Rate.spread(c.Rate.Burst - wanted)
	return max(0, full.Sub(now)-spare)
}

// shift moves the buckets by sign times their cost; the caller holds mu.
func (l *MemoryLimiter) shift(now time.Time, charges []Charge, sign float64) {
	for _, c := range charges {
		if c.Rate.PerSecond == 0 || c.Cost == 0 {
			continue
		}
		l.buckets.Add(c.Bucket, l.fullAt(now, c.Bucket).Add(c.Rate.spread(sign*c.Cost)))
	}
}

// fullAt is when the bucket is full again, at the earliest now; the caller
// holds mu.
func (l *MemoryLimiter) fullAt(now time.Time, bucket string) time.Time {
	if full, known := l.buckets.Get(bucket); known && full.After(now) {
		return full
	}
	return now
}

// spread is the time in which the bucket gains n units.
func (r Rate) spread(n float64) time.Duration {
	return time.Duration(n / r.PerSecond * float64(time.Second))
}
