package mls

import (
	"fmt"
	"time"
)

const (
	// MaxLifetime is the longest that a package may be valid for. RFC 9420,
	// section 7.2, obliges applications to define it.
	MaxLifetime = 90 * 24 * time.Hour

	// LifetimeSkew is by how much a client's clock may differ from ours, either
	// way.
	LifetimeSkew = 5 * time.Minute
)

// lastSecond is 9999-12-31T23:59:59Z, the last that RFC 3339 can write. It
// stands for everything later, "for ever" (2^64-1) above all.
const lastSecond = 253402300799

// CheckLifetime refuses a package whose lifetime does not cover now, give or
// take [LifetimeSkew], or is longer than maxLength. A maxLength of 0 allows any
// length. Both ends of the lifetime and maxLength itself are still accepted.
//
// So a package may be accepted that is already over by our clock; whoever
// stores it asks NotAfter how long. The error is always an [*Error] about
// leaf_node.lifetime.
func (kp *KeyPackage) CheckLifetime(now time.Time, maxLength time.Duration) error {
	const field = "leaf_node.lifetime"
	switch {
	case kp.NotAfter.Before(kp.NotBefore):
		return &Error{field, "ends before it begins"}
	case now.Before(kp.NotBefore.Add(-LifetimeSkew)):
		return &Error{field, "has not begun yet"}
	case now.After(kp.NotAfter.Add(LifetimeSkew)):
		return &Error{field, "is over"}
	case maxLength > 0 && kp.NotAfter.Sub(kp.NotBefore) > maxLength:
		return &Error{field, fmt.Sprintf("is longer than %d seconds", int64(maxLength.Seconds()))}
	}
	return nil
}

// timeOf converts a Lifetime's seconds.
func timeOf(seconds uint64) time.Time {
	return time.Unix(int64(min(seconds, lastSecond)), 0).UTC()
}

// secondsOf is timeOf's inverse. Fractions are cut off; a time before 1970 is
// refused.
func secondsOf(t time.Time) (uint64, error) {
	seconds := t.Unix()
	if seconds < 0 {
		return 0, &Error{"leaf_node.lifetime", "begins or ends before 1970"}
	}
	return uint64(seconds), nil
}
