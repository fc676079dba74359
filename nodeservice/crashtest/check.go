package crashtest

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/quicproquo/node/nodeservice"
)

// Rule is something that a client may rely on, whatever crashed.
type Rule string

// The rules.
const (
	RuleKept       Rule = "what was confirmed as stored is there until it is acknowledged"
	RuleGone       Rule = "what was acknowledged does not come back"
	RuleAcked      Rule = "acked never falls, and rises by acknowledgements only"
	RuleHead       Rule = "head never falls"
	RuleOneLetter  Rule = "a seq carries one payload, and a payload has one seq"
	RuleDense      Rule = "every seq is a letter's that was sent, with none between"
	RuleReceipt    Rule = "a message id gets its first receipt again"
	RuleCondition  Rule = "ifHead stores right behind that head, and else nothing"
	RuleRefused    Rule = "what was refused did not happen"
	RuleForgery    Rule = "what comes out was put in"
	RulePage       Rule = "a page is in order and within its bounds"
	RuleTime       Rule = "received_at does not decrease within a channel"
	RuleChannel    Rule = "a pair has one channel, for good"
	RuleOnce       Rule = "a one-time key package is handed out once"
	RuleClaim      Rule = "a claim id gets its package again"
	RuleStock      Rule = "key packages are held until they are handed out, all of a batch or none"
	RuleSpent      Rule = "a package that was handed out is not taken again"
	RuleAvailable  Rule = "a node that lives answers"
	RuleNoSurprise Rule = "refusals are those that the operation asks for"
	RuleExpiry     Rule = "what has expired does not come, what has not does, and floor and gap say which"
	RuleDrain      Rule = "a connection drains each message once, in order"
	RuleStream     Rule = "a stream tells each queue in order, once, with what is missing"
)

// Rules are all of them.
func Rules() []Rule {
	return []Rule{
		RuleKept, RuleGone, RuleAcked, RuleHead, RuleOneLetter, RuleDense, RuleReceipt, RuleCondition, RuleRefused,
		RuleForgery, RulePage, RuleTime, RuleChannel, RuleOnce, RuleClaim, RuleStock, RuleSpent, RuleAvailable,
		RuleNoSurprise, RuleExpiry, RuleDrain, RuleStream,
	}
}

// Violation is a broken rule, and how.
type Violation struct {
	Rule   Rule
	Detail string
}

// String is one line.
func (v Violation) String() string { return fmt.Sprintf("%s: %s", v.Rule, v.Detail) }

// Check holds a history to the rules.
func Check(h *History) []Violation {
	c := &checker{history: h, ops: h.Ops(), members: map[nodeservice.ChannelID][2]int{}}
	c.channels()
	c.answers()
	for name, ops := range c.byLine() {
		(&lineCheck{checker: c, lineName: name, members: c.membersOf(name, ops), ops: ops}).run()
	}
	for owner := range c.owners() {
		(&stockCheck{checker: c, owner: owner}).run()
	}
	slices.SortFunc(c.found, func(a, b Violation) int { return cmp.Compare(a.String(), b.String()) })
	return c.found
}

// checker gathers what is wrong with a history.
type checker struct {
	history *History
	ops     []Op
	members map[nodeservice.ChannelID][2]int
	found   []Violation
}

func (c *checker) violated(rule Rule, op *Op, format string, args ...any) {
	detail := fmt.Sprintf(format, args...)
	if op != nil {
		detail = fmt.Sprintf("%s by %d through %s in life %d (%d-%d): %s", op.Kind, op.Who, op.Door, op.Life, op.Begin, op.End, detail)
	}
	c.found = append(c.found, Violation{rule, detail})
}

