package pebblestore

import (
	"errors"
	"fmt"

	ns "github.com/quicproquo/node/nodeservice"
)

// checkLine checks the state of a channel's or a legacy queue's line, and with
// it the queues, which nothing but their line's counts holds together.
func (v *verifier) checkLine(k, _ []byte) error {
	if len(k) != 1+len(lineKey{}) {
		return errCorrupt
	}
	ln, found, err := readLine(v.r, lineKey(k[1:]))
	if err != nil {
		return err
	}
	if !found {
		return errors.New("the line belongs to a channel that does not exist")
	}
	sides := len(ln.sides)
	if ln.key.legacy() {
		sides = 1
	}
	for at := range sides {
		if err := v.checkSide(ln, at); err != nil {
			v.find("queue %x: %v", ln.key.queue(at), err)
		}
	}
	return nil
}

func (v *verifier) checkBase(_, _ []byte) error {
	_, err := readBase(v.r)
	return err
}

func (v *verifier) checkSide(ln *line, at int) error {
	s, q := &ln.sides[at], ln.key.queue(at)
	if s.acked > ln.head || s.floor > ln.head {
		v.find("queue %x: head is %d, below acked %d or floor %d", q, ln.head, s.acked, s.floor)
	}
	if ln.key.legacy() {
		return v.checkQueue(ln, at)
	}
	if s.ordinal != 0 {
		viewer := identityField(ln.channel.Members[at])
		id, found, err := get(v.r, key(keyView, viewer, uint64Field(s.ordinal)))
		if err != nil {
			return err
		}
		if !found || string(id) != string(ln.channel.ID[:]) {
			v.find("channel %s: it is not in a member's list, where it should be", ln.channel.ID)
		}
	}
	v.account(s.account).bytes += int64(s.held().bytes)
	return errors.Join(v.checkQueue(ln, at), v.checkWindow(q[:], s.ids))
}

