package pebblestore

import (
	"fmt"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/hashicorp/golang-lru/v2/simplelru"

	ns "github.com/quicproquo/node/nodeservice"
)

// tx is what the committer's requests are applied to: one indexed batch, which
// reads through to the database, and over it the state records that are hot,
// decoded once and written once a group. It is owned by the committer's
// goroutine, and reused from group to group.
//
// A request checks first and changes then, so that one that is refused leaves
// no trace; one that fails in the middle spoils the whole tx, and the committer
// starts the group over without it.
type tx struct {
	batch    *pebble.Batch
	lines    overlay[lineKey, *line]
	accounts overlay[ns.Account, *account]
	shares   overlay[shareKey, *share]

	freed       uint64        // by the present group: bytes of payload in message records, about
	reclaimable atomic.Uint64 // freed by all groups, and not yet given back to the disk (reclaim.go)
}

func newTx() *tx {
	return &tx{
		lines:    newOverlay[lineKey, *line](4096),
		accounts: newOverlay[ns.Account, *account](4096),
		shares:   newOverlay[shareKey, *share](1024),
	}
}

// begin starts a group.
func (t *tx) begin(db *pebble.DB) { t.batch, t.freed = db.NewIndexedBatch(), 0 }

// seal writes the changed state records into the batch.
func (t *tx) seal() {
	for k, ln := range t.lines.touched {
		if ln.dirty {
			t.set(key(keyLine, k[:]), ln.encode())
			ln.dirty = false
		}
	}
	for k, a := range t.accounts.touched {
		if a.dirty {
			t.set(key(keyAccount, k[:]), a.encode())
			a.dirty = false
		}
	}
	for k, sh := range t.shares.touched {
		if sh.dirty {
			t.sealShare(k, sh)
			sh.dirty = false
		}
	}
}

// sealShare drops the record of a share that came to nothing: unlike channels,
// anybody can have one anywhere.
func (t *tx) sealShare(k shareKey, sh *share) {
	at := key(keyShare, k.line[:], k.from[:])
	if sh.empty() {
		t.delete(at)
		return
	}
	t.set(at, sh.encode())
}

// end closes the batch. What was touched is remembered if it is what the
// database holds now.
func (t *tx) end(committed bool) {
	if committed {
		t.reclaimable.Add(t.freed)
	}
	t.lines.end(committed)
	t.accounts.end(committed)
	t.shares.end(committed)
	_ = t.batch.Close() // of a batch: returns memory, fails never
	t.batch = nil
}

// set and delete change the batch, in memory: they can fail only for lack of a
// batch.
func (t *tx) set(key, value []byte) { _ = t.batch.Set(key, value, nil) }
func (t *tx) delete(key []byte)     { _ = t.batch.Delete(key, nil) }

// setMessage is set where a payload makes the record large: it is written into
// the batch itself.
func (t *tx) setMessage(q queueKey, m *message) {
	head := m.encodeHead(make([]byte, 0, maxMessageHead))
	key := seqKey(keyMessage, q[:], m.seq)
	op := t.batch.SetDeferred(len(key), len(head)+len(m.payload))
	copy(op.Key, key)
	copy(op.Value[copy(op.Value, head):], m.payload)
	_ = op.Finish()
}

func (t *tx) deleteRange(lower, upper []byte) { _ = t.batch.DeleteRange(lower, upper, nil) }

// line is the state of a queue's line, to be changed in place after
// dirty is set, and the recipient's side.
func (t *tx) line(q ns.Queue) (ln *line, at int, found bool, err error) {
	k := lineOf(q)
	ln, ok := t.lines.get(k)
	if !ok {
		if ln, at, found, err = loadLine(t.batch, q); err != nil || !found {
			return nil, 0, false, err
		}
		t.lines.add(k, ln)
		return ln, at, true, nil
	}
	at, found = ln.sideOf(q.Recipient)
	if !found && k.legacy() {
		return nil, 0, false, fmt.Errorf("%w: two recipients share a legacy line", errCorrupt)
	}
	return ln, at, found, nil
}

// lineByKey is line for the sweep, which knows lines by key.
func (t *tx) lineByKey(k lineKey) (ln *line, found bool, err error) {
	if ln, ok := t.lines.get(k); ok {
		return ln, true, nil
	}
	if ln, found, err = readLine(t.batch, k); err != nil || !found {
		return nil, false, err
	}
	t.lines.add(k, ln)
	return ln, true, nil
}

// account is the state of an account, to be changed in place after dirty is set.
func (t *tx) account(k ns.Account) (*account, error) {
	if a, ok := t.accounts.get(k); ok {
		return a, nil
	}
	a, err := readAccount(t.batch, k)
	if err != nil {
		return nil, err
	}
	t.accounts.add(k, a)
	return a, nil
}

// readAccount reads an account; one that was never written is empty.
func readAccount(r pebble.Reader, k ns.Account) (*account, error) {
	a := new(account)
	b, found, err := get(r, key(keyAccount, k[:]))
	if err == nil && found {
		err = a.decode(b)
	}
	if err != nil {
		return nil, fmt.Errorf("account %x: %w", k, err)
	}
	return a, nil
}

// charge adds to an account's undelivered bytes, or takes away.
func (t *tx) charge(k ns.Account, bytes int64) error {
	a, err := t.account(k)
	if err != nil {
		return err
	}
	a.dirty = true
	a.bytes += bytes
	return nil
}

// account is what an identity holds as a sender.
type account struct {
	bytes    int64  // undelivered, in all queues
	channels uint64 // created, ever
	dirty    bool   // differs from its record
}

func (a *account) encode() []byte {
	var e encoder
	e.uint(uint64(a.bytes))
	e.uint(a.channels)
	return e.b
}

func (a *account) decode(b []byte) error {
	d := decoder{b: b}
	a.bytes = int64(d.uint())
	a.channels = d.uint()
	return d.done()
}

// overlay holds decoded records: those touched by the present group, which may
// differ from the database, and the most recently used of earlier groups, which
// do not.
type overlay[K comparable, R any] struct {
	touched map[K]R
	recent  *simplelru.LRU[K, R]
}

func newOverlay[K comparable, R any](size int) overlay[K, R] {
	recent, err := simplelru.NewLRU[K, R](size, nil)
	if err != nil {
		panic(err) // size <= 0: a programming error
	}
	return overlay[K, R]{touched: make(map[K]R), recent: recent}
}

func (o *overlay[K, R]) get(k K) (r R, ok bool) {
	if r, ok = o.touched[k]; ok {
		return r, true
	}
	if r, ok = o.recent.Get(k); ok {
		o.touched[k] = r // which goes before recent: it may differ from now on
	}
	return r, ok
}

func (o *overlay[K, R]) add(k K, r R) { o.touched[k] = r }

func (o *overlay[K, R]) end(committed bool) {
	for k, r := range o.touched {
		if committed {
			o.recent.Add(k, r)
		} else {
			o.recent.Remove(k)
		}
	}
	clear(o.touched)
}
