package pebblestore

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/errors/oserror"
	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	ns "github.com/quicproquo/node/nodeservice"
)

// restoredSeqs is by how much a restore raises every head: more than any channel
// can have counted since the backup, and 2^53 has room for two million restores.
const restoredSeqs ns.Seq = 1 << 32

// Restored counts what a restore did.
type Restored struct {
	Lines       int    // channels and legacy queues, whose heads were raised
	Messages    uint64 // that the backup held, and that will not be delivered
	KeyPackages int    // one-time ones, spent now
}

// Restore makes a store in an empty or new directory out of a backup, or of a
// copy of the directory of a store that was closed; what it copies from stays
// as it is. What happened after the backup is not known, so everything that may
// be done once only is taken to have been done:
//
//   - Every head rises by 2^32, and the floor of every queue with it, with the
//     reason restored. No seq is given twice, and every reader is told that
//     something may be missing. Messages at or below floor are never returned,
//     and so the backup's messages are not kept.
//   - Every one-time key package is spent. Last-resort ones stay.
//   - Remembered message ids, claims and spent nonces stay: they answer
//     repetitions as before. Revocations stay, and those made since are lost.
//
// Until Restore has returned nil, Open refuses the new directory.
func Restore(from, to string, opts Options) (done Restored, err error) {
	opts = opts.complete()
	fs := opts.FS
	text, err := marker(fs, from)
	if err == nil && text == markIncomplete {
		err = errors.New("the backup did not end")
	}
	if err == nil {
		err = copyDatabase(fs, from, to)
	}
	if err != nil {
		return Restored{}, fmt.Errorf("pebblestore: restore from %s: %w", from, err)
	}
	if done, err = rewrite(fs.PathJoin(to, "db"), opts); err == nil {
		err = fs.Remove(fs.PathJoin(to, markerFile))
	}
	if err == nil {
		err = syncDir(fs, to)
	}
	if err != nil {
		return Restored{}, fmt.Errorf("pebblestore: restore to %s: %w", to, err)
	}
	return done, nil
}

