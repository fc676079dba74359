package pebblestore

import (
	"encoding/binary"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	ns "github.com/quicproquo/node/nodeservice"
)

// maxInline is the largest payload that is kept in its message record.
const maxInline = 64 << 10

// maxSize is far beyond the largest payload: a record that says more is nonsense,
// and nobody may take so much memory for its sake.
const maxSize = 1 << 30

// message is a stored message. Its seq is in its key.
type message struct {
	seq        ns.Seq
	receivedAt ns.UnixMilli
	expiresAt  ns.UnixMilli
	through    tally // of the queue, this message included
	size       int   // of the payload
	blob       blobRef
	payload    []byte // nil with a blob; else it belongs to the record's buffer
}

// blobRef names the file of a large payload, and what must be in it. The zero
// blobRef is none.
type blobRef struct {
	name   blobName
	digest [32]byte // SHA-256
}

func (b blobRef) isZero() bool { return b == blobRef{} }

func (m *message) encode() []byte {
	return append(m.encodeHead(make([]byte, 0, maxMessageHead+len(m.payload))), m.payload...)
}

// maxMessageHead is the size of a record but for the payload in it: at most five
// varints, a bool, and a blob's name and digest.
const maxMessageHead = 5*binary.MaxVarintLen64 + 1 + 16 + 32

// encodeHead appends all of a record but the payload.
func (m *message) encodeHead(to []byte) []byte {
	e := encoder{b: to}
	e.time(m.receivedAt)
	e.time(m.expiresAt)
	m.through.encode(&e)
	e.uint(uint64(m.size))
	e.bool(!m.blob.isZero())
	if !m.blob.isZero() {
		e.fixed(m.blob.name[:])
		e.fixed(m.blob.digest[:])
	}
	return e.b
}

func decodeMessage(key, value []byte) (m message, err error) {
	d := decoder{b: value}
	m.seq = seqOf(key)
	m.receivedAt = d.time()
	m.expiresAt = d.time()
	m.through.decode(&d)
	if m.size = int(d.uint()); m.size < 0 || m.size > maxSize {
		d.fail()
	}
	if d.bool() {
		d.fixed(m.blob.name[:])
		d.fixed(m.blob.digest[:])
	} else {
		m.payload = d.take(uint64(m.size))
	}
	if err := d.done(); err != nil {
		return message{}, fmt.Errorf("message %x: %w", key, err)
	}
	return m, nil
}

// queueIter walks the messages of one queue.
type queueIter struct {
	*pebble.Iterator
	queue queueKey
}

// newQueueIter walks the seqs from first on.
func newQueueIter(r pebble.Reader, q queueKey, first ns.Seq) (queueIter, error) {
	it, err := r.NewIter(&pebble.IterOptions{
		LowerBound: seqKey(keyMessage, q[:], first),
		UpperBound: after(key(keyMessage, q[:])),
	})
	return queueIter{it, q}, err
}

// at decodes the message under the iterator, whose move returned ok; found is
// false at the end.
func (it queueIter) at(ok bool) (m message, found bool, err error) {
	if !ok {
		return message{}, false, it.Error()
	}
	value, err := it.ValueAndErr()
	if err != nil {
		return message{}, false, err
	}
	m, err = decodeMessage(it.Key(), value)
	return m, err == nil, err
}

func (it queueIter) first() (message, bool, error) { return it.at(it.First()) }
func (it queueIter) next() (message, bool, error)  { return it.at(it.Next()) }

// from is the first message with a seq >= s.
func (it queueIter) from(s ns.Seq) (message, bool, error) {
	return it.at(it.SeekGE(seqKey(keyMessage, it.queue[:], s)))
}

// through is the last message with a seq <= s.
func (it queueIter) through(s ns.Seq) (message, bool, error) {
	return it.at(it.SeekLT(seqKey(keyMessage, it.queue[:], s+1)))
}

// lastExpired finds the last message of a queue that has expired by now; found
// is false if none has. ExpiresAt never decreases in a line, so it searches by
// halves and reads few of them.
func lastExpired(r pebble.Reader, ln *line, at int, now ns.UnixMilli) (m message, found bool, err error) {
	s := &ln.sides[at]
	if s.held().count == 0 || s.sweepAt > now {
		return message{}, false, nil // the sweep entry is never later than the first expiry
	}
	it, err := newQueueIter(r, ln.key.queue(at), s.start())
	if err != nil {
		return message{}, false, err
	}
	m, found, err = it.lastExpired(ln.head, now)
	m.payload = nil // the iterator's
	if closeErr := it.Close(); err == nil {
		err = closeErr
	}
	return m, found, err
}

func (it queueIter) lastExpired(head ns.Seq, now ns.UnixMilli) (expired message, found bool, err error) {
	expired, found, err = it.first()
	if err != nil || !found || expired.expiresAt > now {
		return message{}, false, err
	}
	// expired has; no message at or above fresh has.
	for fresh := head + 1; fresh > expired.seq+1; {
		middle := expired.seq + (fresh-expired.seq)/2
		m, more, err := it.from(middle)
		switch {
		case err != nil:
			return message{}, false, err
		case more && m.expiresAt <= now:
			expired = m
		default:
			fresh = middle
		}
	}
	return expired, true, nil
}
