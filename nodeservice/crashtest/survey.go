package crashtest

import (
	"errors"
	"fmt"

	"github.com/quicproquo/node/nodeservice"
)

// survey asks a node that has just started for everything that it must still
// know, one question after the other: channels, queues, stocks, the receipts of
// letters, the packages of claims, and what was spent. Check judges the answers.
func (r *running) survey() error {
	for _, p := range r.kit.people {
		if err := r.surveyPerson(p); err != nil {
			return fmt.Errorf("person %d: %w", p.index, err)
		}
	}
	return nil
}

// errSilent ends a survey: a node that lives must answer.
var errSilent = errors.New("the node, which nobody killed, gave no answer")

func (r *running) surveyPerson(p *person) error {
	p.mu.Lock()
	channels := append([]*channel(nil), p.channels...)
	p.mu.Unlock()
	for _, ch := range channels {
		if r.anyClient(p).create(ch.peer) == Unknown || r.anyClient(p).view(ch) == Unknown {
			return errSilent
		}
		if err := r.surveyQueue(p, ch); err != nil {
			return err
		}
	}
	if err := r.surveyQueue(p, p.own); err != nil {
		return err
	}
	questions := []func(*client) Outcome{(*client).status}
	for _, l := range some(p, r.chance, &p.letters, 8) {
		questions = append(questions, func(c *client) Outcome { return c.send(l) })
	}
	for _, cl := range some(p, r.chance, &p.claims, 4) {
		questions = append(questions, func(c *client) Outcome { return c.claim(cl) })
	}
	for _, b := range some(p, r.chance, &p.batches, 2) {
		questions = append(questions, func(c *client) Outcome { return c.upload(b) })
	}
	for _, ask := range questions {
		if ask(r.anyClient(p)) == Unknown {
			return errSilent
		}
	}
	return nil
}

// surveyQueue reads all that waits for a person in a channel.
func (r *running) surveyQueue(p *person, ch *channel) error {
	after := nodeservice.Seq(0)
	for {
		op := r.anyClient(p).fetch(ch, after, nodeservice.MaxFetch, 0)
		if op.Outcome == Unknown {
			return errSilent
		}
		n := len(op.Page.Messages)
		if n == 0 || !op.Page.More {
			return nil
		}
		after = op.Page.Messages[n-1].Seq
	}
}

// legacyClient is the person's first client at a door that serves legacy queues.
func (r *running) legacyClient(p *person) *client {
	for _, c := range r.clients[p.index] {
		if c.legacy {
			return c
		}
	}
	panic("the machine has no door for legacy queues")
}

// anyClient is one of the person's clients, at a door of chance's choice.
func (r *running) anyClient(p *person) *client {
	mine := r.clients[p.index]
	return mine[r.chance.IntN(len(mine))]
}
