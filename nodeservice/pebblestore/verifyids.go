package pebblestore

import (
	"errors"
	"fmt"

	ns "github.com/quicproquo/node/nodeservice"
)

// checkWindow compares a scope's window with the ids that it remembers.
func (v *verifier) checkWindow(scope []byte, w idWindow) error {
	var count uint64
	prefix := key(keyIDOrder, scope)
	err := scan(v.r, prefix, after(prefix), func(k, value []byte) (bool, error) {
		expiresAt, _, err := decodeIDOrder(value)
		if err != nil {
			return true, err
		}
		if count == 0 && (w.sweepAt == 0 || w.sweepAt > expiresAt) {
			v.find("message ids of %x: the sweep looks at them too late", scope)
		}
		if seqOf(k) < w.first {
			v.find("message ids of %x: one is remembered below the window's begin", scope)
		}
		count++
		return false, nil
	})
	if err == nil && count != w.count {
		err = fmt.Errorf("%d message ids should be remembered, and %d are", w.count, count)
	}
	return errors.Join(err, v.checkEntry(w.sweepAt, sweepIDs, scope))
}

// checkEntry insists on the entry of the sweep index that a record speaks of; 0
// is none.
func (v *verifier) checkEntry(at ns.UnixMilli, kind byte, rest []byte) error {
	if at == 0 {
		return nil
	}
	found, err := v.has(sweepKey(at, kind, rest))
	if err == nil && !found {
		err = errors.New("its entry in the sweep index is missing: it would never be swept")
	}
	return err
}

// cutScope takes the scope from the front of a key of ids.
func cutScope(k []byte) (scope, rest []byte, err error) {
	size := len(queueKey{})
	if len(k) > 1 && k[1] == legacyLine {
		size = len(lineKey{}) + len(ns.Account{})
	}
	if len(k) < 1+size {
		return nil, nil, errCorrupt
	}
	return k[1 : 1+size], k[1+size:], nil
}

// checkID insists that a remembered id is in the order in which ids are forgotten.
func (v *verifier) checkID(k, value []byte) error {
	scope, messageID, err := cutScope(k)
	if err != nil {
		return err
	}
	d := decoder{b: value}
	seq, _, expiresAt := ns.Seq(d.uint()), d.time(), d.time()
	var digest [32]byte
	d.fixed(digest[:])
	if err := d.done(); err != nil {
		return err
	}
	b, found, err := get(v.r, seqKey(keyIDOrder, scope, seq))
	if err != nil || !found {
		return errors.Join(err, errors.New("a message id would never be forgotten"))
	}
	at, name, err := decodeIDOrder(b)
	if err == nil && (name != string(messageID) || at != expiresAt) {
		err = errors.New("a message id and its place in the order differ")
	}
	return errors.Join(err, v.checkLineOf(k))
}

// checkIDOrder insists that the order names an id that is remembered.
func (v *verifier) checkIDOrder(k, value []byte) error {
	scope, rest, err := cutScope(k)
	if err != nil || len(rest) != 8 {
		return errCorrupt
	}
	_, messageID, err := decodeIDOrder(value)
	if err != nil {
		return err
	}
	found, err := v.has(idKey(scope, messageID))
	if err == nil && !found {
		err = errors.New("a message id that is not remembered has a place in the order")
	}
	return errors.Join(err, v.checkLineOf(k))
}
