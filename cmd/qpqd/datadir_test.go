package main

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
)

func openTemp(t *testing.T, path string) *dataDir {
	t.Helper()
	d, err := openDataDir(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.close() })
	return d
}

func TestSecretsAreMadeOnceAndPrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data")
	d := openTemp(t, path)
	secret, err := d.secret()
	if err != nil {
		t.Fatal(err)
	}
	keys, err := d.openKeys("", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if again, err := d.secret(); err != nil || !bytes.Equal(secret, again) {
		t.Errorf("the secret changed: %v", err)
	}
	if again, err := d.openKeys("", slog.New(slog.DiscardHandler)); err != nil || !bytes.Equal(keys.keys.JWKS(), again.keys.JWKS()) {
		t.Errorf("the token keys changed: %v", err)
	}
	own, err := d.quicSecret()
	if again, err2 := d.quicSecret(); err != nil || err2 != nil || len(own) != secretSize || !bytes.Equal(own, again) {
		t.Errorf("the secret for QUIC changed: %v %v", err, err2)
	}
	for name, want := range map[string]os.FileMode{".": 0o700, secretFile: 0o600, keysFile: 0o600, quicFile: 0o600} {
		if info, err := os.Stat(filepath.Join(path, name)); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v %v, wanted %v", name, info.Mode(), err, want)
		}
	}
}

// TestASecretThatWasCutShortIsRefused: whoever knows that one is empty could make the
// keys that are derived from it.
func TestASecretThatWasCutShortIsRefused(t *testing.T) {
	d := openTemp(t, filepath.Join(t.TempDir(), "data"))
	for name, read := range map[string]func() ([]byte, error){secretFile: d.secret, quicFile: d.quicSecret} {
		if err := os.WriteFile(d.file(name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if secret, err := read(); err == nil {
			t.Errorf("an empty %s was taken for a secret of %d bytes", name, len(secret))
		}
	}
}

func TestDataDirectoryBelongsToOneProcess(t *testing.T) {
	path := t.TempDir()
	d := openTemp(t, path)
	if second, err := openDataDir(path); err == nil {
		t.Error("opened twice at once")
		_ = second.close()
	}
	if err := d.close(); err != nil {
		t.Fatal(err)
	}
	openTemp(t, path)
}

func TestUnusableSecretsAreRefused(t *testing.T) {
	for name, spoil := range map[string]func(d *dataDir) error{
		"readable by others": func(d *dataDir) error { return os.Chmod(d.file(secretFile), 0o640) },
		"cut short":          func(d *dataDir) error { return os.WriteFile(d.file(secretFile), []byte("short"), 0o600) },
		"missing beside a store": func(d *dataDir) error {
			return errors.Join(os.Remove(d.file(secretFile)), os.Mkdir(d.file(storeDir), 0o700))
		},
	} {
		d := openTemp(t, t.TempDir())
		if _, err := d.secret(); err != nil {
			t.Fatal(err)
		}
		if err := spoil(d); err != nil {
			t.Fatal(err)
		}
		if _, err := d.secret(); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestGivenTokenKeysAreNeverMade(t *testing.T) {
	d := openTemp(t, t.TempDir())
	given := filepath.Join(t.TempDir(), "keys.json")
	if _, err := d.openKeys(given, slog.New(slog.DiscardHandler)); err == nil {
		t.Error("a given file that is not there was accepted")
	}
	if err := os.WriteFile(given, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := d.openKeys(given, slog.New(slog.DiscardHandler)); err == nil {
		t.Error("a given file without keys was accepted")
	}
}

func TestDataDirectoryIsClosedToOthersOnlyIfItIsOurs(t *testing.T) {
	for name, test := range map[string]struct {
		holds  string
		opened bool
	}{
		"empty": {"", true}, "ours": {secretFile, true}, "somebody's": {"letters", false},
	} {
		path := t.TempDir()
		if test.holds != "" {
			if err := os.WriteFile(filepath.Join(path, test.holds), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Chmod(path, 0o755); err != nil {
			t.Fatal(err)
		}
		d, err := openDataDir(path)
		if (err == nil) != test.opened {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil {
			_ = d.close()
		}
		want := os.FileMode(0o755)
		if test.opened {
			want = 0o700
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: mode %v, %v, wanted %v", name, info.Mode(), err, want)
		}
	}
}