// channels finds out who is in which channel, and insists on one for a pair.
func (c *checker) channels() {
	type pair [2]int
	ids := map[pair]*Op{}
	born := map[pair]*Op{}
	for i := range c.ops {
		op := &c.ops[i]
		if op.Kind != Create || !op.answered() {
			continue
		}
		p := pair{min(op.Who, op.Peer), max(op.Who, op.Peer)}
		first := ids[p]
		if first == nil {
			ids[p], first = op, op
			c.members[op.Channel] = p
		}
		if first.Channel != op.Channel || first.View.CreatedAt != op.View.CreatedAt {
			c.violated(RuleChannel, op, "channel %s of %v, which had been %s of %v", op.Channel, op.View.CreatedAt.Time(), first.Channel, first.View.CreatedAt.Time())
		}
		if !op.Created {
			continue
		}
		// ids is in the order of ends: whoever answered before this began knew it.
		if other := born[p]; other != nil || first.End < op.Begin {
			c.violated(RuleChannel, op, "created channel %s, which was there", op.Channel)
		}
		born[p] = op
	}
	for i := range c.ops {
		if op := &c.ops[i]; op.Kind == View && op.answered() {
			p := pair{min(op.Who, op.Peer), max(op.Who, op.Peer)}
			if first := ids[p]; first != nil && (op.View.ID != first.Channel || op.View.CreatedAt != first.View.CreatedAt) {
				c.violated(RuleChannel, op, "channel %s has changed", op.Channel)
			}
		}
	}
}

// answers insists that calls without an answer are a death's doing, and that
// refusals are such as the kit provokes.
func (c *checker) answers() {
	provoked := map[Kind][]nodeservice.Code{
		Send:   {nodeservice.CodePreconditionFailed},
		Ack:    {nodeservice.CodeInvalidArgument},
		Upload: {nodeservice.CodeInvalidArgument, nodeservice.CodeQuotaExceeded},
		Claim:  {nodeservice.CodeKeyPackageNotFound},
	}
	for i := range c.ops {
		op := &c.ops[i]
		switch {
		case op.Outcome == Unknown && !c.history.struckBy(op.Life, op.End):
			c.violated(RuleAvailable, op, "no answer (%s) before anybody struck", op.Code)
		case op.Outcome == Refused && !slices.Contains(provoked[op.Kind], op.Code):
			c.violated(RuleNoSurprise, op, "refused with %s", op.Code)
		}
	}
}

// lineName names what has a seq of its own: a channel, or somebody's legacy queue.
type lineName struct {
	id     nodeservice.ChannelID
	legacy bool
	owner  int // of a legacy queue
}

// String is for the eye.
func (n lineName) String() string {
	if n.legacy {
		return fmt.Sprintf("the legacy queue of %d", n.owner)
	}
	return n.id.String()
}

// byLine are the operations on each line, in the order of their ends. A stream of
// all channels is one on each.
func (c *checker) byLine() map[lineName][]*Op {
	all := map[lineName][]*Op{}
	for i := range c.ops {
		op := &c.ops[i]
		_, known := c.members[op.Channel]
		switch {
		case op.Legacy:
			name := lineName{legacy: true, owner: op.Peer}
			all[name] = append(all[name], op)
		case known:
			all[lineName{id: op.Channel}] = append(all[lineName{id: op.Channel}], op)
		case op.Kind == Follow:
			for id, members := range c.members {
				if slices.Contains(members[:], op.Who) {
					all[lineName{id: id}] = append(all[lineName{id: id}], op)
				}
			}
		}
	}
	return all
}

// membersOf are those who read or write a line.
func (c *checker) membersOf(name lineName, ops []*Op) []int {
	if !name.legacy {
		members := c.members[name.id]
		return members[:]
	}
	members := []int{name.owner}
	for _, op := range ops {
		if !slices.Contains(members, op.Who) {
			members = append(members, op.Who)
		}
	}
	return members
}

func (c *checker) owners() map[int]bool {
	all := map[int]bool{}
	for i := range c.ops {
		switch op := &c.ops[i]; op.Kind {
		case Upload, Status:
			all[op.Who] = true
		case Claim:
			all[op.Peer] = true
		}
	}
	return all
}

// least is a lower bound that rises with time: nothing that an operation learned
// may be below what was known when it began.
type least struct {
	at   []int64
	most []nodeservice.Seq // running maximum
}

// know adds what was known from a moment on; moments come in ascending order.
func (l *least) know(at int64, seq nodeservice.Seq) {
	if n := len(l.most); n > 0 {
		seq = max(seq, l.most[n-1])
	}
	l.at, l.most = append(l.at, at), append(l.most, seq)
}

// before is the bound of what was known before a moment.
func (l *least) before(moment int64) nodeservice.Seq {
	i, _ := slices.BinarySearch(l.at, moment)
	if i == 0 {
		return 0
	}
	return l.most[i-1]
}
