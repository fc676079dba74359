package crashtest

import (
	"fmt"

	"github.com/quicproquo/node/nodeservice"
)

// expired says whether a letter that was received at a moment had expired by
// another. Both are the node's and its clients' clock, which is one: that of the
// machine that all of this runs on.
func (l *lineCheck) expired(received, by nodeservice.UnixMilli) bool {
	keeps := l.history.retention
	return keeps > 0 && received.Add(keeps) <= by
}

// mayCome insists that a message is another's, and had not expired.
func (l *lineCheck) mayCome(op *Op, m Delivered) {
	if s := l.letters[m.Letter]; s != nil && s.from == op.Who {
		l.violated(RuleForgery, op, "seq %d is the reader's own", m.Seq)
	}
	if l.expired(m.ReceivedAt, op.At) {
		l.violated(RuleExpiry, op, "seq %d of %d came after it had expired", m.Seq, m.ReceivedAt)
	}
}

// isFloor says whether a seq may be the floor of op's reader: its message is
// known to have expired by then, or nothing is known of it.
func (l *lineCheck) isFloor(op *Op, at seq) bool {
	letter, known := l.bySeq[at]
	if !known {
		author, named := l.author[at]
		return l.history.retention > 0 && (!named || author != op.Who)
	}
	s := l.letters[letter]
	return s.from != op.Who && l.expired(s.received, op.Until)
}

// fate is what is known of a seq, for whoever has to find out what went wrong.
func (l *lineCheck) fate(op *Op, at seq) string {
	letter, known := l.bySeq[at]
	if !known {
		author, named := l.author[at]
		return fmt.Sprintf("nobody knows the letter; a page said that it is of %d: %t", author, named)
	}
	s := l.letters[letter]
	left := s.received.Add(l.history.retention).Time().Sub(op.Until.Time())
	return fmt.Sprintf("a letter of %d, received at %d, with %v left when the page had come", s.from, s.received, left)
}

// floor holds a page's floor to the letters that must have expired, and to those
// that can have.
func (l *lineCheck) floor(op *Op) {
	p := op.Page
	if p.Floor != 0 && (p.Floor <= p.Acked || p.Floor > p.Head || !l.isFloor(op, p.Floor)) {
		l.violated(RuleExpiry, op, "floor %d, acked %d: that has not expired (%s)", p.Floor, p.Acked, l.fate(op, p.Floor))
	}
	for at, letter := range l.bySeq {
		s := l.letters[letter]
		if s.from != op.Who && at > max(p.Floor, p.Acked) && l.expired(s.received, op.At) {
			l.violated(RuleExpiry, op, "floor %d, acked %d, and seq %d had expired", p.Floor, p.Acked, at)
		}
	}
}

// gap insists on the gap that follows from what was asked and answered.
func (l *lineCheck) gap(op *Op) {
	p := op.Page
	after, want := op.After, nodeservice.Gap{}
	if after == 0 {
		after = p.Acked
	}
	switch {
	case max(after, p.Acked) < p.Floor:
		want = nodeservice.Gap{From: after + 1, To: p.Floor, Reason: nodeservice.GapExpired}
	case after < p.Acked:
		want = nodeservice.Gap{From: after + 1, To: p.Acked, Reason: nodeservice.GapAcked}
	}
	if p.Gap != want {
		l.violated(RuleExpiry, op, "gap %+v, not %+v: acked %d, floor %d", p.Gap, want, p.Acked, p.Floor)
	}
}

// whole insists that of a range the reader was given all that was there: letters
// that it had not acknowledged, and that had not expired.
func (l *lineCheck) whole(op *Op, there map[seq]bool, from, to seq) {
	for at := from + 1; at <= to; at++ {
		letter, known := l.bySeq[at]
		if !known || there[at] {
			continue
		}
		if s := l.letters[letter]; s.from != op.Who && !l.expired(s.received, op.Until) {
			l.violated(RuleKept, op, "seq %d is missing", at)
		}
	}
}
