package nodeservice

import (
	"context"
	"time"

	"github.com/quicproquo/node/nodeservice/mls"
)

// Some things may be done once, and what remembers that they were must outlive
// them on every node: the one whose clock is ahead sweeps first, and the one whose
// clock is behind takes things longest.

// clockMargin is by how much the clocks of two nodes may differ: twice what each
// may be off its Redis before it is not ready (5 s), and twice that again, since
// that is not noticed at once.
const clockMargin = 20 * time.Second

// spend takes what is good until a time. first is true for one caller, ever.
func (s *Service) spend(ctx context.Context, kind string, digest [32]byte, until time.Time, now UnixMilli) (first bool, err error) {
	return s.cfg.Store.Spend(ctx, kind, digest, Milli(until).Add(clockMargin), now)
}

// revokedUntil is how long a token's revocation is kept.
func revokedUntil(expires time.Time) UnixMilli { return Milli(expires).Add(clockMargin) }

// refusedUntil is how long a key package that was handed out is refused: as long
// as its lifetime would have it accepted.
func refusedUntil(notAfter time.Time) UnixMilli {
	return Milli(notAfter).Add(mls.LifetimeSkew + clockMargin)
}
