package pebblestore

import (
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	ns "github.com/quicproquo/node/nodeservice"
)

// line is the state of what owns a seq counter: a channel with two queues, or a
// legacy queue. In the committer it is owned by tx, in a read by its reader.
type line struct {
	key     lineKey
	channel ns.Channel  // of a channel line: kept with its own record
	legacy  ns.Identity // recipient of a legacy line

	head       ns.Seq
	receivedAt ns.UnixMilli // of the last message
	expiresAt  ns.UnixMilli // of the last message: the greatest so far
	sides      [2]side

	dirty bool // owned by tx: differs from its record
}

// side is one recipient's part of a line: its queue, and what is remembered of
// the ids of those who send to it.
type side struct {
	ordinal     uint64 // of the channel in the recipient's list; 0: not visible
	acked       ns.Seq
	floor       ns.Seq
	floorReason ns.GapReason
	added       tally        // every message ever stored
	removed     tally        // every message ever acknowledged or expired
	account     ns.Account   // of a channel's sender: its undelivered bytes are charged there
	sweepAt     ns.UnixMilli // of the queue's entry in the sweep index; 0: there is none
	ids         idWindow     // of a channel's sender
}

// tally counts messages and the bytes of their payloads from the beginning of a
// queue. A message records the tally with itself in it, so that removing up to
// any message is a subtraction, and needs no look at those before it.
type tally struct {
	count uint64
	bytes uint64
}

func (t tally) minus(o tally) tally { return tally{t.count - o.count, t.bytes - o.bytes} }

// held is what the queue holds, expired messages included.
func (s *side) held() tally { return s.added.minus(s.removed) }

// start is the first seq that the queue can still hold.
func (s *side) start() ns.Seq { return max(s.acked, s.floor) + 1 }

// shownFloor is floor as readers see it.
func (s *side) shownFloor() (ns.Seq, ns.GapReason) {
	if s.acked >= s.floor {
		return 0, 0
	}
	return s.floor, s.floorReason
}

// expired raises floor to a seq, whose message has expired. A gap that a restore
// left keeps its reason until it has been acknowledged: what is missing there is
// more than what expired.
func (s *side) expired(through ns.Seq) {
	if s.floorReason != ns.GapRestored || s.acked >= s.floor {
		s.floorReason = ns.GapExpired
	}
	s.floor = through
}

// idWindow says which message ids of a scope are remembered.
type idWindow struct {
	count   uint64
	first   ns.Seq       // none is remembered below it
	sweepAt ns.UnixMilli // of the scope's entry in the sweep index; 0: there is none
}

// loadLine reads the line of a queue and the recipient's side; found is false
// if there is no such channel or the recipient is not a member. A legacy line
// that was never written is an empty one.
func loadLine(r pebble.Reader, q ns.Queue) (ln *line, at int, found bool, err error) {
	if q.Legacy() {
		ln, err = readLegacy(r, q)
		return ln, 0, err == nil, err
	}
	ln, found, err = readLine(r, lineOf(q))
	if err != nil || !found {
		return nil, 0, false, err
	}
	at, found = ln.sideOf(q.Recipient)
	return ln, at, found, nil
}

func readLegacy(r pebble.Reader, q ns.Queue) (*line, error) {
	ln, found, err := readLine(r, lineOf(q))
	if err != nil {
		return nil, err
	}
	if !found {
		return newLegacy(r, q)
	}
	if ln.legacy != q.Recipient {
		return nil, fmt.Errorf("%w: two recipients share a legacy line", errCorrupt)
	}
	return ln, nil
}

// newLegacy is a legacy line that was never written. In a store that was
// restored it may have been, after the backup: it begins above what the lost
// store can have counted, with a gap that says so.
func newLegacy(r pebble.Reader, q ns.Queue) (*line, error) {
	base, err := readBase(r)
	if err != nil {
		return nil, err
	}
	ln := &line{key: lineOf(q), legacy: q.Recipient, head: base}
	if base > 0 {
		ln.sides[0].floor, ln.sides[0].floorReason = base, ns.GapRestored
	}
	return ln, nil
}

// readBase is the head of a legacy line that begins.
func readBase(r pebble.Reader) (ns.Seq, error) {
	b, found, err := get(r, []byte{keyBase})
	if err != nil || !found {
		return 0, err
	}
	d := decoder{b: b}
	base := ns.Seq(d.uint())
	if d.done() != nil {
		return 0, fmt.Errorf("base of legacy queues: %w", errCorrupt)
	}
	return base, nil
}

// readLine reads a line by its key. A channel without state is an empty line.
func readLine(r pebble.Reader, k lineKey) (ln *line, found bool, err error) {
	ln = &line{key: k}
	if !k.legacy() {
		if ln.channel, found, err = readChannel(r, ns.ChannelID(k[1:])); err != nil || !found {
			return nil, false, err
		}
	}
	b, stored, err := get(r, key(keyLine, k[:]))
	if err != nil {
		return nil, false, err
	}
	if !stored {
		return ln, !k.legacy(), nil
	}
	if err := ln.decode(b); err != nil {
		return nil, false, fmt.Errorf("line %x: %w", k, err)
	}
	return ln, true, nil
}

func (l *line) sideOf(who ns.Identity) (at int, member bool) {
	switch {
	case l.key.legacy():
		return 0, who == l.legacy
	case who == l.channel.Members[0]:
		return 0, true
	case who == l.channel.Members[1]:
		return 1, true
	}
	return 0, false
}

// queue is the contract's name of one side.
func (l *line) queue(at int) ns.Queue {
	if l.key.legacy() {
		return ns.Queue{Recipient: l.legacy}
	}
	return ns.Queue{Channel: l.channel.ID, Recipient: l.channel.Members[at]}
}

func (l *line) encode() []byte {
	e := encoder{b: make([]byte, 0, 160)}
	e.uint(uint64(l.head))
	e.time(l.receivedAt)
	e.time(l.expiresAt)
	e.identity(l.legacy)
	for i := range l.sides {
		l.sides[i].encode(&e)
	}
	return e.b
}

func (l *line) decode(b []byte) error {
	d := decoder{b: b}
	l.head = ns.Seq(d.uint())
	l.receivedAt = d.time()
	l.expiresAt = d.time()
	l.legacy = d.identity()
	for i := range l.sides {
		l.sides[i].decode(&d)
	}
	return d.done()
}

func (s *side) encode(e *encoder) {
	e.uint(s.ordinal)
	e.uint(uint64(s.acked))
	e.uint(uint64(s.floor))
	e.uint(uint64(s.floorReason))
	s.added.encode(e)
	s.removed.encode(e)
	e.fixed(s.account[:])
	e.time(s.sweepAt)
	s.ids.encode(e)
}

func (s *side) decode(d *decoder) {
	s.ordinal = d.uint()
	s.acked = ns.Seq(d.uint())
	s.floor = ns.Seq(d.uint())
	s.floorReason = ns.GapReason(d.uint())
	s.added.decode(d)
	s.removed.decode(d)
	d.fixed(s.account[:])
	s.sweepAt = d.time()
	s.ids.decode(d)
}

func (t tally) encode(e *encoder) {
	e.uint(t.count)
	e.uint(t.bytes)
}

func (t *tally) decode(d *decoder) {
	t.count = d.uint()
	t.bytes = d.uint()
}

func (w idWindow) encode(e *encoder) {
	e.uint(w.count)
	e.uint(uint64(w.first))
	e.time(w.sweepAt)
}

func (w *idWindow) decode(d *decoder) {
	w.count = d.uint()
	w.first = ns.Seq(d.uint())
	w.sweepAt = d.time()
}
