package model

import (
	"context"
	"maps"
	"slices"

	"github.com/quicproquo/node/nodeservice"
)

// sweepBound is how many records one Sweep deletes: few, so that callers meet more.
const sweepBound = 100

// Sweep implements nodeservice.Store.
func (s *Store) Sweep(_ context.Context, now nodeservice.UnixMilli) (swept nodeservice.Swept, more bool, err error) {
	w, err := do(s, "Sweep", func(d *data) (sweep, error) {
		w := sweep{now: now, left: sweepBound}
		w.messages(d)
		w.messageIDs(d)
		w.keyPackages(d)
		w.others(d)
		return w, nil
	})
	return w.swept, w.left == 0 && err == nil, err
}

// sweep is one bounded step.
type sweep struct {
	now   nodeservice.UnixMilli
	left  int // records that may yet be deleted
	swept nodeservice.Swept
}

// due says that a record is to be deleted, and counts it.
func (w *sweep) due(expiresAt nodeservice.UnixMilli, count *int) bool {
	if expiresAt > w.now || w.left == 0 {
		return false
	}
	w.left--
	*count++
	return true
}

func (w *sweep) messages(d *data) {
	for name, q := range d.queues {
		before := len(q.messages)
		q.messages = slices.DeleteFunc(q.messages, func(m message) bool {
			due := w.due(m.ExpiresAt, &w.swept.Messages)
			if due {
				q.floor = m.Seq
			}
			return due
		})
		if len(q.messages) < before {
			w.swept.Floors = append(w.swept.Floors, name)
		}
		d.queues[name] = q
	}
}

func (w *sweep) messageIDs(d *data) {
	for sender, ids := range d.sent {
		d.sent[sender] = slices.DeleteFunc(ids, func(r receipt) bool {
			return w.due(r.expiresAt, &w.swept.MessageIDs)
		})
	}
}

func (w *sweep) keyPackages(d *data) {
	for _, shelf := range d.shelves {
		maps.DeleteFunc(shelf.held, func(_ [32]byte, p keyPackage) bool {
			return w.due(p.ExpiresAt, &w.swept.KeyPackages)
		})
		maps.DeleteFunc(shelf.spent, func(_ [32]byte, until nodeservice.UnixMilli) bool {
			return w.due(until, &w.swept.Others)
		})
	}
}

func (w *sweep) others(d *data) {
	maps.DeleteFunc(d.claims, func(_ claimKey, c claim) bool { return w.due(c.until, &w.swept.Others) })
	maps.DeleteFunc(d.marks, func(_ mark, until nodeservice.UnixMilli) bool { return w.due(until, &w.swept.Others) })
	maps.DeleteFunc(d.revoked, func(_ revocationKey, r nodeservice.Revocation) bool { return w.due(r.Until, &w.swept.Others) })
}
