package crashtest

import (
	"slices"
	"testing"
	"time"
)

// forgery changes a history as a node that breaks a rule would have. It says
// whether it found something to change.
type forgery struct {
	name     string
	rule     Rule
	forge    func(h *History) bool
	expiring bool // of a history in which messages expire
}

// find is the first operation that suits, from the back: by then much is known.
func find(h *History, suits func(op *Op) bool) *Op {
	for i := len(h.ops) - 1; i >= 0; i-- {
		if suits(&h.ops[i]) {
			return &h.ops[i]
		}
	}
	return nil
}

// change makes a forgery of one operation.
func change(suits func(op *Op) bool, forge func(op *Op)) func(h *History) bool {
	return func(h *History) bool {
		op := find(h, suits)
		if op != nil {
			forge(op)
		}
		return op != nil
	}
}

// answeredTo suits answered operations of a kind.
func answeredTo(kind Kind, more func(op *Op) bool) func(op *Op) bool {
	return func(op *Op) bool { return op.Kind == kind && op.answered() && (more == nil || more(op)) }
}

func hasMessages(n int) func(op *Op) bool {
	return func(op *Op) bool { return len(op.Page.Messages) >= n }
}

// editPage edits a copy of a page's messages: histories share them.
func editPage(edit func(p *Page)) func(op *Op) {
	return func(op *Op) {
		op.Page.Messages = slices.Clone(op.Page.Messages)
		edit(&op.Page)
	}
}

func fresh(op *Op) bool { return !op.Receipt.Duplicate }

func oneTimeClaim(op *Op) bool { return !op.LastResort }

// recordInTurn is a history in which clients take turns, so that a seed always
// gives the same one. At the end of each life each has a call without an answer.
// A turn takes a second.
func recordInTurn(t *testing.T, seed uint64, lives int, retention time.Duration) *History {
	t.Helper()
	machine, clock := newMemory(t), time.Now()
	machine.now, machine.retention = func() time.Time { return clock }, retention
	kit, err := New(machine, seed, crowd)
	if err != nil {
		t.Fatal(err)
	}
	kit.now = machine.now
	kit.Expire(retention)
	for range lives {
		r, err := kit.start(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		kit.lives++
		if err := r.survey(); err != nil {
			t.Fatal(err)
		}
		for range 10 {
			r.inTurn()
			clock = clock.Add(time.Second)
		}
		kit.history.strike()
		r.life.Strike()
		r.inTurn()
		r.cancel()
		r.close()
		if err := r.life.Bury(); err != nil {
			t.Fatal(err)
		}
	}
	return kit.History()
}

// inTurn lets every client do one thing.
func (r *running) inTurn() {
	for _, clients := range r.clients {
		for _, c := range clients {
			if act := c.person.takePending(); act != nil {
				act(c)
			} else {
				c.choose()(c)
			}
		}
	}
}

// TestCheckCatchesEveryKindOfViolation forges a history in each way in which a
// node can break its word.
func TestCheckCatchesEveryKindOfViolation(t *testing.T) {
	lasting, expiring := recordInTurn(t, 3, 15, 0), recordInTurn(t, 7, 10, 15*time.Second)
	if found := append(Check(lasting), Check(expiring)...); len(found) > 0 {
		t.Fatalf("the histories are broken as they are: %v", found)
	}
	caught := map[Rule]bool{}
	for _, f := range slices.Concat(forgeries, forgedDeliveries) {
		t.Run(f.name, func(t *testing.T) {
			genuine := lasting
			if f.expiring {
				genuine = expiring
			}
			h := &History{retention: genuine.retention, now: genuine.now, ops: genuine.Ops(), strikes: genuine.strikes}
			if !f.forge(h) {
				t.Fatal("the history has nothing to forge")
			}
			found := Check(h)
			if !slices.ContainsFunc(found, func(v Violation) bool { return v.Rule == f.rule }) {
				t.Fatalf("not caught by %q; found %v", f.rule, found)
			}
			caught[f.rule] = true
		})
	}
	for _, rule := range Rules() {
		if !caught[rule] {
			t.Errorf("no forgery breaks the rule %q", rule)
		}
	}
}
