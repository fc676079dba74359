package crashtest

import (
	"slices"

	"github.com/quicproquo/node/nodeservice"
)

type seq = nodeservice.Seq

// lineCheck holds one channel, or legacy queue, to the rules.
type lineCheck struct {
	*checker
	lineName
	members []int
	ops     []*Op // in the order of their ends

	letters map[Digest]*sent
	bySeq   map[seq]Digest
	head    least
	acked   map[int]*least // by recipient: acknowledged for certain
	asked   map[int]*least // by recipient: acknowledged perhaps
	author  map[seq]int    // who must have sent what is missing from the other's queue
	top     seq            // highest head told
	drained map[drainer]seq
}

// sent is what is known of a letter.
type sent struct {
	from     int
	attempts []*Op
	seq      seq   // 0: not known
	known    int64 // since when
	received nodeservice.UnixMilli
}

func (l *lineCheck) run() {
	l.letters, l.bySeq, l.author = map[Digest]*sent{}, map[seq]Digest{}, map[seq]int{}
	l.acked, l.asked, l.drained = map[int]*least{}, map[int]*least{}, map[drainer]seq{}
	for _, who := range l.members {
		l.acked[who], l.asked[who] = &least{}, &least{}
	}
	l.gather()
	for _, op := range l.ops {
		switch op.Kind {
		case Send:
			l.receipt(op)
		case Fetch:
			l.page(op)
		case Drain:
			l.drain(op)
		case Follow:
			l.stream(op)
		case View:
			l.state(op, op.View.Head, op.View.Acked)
		case Ack:
			if op.Outcome == Refused && op.Head >= op.Through {
				l.violated(RuleAcked, op, "%d was refused, with head %d", op.Through, op.Head)
			}
		}
	}
	l.attempts()
	l.dense()
}

func (l *lineCheck) receipt(op *Op) {
	if op.Outcome == Refused && op.Code == nodeservice.CodePreconditionFailed {
		if op.IfHead == nil || *op.IfHead == op.Head {
			l.violated(RuleCondition, op, "refused, with the head that it asked for")
		}
		if known := l.head.before(op.Begin); op.Head < known {
			l.violated(RuleHead, op, "head %d, known to be %d", op.Head, known)
		}
	}
	if op.answered() && !op.Receipt.Duplicate {
		if known := l.head.before(op.Begin); op.Receipt.Seq <= known {
			l.violated(RuleHead, op, "a new message is seq %d, below a head of %d", op.Receipt.Seq, known)
		}
	}
}

// state holds what an answer told of head and acked to what was known.
func (l *lineCheck) state(op *Op, head, acked seq) {
	if !op.answered() {
		return
	}
	if known := l.head.before(op.Begin); head < known {
		l.violated(RuleHead, op, "head %d, known to be %d", head, known)
	}
	if known := max(l.acked[op.Who].before(op.Begin), op.Through); acked < known {
		l.violated(RuleAcked, op, "acked %d, known to be %d", acked, known)
	}
	if asked := l.asked[op.Who].before(op.End); acked > asked {
		l.violated(RuleAcked, op, "acked %d, though nobody acknowledged beyond %d", acked, asked)
	}
}

// page holds a page to the snapshot that it claims to be: all that the reader
// has in its range is there, and what is missing is the reader's own.
func (l *lineCheck) page(op *Op) {
	if !op.answered() {
		return
	}
	p := op.Page
	l.state(op, p.Head, p.Acked)
	gone := l.acked[op.Who].before(op.Begin)
	l.floor(op)
	l.gap(op)
	from := max(op.After, p.Acked, p.Floor)
	if len(p.Messages) > op.Limit || p.More && len(p.Messages) == 0 {
		l.violated(RulePage, op, "%d messages of %d, more: %v", len(p.Messages), op.Limit, p.More)
	}
	there := map[seq]bool{}
	last := from
	for _, m := range p.Messages {
		if m.Seq <= gone || m.Seq <= p.Acked {
			l.violated(RuleGone, op, "seq %d, acknowledged up to %d", m.Seq, max(gone, p.Acked))
		} else if m.Seq <= last || m.Seq > p.Head {
			l.violated(RulePage, op, "seq %d after %d, head %d", m.Seq, last, p.Head)
		}
		l.mayCome(op, m)
		last, there[m.Seq] = m.Seq, true
	}
	if !p.More {
		last = p.Head
	}
	for at := from + 1; at <= last; at++ {
		if !there[at] {
			l.missing(op, at)
		}
	}
}

