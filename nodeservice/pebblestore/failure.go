package pebblestore

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
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
	if l.log.Enabled(context.Background(), slog.LevelDebug) {
		l.log.Debug("pebble: " + fmt.Sprintf(format, args...))
	}
}

// Errorf implements pebble.Logger.
func (l pebbleLog) Errorf(format string, args ...any) {
	l.log.Error("pebble: " + fmt.Sprintf(format, args...))
}

// events are what an operator should know of Pebble's background. A block that
// cannot be read fails the reads that need it; Pebble's default would end the
// process, again and again.
func (l pebbleLog) events() *pebble.EventListener {
	return &pebble.EventListener{
		DataCorruption: func(info pebble.DataCorruptionInfo) {
			l.log.Error("the store's files are damaged", "what", info.String())
		},
		DiskSlow: func(info pebble.DiskSlowInfo) { l.log.Warn("the disk is slow", "what", info.String()) },
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
