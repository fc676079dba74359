package crashtest

import (
	"slices"

	"github.com/quicproquo/node/nodeservice"
)

// forgedDeliveries are those of legacy queues, drains, streams and expiry.
var forgedDeliveries = []forgery{
	{name: "a message of a channel lands in a legacy queue", rule: RuleForgery, forge: func(h *History) bool {
		letter := find(h, answeredTo(Send, func(op *Op) bool { return !op.Legacy })).Letter
		return change(answeredTo(Fetch, func(op *Op) bool { return op.Legacy && hasMessages(1)(op) }), editPage(func(p *Page) {
			p.Messages[0].Letter = letter
		}))(h)
	}},
	{name: "a message vanishes from a legacy queue", rule: RuleKept, forge: change(
		answeredTo(Fetch, func(op *Op) bool { return op.Legacy && hasMessages(2)(op) }), editPage(func(p *Page) { p.Messages = p.Messages[1:] }),
	)},
	{name: "a drain leaves a message out", rule: RuleKept, forge: change(
		answeredTo(Drain, hasMessages(2)), editPage(func(p *Page) { p.Messages = p.Messages[1:] }),
	)},
	{name: "a drain finds nothing where something is", rule: RuleKept, forge: change(
		answeredTo(Drain, func(op *Op) bool { return hasMessages(1)(op) && !op.Page.More }), editPage(func(p *Page) { p.Messages = nil }),
	)},
	{name: "a connection drains a message twice", rule: RuleDrain, forge: func(h *History) bool {
		var before *Op
		again := find(h, answeredTo(Drain, func(op *Op) bool {
			before = find(h, answeredTo(Drain, func(o *Op) bool {
				return o.Who == op.Who && o.Life == op.Life && o.End < op.Begin && hasMessages(1)(o)
			}))
			return before != nil
		}))
		if again == nil {
			return false
		}
		again.Page.Messages = append([]Delivered{before.Page.Messages[0]}, again.Page.Messages...)
		return true
	}},
	{name: "a drain removes more than it returns", rule: RuleAcked, forge: func(h *History) bool {
		return change(answeredTo(Fetch, func(op *Op) bool { return op.Legacy && op.Who%2 == 0 && hasMessages(1)(op) }), func(op *Op) {
			op.Page.Acked = op.Page.Head
		})(h)
	}},
	{name: "a stream leaves a message out", rule: RuleKept, forge: change(streamed(2), editEvents(func(events []Event, first, _ int) []Event {
		return slices.Delete(events, first, first+1)
	}))},
	{name: "a stream repeats a message", rule: RuleStream, forge: change(streamed(1), editEvents(func(events []Event, first, _ int) []Event {
		return slices.Insert(events, first, events[first])
	}))},
	{name: "a stream is out of order", rule: RuleStream, forge: change(streamed(2), editEvents(func(events []Event, first, second int) []Event {
		events[first], events[second] = events[second], events[first]
		return events
	}))},
	{name: "a stream brings what was acknowledged", rule: RuleGone, forge: func(h *History) bool {
		var ack *Op
		op := find(h, func(op *Op) bool {
			if !streamed(1)(op) {
				return false
			}
			at := op.Events[firstMessage(op.Events, 0)]
			ack = find(h, answeredTo(Ack, func(a *Op) bool { return a.Who == op.Who && a.Channel == at.Channel && a.End < op.Begin }))
			return ack != nil
		})
		if op == nil {
			return false
		}
		editEvents(func(events []Event, first, _ int) []Event {
			events[first].Message.Seq = ack.Through
			return events
		})(op)
		return true
	}},
	{name: "a stream tells of an acknowledgement that nobody made", rule: RuleAcked, forge: change(streamed(1), editEvents(func(events []Event, first, _ int) []Event {
		return append(events, Event{Channel: events[first].Channel, Acked: events[first].Message.Seq + 1_000})
	}))},
	{name: "a stream's gap is too long", rule: RuleStream, expiring: true, forge: change(
		answeredTo(Follow, func(op *Op) bool { return firstGap(op.Events) >= 0 }), func(op *Op) {
			op.Events = slices.Clone(op.Events)
			op.Events[firstGap(op.Events)].Gap.From--
		},
	)},
	{name: "an expired message comes", rule: RuleExpiry, expiring: true, forge: func(h *History) bool {
		var old Delivered
		page := find(h, answeredTo(Fetch, func(op *Op) bool {
			return op.Page.Floor > 0 && find(h, answeredTo(Fetch, func(o *Op) bool {
				i := slices.IndexFunc(o.Page.Messages, func(m Delivered) bool { return m.Seq > op.Page.Acked && m.Seq <= op.Page.Floor })
				if o.Who != op.Who || o.Channel != op.Channel || o.Legacy != op.Legacy || i < 0 {
					return false
				}
				old = o.Page.Messages[i]
				return true
			})) != nil
		}))
		if page == nil {
			return false
		}
		page.Page.Messages = append([]Delivered{old}, page.Page.Messages...)
		return true
	}},
	{name: "a floor is not told", rule: RuleExpiry, expiring: true, forge: change(expiredPage(0), func(op *Op) {
		op.Page.Floor, op.Page.Gap = 0, nodeservice.Gap{}
	})},
	{name: "a message expires too early", rule: RuleExpiry, expiring: true, forge: change(expiredPage(1), editPage(func(p *Page) {
		p.Floor = p.Messages[0].Seq
		p.Gap.To, p.Messages = p.Floor, p.Messages[1:]
	}))},
	{name: "a gap is not told", rule: RuleExpiry, expiring: true, forge: change(expiredPage(0), func(op *Op) {
		op.Page.Gap = nodeservice.Gap{}
	})},
	{name: "a gap is told where nothing is missing", rule: RuleExpiry, forge: change(answeredTo(Fetch, hasMessages(1)), func(op *Op) {
		op.Page.Gap = nodeservice.Gap{From: 1, To: op.Page.Messages[0].Seq, Reason: nodeservice.GapExpired}
	})},
}

// expiredPage suits pages with a gap by expiry, and at least so many messages.
func expiredPage(messages int) func(op *Op) bool {
	return answeredTo(Fetch, func(op *Op) bool {
		return op.Page.Gap.Reason == nodeservice.GapExpired && hasMessages(messages)(op)
	})
}

// firstMessage is the index of the first message from a place on, of the channel
// that is the first with a message; -1: there is none.
func firstMessage(events []Event, from int) int {
	first := slices.IndexFunc(events, func(e Event) bool { return e.Message.Seq > 0 })
	for i := from; first >= 0 && i < len(events); i++ {
		if events[i].Message.Seq > 0 && events[i].Channel == events[first].Channel {
			return i
		}
	}
	return -1
}

func firstGap(events []Event) int {
	return slices.IndexFunc(events, func(e Event) bool { return e.Gap != nodeservice.Gap{} })
}

// streamed suits streams that caught up and told so many messages of a channel.
func streamed(messages int) func(op *Op) bool {
	return answeredTo(Follow, func(op *Op) bool {
		at := -1
		for range messages {
			if at = firstMessage(op.Events, at+1); at < 0 {
				return false
			}
		}
		return op.CaughtUp
	})
}

// editEvents edits a copy of a stream's events, given where the first two messages
// of a channel are.
func editEvents(edit func(events []Event, first, second int) []Event) func(op *Op) {
	return func(op *Op) {
		first := firstMessage(op.Events, 0)
		op.Events = edit(slices.Clone(op.Events), first, firstMessage(op.Events, first+1))
	}
}
