package crashtest

import "github.com/quicproquo/node/nodeservice"

// events are what a stream told of this line.
func (l *lineCheck) events(op *Op) (mine []Event) {
	for _, e := range op.Events {
		if e.Channel == l.id {
			mine = append(mine, e)
		}
	}
	return mine
}

// stream holds what a stream told of a channel to the stored queue: it begins
// behind what is acknowledged, goes up, names each hole, and has come by all that
// was there when it caught up.
func (l *lineCheck) stream(op *Op) {
	if !op.answered() {
		return
	}
	gone, asked := l.acked[op.Who].before(op.Begin), l.asked[op.Who].before(op.End)
	there, last := map[seq]bool{}, op.After
	if last == 0 {
		last = gone
	}
	for _, e := range l.events(op) {
		switch {
		case e.Acked > asked:
			l.violated(RuleAcked, op, "told that %d is acknowledged, though nobody went beyond %d", e.Acked, asked)
		case e.Acked > 0:
		case e.Gap != nodeservice.Gap{}:
			l.streamGap(op, e.Gap, last)
			last = max(last, e.Gap.To)
		case e.Message.Seq <= gone:
			l.violated(RuleGone, op, "seq %d, acknowledged up to %d", e.Message.Seq, gone)
		case e.Message.Seq <= last:
			l.violated(RuleStream, op, "seq %d after %d", e.Message.Seq, last)
		default:
			l.mayCome(op, e.Message)
			last, there[e.Message.Seq] = e.Message.Seq, true
		}
	}
	if op.CaughtUp {
		last = max(last, l.head.before(op.Begin))
	}
	l.whole(op, there, max(l.askedElsewhere(op), op.After), last)
}

// askedElsewhere is how far a stream's reader acknowledged outside of it, perhaps,
// before its end: what the stream itself was told excuses nothing that it left out.
func (l *lineCheck) askedElsewhere(stream *Op) (through seq) {
	for _, op := range l.ops {
		if op.Who == stream.Who && op.Begin < stream.End && op.possible() && op.Through <= l.top && (op.Stream == 0 || op.Stream != stream.Begin) {
			through = max(through, op.Through)
		}
	}
	return through
}

// streamGap holds a gap to its reason. It begins behind what came before it, or
// behind what was acknowledged elsewhere by then: a stream keeps no place in a
// queue of which it has nothing to tell.
func (l *lineCheck) streamGap(op *Op, g nodeservice.Gap, last seq) {
	asked := l.asked[op.Who].before(op.End)
	begins := g.From == last+1 || g.From > last && g.From <= asked+1
	told := g.Reason == nodeservice.GapExpired && l.isFloor(op, g.To) || g.Reason == nodeservice.GapAcked && g.To <= asked
	if !begins || !told || g.From > g.To {
		l.violated(RuleStream, op, "gap %+v after %d", g, last)
	}
}
