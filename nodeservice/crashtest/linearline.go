package crashtest

import (
	"encoding/binary"
	"maps"
	"slices"

	"github.com/quicproquo/node/nodeservice"
)

// line is a channel: the letters in the order of their seqs, and how far each
// member acknowledged.
type line struct {
	letters []lineLetter
	acked   map[int]seq
}

type lineLetter struct {
	from     int
	letter   Digest
	received nodeservice.UnixMilli
}

var lineModel = modelOf(&line{}, (*line).step, (*line).equal, (*line).hash)

func (l *line) head() seq { return seq(len(l.letters)) }

func (l *line) equal(other *line) bool {
	return slices.Equal(l.letters, other.letters) && maps.Equal(l.acked, other.acked)
}

func (l *line) hash() uint64 {
	h := uint64(len(l.letters))
	for who, acked := range l.acked {
		h += uint64(acked) << (16 * (1 + who%3))
	}
	if n := len(l.letters); n > 0 {
		h ^= binary.BigEndian.Uint64(l.letters[n-1].letter[:])
	}
	return h
}

// step is what a channel may answer.
func (l *line) step(op *Op) (next *line, explained bool) {
	switch op.Kind {
	case Send:
		return l.send(op)
	case Fetch:
		return l.fetch(op)
	case Ack:
		if op.Through > l.head() {
			return l, op.refusedWith(nodeservice.CodeInvalidArgument) && op.Head == l.head()
		}
		return l.ack(op.Who, op.Through), op.answered()
	}
	return l, op.answered() && op.View.Head == l.head() && op.View.Acked == l.acked[op.Who]
}

// send checks the message id, then the condition, then stores.
func (l *line) send(op *Op) (*line, bool) {
	at := slices.IndexFunc(l.letters, func(k lineLetter) bool { return k.letter == op.Letter })
	switch {
	case at >= 0:
		first := nodeservice.Receipt{Seq: seq(at + 1), ReceivedAt: l.letters[at].received, Duplicate: true}
		return l, op.MessageID != "" && op.answered() && op.Receipt == first
	case op.IfHead != nil && *op.IfHead != l.head():
		return l, op.refusedWith(nodeservice.CodePreconditionFailed) && op.Head == l.head()
	case !op.answered() || op.Receipt.Duplicate || op.Receipt.Seq != l.head()+1:
		return l, false
	}
	if n := len(l.letters); n > 0 && op.Receipt.ReceivedAt < l.letters[n-1].received {
		return l, false
	}
	letter := lineLetter{op.Who, op.Letter, op.Receipt.ReceivedAt}
	return &line{letters: append(slices.Clip(l.letters), letter), acked: l.acked}, true
}

func (l *line) ack(who int, through seq) *line {
	if through <= l.acked[who] {
		return l
	}
	acked := maps.Clone(l.acked)
	if acked == nil {
		acked = map[int]seq{}
	}
	acked[who] = through
	return &line{letters: l.letters, acked: acked}
}

// fetch reads one moment, after what it acknowledged.
func (l *line) fetch(op *Op) (*line, bool) {
	if op.After > l.head() {
		return l, op.refusedWith(nodeservice.CodeInvalidArgument)
	}
	p := op.Page
	if !op.answered() || p.Head != l.head() || p.Acked != l.acked[op.Who] || p.Acked < op.Through || p.Floor != 0 {
		return l, false
	}
	i, more := 0, false
	for at := max(op.After, p.Acked) + 1; at <= l.head(); at++ {
		letter := l.letters[at-1]
		if letter.from == op.Who {
			continue
		}
		if i == op.Limit {
			more = true
			break
		}
		if i == len(p.Messages) || p.Messages[i] != (Delivered{at, letter.received, letter.letter}) {
			return l, false
		}
		i++
	}
	return l, i == len(p.Messages) && more == p.More
}
