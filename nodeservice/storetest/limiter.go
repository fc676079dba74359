package storetest

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quicproquo/node/nodeservice"
)

// RunLimiter checks the promises of nodeservice.Limiter. Each call of open
// gives a limiter whose buckets are all full.
func RunLimiter(t *testing.T, open func() nodeservice.Limiter) {
	for _, p := range []struct {
		name  string
		check func(*limiterFixture)
	}{
		{"a burst is exact", (*limiterFixture).burst},
		{"a bucket fills at its rate", (*limiterFixture).refill},
		{"a bucket fills up to its burst", (*limiterFixture).refillBounded},
		{"all buckets are charged or none", (*limiterFixture).allOrNothing},
		{"the longest wait is told", (*limiterFixture).longestWait},
		{"what is given back may be taken", (*limiterFixture).give},
		{"what is given back does not overfill", (*limiterFixture).giveBounded},
		{"a debt is paid before anything is taken", (*limiterFixture).owe},
		{"a cost of 0 is refused while the bucket is empty", (*limiterFixture).costNothing},
		{"a rate of 0 is no limit", (*limiterFixture).noLimit},
		{"costs need not be whole, nor small", (*limiterFixture).costs},
		{"the bucket with the smallest share left is told", (*limiterFixture).tightest},
		{"nothing to charge is taken", (*limiterFixture).noCharges},
		{"a burst is exact, at once too", (*limiterFixture).burstAtOnce},
	} {
		t.Run(p.name, func(t *testing.T) {
			p.check(&limiterFixture{T: t, limiter: open(), now: time.UnixMilli(1_750_000_000_000)})
		})
	}
}

// limiterFixture is one limiter under test, with a clock that moves by hand.
type limiterFixture struct {
	*testing.T
	limiter nodeservice.Limiter
	now     time.Time
}

// tenth fills a bucket of 5 by one in 100 ms.
var tenth = nodeservice.Rate{PerSecond: 10, Burst: 5}

func charge(bucket string, cost float64) nodeservice.Charge {
	return nodeservice.Charge{Bucket: bucket, Cost: cost, Rate: tenth}
}

func (f *limiterFixture) take(charges ...nodeservice.Charge) time.Duration {
	f.Helper()
	done, err := f.limiter.Take(f.Context(), f.now, charges)
	if err != nil {
		f.Errorf("Take: %v", err)
	}
	return done.RetryAfter
}

func (f *limiterFixture) taken(charges ...nodeservice.Charge) {
	f.Helper()
	if retryAfter := f.take(charges...); retryAfter != 0 {
		f.Errorf("refused for %v; want taken", retryAfter)
	}
}

// refused insists on a wait, which limiters may round up by a millisecond.
func (f *limiterFixture) refused(wait time.Duration, charges ...nodeservice.Charge) {
	f.Helper()
	retryAfter := f.take(charges...)
	if off := retryAfter - wait; off < -time.Millisecond || off > 2*time.Millisecond {
		f.Errorf("refused for %v (0: taken); want %v", retryAfter, wait)
	}
}

func (f *limiterFixture) empty(bucket string) {
	f.Helper()
	f.taken(charge(bucket, tenth.Burst))
}

type settle func(context.Context, time.Time, []nodeservice.Charge) error

func (f *limiterFixture) do(what settle, charges ...nodeservice.Charge) {
	f.Helper()
	if err := what(f.Context(), f.now, charges); err != nil {
		f.Errorf("the limiter failed: %v", err)
	}
}

func (f *limiterFixture) burst() {
	for range 5 {
		f.taken(charge("a", 1))
	}
	f.refused(100*time.Millisecond, charge("a", 1))
	f.taken(charge("b", 5)) // a bucket of its own
	f.refused(500*time.Millisecond, charge("a", 5))
}

func (f *limiterFixture) refill() {
	f.empty("a")
	for range 3 {
		f.now = f.now.Add(90 * time.Millisecond)
		f.refused(10*time.Millisecond, charge("a", 1))
		f.now = f.now.Add(f.take(charge("a", 1))) // what is told is enough
		f.taken(charge("a", 1))
		f.refused(100*time.Millisecond, charge("a", 1))
	}
}

func (f *limiterFixture) refillBounded() {
	f.empty("a")
	f.now = f.now.Add(time.Hour)
	f.empty("a")
	f.refused(100*time.Millisecond, charge("a", 1))
}

func (f *limiterFixture) allOrNothing() {
	f.empty("b")
	for _, charges := range [][]nodeservice.Charge{
		{charge("a", 1), charge("b", 1), charge("c", 1)},
		{charge("b", 1), charge("a", 1)},
		{charge("c", 1), charge("a", 1), charge("b", 1)},
	} {
		f.refused(100*time.Millisecond, charges...)
	}
	f.taken(charge("a", 5), charge("c", 5))
	f.refused(100*time.Millisecond, charge("a", 1))
}