// copyDatabase copies the database of a store that nobody has open. Links would
// not do: two stores would share what one disk error takes.
func copyDatabase(fs vfs.FS, from, to string) (err error) {
	if left, err := fs.List(to); len(left) > 0 || err != nil && !oserror.IsNotExist(err) {
		return errors.Join(fmt.Errorf("%s is not empty", to), err)
	}
	source := fs.PathJoin(from, "db")
	if _, err := fs.Stat(source); err != nil {
		return fmt.Errorf("there is no store: %w", err)
	}
	lock, err := pebble.LockDirectory(source, fs)
	if err != nil {
		return fmt.Errorf("it is in use: %w", err)
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	into := fs.PathJoin(to, "db")
	if err := makeDir(fs, to); err != nil {
		return err
	}
	if err := mark(fs, to, markIncomplete); err != nil { // before there is anything to open
		return err
	}
	if err := makeDir(fs, into); err != nil {
		return err
	}
	files, err := fs.List(source)
	if err != nil {
		return err
	}
	for _, name := range files {
		if name == "LOCK" {
			continue
		}
		if err := vfs.Copy(fs, fs.PathJoin(source, name), fs.PathJoin(into, name)); err != nil {
			return err
		}
	}
	return syncDir(fs, into)
}

// rewrite changes a copied database. It need not be atomic: the marker stands
// until it is done.
func rewrite(dir string, opts Options) (done Restored, err error) {
	db, err := pebble.Open(dir, pebbleOptions(opts, &failure{log: opts.Log}))
	if err != nil {
		return Restored{}, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := migrate(db); err != nil {
		return Restored{}, err
	}
	r := &rewriter{db: db, tx: &tx{batch: db.NewBatch()}}
	for _, step := range []func() error{
		r.dropMessages, r.raiseChannels, r.raiseLegacy, r.releaseAccounts, r.releaseShares, r.spendPackages, r.apply, db.Flush,
	} {
		if err := step(); err != nil {
			return Restored{}, errors.Join(err, r.tx.batch.Close())
		}
	}
	return r.done, r.tx.batch.Close()
}

// rewriter changes a database in batches. What it reads by iterators is not
// disturbed by what it writes.
type rewriter struct {
	db   *pebble.DB
	tx   *tx // for its writes only
	done Restored
}

// each visits the records of a kind, and applies what was written now and then.
func (r *rewriter) each(kind byte, visit func(k, value []byte) error) error {
	return scan(r.db, []byte{kind}, []byte{kind + 1}, func(k, value []byte) (bool, error) {
		if err := visit(k, value); err != nil {
			return true, err
		}
		if r.tx.batch.Len() < 1<<20 {
			return false, nil
		}
		return false, r.apply()
	})
}

// apply writes the batch, unsynced: the flush at the end is what counts.
func (r *rewriter) apply() error {
	err := errors.Join(r.tx.batch.Commit(pebble.NoSync), r.tx.batch.Close())
	r.tx.batch = r.db.NewBatch()
	return err
}

// dropMessages drops all messages and what belongs to them, the queues' entries
// in the sweep index included.
func (r *rewriter) dropMessages() error {
	for _, kind := range []byte{keyMessage, keyBlob, keyLegacy} {
		r.tx.deleteRange([]byte{kind}, []byte{kind + 1})
	}
	const kindAt = 1 + 8
	return r.each(keySweep, func(k, _ []byte) error {
		if len(k) > kindAt && k[kindAt] == sweepQueue {
			r.tx.delete(k)
		}
		return nil
	})
}

// raiseChannels goes by the channels' own records: one without a line has an
// empty line, whose head rises too.
func (r *rewriter) raiseChannels() error {
	return r.each(keyChannel, func(k, _ []byte) error {
		return r.raise(channelLineKey(ns.ChannelID(k[1:])))
	})
}

func (r *rewriter) raiseLegacy() error {
	return r.each(keyLine, func(k, _ []byte) error {
		if at := lineKey(k[1:]); at.legacy() {
			return r.raise(at)
		}
		return nil
	})
}

func (r *rewriter) raise(at lineKey) error {
	ln, found, err := readLine(r.db, at)
	if err != nil || !found {
		return err
	}
	ln.head += restoredSeqs
	for i := range ln.sides {
		s := &ln.sides[i]
		r.done.Messages += s.held().count
		s.removed, s.sweepAt = s.added, 0
		s.floor, s.floorReason = ln.head, ns.GapRestored
	}
	r.done.Lines++
	r.tx.set(key(keyLine, at[:]), ln.encode())
	return nil
}

// releaseAccounts takes the messages off their senders.
func (r *rewriter) releaseAccounts() error {
	return r.each(keyAccount, func(k, value []byte) error {
		var a account
		if err := a.decode(value); err != nil {
			return fmt.Errorf("account %x: %w", k[1:], err)
		}
		a.bytes = 0
		r.tx.set(k, a.encode())
		return nil
	})
}

func (r *rewriter) releaseShares() error {
	return r.each(keyShare, func(k, value []byte) error {
		sh := new(share)
		if err := sh.decode(value); err != nil {
			return fmt.Errorf("share %x: %w", k[1:], err)
		}
		sh.held = tally{}
		r.tx.sealShare(shareKey{lineKey(k[1:]), ns.Account(k[1+len(lineKey{}):])}, sh)
		return nil
	})
}

// spendPackages marks the one-time packages as handed out.
func (r *rewriter) spendPackages() error {
	return r.each(keyPackages, func(k, _ []byte) error {
		owner, fields, err := cutIdentity(k[1:])
		if err != nil {
			return err
		}
		p, err := decodePackageRef(fields)
		if err != nil || p.kind != oneTime {
			return err
		}
		stored, _, found, err := readPackage(r.db, owner, p.ref)
		if err != nil || !found {
			return err
		}
		r.tx.dropPackage(owner, p)
		r.tx.setUntil(key(keySpent, owner, p.ref[:]), stored.NotAfter, nil)
		r.done.KeyPackages++
		return nil
	})
}
