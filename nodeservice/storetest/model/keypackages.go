package model

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"github.com/quicproquo/node/nodeservice"
)

// shelf is what is kept of one owner's key packages.
type shelf struct {
	held   map[[32]byte]keyPackage            // by Ref
	spent  map[[32]byte]nodeservice.UnixMilli // Ref handed out, until its NotAfter
	suites map[nodeservice.CipherSuite]bool   // that once held a package
}

type keyPackage struct {
	nodeservice.StoredKeyPackage
	lastResort bool
	uses       uint32 // of the last-resort one
}

// claimKey scopes a claim id.
type claimKey struct {
	claimer, owner nodeservice.Identity
	id             string
}

type claim struct {
	answer nodeservice.ClaimedKeyPackage
	until  nodeservice.UnixMilli
}

func (d *data) shelf(owner nodeservice.Identity) shelf {
	s, found := d.shelves[owner]
	if !found {
		s = shelf{
			held:   map[[32]byte]keyPackage{},
			spent:  map[[32]byte]nodeservice.UnixMilli{},
			suites: map[nodeservice.CipherSuite]bool{},
		}
		d.shelves[owner] = s
	}
	return s
}

// unexpired are the packages that still count at now, by Ref.
func (s shelf) unexpired(now nodeservice.UnixMilli) map[[32]byte]keyPackage {
	left := maps.Clone(s.held)
	maps.DeleteFunc(left, func(_ [32]byte, p keyPackage) bool { return p.ExpiresAt <= now })
	return left
}

// PutKeyPackages implements nodeservice.Store.
func (s *Store) PutKeyPackages(_ context.Context, req nodeservice.PutKeyPackages) (nodeservice.PutOutcome, error) {
	return do(s, "PutKeyPackages", func(d *data) (nodeservice.PutOutcome, error) {
		return d.putKeyPackages(req), nil
	})
}

func (d *data) putKeyPackages(req nodeservice.PutKeyPackages) nodeservice.PutOutcome {
	shelf := d.shelf(req.Owner)
	before := shelf.unexpired(req.Now)
	for i, p := range req.Packages {
		if shelf.spent[p.Ref] > req.Now {
			return nodeservice.PutOutcome{Result: nodeservice.PutSpent, Index: i}
		}
		if old, found := before[p.Ref]; found && old.lastResort != req.LastResort {
			return nodeservice.PutOutcome{Result: nodeservice.PutOtherKind, Index: i}
		}
	}
	after := withPackages(before, req)
	if len(after) > len(before) && exceeds(len(after), req.Max) {
		return nodeservice.PutOutcome{Result: nodeservice.PutOverQuota}
	}
	for _, p := range after {
		shelf.suites[p.CipherSuite] = true
	}
	shelf.held = after
	d.shelves[req.Owner] = shelf
	return nodeservice.PutOutcome{Result: nodeservice.PutStored}
}

// withPackages is what is held after a batch that nothing speaks against.
func withPackages(before map[[32]byte]keyPackage, req nodeservice.PutKeyPackages) map[[32]byte]keyPackage {
	after := maps.Clone(before)
	for _, p := range req.Packages {
		if _, found := after[p.Ref]; found {
			continue
		}
		if req.LastResort {
			maps.DeleteFunc(after, func(_ [32]byte, old keyPackage) bool {
				return old.lastResort && old.CipherSuite == p.CipherSuite
			})
		}
		p.Data = slices.Clone(p.Data)
		after[p.Ref] = keyPackage{StoredKeyPackage: p, lastResort: req.LastResort}
	}
	return after
}

// ClaimKeyPackage implements nodeservice.Store.
func (s *Store) ClaimKeyPackage(_ context.Context, req nodeservice.ClaimKeyPackageRequest) (nodeservice.ClaimedKeyPackage, error) {
	return do(s, "ClaimKeyPackage", func(d *data) (nodeservice.ClaimedKeyPackage, error) {
		answer := d.claim(req)
		answer.KeyPackage.Data = slices.Clone(answer.KeyPackage.Data)
		return answer, nil
	})
}

func (d *data) claim(req nodeservice.ClaimKeyPackageRequest) nodeservice.ClaimedKeyPackage {
	key := claimKey{req.Claimer, req.Owner, req.ClaimID}
	if c, found := d.claims[key]; found && c.until > req.Now {
		c.answer.Repeated = true
		return c.answer
	}
	taken, found := d.take(req)
	if !found {
		return nodeservice.ClaimedKeyPackage{}
	}
	answer := nodeservice.ClaimedKeyPackage{
		Found: true,
		KeyPackage: nodeservice.KeyPackage{
			Data:        taken.Data,
			Fingerprint: taken.Fingerprint,
			CipherSuite: taken.CipherSuite,
			LastResort:  taken.lastResort,
		},
		Remaining: d.stock(req.Owner, taken.CipherSuite, req.Now).OneTime,
	}
	if req.ClaimID != "" {
		d.claims[key] = claim{answer, req.ClaimUntil}
	}
	return answer
}

// take chooses the package to hand out, and spends or counts it.
func (d *data) take(req nodeservice.ClaimKeyPackageRequest) (taken keyPackage, found bool) {
	shelf := d.shelf(req.Owner)
	left := slices.SortedFunc(maps.Values(shelf.unexpired(req.Now)), func(a, b keyPackage) int {
		return cmp.Or(cmp.Compare(a.ExpiresAt, b.ExpiresAt), slices.Compare(a.Ref[:], b.Ref[:]))
	})
	if req.OneTime {
		for _, p := range left {
			wanted := len(req.Suites) == 0 || slices.Contains(req.Suites, p.CipherSuite)
			if !p.lastResort && wanted && p.ExpiresAt >= req.MinExpiry {
				delete(shelf.held, p.Ref)
				shelf.spent[p.Ref] = p.NotAfter
				return p, true
			}
		}
	}
	wanted := req.Suites
	if len(wanted) == 0 {
		wanted = slices.Sorted(maps.Keys(shelf.suites))
	}
	for _, suite := range wanted {
		for _, p := range left {
			if p.lastResort && p.CipherSuite == suite {
				p.uses++
				shelf.held[p.Ref] = p
				return p, true
			}
		}
	}
	return keyPackage{}, false
}

// KeyPackageStock implements nodeservice.Store.
func (s *Store) KeyPackageStock(_ context.Context, owner nodeservice.Identity, now nodeservice.UnixMilli) ([]nodeservice.KeyPackageStock, error) {
	return do(s, "KeyPackageStock", func(d *data) ([]nodeservice.KeyPackageStock, error) {
		var all []nodeservice.KeyPackageStock
		for _, suite := range slices.Sorted(maps.Keys(d.shelf(owner).suites)) {
			all = append(all, d.stock(owner, suite, now))
		}
		return all, nil
	})
}

func (d *data) stock(owner nodeservice.Identity, suite nodeservice.CipherSuite, now nodeservice.UnixMilli) nodeservice.KeyPackageStock {
	stock := nodeservice.KeyPackageStock{CipherSuite: suite}
	for _, p := range d.shelf(owner).unexpired(now) {
		switch {
		case p.CipherSuite != suite:
		case p.lastResort:
			stock.LastResort, stock.LastResortUses = true, p.uses
		default:
			if stock.OneTime == 0 || p.ExpiresAt < stock.SoonestExpiry {
				stock.SoonestExpiry = p.ExpiresAt
			}
			stock.OneTime++
		}
	}
	return stock
}
