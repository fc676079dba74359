package pebblestore

import (
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	ns "github.com/quicproquo/node/nodeservice"
)

// share is what one account has in one legacy queue. Channels need none: their
// queues have one sender each.
type share struct {
	held  tally    // undelivered
	ids   idWindow // of its remembered message ids
	dirty bool     // differs from its record; owned by tx
}

// shareKey names a share.
type shareKey struct {
	line lineKey
	from ns.Account
}

// shareScope is the scope of the share's message ids, and its key's fields.
func shareScope(k lineKey, from ns.Account) []byte {
	return append(append([]byte(nil), k[:]...), from[:]...)
}

// share is an account's share of a legacy queue, to be changed in place after
// dirty is set.
func (t *tx) share(k lineKey, from ns.Account) (*share, error) {
	id := shareKey{k, from}
	if sh, ok := t.shares.get(id); ok {
		return sh, nil
	}
	sh, err := readShare(t.batch, id)
	if err != nil {
		return nil, err
	}
	t.shares.add(id, sh)
	return sh, nil
}

// readShare reads a share; one that was never written is empty.
func readShare(r pebble.Reader, k shareKey) (*share, error) {
	sh := new(share)
	b, found, err := get(r, key(keyShare, k.line[:], k.from[:]))
	if err == nil && found {
		err = sh.decode(b)
	}
	if err != nil {
		return nil, fmt.Errorf("share of %x: %w", k.from, err)
	}
	return sh, nil
}

// addShare charges a new legacy message to its sender.
func (t *tx) addShare(k lineKey, from ns.Account, m message) error {
	sh, err := t.share(k, from)
	if err != nil {
		return err
	}
	sh.dirty = true
	sh.held.count++
	sh.held.bytes += uint64(m.size)
	var e encoder
	e.fixed(from[:])
	e.uint(uint64(m.size))
	t.set(seqKey(keyLegacy, k[:], m.seq), e.b)
	return t.charge(from, int64(m.size))
}

// cutShares is the seq of the legacy message that is the budget's last, from
// first on, or last if there are fewer.
func (t *tx) cutShares(k lineKey, first, last ns.Seq, budget int) (ns.Seq, error) {
	err := scan(t.batch, seqKey(keyLegacy, k[:], first), seqKey(keyLegacy, k[:], last+1), func(at, _ []byte) (bool, error) {
		budget--
		if budget == 0 {
			last = seqOf(at)
		}
		return budget == 0, nil
	})
	return last, err
}

// removeShares gives the senders of the legacy messages from first to last back
// what they were charged.
func (t *tx) removeShares(k lineKey, first, last ns.Seq) error {
	return scan(t.batch, seqKey(keyLegacy, k[:], first), seqKey(keyLegacy, k[:], last+1), func(at, value []byte) (bool, error) {
		d := decoder{b: value}
		var from ns.Account
		d.fixed(from[:])
		size := d.uint()
		if err := d.done(); err != nil {
			return true, fmt.Errorf("legacy message: %w", err)
		}
		sh, err := t.share(k, from)
		if err != nil {
			return true, err
		}
		sh.dirty = true
		sh.held = sh.held.minus(tally{1, size})
		t.delete(at)
		return false, t.charge(from, -int64(size))
	})
}

// empty says that the share needs no record.
func (sh *share) empty() bool {
	return sh.held.count == 0 && sh.ids.count == 0 && sh.ids.sweepAt == 0
}

func (sh *share) encode() []byte {
	var e encoder
	sh.held.encode(&e)
	sh.ids.encode(&e)
	return e.b
}

func (sh *share) decode(b []byte) error {
	d := decoder{b: b}
	sh.held.decode(&d)
	sh.ids.decode(&d)
	return d.done()
}
