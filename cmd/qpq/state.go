package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/rogpeppe/go-internal/lockedfile"

	"github.com/quicproquo/node/cmd/internal/privatefile"
	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/identity"
)

// stateFormat is the version of the state file that this program writes.
const stateFormat = 1

// state is what qpq knows between two runs. All but the private keys can be
// had again: cursors only spare repeats, and the rest is a cache.
type state struct {
	Format     int    `json:"format"`
	PrivateKey []byte `json:"private_key"` // PKCS#8 DER: whoever has it is the identity

	Audience string   `json:"audience,omitempty"` // that we sign for
	Servers  []string `json:"servers,omitempty"`  // --server values that were configured for Audience

	Token          string                `json:"token,omitempty"`
	TokenExpiresAt nodeservice.UnixMilli `json:"token_expires_at,omitempty"`

	Cursors  map[string]nodeservice.Seq `json:"cursors,omitempty"`  // by channel: last seq that recv printed
	Channels map[string]string          `json:"channels,omitempty"` // by the peer's identity

	// KeyPackages are the private keys of packages that qpq made, by
	// fingerprint, for the MLS client that is to open the Welcome.
	KeyPackages map[string]keyPackageSecrets `json:"key_packages,omitempty"`
}

// keyPackageSecrets are a key package's HPKE private keys, raw (RFC 9180,
// section 7.1.2).
type keyPackageSecrets struct {
	CipherSuite   nodeservice.CipherSuite `json:"cipher_suite"`
	InitKey       []byte                  `json:"init_key"`
	EncryptionKey []byte                  `json:"encryption_key"`
}

// private parses the identity's key.
func (s *state) private() (*identity.PrivateKey, error) {
	return identity.ParsePrivateKey(s.PrivateKey)
}

// forgetNode drops what belongs to the node that we were configured for.
func (s *state) forgetNode() {
	*s = state{Format: s.Format, PrivateKey: s.PrivateKey, KeyPackages: s.KeyPackages}
}

// stateFile is where a state is kept. Several processes may use one at a time:
// each change is read, made and written under a lock, which nobody holds for
// longer than that.
type stateFile struct{ path string }

// create writes a first state, unless there is one.
func (f stateFile) create(s *state) error {
	return f.locked(func() error {
		_, err := os.Lstat(f.path)
		switch {
		case err == nil:
			return fmt.Errorf("%s is there already: an identity is not overwritten", f.path)
		case !errors.Is(err, fs.ErrNotExist):
			return err
		}
		return f.write(s)
	})
}

// load reads the state.
func (f stateFile) load() (*state, error) {
	data, err := privatefile.Read(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no state file %s: make an identity with qpq keygen", f.path)
	}
	if err != nil {
		return nil, err
	}
	s := new(state)
	decoder := json.NewDecoder(bytes.NewReader(data))
	if err := decoder.Decode(s); err != nil {
		return nil, fmt.Errorf("%s is no state file of qpq: %w", f.path, err)
	}
	if s.Format != stateFormat {
		return nil, fmt.Errorf("%s has format %d, and this qpq reads format %d", f.path, s.Format, stateFormat)
	}
	return s, nil
}

// update changes the state as it is now, which another process may have changed
// since we loaded it. If change fails, nothing is written.
func (f stateFile) update(change func(*state) error) error {
	return f.locked(func() error {
		s, err := f.load()
		if err != nil {
			return err
		}
		if err := change(s); err != nil {
			return err
		}
		return f.write(s)
	})
}

func (f stateFile) locked(do func() error) error {
	if err := os.MkdirAll(filepath.Dir(f.path), 0o700); err != nil {
		return err
	}
	unlock, err := lockedfile.MutexAt(f.path + ".lock").Lock()
	if err != nil {
		return err
	}
	defer unlock()
	return do()
}

func (f stateFile) write(s *state) error {
	s.Format = stateFormat
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	return privatefile.Replace(f.path, append(data, '\n'))
}
