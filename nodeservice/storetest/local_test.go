package storetest_test

import (
	"context"
	"hash/crc32"
	"slices"
	"testing"
	"time"

	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/storetest"
)

func TestLocalBus(t *testing.T) {
	storetest.RunBus(t, func() nodeservice.Bus { return &nodeservice.LocalBus{} })
}

// halved has every other bucket counted by the shared one of two limiters.
type halved struct{ nodeservice.SplitLimiter }

func mark(charges []nodeservice.Charge) []nodeservice.Charge {
	marked := slices.Clone(charges)
	for i := range marked {
		sum := crc32.ChecksumIEEE([]byte(marked[i].Bucket))
		marked[i].Shared = sum%2 == 0
	}
	return marked
}

func (l halved) Take(ctx context.Context, now time.Time, charges []nodeservice.Charge) (nodeservice.Taken, error) {
	return l.SplitLimiter.Take(ctx, now, mark(charges))
}

func (l halved) Give(ctx context.Context, now time.Time, charges []nodeservice.Charge) error {
	return l.SplitLimiter.Give(ctx, now, mark(charges))
}

func (l halved) Owe(ctx context.Context, now time.Time, charges []nodeservice.Charge) error {
	return l.SplitLimiter.Owe(ctx, now, mark(charges))
}

func TestSplitLimiter(t *testing.T) {
	storetest.RunLimiter(t, func() nodeservice.Limiter {
		return halved{nodeservice.SplitLimiter{Own: nodeservice.NewMemoryLimiter(64), Shared: nodeservice.NewMemoryLimiter(64)}}
	})
}

func TestMemoryLimiter(t *testing.T) {
	storetest.RunLimiter(t, func() nodeservice.Limiter { return nodeservice.NewMemoryLimiter(64) })
}