// checkQueue walks the messages of a queue.
func (v *verifier) checkQueue(ln *line, at int) (err error) {
	s, q := &ln.sides[at], ln.key.queue(at)
	it, err := newQueueIter(v.r, q, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	before := message{through: s.removed}
	m, ok, err := it.first()
	if ok && (s.sweepAt == 0 || s.sweepAt > m.expiresAt) {
		v.find("queue %x: the sweep looks at it too late", q)
	}
	for ; ok; m, ok, err = it.next() {
		if wrong := misplaced(ln, s, before, m); wrong != "" {
			v.find("queue %x, message %d: %s", q, m.seq, wrong)
		}
		if err := v.checkMessage(ln, q, m); err != nil {
			v.find("queue %x, message %d: %v", q, m.seq, err)
		}
		before = message{receivedAt: m.receivedAt, expiresAt: m.expiresAt, through: m.through}
	}
	if err != nil {
		return err
	}
	if before.through != s.added {
		v.find("queue %x: it should hold %+v, and holds %+v", q, s.held(), before.through.minus(s.removed))
	}
	return v.checkEntry(s.sweepAt, sweepQueue, q[:])
}

// misplaced says what is wrong with a message where it stands, if anything.
func misplaced(ln *line, s *side, before, m message) string {
	switch {
	case m.seq < s.start():
		return "it was acknowledged or had expired, and is still there"
	case m.seq > ln.head:
		return fmt.Sprintf("its seq is above head, which is %d", ln.head)
	case m.through != tally{before.through.count + 1, before.through.bytes + uint64(m.size)}:
		return "its counts do not follow those before it: a message is missing, or one too many"
	case m.receivedAt < before.receivedAt || m.expiresAt < before.expiresAt:
		return "it is older than the one before it"
	case m.receivedAt > ln.receivedAt || m.expiresAt > ln.expiresAt:
		return "it is younger than the line's last message"
	}
	return ""
}

// checkMessage looks at what a message has besides its record.
func (v *verifier) checkMessage(ln *line, q queueKey, m message) error {
	if ln.key.legacy() {
		if found, err := v.has(seqKey(keyLegacy, ln.key[:], m.seq)); err != nil || !found {
			return errors.Join(err, errors.New("its sender's account is not recorded"))
		}
	}
	if m.blob.isZero() {
		return nil
	}
	v.named[m.blob.name.String()] = struct{}{}
	name, found, err := get(v.r, seqKey(keyBlob, q[:], m.seq))
	if err != nil || !found || string(name) != string(m.blob.name[:]) {
		return errors.Join(err, errors.New("the index does not name its payload file"))
	}
	_, missing, err := v.blobs.read(m.blob, m.size)
	if missing {
		err = fmt.Errorf("its payload file %s is missing", m.blob.name)
	}
	return err
}

// checkMessageKey finds messages that no line leads to.
func (v *verifier) checkMessageKey(k, _ []byte) error {
	if len(k) != 1+len(queueKey{})+8 {
		return errCorrupt
	}
	if q := queueKey(k[1:]); q.side() > 1 || q.line().legacy() && q.side() > 0 {
		return errors.New("the message belongs to nobody")
	}
	return v.checkLineOf(k)
}

// checkLineOf finds records of lines that do not exist. Lines come one after the
// other: the last answer serves for all records of one.
func (v *verifier) checkLineOf(k []byte) error {
	if len(k) < 1+len(lineKey{}) {
		return errCorrupt
	}
	at := lineKey(k[1:])
	if at == v.seen {
		return nil
	}
	_, found, err := get(v.r, key(keyLine, at[:]))
	if err == nil && !found {
		err = errors.New("it belongs to a line that does not exist")
	}
	if err == nil {
		v.seen = at
	}
	return err
}

func (v *verifier) checkBlobRecord(k, value []byte) error {
	if len(k) != 1+len(queueKey{})+8 || len(value) != len(blobName{}) {
		return errCorrupt
	}
	at := append([]byte{keyMessage}, k[1:]...)
	b, found, err := get(v.r, at)
	if err != nil || !found {
		return errors.Join(err, errors.New("a payload file is named for a message that is not there"))
	}
	m, err := decodeMessage(at, b)
	if err == nil && m.blob.name != blobName(value) {
		err = errors.New("the index names another payload file than the message")
	}
	return err
}

func (v *verifier) checkLegacyRecord(k, value []byte) error {
	d := decoder{b: value}
	var from ns.Account
	d.fixed(from[:])
	size := d.uint()
	if err := d.done(); err != nil || len(k) != 1+len(lineKey{})+8 {
		return errCorrupt
	}
	q := lineKey(k[1:]).queue(0)
	at := seqKey(keyMessage, q[:], seqOf(k))
	b, found, err := get(v.r, at)
	if err != nil || !found {
		return errors.Join(err, errors.New("an account is charged for a message that is not there"))
	}
	m, err := decodeMessage(at, b)
	if err == nil && uint64(m.size) != size {
		err = errors.New("an account is charged for another size than the message's")
	}
	v.account(from).bytes += int64(size)
	return errors.Join(err, v.checkCharged(lineKey(k[1:]), from))
}

// checkCharged says whether an account that sent has a share; what is in it
// checkShare compares.
func (v *verifier) checkCharged(k lineKey, from ns.Account) error {
	found, err := v.has(key(keyShare, k[:], from[:]))
	if err == nil && !found {
		err = fmt.Errorf("account %x has no share of the queue that it sent to", from)
	}
	return err
}

// checkShare adds up an account's messages in a legacy queue.
func (v *verifier) checkShare(k, value []byte) error {
	if len(k) != 1+len(lineKey{})+len(ns.Account{}) {
		return errCorrupt
	}
	sh, at, from := new(share), lineKey(k[1:]), ns.Account(k[1+len(lineKey{}):])
	if err := sh.decode(value); err != nil {
		return err
	}
	var held tally
	prefix := key(keyLegacy, at[:])
	err := scan(v.r, prefix, after(prefix), func(_, value []byte) (bool, error) {
		d := decoder{b: value}
		var who ns.Account
		d.fixed(who[:])
		if size := d.uint(); who == from {
			held.count++
			held.bytes += size
		}
		return false, d.done()
	})
	if err == nil && held != sh.held {
		err = fmt.Errorf("the share says %+v, and the queue holds %+v of this account", sh.held, held)
	}
	return errors.Join(err, v.checkLineOf(k), v.checkWindow(k[1:], sh.ids))
}

func (v *verifier) checkAccount(k, value []byte) error {
	var a account
	if err := a.decode(value); err != nil || len(k) != 1+len(ns.Account{}) {
		return errCorrupt
	}
	if a.bytes < 0 {
		v.find("account %x has %d undelivered bytes", k[1:], a.bytes)
	}
	v.account(ns.Account(k[1:])).bytes -= a.bytes
	v.created += a.channels
	return nil
}
