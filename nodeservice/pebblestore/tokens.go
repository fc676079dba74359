package pebblestore

import (
	"context"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	ns "github.com/quicproquo/node/nodeservice"
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
			old, err := decodeRevocation(b)
			if err != nil || !reachesFurther(r, old) {
				return err
			}
		}
		var e encoder
		e.fixed(r.Token[:])
		e.identity(r.Identity)
		e.time(r.IssuedBefore)
		t.setUntil(k, r.Until, e.b)
		return nil
	})
}

// reachesFurther says that r voids tokens that old, of the same name, does not.
func reachesFurther(r, old ns.Revocation) bool {
	if r.IssuedBefore != old.IssuedBefore {
		return r.IssuedBefore > old.IssuedBefore
	}
	return r.Until > old.Until
}

// Revocations implements nodeservice.Store.
func (s *Store) Revocations(ctx context.Context, now ns.UnixMilli) (list []ns.Revocation, err error) {
	err = s.read(ctx, func(r pebble.Reader) error {
		return scan(r, []byte{keyRevocation}, []byte{keyRevocation + 1}, func(_, value []byte) (bool, error) {
			one, err := decodeRevocation(value)
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

func decodeRevocation(value []byte) (r ns.Revocation, err error) {
	until, ok := timeOf(value)
	if !ok {
		return r, fmt.Errorf("revocation: %w", errCorrupt)
	}
	d := decoder{b: value[8:]}
	r.Until = until
	d.fixed(r.Token[:])
	r.Identity = d.identity()
	r.IssuedBefore = d.time()
	if err := d.done(); err != nil {
		return ns.Revocation{}, fmt.Errorf("revocation: %w", err)
	}
	return r, nil
}
