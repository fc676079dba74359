package crashtest

import (
	"encoding/binary"
	"maps"

	"github.com/quicproquo/node/nodeservice"
)

// stock is an owner's key packages.
type stock struct {
	held   map[fingerprint]bool // one-time ones
	spent  map[fingerprint]bool
	last   fingerprint // the last-resort one; zero: there is none
	claims map[claimName]handed
}

// claimName is a claim that can be repeated; handed is its answer.
type (
	claimName struct {
		who int
		id  string
	}
	handed struct {
		print      fingerprint
		lastResort bool
	}
)

var stockModel = modelOf(&stock{}, (*stock).step, (*stock).equal, (*stock).hash)

func (s *stock) equal(other *stock) bool {
	return s.last == other.last && maps.Equal(s.held, other.held) && maps.Equal(s.spent, other.spent) && maps.Equal(s.claims, other.claims)
}

func (s *stock) hash() uint64 {
	h := uint64(len(s.claims))
	for p := range s.held {
		h += binary.BigEndian.Uint64(p[:])
	}
	for p := range s.spent {
		h += 3 * binary.BigEndian.Uint64(p[:])
	}
	return h ^ binary.BigEndian.Uint64(s.last[:])
}

// clone is a copy whose maps can be changed.
func (s *stock) clone() *stock {
	c := &stock{held: map[fingerprint]bool{}, spent: map[fingerprint]bool{}, last: s.last, claims: map[claimName]handed{}}
	maps.Copy(c.held, s.held)
	maps.Copy(c.spent, s.spent)
	maps.Copy(c.claims, s.claims)
	return c
}

// step is what a stock may answer.
func (s *stock) step(op *Op) (next *stock, explained bool) {
	switch op.Kind {
	case Upload:
		return s.upload(op)
	case Claim:
		return s.claim(op)
	}
	return s, op.answered() && op.OneTime == len(s.held)
}

// upload looks at the packages in their order, and at the quota last.
func (s *stock) upload(op *Op) (*stock, bool) {
	next := s.clone()
	for _, p := range op.Packages {
		if s.spent[p] || s.held[p] && op.LastResort || s.last == p && !op.LastResort {
			return s, op.refusedWith(nodeservice.CodeInvalidArgument)
		}
		if op.LastResort {
			next.last = p
		} else {
			next.held[p] = true
		}
	}
	count := len(next.held)
	if next.last != (fingerprint{}) {
		count++
	}
	if count > nodeservice.DefaultQuotas().KeyPackages {
		return s, op.refusedWith(nodeservice.CodeQuotaExceeded)
	}
	return next, op.answered()
}

// claim repeats, or hands out a one-time package, or else the last-resort one.
func (s *stock) claim(op *Op) (*stock, bool) {
	name := claimName{op.Who, op.ClaimID}
	got := handed{op.Claimed, op.LastResort}
	if before, repeated := s.claims[name]; repeated && op.ClaimID != "" {
		return s, op.answered() && got == before
	}
	switch {
	case len(s.held) > 0:
		if !op.answered() || op.LastResort || !s.held[op.Claimed] {
			return s, false
		}
	case s.last != (fingerprint{}):
		if !op.answered() || got != (handed{s.last, true}) {
			return s, false
		}
	default:
		return s, op.refusedWith(nodeservice.CodeKeyPackageNotFound)
	}
	next := s.clone()
	if !op.LastResort {
		delete(next.held, op.Claimed)
		next.spent[op.Claimed] = true
	}
	if op.ClaimID != "" {
		next.claims[name] = got
	}
	return next, true
}
