package crashtest

import (
	"slices"

	"github.com/quicproquo/node/nodeservice"
)

// gather reads all that is evidence: what was sent, what seqs letters have, and
// the bounds of head and acked over time.
func (l *lineCheck) gather() {
	for _, op := range l.ops {
		if op.Kind == Send {
			s := l.letters[op.Letter]
			if s == nil {
				s = &sent{from: op.Who}
				l.letters[op.Letter] = s
			}
			s.attempts = append(s.attempts, op)
		}
	}
	for _, op := range l.ops {
		switch {
		case op.Kind == Send && op.answered():
			l.place(op, op.Letter, op.Receipt.Seq, op.Receipt.ReceivedAt)
			l.headKnown(op, op.Receipt.Seq)
		case op.Kind == Fetch && op.answered():
			for _, m := range op.Page.Messages {
				l.place(op, m.Letter, m.Seq, m.ReceivedAt)
			}
			l.headKnown(op, op.Page.Head)
			l.acked[op.Who].know(op.End, max(op.Page.Acked, op.Through))
		case op.Kind == Drain && op.answered():
			for _, m := range op.Page.Messages {
				l.place(op, m.Letter, m.Seq, m.ReceivedAt)
			}
			l.headKnown(op, op.Page.Head)
		case op.Kind == Follow && op.answered():
			for _, e := range l.events(op) {
				if e.Message.Seq > 0 {
					l.place(op, e.Message.Letter, e.Message.Seq, e.Message.ReceivedAt)
				}
				l.headKnown(op, max(e.Message.Seq, e.Gap.To, e.Acked))
				l.acked[op.Who].know(op.End, e.Acked)
			}
		case op.Kind == View && op.answered():
			l.headKnown(op, op.View.Head)
			l.acked[op.Who].know(op.End, op.View.Acked)
		case op.Kind == Ack && op.answered():
			l.headKnown(op, op.Through)
			l.acked[op.Who].know(op.End, op.Through)
		case op.Outcome == Refused:
			l.headKnown(op, op.Head)
		}
	}
	byBegin := slices.Clone(l.ops)
	slices.SortFunc(byBegin, func(a, b *Op) int { return int(a.Begin - b.Begin) })
	for _, op := range byBegin {
		switch {
		case (op.Kind == Ack || op.Kind == Fetch) && op.possible() && op.Through <= l.top:
			l.asked[op.Who].know(op.Begin, op.Through)
		case op.Kind == Drain && op.possible():
			l.asked[op.Who].know(op.Begin, l.drainedTo(op))
		}
	}
}

func (l *lineCheck) headKnown(op *Op, head seq) {
	l.head.know(op.End, head)
	l.top = max(l.top, head)
}

// place notes that a letter has a seq, and compares with what was known.
func (l *lineCheck) place(op *Op, letter Digest, at seq, received nodeservice.UnixMilli) {
	s := l.letters[letter]
	if s == nil {
		l.violated(RuleForgery, op, "seq %d of %v carries what nobody sent there", at, l.lineName)
		return
	}
	switch {
	case s.seq == 0:
		s.seq, s.known, s.received = at, op.End, received
	case op.Kind == Send && (s.seq != at || s.received != received):
		l.violated(RuleReceipt, op, "the letter is seq %d of %d, and was %d of %d", at, received, s.seq, s.received)
	case s.seq != at || s.received != received:
		l.violated(RuleOneLetter, op, "the letter of seq %d (of %d) came as %d (of %d)", s.seq, s.received, at, received)
	}
	if other, taken := l.bySeq[at]; taken && other != letter {
		l.violated(RuleOneLetter, op, "seq %d of %v carries two letters", at, l.lineName)
		return
	}
	l.bySeq[at] = letter
}
