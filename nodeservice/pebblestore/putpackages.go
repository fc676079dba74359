package pebblestore

import (
	"context"
	"fmt"

	ns "github.com/quicproquo/node/nodeservice"
)

// PutKeyPackages implements nodeservice.Store.
func (s *Store) PutKeyPackages(ctx context.Context, req ns.PutKeyPackages) (outcome ns.PutOutcome, err error) {
	if err := s.enter(); err != nil {
		return ns.PutOutcome{}, err
	}
	defer s.leave()
	size := 0
	for _, p := range req.Packages {
		size += len(p.Data)
	}
	_, err = s.committer.do(ctx, size, func(t *tx) (err error) {
		outcome, err = t.putPackages(req)
		return err
	})
	return outcome, err
}

// shelf is a plan of what an owner holds, on which a batch of packages is tried
// before anything is written.
type shelf struct {
	held map[[32]byte]packageRef // expired ones included, until something takes their place
	live int                     // of them, unexpired
	now  ns.UnixMilli
	plan []shelfStep
}

// shelfStep puts a package in place of others.
type shelfStep struct {
	put  ns.StoredKeyPackage
	drop []packageRef
}

func (t *tx) putPackages(req ns.PutKeyPackages) (ns.PutOutcome, error) {
	owner, kind := identityField(req.Owner), kindOf(req.LastResort)
	sh, err := t.shelf(owner, req.Now)
	if err != nil {
		return ns.PutOutcome{}, err
	}
	before := sh.live
	for i, p := range req.Packages {
		spent, err := t.isSpent(owner, p.Ref, req.Now)
		if err != nil {
			return ns.PutOutcome{}, err
		}
		if spent {
			return ns.PutOutcome{Result: ns.PutSpent, Index: i}, nil
		}
		if result := sh.try(p, kind); result != ns.PutStored {
			return ns.PutOutcome{Result: result, Index: i}, nil
		}
	}
	if req.Max > 0 && sh.live > max(req.Max, before) {
		return ns.PutOutcome{Result: ns.PutOverQuota}, nil
	}
	return ns.PutOutcome{Result: ns.PutStored}, t.fill(owner, kind, sh.plan)
}

func (t *tx) shelf(owner []byte, now ns.UnixMilli) (*shelf, error) {
	all, err := allPackages(t.batch, owner)
	if err != nil {
		return nil, err
	}
	sh := &shelf{held: make(map[[32]byte]packageRef, len(all)), now: now}
	for _, p := range all {
		sh.held[p.ref] = p
		if p.expiresAt > now {
			sh.live++
		}
	}
	return sh, nil
}

// try plans to put one package; PutStored means that nothing but Max can speak
// against it.
func (sh *shelf) try(p ns.StoredKeyPackage, kind byte) ns.PutResult {
	old, there := sh.held[p.Ref]
	if there && old.expiresAt > sh.now {
		if old.kind != kind {
			return ns.PutOtherKind
		}
		return ns.PutStored // left as it is
	}
	step := shelfStep{put: p}
	if there {
		step.drop = append(step.drop, old)
	}
	if kind == lastResort {
		step.drop = append(step.drop, sh.lastResorts(p)...)
	}
	for _, d := range step.drop {
		if d.expiresAt > sh.now {
			sh.live--
		}
		delete(sh.held, d.ref)
	}
	if p.ExpiresAt > sh.now {
		sh.live++
	}
	sh.held[p.Ref] = packageRef{kind, p.CipherSuite, p.ExpiresAt, p.Ref}
	sh.plan = append(sh.plan, step)
	return ns.PutStored
}

// lastResorts are the ones that a new last-resort package replaces.
func (sh *shelf) lastResorts(p ns.StoredKeyPackage) (replaced []packageRef) {
	for _, h := range sh.held {
		if h.kind == lastResort && h.suite == p.CipherSuite && h.ref != p.Ref {
			replaced = append(replaced, h)
		}
	}
	return replaced
}

// fill writes a plan.
func (t *tx) fill(owner []byte, kind byte, plan []shelfStep) error {
	if len(plan) == 0 {
		return nil
	}
	known, err := readStock(t.batch, owner)
	if err != nil {
		return err
	}
	for _, step := range plan {
		for _, d := range step.drop {
			t.dropPackage(owner, d)
		}
		p := step.put
		t.set(packageRef{kind, p.CipherSuite, p.ExpiresAt, p.Ref}.key(owner), nil)
		t.set(key(keyPackage, owner, p.Ref[:]), encodePackage(p, kind))
		t.set(sweepKey(p.ExpiresAt, sweepPackage, append(owner[:len(owner):len(owner)], p.Ref[:]...)), nil)
		if in := known.of(p.CipherSuite); kind == lastResort {
			in.uses = 0
		}
	}
	t.set(key(keyStock, owner), known.encode())
	return nil
}

func (t *tx) dropPackage(owner []byte, p packageRef) {
	t.delete(p.key(owner))
	t.delete(key(keyPackage, owner, p.ref[:]))
}

func (t *tx) isSpent(owner []byte, ref [32]byte, now ns.UnixMilli) (bool, error) {
	until, found, err := t.until(key(keySpent, owner, ref[:]))
	return found && until > now, err
}

// until reads the time that a record's value begins with.
func (t *tx) until(k []byte) (until ns.UnixMilli, found bool, err error) {
	b, found, err := get(t.batch, k)
	if err != nil || !found {
		return 0, false, err
	}
	until, ok := timeOf(b)
	if !ok {
		return 0, false, fmt.Errorf("record %x: %w", k, errCorrupt)
	}
	return until, true, nil
}

// setUntil writes a record that the sweep deletes when its time has come. The
// value begins with that time.
func (t *tx) setUntil(k []byte, until ns.UnixMilli, rest []byte) {
	t.set(k, append(timeField(until), rest...))
	t.set(sweepKey(until, sweepRecord, k), nil)
}
