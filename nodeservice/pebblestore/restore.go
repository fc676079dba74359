package pebblestore

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/errors/oserror"
	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	ns "github.com/quicproquo/node/nodeservice"
)

// restoredSeqs is by how much a restore raises every seq: more than any channel
// can have counted since the backup, and 2^53 has room for two million restores.
const restoredSeqs ns.Seq = 1 << 32

// Restored counts what a restore did.
type Restored struct {
	Lines       int      // channels and legacy queues, whose heads were raised
	Messages    uint64   // undelivered ones: they wait under new seqs
	LeftOut     int      // undelivered ones whose payload file cannot be read
	LeftOutOf   []string // the files, the first maxFindings of them
	KeyPackages int      // one-time ones, spent now
}

// Restore makes a store in an empty or new directory out of a backup, or of a
// copy of the directory of a store that was closed; what it copies from stays
// as it is. What happened after the backup is not known, so everything that may
// be done once only is taken to have been done:
//
//   - Every head rises by 2^32, and what a line holds moves with it: undelivered
//     messages and the receipts of remembered ids. No seq is given twice, the order
//     of a line stays, and what was not acknowledged is delivered (again, if that
//     happened after the backup). The floor of a queue is just below its first
//     message, or else head, with the reason restored: whatever a reader had seen
//     lies below it, so every reader is told that something may be missing.
//   - A legacy queue that the backup does not know may have begun since: those that
//     begin from now on start above 2^32 as well (keyBase). Channels need no such
//     thing: their ids are random.
//   - Every one-time key package is spent. Last-resort ones stay.
//   - Remembered message ids, claims and spent nonces stay: they answer
//     repetitions as before. Revocations stay, and those made since are lost.
//
// A message whose payload file is damaged or missing is left out: the gap that
// every queue begins with announces it. So a store with such files, once closed,
// is mended by restoring it to another directory.
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
	if done, err = rewrite(from, to, opts); err == nil {
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
func rewrite(from, to string, opts Options) (done Restored, err error) {
	fs := opts.FS
	db, err := pebble.Open(fs.PathJoin(to, "db"), pebbleOptions(opts, &failure{log: opts.Log}))
	if err != nil {
		return Restored{}, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := migrate(db); err != nil {
		return Restored{}, err
	}
	r := &rewriter{
		db: db, tx: &tx{batch: db.NewBatch()},
		source:  newBlobs(fs, fs.PathJoin(from, "blobs"), opts.Log),
		blobs:   newBlobs(fs, fs.PathJoin(to, "blobs"), opts.Log),
		charged: make(map[ns.Account]int64), shares: make(map[shareKey]tally),
	}
	for _, step := range []func() error{
		r.raiseBase, r.moveChannels, r.moveLegacy, r.moveShares, r.moveIDs, r.release, r.spendPackages, r.apply, db.Flush,
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
	db            *pebble.DB
	tx            *tx    // for its writes only
	source, blobs *blobs // where payload files are, and where they go

	charged map[ns.Account]int64 // for messages that are left out
	shares  map[shareKey]tally   // of them, in legacy queues
	done    Restored
}

// each visits the records of a kind, and applies what was written now and then.
func (r *rewriter) each(kind byte, visit func(k, value []byte) error) error {
	return scan(r.db, []byte{kind}, []byte{kind + 1}, func(k, value []byte) (bool, error) {
		return false, errors.Join(visit(k, value), r.applyMuch())
	})
}

// applyMuch applies what was written when it is much.
func (r *rewriter) applyMuch() error {
	if r.tx.batch.Len() < 1<<20 {
		return nil
	}
	return r.apply()
}

// apply writes the batch, unsynced: the flush at the end is what counts.
func (r *rewriter) apply() error {
	err := errors.Join(r.tx.batch.Commit(pebble.NoSync), r.tx.batch.Close())
	r.tx.batch = r.db.NewBatch()
	return err
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
