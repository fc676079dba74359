package redisstore

import (
	"context"

	ns "github.com/quicproquo/node/nodeservice"
)

var (
	putScript   = newScript(changes, "packages", "put")
	claimScript = newScript(changes, "packages", "claim")
	stockScript = newScript(onlyReads, "packages", "stock")
)

// kinds of key packages, in scripts.
const (
	oneTime    = 1
	lastResort = 2
)

// shelf is where an owner's key packages are.
func (s *Store) shelf(owner ns.Identity) (base, name, key string) {
	name = identityName(owner)
	base = s.baseOf(name)
	return base, name, base + string(keyPackages) + name
}

// PutKeyPackages implements nodeservice.Store.
func (s *Store) PutKeyPackages(ctx context.Context, req ns.PutKeyPackages) (ns.PutOutcome, error) {
	if err := s.enter(); err != nil {
		return ns.PutOutcome{}, err
	}
	defer s.leave()
	base, owner, key := s.shelf(req.Owner)
	kind := oneTime
	if req.LastResort {
		kind = lastResort
	}
	args := []any{base, owner, int64(req.Now), kind, req.Max}
	for _, p := range req.Packages {
		args = append(args, p.Ref[:], int(p.CipherSuite), int64(p.ExpiresAt), int64(p.NotAfter), p.Fingerprint[:], p.Data)
	}
	answer, err := s.run(ctx, putScript, []string{key}, args...)
	if err != nil {
		return ns.PutOutcome{}, err
	}
	outcome := ns.PutOutcome{Result: ns.PutResult(answer.count()), Index: int(answer.count())}
	if err := answer.done(); err != nil {
		return ns.PutOutcome{}, asStoreError(err)
	}
	return outcome, nil
}

// ClaimKeyPackage implements nodeservice.Store. That a one-time package is handed
// out once holds on all nodes: it is gone, spent, and remembered under its ClaimID
// in one step, before anybody sees it.
func (s *Store) ClaimKeyPackage(ctx context.Context, req ns.ClaimKeyPackageRequest) (ns.ClaimedKeyPackage, error) {
	if err := s.enter(); err != nil {
		return ns.ClaimedKeyPackage{}, err
	}
	defer s.leave()
	base, owner, key := s.shelf(req.Owner)
	claim := ""
	if req.ClaimID != "" {
		claim = claimName(req)
	}
	args := []any{base, owner, int64(req.Now), req.OneTime, int64(req.MinExpiry), claim, int64(req.ClaimUntil), newToken()}
	for _, suite := range req.Suites {
		args = append(args, int(suite))
	}
	answer, err := s.run(ctx, claimScript, []string{key}, args...)
	if err != nil {
		return ns.ClaimedKeyPackage{}, err
	}
	claimed, err := decodeClaimed(answer)
	return claimed, asStoreError(err)
}

func decodeClaimed(r *reply) (c ns.ClaimedKeyPackage, err error) {
	if !r.bad && len(r.items) == 0 {
		return ns.ClaimedKeyPackage{}, nil
	}
	c.Found, c.Repeated = true, r.bool()
	c.KeyPackage.LastResort = r.int() == lastResort
	c.KeyPackage.CipherSuite = ns.CipherSuite(r.count())
	r.fixed(c.KeyPackage.Fingerprint[:])
	c.KeyPackage.Data = []byte(r.text())
	c.Remaining = uint32(r.count())
	if err := r.done(); err != nil {
		return ns.ClaimedKeyPackage{}, err
	}
	return c, nil
}

// KeyPackageStock implements nodeservice.Store.
func (s *Store) KeyPackageStock(ctx context.Context, owner ns.Identity, now ns.UnixMilli) ([]ns.KeyPackageStock, error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	base, name, key := s.shelf(owner)
	answer, err := s.run(ctx, stockScript, []string{key}, base, name, int64(now))
	if err != nil {
		return nil, err
	}
	list, err := decodeStock(answer)
	return list, asStoreError(err)
}

func decodeStock(r *reply) (list []ns.KeyPackageStock, err error) {
	for r.more() {
		one := r.list()
		list = append(list, ns.KeyPackageStock{
			CipherSuite:    ns.CipherSuite(one.count()),
			OneTime:        uint32(one.count()),
			SoonestExpiry:  one.time(),
			LastResort:     one.bool(),
			LastResortUses: uint32(one.count()),
		})
		if err := one.done(); err != nil {
			return nil, err
		}
	}
	return list, r.done()
}
