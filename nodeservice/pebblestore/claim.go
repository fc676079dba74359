package pebblestore

import (
	"bytes"
	"context"
	"fmt"

	ns "github.com/quicproquo/node/nodeservice"
)

// ClaimKeyPackage implements nodeservice.Store. That a one-time package is
// handed out once holds across a crash: it is gone, spent, and remembered under
// its ClaimID in one synced batch, before anybody sees it.
func (s *Store) ClaimKeyPackage(ctx context.Context, req ns.ClaimKeyPackageRequest) (claimed ns.ClaimedKeyPackage, err error) {
	err = s.write(ctx, func(t *tx) (err error) {
		claimed, err = t.claim(req)
		return err
	})
	return claimed, err
}

func (t *tx) claim(req ns.ClaimKeyPackageRequest) (ns.ClaimedKeyPackage, error) {
	owner := identityField(req.Owner)
	claimed, err := t.claimed(owner, req)
	if err != nil {
		return ns.ClaimedKeyPackage{}, err
	}
	if !claimed.Found {
		if claimed, err = t.take(owner, req); err != nil || !claimed.Found {
			return ns.ClaimedKeyPackage{}, err
		}
		if req.ClaimID != "" {
			t.setUntil(claimKey(owner, req), req.ClaimUntil, encodeClaim(claimed.KeyPackage))
		}
	}
	err = heldPackages(t.batch, owner, oneTime, claimed.KeyPackage.CipherSuite, req.Now+1, func(packageRef) bool {
		claimed.Remaining++
		return false
	})
	return claimed, err
}

// claimed looks for an earlier claim with the same ClaimID.
func (t *tx) claimed(owner []byte, req ns.ClaimKeyPackageRequest) (c ns.ClaimedKeyPackage, err error) {
	if req.ClaimID == "" {
		return c, nil
	}
	b, found, err := get(t.batch, claimKey(owner, req))
	if err != nil || !found {
		return c, err
	}
	until, _ := timeOf(b)
	if until <= req.Now {
		return c, nil
	}
	kp, err := decodeClaim(b[8:])
	return ns.ClaimedKeyPackage{Found: true, Repeated: true, KeyPackage: kp}, err
}

// take hands out a one-time package, or else counts a use of a last-resort one.
func (t *tx) take(owner []byte, req ns.ClaimKeyPackageRequest) (ns.ClaimedKeyPackage, error) {
	known, err := readStock(t.batch, owner)
	if err != nil {
		return ns.ClaimedKeyPackage{}, err
	}
	wanted := req.Suites
	if len(wanted) == 0 {
		wanted = known.suites()
	}
	if req.OneTime {
		p, found, err := t.soonest(owner, wanted, max(req.MinExpiry, req.Now+1))
		if err != nil {
			return ns.ClaimedKeyPackage{}, err
		}
		if found {
			return t.takeOneTime(owner, p)
		}
	}
	p, found, err := t.lastResort(owner, wanted, req.Now)
	if err != nil || !found {
		return ns.ClaimedKeyPackage{}, err
	}
	known.of(p.suite).uses++
	t.set(key(keyStock, owner), known.encode())
	return t.found(owner, p)
}

// soonest is the one-time package of the wanted suites that expires first, at
// from or later; ties go by ref.
func (t *tx) soonest(owner []byte, wanted []ns.CipherSuite, from ns.UnixMilli) (best packageRef, found bool, err error) {
	for _, suite := range wanted {
		err := heldPackages(t.batch, owner, oneTime, suite, from, func(p packageRef) bool {
			if !found || p.expiresAt < best.expiresAt || p.expiresAt == best.expiresAt && bytes.Compare(p.ref[:], best.ref[:]) < 0 {
				best, found = p, true
			}
			return true
		})
		if err != nil {
			return packageRef{}, false, err
		}
	}
	return best, found, nil
}

// lastResort is the last-resort package of the suite listed first that has one.
func (t *tx) lastResort(owner []byte, wanted []ns.CipherSuite, now ns.UnixMilli) (p packageRef, found bool, err error) {
	for _, suite := range wanted {
		err := heldPackages(t.batch, owner, lastResort, suite, now+1, func(h packageRef) bool {
			p, found = h, true
			return true
		})
		if err != nil || found {
			return p, found, err
		}
	}
	return packageRef{}, false, nil
}

func (t *tx) takeOneTime(owner []byte, p packageRef) (ns.ClaimedKeyPackage, error) {
	stored, _, found, err := readPackage(t.batch, owner, p.ref)
	if err == nil && !found {
		err = fmt.Errorf("%w: an index names a key package that is not there", errCorrupt)
	}
	if err != nil {
		return ns.ClaimedKeyPackage{}, err
	}
	t.dropPackage(owner, p)
	t.setUntil(key(keySpent, owner, p.ref[:]), stored.NotAfter, nil)
	return ns.ClaimedKeyPackage{Found: true, KeyPackage: handOut(stored, false)}, nil
}

func (t *tx) found(owner []byte, p packageRef) (ns.ClaimedKeyPackage, error) {
	stored, kind, found, err := readPackage(t.batch, owner, p.ref)
	if err == nil && !found {
		err = fmt.Errorf("%w: an index names a key package that is not there", errCorrupt)
	}
	return ns.ClaimedKeyPackage{Found: err == nil, KeyPackage: handOut(stored, kind == lastResort)}, err
}

func handOut(p ns.StoredKeyPackage, isLastResort bool) ns.KeyPackage {
	return ns.KeyPackage{Data: p.Data, Fingerprint: p.Fingerprint, CipherSuite: p.CipherSuite, LastResort: isLastResort}
}

func claimKey(owner []byte, req ns.ClaimKeyPackageRequest) []byte {
	return key(keyClaim, owner, identityField(req.Claimer), []byte(req.ClaimID))
}

func encodeClaim(p ns.KeyPackage) []byte {
	var e encoder
	e.uint(uint64(p.CipherSuite))
	e.bool(p.LastResort)
	e.fixed(p.Fingerprint[:])
	e.bytes(p.Data)
	return e.b
}

func decodeClaim(b []byte) (p ns.KeyPackage, err error) {
	d := decoder{b: b}
	p.CipherSuite = ns.CipherSuite(d.uint())
	p.LastResort = d.bool()
	d.fixed(p.Fingerprint[:])
	p.Data = d.bytes()
	if err := d.done(); err != nil {
		return ns.KeyPackage{}, fmt.Errorf("claim: %w", err)
	}
	return p, nil
}
