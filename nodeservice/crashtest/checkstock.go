package crashtest

import (
	"math"
	"slices"

	"github.com/quicproquo/node/nodeservice"
)

type fingerprint = nodeservice.Fingerprint

// stockCheck holds one owner's key packages to the rules.
type stockCheck struct {
	*checker
	owner int

	batches map[fingerprint]*stored // by each of its packages
	uploads []*stored
	taken   map[fingerprint]*taking
	lost    []int64 // begins of claims of unknown outcome, whose package nobody knows
}

// stored is one batch, with all attempts to upload it.
type stored struct {
	packages   []fingerprint
	lastResort bool
	perhaps    int64 // since when it may be held
	certain    int64 // since when it must have been held; MaxInt64: never
}

// taking is one claim, with all attempts to make it, that took a package.
type taking struct {
	who     int
	claimID string
	perhaps int64 // since when the package may be gone
	certain int64 // since when it must be
}

func (s *stockCheck) run() {
	s.batches, s.taken = map[fingerprint]*stored{}, map[fingerprint]*taking{}
	s.gatherUploads()
	s.gatherClaims()
	for i := range s.ops {
		op := &s.ops[i]
		switch {
		case op.Kind == Status && op.Who == s.owner && op.answered():
			s.status(op)
		case op.Kind == Claim && op.Peer == s.owner:
			s.unstocked(op)
		case op.Kind == Upload && op.Who == s.owner && op.answered():
			s.spent(op)
		}
	}
}

func (s *stockCheck) gatherUploads() {
	for i := range s.ops {
		op := &s.ops[i]
		if op.Kind != Upload || op.Who != s.owner || len(op.Packages) == 0 {
			continue
		}
		b := s.batches[op.Packages[0]]
		if b == nil {
			b = &stored{packages: op.Packages, lastResort: op.LastResort, perhaps: math.MaxInt64, certain: math.MaxInt64}
			s.uploads = append(s.uploads, b)
			for _, p := range op.Packages {
				s.batches[p] = b
			}
		}
		if op.possible() {
			b.perhaps = min(b.perhaps, op.Begin)
		}
		if op.answered() {
			b.certain = min(b.certain, op.End)
		}
	}
}

// gatherClaims puts the attempts of each claim together.
func (s *stockCheck) gatherClaims() {
	type name struct {
		who int
		id  string
	}
	named := map[name][]*Op{}
	for i := range s.ops {
		op := &s.ops[i]
		switch {
		case op.Kind != Claim || op.Peer != s.owner:
		case op.ClaimID != "":
			named[name{op.Who, op.ClaimID}] = append(named[name{op.Who, op.ClaimID}], op)
		default:
			s.claim([]*Op{op})
		}
	}
	for _, attempts := range named {
		s.claim(attempts)
	}
}

// claim takes the attempts of one claim, in the order of their ends.
func (s *stockCheck) claim(attempts []*Op) {
	var first *Op
	begin := int64(math.MaxInt64)
	for _, op := range attempts {
		if op.possible() {
			begin = min(begin, op.Begin)
		}
		switch {
		case op.answered() && first == nil:
			first = op
			s.handedOut(op, begin)
		case op.answered() && first.Claimed != op.Claimed:
			s.violated(RuleClaim, op, "package %.8s, and before %.8s", op.Claimed, first.Claimed)
		case op.Outcome == Refused && first != nil:
			s.violated(RuleClaim, op, "refused with %s, and before given %.8s", op.Code, first.Claimed)
		}
	}
	if last := attempts[len(attempts)-1]; first == nil && last.possible() {
		s.lost = append(s.lost, begin)
	}
}

// handedOut takes the first answer of a claim that began at a moment.
func (s *stockCheck) handedOut(op *Op, begin int64) {
	b := s.batches[op.Claimed]
	if b == nil {
		s.violated(RuleForgery, op, "package %.8s is not the owner's", op.Claimed)
		return
	}
	if b.perhaps == math.MaxInt64 {
		s.violated(RuleRefused, op, "package %.8s of a batch that was refused", op.Claimed)
	}
	b.certain = min(b.certain, op.End)
	if b.lastResort != op.LastResort {
		s.violated(RuleForgery, op, "package %.8s came as the other kind", op.Claimed)
	}
	if op.LastResort {
		return
	}
	if t := s.taken[op.Claimed]; t != nil {
		s.violated(RuleOnce, op, "package %.8s went to %d as well", op.Claimed, t.who)
		return
	}
	s.taken[op.Claimed] = &taking{who: op.Who, claimID: op.ClaimID, perhaps: begin, certain: op.End}
}

// bounds are the least and the most one-time packages that can have been held
// while an operation ran.
func (s *stockCheck) bounds(op *Op) (least, most int) {
	for _, b := range s.uploads {
		if b.lastResort {
			continue
		}
		if b.certain < op.Begin {
			least += len(b.packages)
		}
		if b.perhaps < op.End {
			most += len(b.packages)
		}
		for _, p := range b.packages {
			t := s.taken[p]
			if t != nil && t.perhaps < op.End && b.certain < op.Begin {
				least--
			}
			if t != nil && t.certain < op.Begin {
				most--
			}
		}
	}
	for _, begin := range s.lost {
		if begin < op.End {
			least--
		}
	}
	return max(0, least), most
}

func (s *stockCheck) status(op *Op) {
	if least, most := s.bounds(op); op.OneTime < least || op.OneTime > most {
		s.violated(RuleStock, op, "%d one-time packages, between %d and %d must be there", op.OneTime, least, most)
	}
}

// unstocked looks at a claim that got no one-time package, unless it is the
// repetition of one that got none.
func (s *stockCheck) unstocked(op *Op) {
	without := op.answered() && op.LastResort && !s.repeated(op)
	if !without && op.Code != nodeservice.CodeKeyPackageNotFound {
		return
	}
	if least, _ := s.bounds(op); least > 0 {
		s.violated(RuleStock, op, "no one-time package, though at least %d are there", least)
	}
	if op.Outcome != Refused {
		return
	}
	for _, b := range s.uploads {
		if b.lastResort && b.certain < op.Begin {
			s.violated(RuleStock, op, "nothing, though there is a last-resort package")
			return
		}
	}
}

// repeated says that an earlier attempt of a claim may have had the answer.
func (s *stockCheck) repeated(op *Op) bool {
	return op.ClaimID != "" && slices.ContainsFunc(s.ops, func(o Op) bool {
		return o.Kind == Claim && o.Who == op.Who && o.Peer == op.Peer && o.ClaimID == op.ClaimID && o.Begin < op.Begin && o.possible()
	})
}

// spent looks at a batch that was taken: none of it was handed out before.
func (s *stockCheck) spent(op *Op) {
	if op.LastResort {
		return
	}
	for _, p := range op.Packages {
		if t := s.taken[p]; t != nil && t.certain < op.Begin {
			s.violated(RuleSpent, op, "package %.8s was handed out before", p)
		}
	}
}
