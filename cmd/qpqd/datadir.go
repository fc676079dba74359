package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/quicproquo/node/cmd/internal/privatefile"
	"github.com/quicproquo/node/nodeservice/identity"
)

// The files of a data directory, beside the store's own directory.
const (
	lockFile   = "lock"            // locked while a process uses the directory
	secretFile = "secret"          // 32 random bytes: challenges, accounts and pseudonyms are keyed by it
	keysFile   = "token-keys.json" // JWK Set of private keys: signs our tokens
	quicFile   = "quic-secret"     // 32 random bytes, this node's alone also in Redis mode: see noderpc.ServerConfig.QUICSecret
	storeDir   = "store"
	listenFile = "listen.json" // while serving: the addresses that the doors really have
)

// secretSize is the size of secretFile and of quicFile, in bytes.
const secretSize = 32

// dataDir is an open, locked data directory.
type dataDir struct {
	path string
	lock *os.File // holds the lock until it is closed, by us or by our death
}

// openDataDir makes the directory if it is missing, keeps others out of it, and
// locks it: a second process would hand out the same seqs.
func openDataDir(path string) (*dataDir, error) {
	if err := makePrivate(path); err != nil {
		return nil, err
	}
	lock, err := os.OpenFile(filepath.Join(path, lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		lock.Close()
		return nil, fmt.Errorf("another process uses the data directory %s", path)
	}
	d := &dataDir{path: path, lock: lock}
	// Left by a process that was killed, it would name addresses of nobody.
	if err := os.Remove(d.file(listenFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		lock.Close()
		return nil, err
	}
	return d, nil
}

// makePrivate makes the directory, or takes it from others if it is ours or
// still nobody's, as a fresh volume is. Anything else is a slip of the operator:
// closing /tmp to others would be worse than not starting.
func makePrivate(path string) error {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm()&0o077 == 0 {
		return err
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return err
	}
	ours := slices.ContainsFunc(entries, func(e os.DirEntry) bool { return e.Name() == secretFile })
	if len(entries) > 0 && !ours {
		return fmt.Errorf("--data-dir %s holds other things and is open to others: name a directory for the node alone", path)
	}
	return os.Chmod(path, 0o700)
}

func (d *dataDir) file(name string) string { return filepath.Join(d.path, name) }

// close unlocks the directory.
func (d *dataDir) close() error {
	return errors.Join(ignoreMissing(os.Remove(d.file(listenFile))), d.lock.Close())
}

// secret reads the installation's secret, and makes it at first start.
func (d *dataDir) secret() ([]byte, error) {
	return d.readSecret(secretFile, "restore it")
}

// quicSecret reads the node's own secret for QUIC, and makes it at first start. Losing
// it costs little: once, clients learn of a restart by a timeout only.
func (d *dataDir) quicSecret() ([]byte, error) {
	return d.readSecret(quicFile, "remove it, and the next start makes another")
}

// readSecret refuses a file that was cut short: keys made from it could be guessed.
func (d *dataDir) readSecret(name, remedy string) ([]byte, error) {
	secret, err := d.readOrCreate(name, newSecret)
	if err == nil && len(secret) != secretSize {
		return nil, fmt.Errorf("%s does not hold %d bytes: %s", d.file(name), secretSize, remedy)
	}
	return secret, err
}

// openKeys reads the keys of our tokens from a given file, or else from the data
// directory, where they are made at first start.
func (d *dataDir) openKeys(given string, log *slog.Logger) (*keyFile, error) {
	if given != "" {
		return openKeyFile(given, log)
	}
	if _, err := d.readOrCreate(keysFile, newTokenKeys); err != nil {
		return nil, err
	}
	return openKeyFile(d.file(keysFile), log)
}

func newSecret() ([]byte, error) {
	secret := make([]byte, secretSize)
	_, err := rand.Read(secret)
	return secret, err
}

func newTokenKeys() ([]byte, error) {
	keys, err := identity.GenerateSigningKeys()
	if err != nil {
		return nil, err
	}
	return keys.Marshal(), nil
}

// readOrCreate is called under the directory's lock, so that nobody else creates the
// file. A store without its secret is a half-restored backup: a new secret would give
// every sender a new account, and so it is refused.
func (d *dataDir) readOrCreate(name string, create func() ([]byte, error)) ([]byte, error) {
	path := d.file(name)
	data, err := privatefile.Read(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return data, err
	}
	if _, err := os.Stat(d.file(storeDir)); err == nil && name == secretFile {
		return nil, fmt.Errorf("%s is missing beside a store: restore it", path)
	}
	if data, err = create(); err != nil {
		return nil, err
	}
	return data, privatefile.Replace(path, data)
}

// announce writes where the doors listen, until close.
func (d *dataDir) announce(addresses map[string]string) error {
	return writeAddresses(d.file(listenFile), addresses)
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
