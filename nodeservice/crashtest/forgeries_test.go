package crashtest

import (
	"slices"

	"github.com/quicproquo/node/nodeservice"
)

// forgeries are at least one for each rule.
var forgeries = []forgery{
	{"a message vanishes", RuleKept, change(answeredTo(Fetch, hasMessages(2)), editPage(func(p *Page) {
		p.Messages = p.Messages[1:]
	}))},
	{"the last message vanishes, and head with it", RuleHead, change(answeredTo(Fetch, func(op *Op) bool {
		n := len(op.Page.Messages)
		return n > 0 && !op.Page.More && op.Page.Messages[n-1].Seq == op.Page.Head
	}), editPage(func(p *Page) {
		p.Messages = p.Messages[:len(p.Messages)-1]
		p.Head--
	}))},
	{"a page is empty though there are more", RulePage, change(answeredTo(Fetch, hasMessages(1)), editPage(func(p *Page) {
		p.Messages, p.More = nil, true
	}))},
	{"a page is out of order", RulePage, change(answeredTo(Fetch, hasMessages(2)), editPage(func(p *Page) {
		p.Messages[0], p.Messages[1] = p.Messages[1], p.Messages[0]
	}))},
	{"an acknowledged message comes back", RuleGone, func(h *History) bool {
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
	{"acked falls", RuleAcked, change(answeredTo(View, func(op *Op) bool { return op.View.Acked > 0 }), func(op *Op) { op.View.Acked = 0 })},
	{"acked rises by itself", RuleAcked, change(answeredTo(View, nil), func(op *Op) { op.View.Acked = op.View.Head + 1 })},
	{"an acknowledgement below head is refused", RuleAcked, change(answeredTo(Ack, nil), func(op *Op) {
		op.Outcome, op.Code, op.Head = Refused, nodeservice.CodeInvalidArgument, op.Through
	})},
	{"head falls", RuleHead, change(answeredTo(View, func(op *Op) bool { return op.View.Head > 0 }), func(op *Op) { op.View.Head = 0 })},
	{"a seq is given twice", RuleOneLetter, func(h *History) bool {
		last := find(h, answeredTo(Send, fresh))
		before := find(h, answeredTo(Send, func(op *Op) bool { return fresh(op) && op.Channel == last.Channel && op.Letter != last.Letter }))
		last.Receipt.Seq = before.Receipt.Seq
		return true
	}},
	{"a letter arrives under another seq", RuleOneLetter, change(answeredTo(Fetch, hasMessages(1)), editPage(func(p *Page) {
		p.Messages[len(p.Messages)-1].Seq++
	}))},
	{"a seq is skipped", RuleDense, change(answeredTo(View, nil), func(op *Op) { op.View.Head += 50 })},
	{"a retry gets another seq", RuleReceipt, change(answeredTo(Send, func(op *Op) bool { return op.Receipt.Duplicate }), func(op *Op) { op.Receipt.Seq++ })},
	{"a retry gets another time", RuleReceipt, change(answeredTo(Send, func(op *Op) bool { return op.Receipt.Duplicate }), func(op *Op) { op.Receipt.ReceivedAt++ })},
	{"a retry is stored again", RuleReceipt, change(answeredTo(Send, func(op *Op) bool { return op.Receipt.Duplicate }), func(op *Op) {
		op.Receipt.Seq, op.Receipt.Duplicate = op.Receipt.Seq+1000, false
	})},
	{"a first attempt is called a duplicate", RuleReceipt, change(answeredTo(Send, func(op *Op) bool { return fresh(op) && op.MessageID == "" }), func(op *Op) {
		op.Receipt.Duplicate = true
	})},
	{"a retry of a stored letter is refused", RuleReceipt, func(h *History) bool {
		again := find(h, answeredTo(Send, func(op *Op) bool {
			return op.Receipt.Duplicate && slices.ContainsFunc(h.ops, func(o Op) bool {
				return o.Letter == op.Letter && o.answered() && o.End < op.Begin
			})
		}))
		again.Outcome, again.Code = Refused, nodeservice.CodePreconditionFailed
		return true
	}},
	{"a condition is overlooked", RuleCondition, change(answeredTo(Send, func(op *Op) bool { return fresh(op) && op.IfHead != nil }), func(op *Op) {
		moved := *op.IfHead + 3
		op.IfHead = &moved
	})},
	{"a condition that holds is refused", RuleCondition, change(func(op *Op) bool {
		return op.Code == nodeservice.CodePreconditionFailed && op.Outcome == Refused
	}, func(op *Op) { op.Head = *op.IfHead })},
	{"a refused letter is delivered", RuleRefused, func(h *History) bool {
		page := find(h, answeredTo(Fetch, hasMessages(1)))
		letter := page.Page.Messages[0].Letter
		for i := range h.ops {
			if op := &h.ops[i]; op.Kind == Send && op.Letter == letter {
				op.Outcome, op.Code, op.Receipt = Refused, nodeservice.CodePreconditionFailed, nodeservice.Receipt{}
			}
		}
		return true
	}},
	{"a payload is not what was sent", RuleForgery, change(answeredTo(Fetch, hasMessages(1)), editPage(func(p *Page) {
		p.Messages[0].Letter[0] ^= 1
	}))},
	{"time runs back within a channel", RuleTime, func(h *History) bool {
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
	{"a pair gets a second channel", RuleChannel, change(answeredTo(Create, func(op *Op) bool { return !op.Created }), func(op *Op) { op.Channel[0] ^= 1 })},
	{"a channel is created again", RuleChannel, change(answeredTo(Create, func(op *Op) bool { return !op.Created }), func(op *Op) { op.Created = true })},
	{"a channel becomes older", RuleChannel, change(answeredTo(View, nil), func(op *Op) { op.View.CreatedAt-- })},
	{"a package is handed out twice", RuleOnce, func(h *History) bool {
		last := find(h, answeredTo(Claim, func(op *Op) bool { return oneTimeClaim(op) && op.ClaimID == "" }))
		before := find(h, answeredTo(Claim, func(op *Op) bool { return oneTimeClaim(op) && op.Peer == last.Peer && op.Claimed != last.Claimed }))
		last.Claimed = before.Claimed
		return true
	}},
	{"a claim id gets another package", RuleClaim, func(h *History) bool {
		again, other := repeatedClaim(h)
		again.Claimed, again.LastResort = other.Claimed, other.LastResort
		return true
	}},
	{"a claim id is forgotten", RuleClaim, func(h *History) bool {
		again, _ := repeatedClaim(h)
		again.Outcome, again.Code = Refused, nodeservice.CodeKeyPackageNotFound
		return true
	}},
	{"packages vanish", RuleStock, change(answeredTo(Status, func(op *Op) bool { return op.OneTime > 6 }), func(op *Op) { op.OneTime = 0 })},
	{"a package that was claimed is counted", RuleStock, change(answeredTo(Status, nil), func(op *Op) { op.OneTime += 20 })},
	{"a stock is overlooked", RuleStock, func(h *History) bool {
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
	{"a package of nobody is handed out", RuleForgery, change(answeredTo(Claim, func(op *Op) bool { return op.ClaimID == "" }), func(op *Op) {
		op.Claimed[0] ^= 1
	})},
	{"a spent package is taken again", RuleSpent, func(h *History) bool {
		claim := find(h, answeredTo(Claim, oneTimeClaim))
		again := find(h, func(op *Op) bool {
			return op.Kind == Upload && op.Who == claim.Peer && slices.Contains(op.Packages, claim.Claimed)
		})
		op := *again
		op.Outcome, op.Code, op.Begin, op.End = Answered, "", h.now+1, h.now+2
		h.ops, h.now = append(h.ops, op), h.now+2
		return true
	}},
	{"a node that lives is silent", RuleAvailable, change(func(op *Op) bool { return op.Life == 1 && op.answered() }, func(op *Op) {
		op.Outcome, op.Code, op.End = Unknown, nodeservice.CodeInternal, op.Begin
	})},
	{"a member is refused", RuleNoSurprise, change(answeredTo(View, nil), func(op *Op) {
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
