package redisstore

import (
	"context"
	"fmt"
	"math"

	ns "github.com/quicproquo/node/nodeservice"
)

var heldScript = newScript(makesRoom, "line", "held")

// audit compares an account's notes and reservations with the queues. Two audits at a time are enough for a node: they read much.
func (s *Store) audit(ctx context.Context, a ns.Account, now ns.UnixMilli) error {
	select {
	case s.audits <- struct{}{}:
	case <-ctx.Done():
		return unavailable(ctx.Err())
	}
	defer func() { <-s.audits }()
	var cursor uint64
	for {
		fields, next, err := s.client.HScan(ctx, s.accountKey(a), cursor, "", 256).Result()
		if err != nil {
			return asStoreError(err)
		}
		if err := s.auditFields(ctx, a, fields, now); err != nil {
			return err
		}
		if cursor = next; cursor == 0 {
			return nil
		}
	}
}

// auditSome compares a few notes with the queues; which ones is left to chance.
func (s *Store) auditSome(ctx context.Context, a ns.Account, n int) error {
	fields, err := s.client.HRandFieldWithValues(ctx, s.accountKey(a), n).Result()
	if err != nil {
		return asStoreError(err)
	}
	flat := make([]string, 0, 2*len(fields))
	for _, f := range fields {
		flat = append(flat, f.Key, f.Value)
	}
	return s.auditFields(ctx, a, flat, math.MinInt64) // expires nothing: there is no clock to tell
}

// owed is a note or a reservation to compare with its queue.
type owed struct {
	queue    queueEntry
	noted    string // the note as it was read, before its queue is looked into
	reserved string // the reservation's name; "": a note
	ranOut   bool   // nobody else settles the reservation
}

// auditFields compares some fields of an account with what they are about.
func (s *Store) auditFields(ctx context.Context, a ns.Account, fields []string, now ns.UnixMilli) error {
	var all []owed
	var looks []question
	for i := 0; i+1 < len(fields); i += 2 {
		o, err := s.auditField(ctx, a, fields[i], fields[i+1], now)
		if err != nil {
			return err
		}
		if o.queue == "" {
			continue
		}
		line := o.queue.line()
		base := s.lineBase(line)
		all = append(all, o)
		looks = append(looks, question{base + string(keyLine) + string(line[:]),
			[]any{base, line[:], a[:], o.queue.recipient(), int64(now), o.reserved, o.ranOut}})
	}
	seen, err := s.runAll(ctx, heldScript, looks)
	if err != nil {
		return err
	}
	var notes []question
	for i, o := range all {
		version, bytes, stored := seen[i].count(), seen[i].count(), seen[i].bool()
		if err := seen[i].done(); err != nil {
			return asStoreError(err)
		}
		if o.reserved == "" || o.ranOut || stored { // else it may still be stored
			notes = append(notes, question{s.accountKey(a), []any{o.reserved, string(o.queue), version, bytes, o.noted}})
		}
	}
	_, err = s.runAll(ctx, settleScript, notes)
	return err
}

// auditField says which queue a field is about, if any. What is about a channel's
// creation is settled at once.
func (s *Store) auditField(ctx context.Context, a ns.Account, field, value string, now ns.UnixMilli) (o owed, err error) {
	switch field[:min(1, len(field))] {
	case "q":
		o.queue, o.noted = queueEntry(field[1:]), value
	case "r":
		var until ns.UnixMilli
		if until, o.queue, err = decodeReservation(value); err != nil {
			return owed{}, asStoreError(err)
		}
		o.reserved, o.ranOut = field[1:], until <= now
		if o.ranOut {
			s.cfg.Log.Info("a message was begun that nobody brought to its end; its queue says what came of it")
		}
	case "n":
		return owed{}, s.auditChannel(ctx, a, field[1:], value, now)
	default:
		return owed{}, nil
	}
	if len(o.queue) <= len(lineName{}) {
		return owed{}, internal(fmt.Errorf("%w: a note of an account", errCorrupt))
	}
	return o, nil
}
