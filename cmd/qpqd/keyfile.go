package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/quicproquo/node/cmd/internal/privatefile"
	"github.com/quicproquo/node/nodeservice/identity"
)

// keyFile is the file of the keys that sign our tokens. A running node looks at
// it each second; `qpqd token rotate`, another process, replaces it.
type keyFile struct {
	path  string
	log   *slog.Logger
	keys  *identity.SigningKeys // the same for good; its set is replaced by look
	stamp fileStamp             // owned by look: of the file that was last read
}

func (f *keyFile) signingKeys() *identity.SigningKeys { return f.keys }

func openKeyFile(path string, log *slog.Logger) (*keyFile, error) {
	f := &keyFile{path: path, log: log, stamp: stampOf(path)}
	var err error
	f.keys, err = readKeys(path)
	return f, err
}

func readKeys(path string) (*identity.SigningKeys, error) {
	data, err := privatefile.Read(path)
	if err != nil {
		return nil, fmt.Errorf("token keys: %w", err)
	}
	keys, err := identity.ParseSigningKeys(data)
	if err != nil {
		return nil, fmt.Errorf("token keys: %s: %w", path, err)
	}
	return keys, nil
}

// look reads the file if it changed. One that is missing or unusable changes
// nothing: to forget all keys would log everybody out.
func (f *keyFile) look(context.Context) {
	stamp := stampOf(f.path) // before reading: what changes meanwhile is read next time
	if stamp == f.stamp {
		return
	}
	f.stamp = stamp
	keys, err := readKeys(f.path)
	if err != nil {
		f.log.Warn("the token keys changed and cannot be used, going on with those before", "err", err)
		return
	}
	f.keys.Replace(keys)
	f.log.Info("token keys read again")
}

// rotateKeys replaces the file by one with one more key, which signs from now+lead on.
// It holds a lock, so that nobody else rotates meanwhile.
func rotateKeys(path string, now time.Time, lead, keep time.Duration) error {
	unlock, err := lockDirectory(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer unlock()
	keys, err := readKeys(path)
	if err != nil {
		return err
	}
	if keys, err = keys.Rotate(now, lead, keep); err != nil {
		return err
	}
	return privatefile.Replace(path, keys.Marshal())
}

// lockDirectory waits until it has the lock. The file itself cannot be locked, since it
// is replaced.
func lockDirectory(path string) (unlock func(), err error) {
	dir, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(dir.Fd()), syscall.LOCK_EX); err != nil {
		_ = dir.Close()
		return nil, err
	}
	return func() { _ = dir.Close() }, nil
}
