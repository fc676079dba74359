package crashtest

import (
	"fmt"

	"github.com/anishathalye/porcupine"

	"github.com/quicproquo/node/nodeservice"
)

// Linearization is the verdict on histories without crashes.
type Linearization struct {
	Partitions int // channels and owners of key packages, each judged by itself
	Operations int
	Broken     []string // the partitions whose operations have no order that explains them
}

// Linearizable looks for an order of the operations of each channel, and of the
// key packages of each owner, that explains every answer, and in which each
// operation stands between its begin and its end. It judges histories in which
// every call was answered or refused.
//
// Of a channel it knows everything but which time it is. Of key packages it does
// not know when they expire: any that is held may be handed out.
func Linearizable(h *History) Linearization {
	var verdict Linearization
	lines, stocks := partitions(h.Ops())
	for id, ops := range lines {
		verdict.judge("channel "+id.String(), lineModel, ops)
	}
	for owner, ops := range stocks {
		verdict.judge(fmt.Sprintf("key packages of %d", owner), stockModel, ops)
	}
	return verdict
}

// Add adds another verdict.
func (l *Linearization) Add(other Linearization) {
	l.Partitions += other.Partitions
	l.Operations += other.Operations
	l.Broken = append(l.Broken, other.Broken...)
}

func (l *Linearization) judge(name string, model porcupine.Model, ops []porcupine.Operation) {
	l.Partitions++
	l.Operations += len(ops)
	if !porcupine.CheckOperations(model, ops) {
		l.Broken = append(l.Broken, fmt.Sprintf("%s, %d operations", name, len(ops)))
	}
}

// partitions are the operations by what they touch.
func partitions(ops []Op) (map[nodeservice.ChannelID][]porcupine.Operation, map[int][]porcupine.Operation) {
	lines := map[nodeservice.ChannelID][]porcupine.Operation{}
	stocks := map[int][]porcupine.Operation{}
	for i := range ops {
		op := &ops[i]
		if op.Legacy {
			continue // many send to one queue, and drains have their own rules
		}
		switch step := op.step(); op.Kind {
		case Fetch:
			// It acknowledges, and then reads: two steps, between which others
			// may come. Its page says that the first came first.
			if op.Through > 0 {
				ack := *op
				ack.Kind = Ack
				lines[op.Channel] = append(lines[op.Channel], ack.step())
			}
			if op.Through == 0 || op.answered() {
				lines[op.Channel] = append(lines[op.Channel], step)
			}
		case Send, Ack, View:
			lines[op.Channel] = append(lines[op.Channel], step)
		case Upload, Status:
			stocks[op.Who] = append(stocks[op.Who], step)
		case Claim:
			stocks[op.Peer] = append(stocks[op.Peer], step)
		}
	}
	return lines, stocks
}

// step is an operation for the models: what goes in and what comes out are in
// one record.
func (op *Op) step() porcupine.Operation {
	return porcupine.Operation{ClientId: op.Who, Input: op, Output: op, Call: op.Begin, Return: op.End}
}

// modelOf makes a model of a state that steps never change: they return a new
// one, or the same.
func modelOf[S any](start *S, step func(*S, *Op) (*S, bool), equal func(a, b *S) bool, hash func(*S) uint64) porcupine.Model {
	return porcupine.Model{
		Init: func() any { return start },
		Step: func(state, input, _ any) (bool, any) {
			next, explained := step(state.(*S), input.(*Op))
			return explained, next
		},
		Equal: func(a, b any) bool { return a == b || equal(a.(*S), b.(*S)) },
		Hash:  func(state any) uint64 { return hash(state.(*S)) },
	}
}

// refusedWith says that the answer is a certain refusal.
func (op *Op) refusedWith(code nodeservice.Code) bool {
	return op.Outcome == Refused && op.Code == code
}
