package pebblestore

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"

	pebbleerrors "github.com/cockroachdb/errors"
	"github.com/cockroachdb/pebble/v2"
)

// failure is why the store refuses writes; the zero value is none.
type failure struct {
	// cause lasts until the store is opened again. A log whose sync failed cannot
	// be trusted with another: the kernel may have dropped the pages, and would
	// report success next time.
	cause   atomic.Pointer[error]
	damaged atomic.Bool // the cause is in files, which opening again does not mend

	flush atomic.Pointer[error]  // why what is in memory cannot be written out now; Pebble tries on
	said  atomic.Pointer[string] // the cause of the last background error that was logged
	log   *slog.Logger
}

// refusal is why a write must be refused now; nil: it need not.
func (f *failure) refusal() error {
	if err := f.load(); err != nil {
		return err
	}
	if p := f.flush.Load(); p != nil {
		return *p
	}
	return nil
}

// emptyFlush is the text of a flush that had nothing to write: no failure, though
// Pebble tells it as one.
const emptyFlush = "pebble: empty table"

// flushed notes how an attempt to write a memtable out ended. While it fails,
// writes are refused before they fill the next one: then they would hang.
func (f *failure) flushed(err error) {
	if err != nil && err.Error() == emptyFlush {
		err = nil
	}
	switch {
	case err == nil && f.flush.Swap(nil) != nil:
		f.said.Store(nil)
		f.log.Info("the store can write out what it holds in memory again, and takes writes")
	case err != nil && f.flush.Swap(&err) == nil:
		f.log.Error("the store cannot write out what it holds in memory and refuses writes until it can", "error", err.Error())
	}
}

// inBackground logs an error that Pebble met by itself. It tries again at once,
// and again: the same cause is said once.
func (f *failure) inBackground(err error) {
	cause := pebbleerrors.UnwrapAll(err).Error()
	if last := f.said.Swap(&cause); last == nil || *last != cause {
		f.log.Error("the store's background work failed", "error", err.Error())
	}
}

func (f *failure) load() error {
	if p := f.cause.Load(); p != nil {
		return *p
	}
	return nil
}

// store sets the first cause, logs it, and returns it.
func (f *failure) store(err error) error {
	if f.cause.CompareAndSwap(nil, &err) {
		f.log.Error("the store failed to write and refuses writes until it is opened again", "error", err.Error())
	}
	return f.load()
}

// pebbleLog is Pebble's logger.
type pebbleLog struct {
	log    *slog.Logger
	broken *failure
}

// Infof implements pebble.Logger: Pebble's news is our detail.
func (l pebbleLog) Infof(format string, args ...any) {
	if l.log.Enabled(context.Background(), slog.LevelDebug) {
		l.log.Debug("pebble: " + fmt.Sprintf(format, args...))
	}
}

// Errorf implements pebble.Logger.
func (l pebbleLog) Errorf(format string, args ...any) {
	l.log.Error("pebble: " + fmt.Sprintf(format, args...))
}

// events are what an operator should know of Pebble's background. A block that
// cannot be read fails the reads that need it, and ends the writing: who knows
// what else is gone. Pebble's default would end the process, again and again.
func (l pebbleLog) events() *pebble.EventListener {
	return &pebble.EventListener{
		DataCorruption: func(info pebble.DataCorruptionInfo) {
			l.broken.damaged.Store(true)
			l.log.Error("the store's files are damaged", "what", info.String())
			_ = l.broken.store(fmt.Errorf("%s is damaged", info.Path))
		},
		FlushEnd:        func(info pebble.FlushInfo) { l.broken.flushed(info.Err) },
		BackgroundError: l.broken.inBackground,
		DiskSlow:        func(info pebble.DiskSlowInfo) { l.log.Warn("the disk is slow", "what", info.String()) },
	}
}

// commitFailed is how Pebble begins the one fatal message after which it can be
// returned to: the commit that our committer waits for did not sync.
const commitFailed = "pebble: fatal commit error"

// Fatalf implements pebble.Logger. After a failed commit it returns, and the
// committer finds the failure. Everything else that Pebble calls fatal, such as a
// manifest that could not be written, happens in its background with its locks
// held, and going on could make it drop logs that are still needed: the process
// ends here, as in a power cut, which the store survives.
func (l pebbleLog) Fatalf(format string, args ...any) {
	err := fmt.Errorf(format, args...)
	_ = l.broken.store(err)
	if !strings.HasPrefix(format, commitFailed) {
		panic(err)
	}
}
