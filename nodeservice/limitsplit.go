package nodeservice

import (
	"context"
	"errors"
	"slices"
	"time"
)

// SplitLimiter is the Limiter of a node whose limits are its own, but for those
// that are Shared: these another Limiter counts, for all nodes together.
type SplitLimiter struct{ Own, Shared Limiter }

// Take implements Limiter. What the shared ones refuse is given back to its own.
func (l SplitLimiter) Take(ctx context.Context, now time.Time, charges []Charge) (Taken, error) {
	own, shared := split(charges)
	if len(shared) == 0 {
		return l.Own.Take(ctx, now, own)
	}
	first, err := l.Own.Take(ctx, now, own)
	if err != nil || first.RetryAfter > 0 {
		return placed(first, charges, false), err
	}
	second, err := l.Shared.Take(ctx, now, shared)
	if err != nil || second.RetryAfter > 0 {
		return placed(second, charges, true), errors.Join(err, l.Own.Give(ctx, now, own))
	}
	return tighter(charges, placed(first, charges, false), placed(second, charges, true)), nil
}

// Give implements Limiter.
func (l SplitLimiter) Give(ctx context.Context, now time.Time, charges []Charge) error {
	own, shared := split(charges)
	err := l.Own.Give(ctx, now, own)
	if len(shared) > 0 {
		err = errors.Join(err, l.Shared.Give(ctx, now, shared))
	}
	return err
}

// Owe implements Limiter.
func (l SplitLimiter) Owe(ctx context.Context, now time.Time, charges []Charge) error {
	own, shared := split(charges)
	err := l.Own.Owe(ctx, now, own)
	if len(shared) > 0 {
		err = errors.Join(err, l.Shared.Owe(ctx, now, shared))
	}
	return err
}

// split copies only where some are shared: most requests have none.
func split(charges []Charge) (own, shared []Charge) {
	isShared := func(c Charge) bool { return c.Shared }
	if !slices.ContainsFunc(charges, isShared) {
		return charges, nil
	}
	for _, c := range charges {
		if c.Shared {
			shared = append(shared, c)
		} else {
			own = append(own, c)
		}
	}
	return own, shared
}

// placed names the tightest of one part by its place in the whole list.
func placed(t Taken, charges []Charge, shared bool) Taken {
	part := -1
	for i, c := range charges {
		if c.Shared != shared {
			continue
		}
		if part++; part == t.Tightest {
			t.Tightest = i
			return t
		}
	}
	t.Tightest = -1
	return t
}

func tighter(charges []Charge, a, b Taken) Taken {
	left := func(t Taken) float64 { return t.Left / charges[t.Tightest].Rate.Burst }
	if a.Tightest < 0 || b.Tightest >= 0 && left(b) < left(a) {
		return b
	}
	return a
}
