package crashtest

import (
	"slices"

	"github.com/quicproquo/node/nodeservice"
)

// forgeries are at least one for each rule.
var forgeries = []forgery{
	{name: "a message vanishes", rule: RuleKept, forge: change(answeredTo(Fetch, hasMessages(2)), editPage(func(p *Page) {
		p.Messages = p.Messages[1:]
	}))},
	{name: "the last message vanishes, and head with it", rule: RuleHead, forge: change(answeredTo(Fetch, func(op *Op) bool {
		n := len(op.Page.Messages)
		return n > 0 && !op.Page.More && op.Page.Messages[n-1].Seq == op.Page.Head
	}), editPage(func(p *Page) {
		p.Messages = p.Messages[:len(p.Messages)-1]
		p.Head--
	}))},
	{name: "a page is empty though there are more", rule: RulePage, forge: change(answeredTo(Fetch, hasMessages(1)), editPage(func(p *Page) {
		p.Messages, p.More = nil, true
	}))},
	{name: "a page is out of order", rule: RulePage, forge: change(answeredTo(Fetch, hasMessages(2)), editPage(func(p *Page) {
		p.Messages[0], p.Messages[1] = p.Messages[1], p.Messages[0]
	}))},
	{name: "an acknowledged message comes back", rule: RuleGone, forge: func(h *History) bool {
		var old *Op
		page := find(h, answeredTo(Fetch, func(op *Op) bool {
			old = find(h, answeredTo(Fetch, func(o *Op) bool {
				return o.Who == op.Who && o.Channel == op.Channel && hasMessages(1)(o) && o.Page.Messages[0].Seq <= op.Page.Acked
			}))
			return old != nil
		}))
		if page == nil {
			return false
		}
		page.Page.Messages = append([]Delivered{old.Page.Messages[0]}, page.Page.Messages...)
		return true
	}},
	{name: "acked falls", rule: RuleAcked, forge: change(answeredTo(View, func(op *Op) bool { return op.View.Acked > 0 }), func(op *Op) { op.View.Acked = 0 })},
	{name: "acked rises by itself", rule: RuleAcked, forge: change(answeredTo(View, nil), func(op *Op) { op.View.Acked = op.View.Head + 1 })},
	{name: "an acknowledgement below head is refused", rule: RuleAcked, forge: change(answeredTo(Ack, nil), func(op *Op) {
		op.Outcome, op.Code, op.Head = Refused, nodeservice.CodeInvalidArgument, op.Through
	})},
	{name: "head falls", rule: RuleHead, forge: change(answeredTo(View, func(op *Op) bool { return op.View.Head > 0 }), func(op *Op) { op.View.Head = 0 })},
	{name: "a seq is given twice", rule: RuleOneLetter, forge: func(h *History) bool {
		last := find(h, answeredTo(Send, fresh))
		before := find(h, answeredTo(Send, func(op *Op) bool { return fresh(op) && op.Channel == last.Channel && op.Letter != last.Letter }))
		last.Receipt.Seq = before.Receipt.Seq
		return true
	}},
	{name: "a letter arrives under another seq", rule: RuleOneLetter, forge: change(answeredTo(Fetch, hasMessages(1)), editPage(func(p *Page) {
		p.Messages[len(p.Messages)-1].Seq++
	}))},
	{name: "a seq is skipped", rule: RuleDense, forge: change(answeredTo(View, nil), func(op *Op) { op.View.Head += 50 })},
	{name: "a retry gets another seq", rule: RuleReceipt, forge: change(answeredTo(Send, func(op *Op) bool { return op.Receipt.Duplicate }), func(op *Op) { op.Receipt.Seq++ })},
	{name: "a retry gets another time", rule: RuleReceipt, forge: change(answeredTo(Send, func(op *Op) bool { return op.Receipt.Duplicate }), func(op *Op) { op.Receipt.ReceivedAt++ })},
	{name: "a retry is stored again", rule: RuleReceipt, forge: change(answeredTo(Send, func(op *Op) bool { return op.Receipt.Duplicate }), func(op *Op) {
		op.Receipt.Seq, op.Receipt.Duplicate = op.Receipt.Seq+1000, false
	})},
	{name: "a first attempt is called a duplicate", rule: RuleReceipt, forge: change(answeredTo(Send, func(op *Op) bool { return fresh(op) && op.MessageID == "" }), func(op *Op) {
		op.Receipt.Duplicate = true
	})},
	{name: "a retry of a stored letter is refused", rule: RuleReceipt, forge: func(h *History) bool {
		again := find(h, answeredTo(Send, func(op *Op) bool {
			return op.Receipt.Duplicate && slices.ContainsFunc(h.ops, func(o Op) bool {
				return o.Letter == op.Letter && o.answered() && o.End < op.Begin
			})
		}))
		again.Outcome, again.Code = Refused, nodeservice.CodePreconditionFailed
		return true
	}},
	{name: "a condition is overlooked", rule: RuleCondition, forge: change(answeredTo(Send, func(op *Op) bool { return fresh(op) && op.IfHead != nil }), func(op *Op) {
		moved := *op.IfHead + 3
		op.IfHead = &moved
	})},
	{name: "a condition that holds is refused", rule: RuleCondition, forge: change(func(op *Op) bool {
		return op.Code == nodeservice.CodePreconditionFailed && op.Outcome == Refused
	}, func(op *Op) { op.Head = *op.IfHead })},
	{name: "a refused letter is delivered", rule: RuleRefused, forge: func(h *History) bool {
		page := find(h, answeredTo(Fetch, hasMessages(1)))
		letter := page.Page.Messages[0].Letter
		for i := range h.ops {
			if op := &h.ops[i]; op.Kind == Send && op.Letter == letter {
				op.Outcome, op.Code, op.Receipt = Refused, nodeservice.CodePreconditionFailed, nodeservice.Receipt{}
			}
		}
		return true
	}},
	{name: "a payload is not what was sent", rule: RuleForgery, forge: change(answeredTo(Fetch, hasMessages(1)), editPage(func(p *Page) {
		p.Messages[0].Letter[0] ^= 1
	}))},
	{name: "time runs back within a channel", rule: RuleTime, forge: func(h *History) bool {
		last := find(h, answeredTo(Send, func(op *Op) bool { return fresh(op) && op.Receipt.Seq > 1 }))
		for i := range h.ops {
			op := &h.ops[i]
			if op.Letter == last.Letter {
				op.Receipt.ReceivedAt = 1
			}
			op.Page.Messages = slices.Clone(op.Page.Messages)
			for j := range op.Page.Messages {
				if op.Page.Messages[j].Letter == last.Letter {
					op.Page.Messages[j].ReceivedAt = 1
				}
			}
		}
		return true
	}},
	{name: "a pair gets a second channel", rule: RuleChannel, forge: change(answeredTo(Create, func(op *Op) bool { return !op.Created }), func(op *Op) { op.Channel[0] ^= 1 })},
	{name: "a channel is created again", rule: RuleChannel, forge: change(answeredTo(Create, func(op *Op) bool { return !op.Created }), func(op *Op) { op.Created = true })},
	{name: "a channel becomes older", rule: RuleChannel, forge: change(answeredTo(View, nil), func(op *Op) { op.View.CreatedAt-- })},
	{name: "a package is handed out twice", rule: RuleOnce, forge: func(h *History) bool {
		last := find(h, answeredTo(Claim, func(op *Op) bool { return oneTimeClaim(op) && op.ClaimID == "" }))
		before := find(h, answeredTo(Claim, func(op *Op) bool { return oneTimeClaim(op) && op.Peer == last.Peer && op.Claimed != last.Claimed }))
		last.Claimed = before.Claimed
		return true
	}},
	{name: "a claim id gets another package", rule: RuleClaim, forge: func(h *History) bool {
		again, other := repeatedClaim(h)
		again.Claimed, again.LastResort = other.Claimed, other.LastResort
		return true
	}},
	{name: "a claim id is forgotten", rule: RuleClaim, forge: func(h *History) bool {
		again, _ := repeatedClaim(h)
		again.Outcome, again.Code = Refused, nodeservice.CodeKeyPackageNotFound
		return true
	}},
	{name: "packages vanish", rule: RuleStock, forge: change(answeredTo(Status, func(op *Op) bool { return op.OneTime > 6 }), func(op *Op) { op.OneTime = 0 })},
	{name: "a package that was claimed is counted", rule: RuleStock, forge: change(answeredTo(Status, nil), func(op *Op) { op.OneTime += 20 })},
	{name: "a stock is overlooked", rule: RuleStock, forge: func(h *History) bool {
		var claim *Op
		find(h, answeredTo(Status, func(held *Op) bool {
			claim = find(h, answeredTo(Claim, func(op *Op) bool {
				soon := held.End < op.Begin && op.Begin < held.End+40
				return soon && op.Peer == held.Who && held.OneTime > 6 && oneTimeClaim(op) && op.ClaimID == ""
			}))
			return claim != nil
		}))
		if claim == nil {
			return false
		}
		claim.Outcome, claim.Code = Refused, nodeservice.CodeKeyPackageNotFound
		return true
	}},
	{name: "a package of nobody is handed out", rule: RuleForgery, forge: change(answeredTo(Claim, func(op *Op) bool { return op.ClaimID == "" }), func(op *Op) {
		op.Claimed[0] ^= 1
	})},
	{name: "a spent package is taken again", rule: RuleSpent, forge: func(h *History) bool {
		claim := find(h, answeredTo(Claim, oneTimeClaim))
		again := find(h, func(op *Op) bool {
			return op.Kind == Upload && op.Who == claim.Peer && slices.Contains(op.Packages, claim.Claimed)
		})
		op := *again
		op.Outcome, op.Code, op.Begin, op.End = Answered, "", h.now+1, h.now+2
		h.ops, h.now = append(h.ops, op), h.now+2
		return true
	}},
	{name: "a node that lives is silent", rule: RuleAvailable, forge: change(func(op *Op) bool { return op.Life == 1 && op.answered() }, func(op *Op) {
		op.Outcome, op.Code, op.End = Unknown, nodeservice.CodeInternal, op.Begin
	})},
	{name: "a member is refused", rule: RuleNoSurprise, forge: change(answeredTo(View, nil), func(op *Op) {
		op.Outcome, op.Code = Refused, nodeservice.CodeChannelNotFound
	})},
}

// repeatedClaim is a claim that repeats an answer, and another of a package of
// the same owner.
func repeatedClaim(h *History) (again, other *Op) {
	again = find(h, answeredTo(Claim, func(op *Op) bool {
		return op.ClaimID != "" && slices.ContainsFunc(h.ops, func(o Op) bool {
			return o.ClaimID == op.ClaimID && o.answered() && o.End < op.Begin
		})
	}))
	other = find(h, answeredTo(Claim, func(op *Op) bool { return op.Peer == again.Peer && op.Claimed != again.Claimed }))
	return again, other
}
