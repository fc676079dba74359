package pebblestore

import (
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	ns "github.com/quicproquo/node/nodeservice"
)

// idScope is where message ids are remembered: one sender's, in one line.
type idScope struct {
	key    []byte
	window *idWindow // in the state of the line or the share
	dirty  *bool     // of that state: to be set before window is changed
}

// rememberedID is the first receipt of a message id.
type rememberedID struct {
	seq        ns.Seq
	receivedAt ns.UnixMilli
	expiresAt  ns.UnixMilli
	digest     [32]byte
}

// idsOf finds the scope of a sender to one side. In a channel the sender is the
// other member, so the queue tells; in a legacy queue the account does.
func (t *tx) idsOf(ln *line, at int, from ns.Account) (idScope, error) {
	name := scopeKey(ln, at, from)
	if !ln.key.legacy() {
		return idScope{key: name, window: &ln.sides[at].ids, dirty: &ln.dirty}, nil
	}
	sh, err := t.share(ln.key, from)
	if err != nil {
		return idScope{}, err
	}
	return idScope{key: name, window: &sh.ids, dirty: &sh.dirty}, nil
}

func scopeKey(ln *line, at int, from ns.Account) []byte {
	if ln.key.legacy() {
		return shareScope(ln.key, from)
	}
	q := ln.key.queue(at)
	return q[:]
}

// remembered looks an id up; nil is none. One that has expired may still be there.
func (t *tx) remembered(scope idScope, messageID string) (*rememberedID, error) {
	return readID(t.batch, scope.key, messageID)
}

func readID(r pebble.Reader, scope []byte, messageID string) (*rememberedID, error) {
	if messageID == "" {
		return nil, nil
	}
	b, found, err := get(r, idKey(scope, messageID))
	if err != nil || !found {
		return nil, err
	}
	d := decoder{b: b}
	id := &rememberedID{seq: ns.Seq(d.uint()), receivedAt: d.time(), expiresAt: d.time()}
	d.fixed(id.digest[:])
	if err := d.done(); err != nil {
		return nil, fmt.Errorf("message id: %w", err)
	}
	return id, nil
}

// remember stores the id of the message just stored, in place of an expired one
// if there is one, and forgets the oldest beyond the quota.
func (t *tx) remember(scope idScope, req ns.Append, expired *rememberedID, stored ns.Appended, expiresAt ns.UnixMilli) error {
	*scope.dirty = true
	if expired != nil {
		t.delete(seqKey(keyIDOrder, scope.key, expired.seq))
		scope.window.count--
	}
	var e encoder
	e.uint(uint64(stored.Seq))
	e.time(stored.ReceivedAt)
	e.time(expiresAt)
	e.fixed(req.Digest[:])
	t.set(idKey(scope.key, req.MessageID), e.b)
	t.set(seqKey(keyIDOrder, scope.key, stored.Seq), encodeIDOrder(expiresAt, req.MessageID))
	scope.window.count++
	if scope.window.sweepAt == 0 {
		scope.window.sweepAt = expiresAt
		t.set(sweepKey(expiresAt, sweepIDs, scope.key), nil)
	}
	if !beyond(scope.window.count, req.Quota.RememberedIDs) {
		return nil
	}
	_, err := t.forget(scope, func(ns.UnixMilli) bool { return beyond(scope.window.count, req.Quota.RememberedIDs) })
	return err
}

// forgotten is what forget did.
type forgotten struct {
	count int
	next  ns.UnixMilli // expiry of the first id that is left; 0: none is left
}

// forget drops ids from the oldest on, while drop agrees to their expiry.
func (t *tx) forget(scope idScope, drop func(expiresAt ns.UnixMilli) bool) (f forgotten, err error) {
	*scope.dirty = true
	first := seqKey(keyIDOrder, scope.key, scope.window.first)
	err = scan(t.batch, first, after(key(keyIDOrder, scope.key)), func(k, value []byte) (bool, error) {
		expiresAt, messageID, err := decodeIDOrder(value)
		if err != nil {
			return true, err
		}
		if !drop(expiresAt) {
			f.next = expiresAt
			return true, nil
		}
		t.delete(k)
		t.delete(idKey(scope.key, messageID))
		scope.window.first = seqOf(k) + 1
		scope.window.count--
		f.count++
		return false, nil
	})
	return f, err
}

// sweepIDs forgets what has expired in one scope, at most budget of them. The
// scope's sweep entry, which led here, is gone; it sets the next one.
func (t *tx) sweepIDs(scope idScope, now ns.UnixMilli, budget int) (count int, err error) {
	f, err := t.forget(scope, func(expiresAt ns.UnixMilli) bool {
		budget--
		return expiresAt <= now && budget >= 0
	})
	if err != nil {
		return 0, err
	}
	scope.window.sweepAt = f.next
	if f.next != 0 {
		t.set(sweepKey(f.next, sweepIDs, scope.key), nil)
	}
	return f.count, nil
}

func idKey(scope []byte, messageID string) []byte { return key(keyID, scope, []byte(messageID)) }

func encodeIDOrder(expiresAt ns.UnixMilli, messageID string) []byte {
	var e encoder
	e.time(expiresAt)
	e.text(messageID)
	return e.b
}

func decodeIDOrder(b []byte) (expiresAt ns.UnixMilli, messageID string, err error) {
	d := decoder{b: b}
	expiresAt, messageID = d.time(), d.text()
	return expiresAt, messageID, d.done()
}
