package crashtest

// drainer is one connection that drains: the kit has one for a person and life.
type drainer struct{ life, who int }

// drain holds a drained page to its connection's word: in order, whole, each
// message once. What was drained is acknowledged once it has arrived; whether that
// was known before the node died nobody can say, so it may come in the next life.
func (l *lineCheck) drain(op *Op) {
	if !op.answered() {
		return
	}
	p, by := op.Page, drainer{op.Life, op.Who}
	gone := l.acked[op.Who].before(op.Begin)
	before := max(gone, l.drained[by])
	if known := l.head.before(op.Begin); p.Head < known {
		l.violated(RuleHead, op, "head %d, known to be %d", p.Head, known)
	}
	if len(p.Messages) > op.Limit || p.Floor != 0 && !l.isFloor(op, p.Floor) {
		l.violated(RuleDrain, op, "%d messages of %d, floor %d", len(p.Messages), op.Limit, p.Floor)
	}
	there, last := map[seq]bool{}, before
	for _, m := range p.Messages {
		switch {
		case m.Seq <= gone:
			l.violated(RuleGone, op, "seq %d, acknowledged up to %d", m.Seq, gone)
		case m.Seq <= last:
			l.violated(RuleDrain, op, "seq %d after %d", m.Seq, last)
		}
		l.mayCome(op, m)
		last, there[m.Seq] = max(last, m.Seq), true
	}
	l.drained[by] = last
	if to := l.head.before(op.Begin); !p.More && len(p.Messages) < op.Limit {
		last = max(last, to)
	}
	l.whole(op, there, before, last)
}

// drainedTo is the highest seq that a drain can have acknowledged: what it
// answered, or when its answer is lost all that was there when the node died.
func (l *lineCheck) drainedTo(op *Op) seq {
	if op.answered() {
		to := max(op.Page.Floor, op.Page.Gap.To)
		for _, m := range op.Page.Messages {
			to = max(to, m.Seq)
		}
		return to
	}
	for _, later := range l.ops {
		if later.Life > op.Life && later.Kind == Fetch && later.answered() {
			return later.Page.Head // the survey's, before anything was sent
		}
	}
	return l.top
}
