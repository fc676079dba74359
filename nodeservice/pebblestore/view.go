package pebblestore

import (
	"sync"

	"github.com/cockroachdb/pebble/v2"
)

// views hands out the newest durable moment to readers. Pebble shows a batch
// before it is synced, so reads of the database itself could return what a
// power cut undoes.
type views struct {
	mu      sync.Mutex
	current *view // guarded by mu
}

// view is one durable moment. It is closed when it is neither current nor read.
type view struct {
	*pebble.Snapshot
	readers int  // guarded by views.mu
	old     bool // guarded by views.mu: no longer current
}

// publish makes a snapshot the current view.
func (v *views) publish(s *pebble.Snapshot) { v.replace(&view{Snapshot: s}) }

// close drops the current view; nobody may read any more.
func (v *views) close() { v.replace(nil) }

func (v *views) replace(next *view) {
	v.mu.Lock()
	last := v.current
	v.current = next
	unused := false
	if last != nil {
		last.old = true
		unused = last.readers == 0
	}
	v.mu.Unlock()
	if unused {
		_ = last.Snapshot.Close() // fails never
	}
}

func (v *views) acquire() *view {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.current.readers++
	return v.current
}

func (v *views) release(w *view) {
	v.mu.Lock()
	w.readers--
	unused := w.old && w.readers == 0
	v.mu.Unlock()
	if unused {
		_ = w.Snapshot.Close() // fails never
	}
}
