package pebblestore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"

	ns "github.com/quicproquo/node/nodeservice"
)

// Store implements nodeservice.Store in one directory.
type Store struct {
	opts  Options
	fs    vfs.FS
	dir   string
	log   *slog.Logger
	blobs *blobs

	// gate is held for reading by every call, and for writing by Close and heal,
	// which so wait for them.
	gate     sync.RWMutex
	database       // guarded by gate
	down     error // guarded by gate: why the database is closed, until heal opens it; nil: it is open
	closed   bool  // guarded by gate
	closeErr error // guarded by gate

	healing sync.Mutex   // held by the one call that heals
	backups atomic.Int32 // under way
}

var _ ns.Store = (*Store)(nil)

// Options say how to open a Store. The zero value is ready to use.
type Options struct {
	FS  vfs.FS       // nil: the disk
	Log *slog.Logger // nil: discarded

	CacheBytes    int64  // of blocks read; 0: 32 MiB
	MemTableBytes uint64 // written before it is sorted into a file, twice at most; 0: 8 MiB
}

// Metrics are counters since Open.
type Metrics struct {
	Commits uint64 // requests answered by the committer
	Syncs   uint64 // groups of them that changed something, each synced once
}

// Open opens the store in a directory, which it creates if there is none. One
// process at a time can hold it.
func Open(dir string, opts Options) (*Store, error) {
	opts = opts.complete()
	s := &Store{opts: opts, fs: opts.FS, dir: dir, log: opts.Log}
	if err := refuseMarked(s.fs, dir); err != nil {
		return nil, err
	}
	s.blobs = newBlobs(s.fs, s.fs.PathJoin(dir, "blobs"), s.log)
	if err := makeDir(s.fs, s.blobs.dir); err != nil {
		return nil, fmt.Errorf("pebblestore: make the data directory: %w", err)
	}
	var err error
	if s.database, err = s.open(); err != nil {
		return nil, err
	}
	return s, nil
}

// database is what is open, from one open to the next.
type database struct {
	db        *pebble.DB
	views     *views
	committer *committer
}

// open opens the database and begins to take writes. No call is under way.
func (s *Store) open() (database, error) {
	broken := &failure{log: s.log}
	db, err := pebble.Open(s.fs.PathJoin(s.dir, "db"), pebbleOptions(s.opts, broken))
	if err != nil {
		return database{}, fmt.Errorf("pebblestore: open: %w", err)
	}
	if err := s.prepare(db); err != nil {
		return database{}, errors.Join(err, db.Close())
	}
	v := &views{}
	v.publish(db.NewSnapshot())
	return database{db, v, newCommitter(db, v, broken, s.log)}, nil
}

// prepare checks the format and removes what a crash left behind.
func (s *Store) prepare(db *pebble.DB) error {
	if err := migrate(db); err != nil {
		return err
	}
	removed, err := s.blobs.removeOrphans(db)
	if err != nil {
		return fmt.Errorf("pebblestore: remove payload files that nothing names: %w", err)
	}
	if removed > 0 {
		s.log.Info("removed payload files that nothing named", "files", removed)
	}
	return nil
}

// close ends what open began. Nobody uses it any more.
func (d database) close() error {
	d.committer.stop()
	d.views.close()
	if d.committer.wedged {
		// Pebble panicked holding locks that its Close would wait for. The
		// files stay locked until the process ends.
		return d.committer.broken.load()
	}
	return d.db.Close()
}

// pebbleOptions keep memory modest: large payloads never come here. Ciphertext
// does not compress. The format is pinned, so that an update of the library
// does not change files behind the back of a downgrade.
func pebbleOptions(opts Options, broken *failure) *pebble.Options {
	log := pebbleLog{log: opts.Log, broken: broken}
	o := &pebble.Options{
		FS:                 markersLast{opts.FS},
		Logger:             log,
		EventListener:      log.events(),
		FormatMajorVersion: pebble.FormatValueSeparation,
		MemTableSize:       memTableBytes(opts),
	}
	// Pebble takes the memory of its memtables, one filling and one on its way
	// to disk, out of the cache's: without them it would have none left.
	o.CacheSize = cmp.Or(opts.CacheBytes, 32<<20) + 2*int64(o.MemTableSize)
	o.ApplyCompressionSettings(func() pebble.DBCompressionSettings { return pebble.DBCompressionNone })
	for i := range o.Levels {
		o.Levels[i].FilterPolicy = bloom.FilterPolicy(10) // most lookups are of message ids that are new
	}
	return o
}

func memTableBytes(opts Options) uint64 { return cmp.Or(opts.MemTableBytes, 8<<20) }

// enter begins a call; after a nil error the caller calls leave.
func (s *Store) enter() error {
	s.gate.RLock()
	err := s.down
	if s.closed {
		err = errClosed
	}
	if err != nil {
		s.gate.RUnlock()
		return unavailable(err)
	}
	return nil
}

func (s *Store) leave() { s.gate.RUnlock() }

// write applies a step that touches no payload.
func (s *Store) write(ctx context.Context, apply func(*tx) error) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	_, err := s.committer.do(ctx, 0, apply)
	return err
}

// read runs a read of one durable moment.
func (s *Store) read(ctx context.Context, do func(pebble.Reader) error) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	return s.readView(ctx, do)
}

// readView is read within a call that has entered.
func (s *Store) readView(ctx context.Context, do func(pebble.Reader) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	v := s.views.acquire()
	defer s.views.release(v)
	return asStoreError(do(v))
}

// Metrics returns the counters.
func (s *Store) Metrics() Metrics {
	s.gate.RLock()
	defer s.gate.RUnlock()
	return Metrics{Commits: s.committer.commits.Load(), Syncs: s.committer.syncs.Load()}
}

// Free implements nodeservice.Store. Where the file system does not tell (in
// memory), all is free. A store that refuses writes, or that found a payload
// damaged, has no room to speak of: it is unavailable.
func (s *Store) Free(context.Context) (float64, error) {
	if err := s.enter(); err != nil {
		return 0, err
	}
	defer s.leave()
	if err := cmp.Or(s.committer.broken.refusal(), s.blobs.damage.refusal()); err != nil {
		return 0, unavailable(err)
	}
	usage, err := s.fs.GetDiskUsage(s.dir)
	switch {
	case errors.Is(err, vfs.ErrUnsupported):
		return 1, nil
	case err != nil:
		return 0, unavailable(err)
	case usage.TotalBytes == 0:
		return 1, nil
	}
	return float64(usage.AvailBytes) / float64(usage.TotalBytes), nil
}

// Durability implements nodeservice.Store.
func (s *Store) Durability() string {
	return "embedded store: on this machine's disk, synced before the answer"
}

// Close implements nodeservice.Store.
func (s *Store) Close() error {
	s.gate.Lock()
	defer s.gate.Unlock()
	if s.closed {
		return s.closeErr
	}
	s.closed = true
	if s.down != nil {
		return nil
	}
	if err := s.database.close(); err != nil {
		s.closeErr = unavailable(err)
	}
	return s.closeErr
}