func (f *limiterFixture) longestWait() {
	f.empty("a")
	f.taken(charge("b", 3))
	f.refused(200*time.Millisecond, charge("a", 2), charge("b", 3))
	f.refused(300*time.Millisecond, charge("b", 3), charge("a", 3))
}

func (f *limiterFixture) give() {
	f.empty("a")
	f.empty("b")
	f.do(f.limiter.Give, charge("a", 2), charge("b", 1))
	f.refused(100*time.Millisecond, charge("a", 3))
	f.taken(charge("a", 2), charge("b", 1))
	f.refused(100*time.Millisecond, charge("b", 1))
}

func (f *limiterFixture) giveBounded() {
	f.taken(charge("a", 1))
	f.do(f.limiter.Give, charge("a", 3), charge("b", 3))
	f.taken(charge("a", 5), charge("b", 5))
	f.refused(100*time.Millisecond, charge("a", 1))
	f.refused(100*time.Millisecond, charge("b", 1))
}

func (f *limiterFixture) owe() {
	f.do(f.limiter.Owe, charge("a", 5), charge("b", 1))
	f.do(f.limiter.Owe, charge("a", 10))
	f.refused(1100*time.Millisecond, charge("a", 1))
	f.taken(charge("b", 4))
	f.now = f.now.Add(time.Second)
	f.refused(100*time.Millisecond, charge("a", 1))
	f.do(f.limiter.Give, charge("a", 1))
	f.taken(charge("a", 1))
}

func (f *limiterFixture) costNothing() {
	for range 10 {
		f.taken(charge("a", 0))
	}
	f.taken(charge("a", 4)) // one is left
	f.taken(charge("a", 0))
	f.taken(charge("a", 1))
	if f.take(charge("a", 0)) == 0 {
		f.Errorf("a cost of 0 passes an empty bucket")
	}
	if f.take(charge("b", 1), charge("a", 0)) == 0 {
		f.Errorf("a cost of 0 passes an empty bucket beside a full one")
	}
	f.do(f.limiter.Owe, charge("a", 2))
	f.now = f.now.Add(200 * time.Millisecond)
	if f.take(charge("a", 0)) == 0 {
		f.Errorf("a cost of 0 passes a bucket that has just paid its debt")
	}
	f.now = f.now.Add(100 * time.Millisecond)
	f.taken(charge("a", 0))
	f.taken(charge("a", 1), charge("b", 5))
}

func (f *limiterFixture) noLimit() {
	free := nodeservice.Charge{Bucket: "free", Cost: 1e12}
	f.empty("a")
	for range 10 {
		f.taken(free)
	}
	f.do(f.limiter.Owe, free)
	f.do(f.limiter.Give, free)
	f.taken(free)
	f.refused(100*time.Millisecond, free, charge("a", 1))
}

func (f *limiterFixture) costs() {
	f.taken(charge("a", 1.5))
	f.taken(charge("a", 2.25))
	f.refused(25*time.Millisecond, charge("a", 1.5))
	f.taken(charge("a", 1.25))
	bytes := nodeservice.Charge{Bucket: "bytes", Cost: 5 << 20, Rate: nodeservice.Rate{PerSecond: 10 << 20, Burst: 32 << 20}}
	for range 6 {
		f.taken(bytes)
	}
	f.refused(300*time.Millisecond, bytes)
	slow := nodeservice.Charge{Bucket: "slow", Cost: 1, Rate: nodeservice.Per(2, time.Hour)}
	f.taken(slow)
	f.taken(slow)
	f.refused(30*time.Minute, slow)
}

func (f *limiterFixture) noCharges() {
	f.taken()
	f.do(f.limiter.Owe)
	f.do(f.limiter.Give)
}

func (f *limiterFixture) burstAtOnce() {
	var taken atomic.Int32
	atOnce(30, func(int) {
		if f.take(charge("a", 1), charge("b", 0.5)) == 0 {
			taken.Add(1)
		}
	})
	if taken.Load() != 5 {
		f.Errorf("%d of a burst of 5 were taken", taken.Load())
	}
	f.taken(charge("b", 2.5))
}

func (f *limiterFixture) tightest() {
	f.taken(charge("a", 1))
	roomy := nodeservice.Charge{Bucket: "roomy", Cost: 1, Rate: nodeservice.Rate{PerSecond: 10, Burst: 100}}
	done, err := f.limiter.Take(f.Context(), f.now, []nodeservice.Charge{roomy, charge("a", 1)})
	if err != nil || done.RetryAfter != 0 {
		f.Fatalf("Take: %+v, %v", done, err)
	}
	if done.Tightest != 1 || done.Left < 2.99 || done.Left > 3.01 || (done.FullIn-200*time.Millisecond).Abs() > 2*time.Millisecond {
		f.Errorf("3 of 5 are left and full in 200 ms, the answer is %+v", done)
	}
	unlimited := []nodeservice.Charge{{Bucket: "free", Cost: 1}}
	if done, err := f.limiter.Take(f.Context(), f.now, unlimited); err != nil || done.Tightest != -1 {
		f.Errorf("without a limit the answer is %+v, %v", done, err)
	}
}