// missing says that a seq is not in a queue that was read at its place: then
// the queue's owner sent it.
func (l *lineCheck) missing(op *Op, at seq) {
	letter, known := l.bySeq[at]
	switch {
	case known && l.letters[letter].from != op.Who:
		l.violated(RuleKept, op, "seq %d is missing", at)
	case known:
	default:
		if author, other := l.author[at]; other && author != op.Who {
			l.violated(RuleDense, op, "seq %d is in nobody's queue", at)
		}
		l.author[at] = op.Who
	}
}

// attempts holds all attempts to send a letter to one another.
func (l *lineCheck) attempts() {
	for _, s := range l.letters {
		slices.SortFunc(s.attempts, func(a, b *Op) int { return int(a.Begin - b.Begin) })
		perhaps, stored := false, false // by the attempts before
		for _, op := range s.attempts {
			switch {
			case op.answered() && op.Receipt.Duplicate && !perhaps:
				l.violated(RuleReceipt, op, "called a duplicate at first sight")
			case op.answered() && !op.Receipt.Duplicate && stored:
				l.violated(RuleReceipt, op, "stored again as seq %d", op.Receipt.Seq)
			case op.Outcome == Refused && stored:
				l.violated(RuleReceipt, op, "refused with %s, though stored as seq %d", op.Code, s.seq)
			}
			perhaps = op.possible() || stored
			stored = stored || op.answered()
		}
		last := s.attempts[len(s.attempts)-1]
		if last.Outcome == Refused && s.seq != 0 && !stored {
			l.violated(RuleRefused, last, "the letter is stored as seq %d", s.seq)
		}
		if last.IfHead != nil && s.seq != 0 && s.seq != *last.IfHead+1 {
			l.violated(RuleCondition, last, "stored as seq %d, if head is %d", s.seq, *last.IfHead)
		}
	}
}

// dense insists that each seq up to head is a letter's: one that is known, or
// one of which nobody learned whether it was stored.
func (l *lineCheck) dense() {
	unknown := map[int]int{} // letters that may be stored, by sender
	for _, s := range l.letters {
		// Attempts of a letter follow one another: a refusal of the last one
		// says that none before stored it.
		if s.seq == 0 && s.attempts[len(s.attempts)-1].possible() {
			unknown[s.from]++
		}
	}
	free := 0
	holes := map[int]int{} // by who must have sent them
	var received nodeservice.UnixMilli
	for at := seq(1); at <= l.top; at++ {
		if letter, known := l.bySeq[at]; known {
			s := l.letters[letter]
			if s.received < received {
				l.violated(RuleTime, s.attempts[0], "seq %d was received at %d, after %d", at, s.received, received)
			}
			received = max(received, s.received)
			continue
		}
		if author, known := l.author[at]; known {
			holes[author]++
		} else {
			free++
		}
	}
	total := free
	for _, who := range l.members {
		total += holes[who] - unknown[who]
		if holes[who] > unknown[who] {
			l.violated(RuleDense, nil, "%s: %d seqs must be of person %d, who sent %d letters of unknown fate", l.lineName, holes[who], who, unknown[who])
		}
	}
	if total > 0 {
		l.violated(RuleDense, nil, "%s: %d seqs are nobody's, up to head %d", l.lineName, total, l.top)
	}
}
