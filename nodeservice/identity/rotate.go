package identity

import (
	"fmt"
	"time"
)

// Rotate returns a set with a new key that signs from now+lead on; s stays as it
// is, so that the caller can make the new set durable before it replaces the old.
//
// Until then the present key signs: lead is the time in which every node, and
// whoever else caches our JWKS, learns the new key. The older keys verify until
// now+lead+keep, when the last token that they signed has expired: keep is at
// least the longest TTL and the time that the slowest node takes to change over.
// So nobody is logged out. Keys that have retired by now are dropped.
func (s *SigningKeys) Rotate(now time.Time, lead, keep time.Duration) (*SigningKeys, error) {
	if lead < 0 || keep < 0 {
		return nil, fmt.Errorf("%w: rotating takes no negative time", ErrSigningKeys)
	}
	fresh, err := generateSigningKey()
	if err != nil {
		return nil, err
	}
	fresh.created = now.Add(lead).UTC().Truncate(time.Millisecond) // as the file keeps it
	keys := []signingKey{fresh}
	for _, key := range s.ValidAt(now).set.Load().keys {
		if key.retired.IsZero() {
			key.retired = fresh.created.Add(keep).Truncate(time.Millisecond)
		}
		keys = append(keys, key)
	}
	if len(keys) > maxSigningKeys {
		return nil, fmt.Errorf("%w: there are %d keys that have not retired; a set holds %d", ErrSigningKeys, len(keys)-1, maxSigningKeys)
	}
	return signingKeysOf(keys), nil
}

// ValidAt returns the set without the keys that have retired by then: what is to
// be written and published. The first key never retires by itself.
func (s *SigningKeys) ValidAt(now time.Time) *SigningKeys {
	var valid []signingKey
	for _, key := range s.set.Load().keys {
		if !key.retiredAt(now) {
			valid = append(valid, key)
		}
	}
	return signingKeysOf(valid)
}

func (k signingKey) retiredAt(now time.Time) bool {
	return !k.retired.IsZero() && !now.Before(k.retired)
}
