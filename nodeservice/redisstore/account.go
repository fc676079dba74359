package redisstore

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	ns "github.com/quicproquo/node/nodeservice"
)

// What an account has undelivered lies in many queues, in many places, while its
// quota is one number. So the account notes for each queue what it was last told,
// and a message is stored in three steps:
//
//  1. reserve: the account holds size bytes under the call's token, if its notes,
//     its reservations and size fit into the quota;
//  2. the message is stored in its queue, or refused there;
//  3. settle: the reservation goes, and what the account has in the queue now is
//     noted. Each note carries the queue's version, so a late one changes nothing.
//
// Deliveries and expiry tell the account nothing: notes are upper bounds, and
// nothing is ever missing from them. Before the account refuses, an audit compares
// the notes with the queues. So a refusal is exact, and costs work only near the
// quota. Where others' reservations alone stand in the way, the call waits for
// them to be settled, since they may come to nothing.
//
// A message that was stored is answered before 3, which a settler takes soon after
// (settler.go). Until then it may count twice, by its reservation and by a note, and
// never less than once: so only a call that finds no room waits for it, and an audit
// settles it, since its queue remembers the message by the reservation's token.
//
// After a crash between 1 and 2, or without an answer to 2, the reservation is left.
// It runs out by the core's clock; the audit then takes what its queue holds, and
// sees to it that a call which was only held up does not take 2 any more: there is
// no room for it now.
// Reservations of channels (channels.go) are settled likewise, by the pair's record.
// Between 2 and 3 of a message that is sent under no quota there is no reservation,
// so a crash there leaves a message uncounted until the next one in its queue.

const (
	// reservationLife is how long a reservation stands that nobody settles: longer
	// than any call takes.
	reservationLife = 60 * 1000 // ms

	// maxBusy is how long a call waits for the reservations of others, and
	// muchBusy after how long it has a look whether they ran out.
	maxBusy  = 2 * time.Second
	muchBusy = 100 * time.Millisecond

	// manyNotes is from where each settling looks into two queues besides, so that
	// notes of queues long empty do not pile up.
	manyNotes = 128
)

// What reserve.lua and reservechannel.lua answer.
const (
	roomOver     = 0
	roomReserved = 1
	roomBusy     = 2
)

// queueEntry names a queue in an account's notes: its line, and the beginning of
// the recipient's key.
type queueEntry string

func (q queueEntry) line() lineName { return lineName([]byte(q[:len(lineName{})])) }

func (q queueEntry) recipient() string { return string(q[len(lineName{}):]) }

// noted is what an account has in a queue, at a version of the queue.
type noted struct{ version, bytes uint64 }

// reservation is room for one message.
type reservation struct {
	account ns.Account
	name    string // the token under which the message is stored, and its id
	queue   queueEntry
	size    int
	held    bool // it was taken
}

var (
	reserveScript = newScript(changes, "reserve")
	settleScript  = newScript(makesRoom, "settle")
)

func (s *Store) accountKey(a ns.Account) string {
	return s.baseOf(string(a[:])) + string(keyAccount) + string(a[:])
}

func entryOf(q ns.Queue) queueEntry {
	line, recipient := lineOf(q), memberName(q.Recipient)
	return queueEntry(string(line[:]) + recipient[:min(16, len(recipient))])
}

// reserve takes room for a message, or says that there is none.
func (s *Store) reserve(ctx context.Context, room *reservation, req ns.Append) (over bool, err error) {
	if req.Quota.AccountBytes <= 0 {
		return false, nil
	}
	over, err = s.takeRoom(ctx, func() (int64, error) {
		answer, err := s.run(ctx, reserveScript, []string{s.accountKey(room.account)},
			room.name, room.size, req.Quota.AccountBytes, int64(req.Now)+reservationLife, string(room.queue))
		return only(answer, err)
	}, func() error { return s.audit(ctx, room.account, req.Now) })
	room.held = err == nil && !over
	return over, err
}

// only is the one number of an answer.
func only(answer *reply, err error) (int64, error) {
	if err != nil {
		return 0, err
	}
	n := answer.int()
	return n, asStoreError(answer.done())
}

// takeRoom tries to reserve until it is clear whether there is room. Before it
// takes no for an answer, and when others do not settle, it audits.
func (s *Store) takeRoom(ctx context.Context, try func() (int64, error), audit func() error) (over bool, err error) {
	audited := false
	begun := time.Now()
	for wait := time.Millisecond; ; wait = min(2*wait, 50*time.Millisecond) {
		got, err := try()
		busy := got == roomBusy
		switch {
		case err != nil:
			return false, err
		case got == roomReserved:
			return false, nil
		case audited && !busy:
			return true, nil
		case audited && time.Since(begun) > maxBusy:
			return false, unavailable(errBusy)
		case audited || busy && time.Since(begun) < muchBusy:
			err = pauseFor(ctx, wait/2+rand.N(wait))
		default:
			audited = true
			err = audit()
		}
		if err != nil {
			return false, asStoreError(err)
		}
	}
}

// settle takes the third step of a message: after its answer, if it was stored in
// room that stays reserved until then, else at once.
func (s *Store) settle(ctx context.Context, room reservation, appended appendedTo) error {
	one := settlement{room, appended.Outcome == ns.AppendStored, appended.noted}
	switch {
	case !one.stored && !room.held:
		return nil
	case one.stored && room.held && s.settler.settle(one):
		return nil
	}
	return s.settleAll(ctx, []settlement{one})
}

func decodeReservation(value string) (until ns.UnixMilli, queue queueEntry, err error) {
	const head = 16
	if len(value) < head {
		return 0, "", fmt.Errorf("%w: a reservation", errCorrupt)
	}
	return ns.UnixMilli(double(value[8:])), queueEntry(value[head:]), nil
}

// double reads a number as scripts write it.
func double(b string) float64 {
	return math.Float64frombits(binary.BigEndian.Uint64([]byte(b[:8])))
}
