package pebblestore

import (
	"fmt"
	"log/slog"
	"sync"
)

// damage remembers the payload files that could not be read, or were not what
// was stored. While there is one the store says that it has no room (Free), so
// that an operator hears of it: readiness goes off, and new messages are refused.
// A file leaves when it can be read again, or when nobody needs it any more:
// when its message was acknowledged or has expired.
type damage struct {
	log *slog.Logger

	mu    sync.Mutex
	files map[blobName]damaged // guarded by mu; at most maxDamaged
}

// damaged is one such file.
type damaged struct {
	of    message // without a payload
	cause error
}

// maxDamaged bounds what is remembered: more files are as bad as these.
const maxDamaged = 1000

// found notes that the file at a path cannot be read, and says so once.
func (d *damage) found(m message, path string, cause error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, known := d.files[m.blob.name]; known || len(d.files) == maxDamaged {
		return
	}
	if d.files == nil {
		d.files = make(map[blobName]damaged)
	}
	d.files[m.blob.name] = damaged{m, fmt.Errorf("payload file %s: %w", path, cause)}
	d.log.Error("a payload file cannot be read; its message, and those behind it, wait until it can be, or the message expires",
		"file", path, "error", cause.Error(), "mend", "qpqd store verify lists such files; qpqd store restore, from a backup or from this directory, leaves them out")
}

// over notes files that can be read again or are gone.
func (d *damage) over(names ...blobName) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.files) == 0 {
		return
	}
	for _, name := range names {
		delete(d.files, name)
	}
	if len(d.files) == 0 {
		d.log.Info("no payload file is known to be damaged any more")
	}
}

// refusal is why the store is in trouble; nil: it is not.
func (d *damage) refusal() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, one := range d.files {
		return fmt.Errorf("%d payload files cannot be read; one is %w", len(d.files), one.cause)
	}
	return nil
}

// some are a few of the files.
func (d *damage) some() (few []message) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, one := range d.files {
		if few = append(few, one.of); len(few) == 4 {
			break
		}
	}
	return few
}

// recheck looks whether damaged files can be read again: an error of the disk may
// pass, and their readers may not come back to find out.
func (s *Store) recheck() {
	for _, m := range s.blobs.damage.some() {
		if _, missing, err := s.blobs.read(m.blob, m.size); !missing && err == nil {
			s.blobs.damage.over(m.blob.name)
		}
	}
}
