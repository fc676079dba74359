package pebblestore

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"github.com/cockroachdb/errors/oserror"
	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// markerFile stands in the directory of a backup, and of a store that is being
// restored. Open refuses such a directory: a backup that went into service would
// give seqs a second time, and hand out key packages that were handed out.
const markerFile = "BACKUP"

// What the marker says.
const (
	markIncomplete = "incomplete\n"
	markComplete   = "complete\n"
)

// Backup makes a copy of the store as it is at one moment of the call, in a
// directory that must not exist yet; it is durable, and whole, when Backup
// returns nil, and gone after an error. Calls go on meanwhile. On the same file
// system the files, which never change once written, are linked and not copied:
// that is quick and needs no room, but guards against nothing that befalls the
// disk.
//
// A file of the moment cannot vanish before it is linked: Pebble keeps its own,
// and payload files that are due to be removed stay until the backup is done.
func (s *Store) Backup(ctx context.Context, dst string) (err error) {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	s.backups.Add(1)
	defer s.backups.Add(-1)
	if err := s.committer.broken.load(); err != nil {
		return unavailable(err) // what is on the disk is not known
	}
	if _, err := s.fs.Stat(dst); !oserror.IsNotExist(err) {
		return errors.Join(fmt.Errorf("pebblestore: backup to %s: it exists already", dst), err)
	}
	if err = makeDir(s.fs, dst); err == nil {
		err = s.backup(ctx, dst)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("pebblestore: backup to %s: %w", dst, err), s.fs.RemoveAll(dst))
	}
	return nil
}

func (s *Store) backup(ctx context.Context, dst string) error {
	if err := mark(s.fs, dst, markIncomplete); err != nil {
		return err
	}
	if err := makeDir(s.fs, s.fs.PathJoin(dst, "blobs")); err != nil {
		return err
	}
	release := s.blobs.hold()
	defer release()
	if err := s.db.Checkpoint(s.fs.PathJoin(dst, "db")); err != nil {
		return err
	}
	if err := s.backupBlobs(ctx, dst); err != nil {
		return err
	}
	return mark(s.fs, dst, markComplete)
}

// backupBlobs links the payload files that the copy of the database names. It
// reads the copy, and so shows that it can be read.
func (s *Store) backupBlobs(ctx context.Context, dst string) (err error) {
	o := pebbleOptions(Options{FS: s.fs, Log: s.log}, &failure{log: s.log})
	o.ReadOnly = true
	db, err := pebble.Open(s.fs.PathJoin(dst, "db"), o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	into := s.fs.PathJoin(dst, "blobs")
	err = scan(db, []byte{keyBlob}, []byte{keyBlob + 1}, func(_, value []byte) (bool, error) {
		name := hex.EncodeToString(value)
		if err := ctx.Err(); err != nil {
			return true, err
		}
		return false, vfs.LinkOrCopy(s.fs, s.fs.PathJoin(s.blobs.dir, name), s.fs.PathJoin(into, name))
	})
	if err != nil {
		return err
	}
	return syncDir(s.fs, into)
}

// mark sets what the marker says: the whole of it, durably, or nothing.
func mark(fs vfs.FS, dir, text string) error {
	fresh := fs.PathJoin(dir, markerFile+".new")
	f, err := fs.Create(fresh, blobCategory)
	if err != nil {
		return err
	}
	_, err = f.Write([]byte(text))
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := fs.Rename(fresh, fs.PathJoin(dir, markerFile)); err != nil {
		return err
	}
	return syncDir(fs, dir)
}

// marker reads what the marker says; "" is that there is none.
func marker(fs vfs.FS, dir string) (string, error) {
	f, err := fs.Open(fs.PathJoin(dir, markerFile))
	if oserror.IsNotExist(err) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(io.LimitReader(f, 64))
	return string(text), errors.Join(err, f.Close())
}

// refuseMarked keeps backups out of service.
func refuseMarked(fs vfs.FS, dir string) error {
	text, err := marker(fs, dir)
	switch {
	case err != nil:
		return err
	case text == markComplete:
		return fmt.Errorf("pebblestore: %s is a backup: restore it to another directory, or seqs and key packages would be used twice", dir)
	case text != "":
		return fmt.Errorf("pebblestore: %s is the rest of a backup or restore that did not end: remove it, and begin again", dir)
	}
	return nil
}
