package pebblestore

import (
	"errors"
	"fmt"
	"io"
)

// heal opens a store again that refuses writes since one could not be synced, as
// when the disk was full or away. It does what a restart does, and is as safe:
// the log is read anew, and what it holds of the last group is kept or dropped as
// a whole, and written to a file of its own, synced, before anything is built on
// it. Who waited for that group was told unavailable: it may have happened.
//
// Two failures outlast it. Damaged files need an operator; and a database that
// panicked holding its locks (a new log could not be begun) needs a new process.
func (s *Store) heal() {
	if !s.healing.TryLock() {
		return
	}
	defer s.healing.Unlock()
	if !s.mendable() {
		return
	}
	// Pebble waits for a full disk while it opens: better not to begin.
	if err := s.probe(); err != nil {
		s.log.Warn("the disk does not take writes yet", "error", err.Error())
		return
	}
	if !s.takeDown() {
		return
	}
	again, err := s.reopen()
	if err != nil {
		s.log.Error("the store could not be opened again", "error", err.Error())
		return
	}
	s.gate.Lock()
	defer s.gate.Unlock()
	if s.closed {
		_ = again.close() // nobody is left to hear it
		return
	}
	s.database, s.down = again, nil
	s.log.Info("the store is open again and takes writes")
}

// mendable says that opening again may help. A backup that is under way comes
// first: it holds the gate, and all calls would wait behind it.
func (s *Store) mendable() bool {
	s.gate.RLock()
	defer s.gate.RUnlock()
	broken := s.committer.broken
	return !s.closed && s.backups.Load() == 0 && broken.load() != nil && !broken.damaged.Load()
}

// takeDown closes the broken database, unless that was done before; ok says that
// it could be, and is to be opened again.
func (s *Store) takeDown() (ok bool) {
	s.gate.Lock()
	defer s.gate.Unlock()
	if s.closed || s.down != nil {
		return !s.closed && !s.committer.wedged
	}
	broken := s.committer.broken.load()
	if err := s.database.close(); err != nil {
		s.log.Debug("closing the broken store", "error", err.Error()) // it says again what broke
	}
	s.down = fmt.Errorf("pebblestore: not yet open again after: %w", broken)
	if s.committer.wedged {
		s.log.Error("the store cannot be opened again in this process: restart the node", "error", broken.Error())
	}
	return !s.committer.wedged
}

// reopen is open on a disk that may still fail: what Pebble calls fatal while it
// opens, it says by a panic, which leaves its lock behind, and so the next try
// fails too, until the process ends.
func (s *Store) reopen() (again database, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return s.open()
}

// probe finds out whether the disk takes as much as opening will write.
func (s *Store) probe() error {
	path := s.fs.PathJoin(s.dir, "probe")
	f, err := s.fs.Create(path, blobCategory)
	if err != nil {
		return err
	}
	size := 2 * int64(memTableBytes(s.opts))
	_, err = io.CopyBuffer(struct{ io.Writer }{f}, io.LimitReader(zeros{}, size), make([]byte, 64<<10))
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close(), s.fs.Remove(path))
}

// zeros is an endless file.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
