package pebblestore

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"

	"github.com/cockroachdb/errors/oserror"
	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// blobCategory accounts for our files in the file system's statistics.
const blobCategory vfs.DiskWriteCategory = "qpq-blob"

// blobs is a directory of large payloads, one file each, written once under a
// random name. Order makes it safe:
//
//	write  file, fsync file, fsync directory, then commit the message record.
//	       A crash in between leaves a file without a record: an orphan.
//	delete commit the deletion of the record, then remove the file.
//	       A crash in between leaves an orphan too.
//
// So a record never lacks its file, and orphans are removed at the next open,
// when no write is under way.
type blobs struct {
	fs      vfs.FS
	dir     string
	log     *slog.Logger
	slots   chan struct{} // bounds the files that are written at once
	reading chan struct{} // bounds the pages whose files are read at once

	damage damage

	mu      sync.Mutex
	backups int        // guarded by mu: under way; no file is removed meanwhile
	held    []blobName // guarded by mu: to be removed after them; the disk that holds the files bounds it
}

// blobName is random: it is never used twice.
type blobName [16]byte

func (n blobName) String() string { return hex.EncodeToString(n[:]) }

func newBlobs(fs vfs.FS, dir string, log *slog.Logger) *blobs {
	return &blobs{
		fs: fs, dir: dir, log: log, slots: make(chan struct{}, 16), reading: make(chan struct{}, maxReading), damage: damage{log: log},
	}
}

func (b *blobs) path(n blobName) string { return b.fs.PathJoin(b.dir, n.String()) }

// put writes a payload durably. After an error there is no file, or an orphan.
func (b *blobs) put(ctx context.Context, payload []byte) (blobName, error) {
	select {
	case b.slots <- struct{}{}:
		defer func() { <-b.slots }()
	case <-ctx.Done():
		return blobName{}, ctx.Err()
	}
	var name blobName
	_, _ = rand.Read(name[:]) // never fails
	err := b.write(b.path(name), payload)
	if err == nil {
		err = syncDir(b.fs, b.dir)
	}
	if err != nil {
		b.remove(name)
		return blobName{}, unavailable(fmt.Errorf("write blob %s: %w", name, err))
	}
	return name, nil
}

func (b *blobs) write(path string, payload []byte) error {
	f, err := b.fs.Create(path, blobCategory)
	if err != nil {
		return err
	}
	// A vfs.File may scribble on what it is given to write, and the payload is
	// the caller's: it goes through a buffer. The wrappers hide the shortcuts.
	_, err = io.CopyBuffer(struct{ io.Writer }{f}, struct{ io.Reader }{bytes.NewReader(payload)}, make([]byte, 64<<10))
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// maxReading pages are in memory before those who asked for them can count what
// came, each of at most ns.MaxFetchBytes or one message.
const maxReading = 16

// startReading waits for its turn to read the files of a page; doneReading ends it.
// A crowd of readers would take memory for all its pages at once otherwise, and as
// many threads as wait for the disk.
func (b *blobs) startReading(ctx context.Context) error {
	select {
	case b.reading <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (b *blobs) doneReading() { <-b.reading }

// read returns a payload of a size; missing says that there is no such file.
func (b *blobs) read(ref blobRef, size int) (payload []byte, missing bool, err error) {
	f, err := b.fs.Open(b.path(ref.name), vfs.SequentialReadsOption)
	if oserror.IsNotExist(err) {
		return nil, true, nil
	}
	if err != nil {
		return nil, false, err
	}
	payload = make([]byte, size)
	_, err = io.ReadFull(f, payload)
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, false, fmt.Errorf("read blob %s: %w", ref.name, err)
	}
	if sha256.Sum256(payload) != ref.digest {
		return nil, false, fmt.Errorf("%w: blob %s is not what was stored", errCorrupt, ref.name)
	}
	return payload, false, nil
}

// remove deletes files whose records are durably gone. What cannot be removed
// is an orphan until the next open.
func (b *blobs) remove(names ...blobName) {
	if len(names) == 0 {
		return
	}
	b.damage.over(names...)
	if b.withhold(names) {
		return
	}
	for _, n := range names {
		if err := b.fs.Remove(b.path(n)); err != nil && !oserror.IsNotExist(err) {
			b.log.Warn("a payload file could not be removed; the next start tries again", "file", n.String(), "error", err.Error())
		}
	}
}

// withhold keeps names for after a backup, if one is under way.
func (b *blobs) withhold(names []blobName) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.backups > 0 {
		b.held = append(b.held, names...)
	}
	return b.backups > 0
}

// hold keeps every file that is there until release is called, once.
func (b *blobs) hold() (release func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.backups++
	return func() {
		b.mu.Lock()
		b.backups--
		var due []blobName
		if b.backups == 0 {
			due, b.held = b.held, nil
		}
		b.mu.Unlock()
		b.remove(due...)
	}
}

// removeOrphans removes every file that no record names. It runs before any
// write: a file on its way to its record would look like an orphan.
func (b *blobs) removeOrphans(r pebble.Reader) (removed int, err error) {
	files, err := b.fs.List(b.dir)
	if err != nil || len(files) == 0 {
		return 0, err
	}
	named := make(map[string]struct{}, len(files))
	err = scan(r, []byte{keyBlob}, []byte{keyBlob + 1}, func(_, value []byte) (bool, error) {
		named[hex.EncodeToString(value)] = struct{}{}
		return false, nil
	})
	if err != nil {
		return 0, err
	}
	for _, f := range files {
		if _, ok := named[f]; ok {
			continue
		}
		if err := b.fs.Remove(b.fs.PathJoin(b.dir, f)); err != nil {
			return removed, err
		}
		removed++
	}
	return removed, nil
}

// syncDir makes the names in a directory durable.
func syncDir(fs vfs.FS, dir string) error {
	d, err := fs.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// makeDir creates a directory and its parents, durably.
func makeDir(fs vfs.FS, dir string) error {
	if _, err := fs.Stat(dir); err == nil {
		return nil
	} else if !oserror.IsNotExist(err) {
		return err
	}
	parent := fs.PathDir(dir)
	if parent == dir {
		return fmt.Errorf("%s does not exist", dir)
	}
	if err := makeDir(fs, parent); err != nil {
		return err
	}
	if err := fs.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return syncDir(fs, parent)
}
