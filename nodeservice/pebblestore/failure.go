package pebblestore

import (
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
)

// failure is why the store refuses writes, once and for all; the zero value is
// none. A log whose sync failed cannot be trusted with another: the kernel may
// have dropped the pages, and would report success next time.
type failure struct {
	cause atomic.Pointer[error]
	log   *slog.Logger
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
		f.log.Error("the store failed to write and refuses writes until it is opened again", "error", err)
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
	l.log.Debug("pebble: " + fmt.Sprintf(format, args...))
}

// Errorf implements pebble.Logger.
func (l pebbleLog) Errorf(format string, args ...any) {
	l.log.Error("pebble: " + fmt.Sprintf(format, args...))
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
