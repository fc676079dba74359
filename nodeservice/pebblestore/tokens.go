package pebblestore

import (
	"context"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	ns "github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/identity"
)

// Spend implements nodeservice.Store.
func (s *Store) Spend(ctx context.Context, kind string, digest [32]byte, until, now ns.UnixMilli) (first bool, err error) {
	if len(kind) > 255 {
		return false, internal(fmt.Errorf("pebblestore: a kind of %d bytes", len(kind)))
	}
	k := key(keyNonce, []byte{byte(len(kind))}, []byte(kind), digest[:])
	err = s.write(ctx, func(t *tx) error {
		spentUntil, found, err := t.until(k)
		if err != nil {
			return err
		}
		first = !found || spentUntil <= now
		if first {
			t.setUntil(k, until, nil)
		}
		return nil
	})
	return first && err == nil, err
}

// Revoke implements nodeservice.Store.
func (s *Store) Revoke(ctx context.Context, r ns.Revocation) error {
	return s.write(ctx, func(t *tx) error {
		k := revocationKey(r)
		b, found, err := get(t.batch, k)
		if err != nil {
			return err
		}
		if found {
			old, err := decodeRevocation(k, b)
			if err != nil {
				return err
			}
			if old.Until >= r.Until && old.IssuedBefore >= r.IssuedBefore {
				return nil
			}
			// Neither may shrink: what the old one voids stays void.
			r.Until = max(r.Until, old.Until)
			r.IssuedBefore = max(r.IssuedBefore, old.IssuedBefore)
		}
		var e encoder
		e.time(r.IssuedBefore)
		t.setUntil(k, r.Until, e.b)
		return nil
	})
}

// Revocations implements nodeservice.Store.
func (s *Store) Revocations(ctx context.Context, now ns.UnixMilli) (list []ns.Revocation, err error) {
	err = s.read(ctx, func(r pebble.Reader) error {
		return scan(r, []byte{keyRevocation}, []byte{keyRevocation + 1}, func(k, value []byte) (bool, error) {
			one, err := decodeRevocation(k, value)
			if err == nil && one.Until > now {
				list = append(list, one)
			}
			return false, err
		})
	})
	return list, err
}

// The two kinds of revocations, in keys.
const (
	byToken    = 't'
	byIdentity = 'i'
)

func revocationKey(r ns.Revocation) []byte {
	if r.Token != [32]byte{} {
		return key(keyRevocation, []byte{byToken}, r.Token[:])
	}
	return key(keyRevocation, []byte{byIdentity}, []byte(r.Identity.Raw()))
}

func decodeRevocation(k, value []byte) (r ns.Revocation, err error) {
	until, ok := timeOf(value)
	if !ok || len(k) < 2 {
		return r, fmt.Errorf("revocation: %w", errCorrupt)
	}
	d := decoder{b: value[8:]}
	r.Until, r.IssuedBefore = until, d.time()
	switch k[1] {
	case byToken:
		copy(r.Token[:], k[2:])
	case byIdentity:
		r.Identity = identity.TrustedKey(string(k[2:]))
	default:
		d.fail()
	}
	if err := d.done(); err != nil {
		return ns.Revocation{}, fmt.Errorf("revocation: %w", err)
	}
	return r, nil
}
