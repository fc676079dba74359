package pebblestore

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	ns "github.com/quicproquo/node/nodeservice"
)

// raised is a copy of a key that ends in a seq, with the seq that it gets.
func raised(k []byte) []byte {
	k = bytes.Clone(k)
	binary.BigEndian.PutUint64(k[len(k)-8:], uint64(seqOf(k)+restoredSeqs))
	return k
}

// raiseBase puts the legacy queues to come above those that the lost store may
// have begun.
func (r *rewriter) raiseBase() error {
	base, err := readBase(r.db)
	if err != nil {
		return err
	}
	var e encoder
	e.uint(uint64(base + restoredSeqs))
	r.tx.set([]byte{keyBase}, e.b)
	return makeDir(r.blobs.fs, r.blobs.dir)
}

// moveChannels goes by the channels' own records: one without a line has an
// empty line, whose head rises too.
func (r *rewriter) moveChannels() error {
	return r.each(keyChannel, func(k, _ []byte) error {
		return r.moveLine(channelLineKey(ns.ChannelID(k[1:])))
	})
}

func (r *rewriter) moveLegacy() error {
	return r.each(keyLine, func(k, _ []byte) error {
		if at := lineKey(k[1:]); at.legacy() {
			return r.moveLine(at)
		}
		return nil
	})
}

func (r *rewriter) moveLine(at lineKey) error {
	ln, found, err := readLine(r.db, at)
	if err != nil || !found {
		return err
	}
	ln.head += restoredSeqs
	for i := range ln.sides {
		if err := r.moveQueue(ln, i); err != nil {
			return fmt.Errorf("queue %x: %w", at.queue(i), err)
		}
		ln.sides[i].ids.first += restoredSeqs
	}
	r.done.Lines++
	r.tx.set(key(keyLine, at[:]), ln.encode())
	return nil
}

// moveQueue moves a queue's messages, and cuts it off just below the first that
// is left. Its entry in the sweep index stays, and is not too late for that one.
func (r *rewriter) moveQueue(ln *line, at int) (err error) {
	s := &ln.sides[at]
	it, err := newQueueIter(r.db, ln.key.queue(at), 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	s.floor, s.floorReason = ln.head, ns.GapRestored
	s.added = s.removed
	m, ok, err := it.first()
	for ; ok && err == nil; m, ok, err = it.next() {
		if err := errors.Join(r.moveMessage(ln, at, m), r.applyMuch()); err != nil {
			return err
		}
	}
	return err
}

// moveMessage moves one message with all its records, or leaves it out.
func (r *rewriter) moveMessage(ln *line, at int, m message) error {
	q := ln.key.queue(at)
	from, charge := ln.sides[at].account, seqKey(keyLegacy, ln.key[:], m.seq)
	var charged []byte // the record of a legacy message
	if ln.key.legacy() {
		var err error
		if charged, _, err = get(r.db, charge); err != nil || len(charged) < len(from) {
			return errors.Join(err, errors.New("a legacy message has no sender"))
		}
		from = ns.Account(charged[:len(from)])
		r.tx.delete(charge)
	}
	r.tx.delete(seqKey(keyMessage, q[:], m.seq))
	if !m.blob.isZero() {
		r.tx.delete(seqKey(keyBlob, q[:], m.seq))
		if readable, err := r.copyBlob(m); err != nil || !readable {
			r.leaveOut(ln, from, m)
			return err
		}
		r.tx.set(seqKey(keyBlob, q[:], m.seq+restoredSeqs), m.blob.name[:])
	}
	if charged != nil {
		r.tx.set(raised(charge), charged)
	}
	r.put(ln, at, m)
	return nil
}

// put writes the message under its new seq.
func (r *rewriter) put(ln *line, at int, m message) {
	s, q := &ln.sides[at], ln.key.queue(at)
	m.seq += restoredSeqs
	if s.added == s.removed {
		s.floor = m.seq - 1
	}
	s.added.count++
	s.added.bytes += uint64(m.size)
	m.through = s.added
	r.tx.set(seqKey(keyMessage, q[:], m.seq), m.encode())
	r.done.Messages++
}

// copyBlob copies a payload file, if it is what was stored. Links would not do:
// two stores would share what one disk error takes.
func (r *rewriter) copyBlob(m message) (readable bool, err error) {
	payload, missing, err := r.source.read(m.blob, m.size)
	if missing || err != nil {
		return false, nil
	}
	return true, r.blobs.write(r.blobs.path(m.blob.name), payload)
}

// leaveOut takes a message that cannot be read off its sender.
func (r *rewriter) leaveOut(ln *line, from ns.Account, m message) {
	r.charged[from] += int64(m.size)
	if ln.key.legacy() {
		held := r.shares[shareKey{ln.key, from}]
		r.shares[shareKey{ln.key, from}] = tally{held.count + 1, held.bytes + uint64(m.size)}
	}
	r.done.LeftOut++
	if len(r.done.LeftOutOf) < maxFindings {
		r.done.LeftOutOf = append(r.done.LeftOutOf, r.source.path(m.blob.name))
	}
}

// release settles what leaveOut left open. The payload files are durable then.
func (r *rewriter) release() error {
	for k, bytes := range r.charged {
		a, err := readAccount(r.db, k)
		if err != nil {
			return err
		}
		a.bytes -= bytes
		r.tx.set(key(keyAccount, k[:]), a.encode())
	}
	return syncDir(r.blobs.fs, r.blobs.dir)
}

func (r *rewriter) moveShares() error {
	return r.each(keyShare, func(k, value []byte) error {
		sh, id := new(share), shareKey{lineKey(k[1:]), ns.Account(k[1+len(lineKey{}):])}
		if err := sh.decode(value); err != nil {
			return fmt.Errorf("share %x: %w", k[1:], err)
		}
		sh.held = sh.held.minus(r.shares[id])
		sh.ids.first += restoredSeqs
		r.tx.sealShare(id, sh)
		return nil
	})
}

// moveIDs moves the receipts of remembered ids, and the order in which the ids
// are forgotten. A sender that asks again learns the seq that its message has now
// among those it reads, so that it orders the same way.
func (r *rewriter) moveIDs() error {
	err := r.each(keyID, func(k, value []byte) error {
		d := decoder{b: value}
		at := ns.Seq(d.uint())
		if d.bad {
			return fmt.Errorf("message id %x: %w", brief(k), errCorrupt)
		}
		e := encoder{b: make([]byte, 0, len(value)+8)}
		e.uint(uint64(at + restoredSeqs))
		e.fixed(d.b)
		r.tx.set(bytes.Clone(k), e.b)
		return nil
	})
	return errors.Join(err, r.each(keyIDOrder, func(k, value []byte) error {
		r.tx.delete(k)
		r.tx.set(raised(k), value)
		return nil
	}))
}
