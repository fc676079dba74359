package main

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/identity"
)

func newState(t *testing.T) stateFile {
	t.Helper()
	f := stateFile{filepath.Join(t.TempDir(), "state.json")}
	key, err := identity.GenerateKey(identity.EdDSA)
	if err != nil {
		t.Fatal(err)
	}
	der, err := key.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	if err := f.create(&state{PrivateKey: der}); err != nil {
		t.Fatal(err)
	}
	return f
}

func TestConcurrentUpdatesAreAllKept(t *testing.T) {
	f := newState(t)
	const writers = 20
	var all sync.WaitGroup
	for i := range writers {
		all.Go(func() {
			err := f.update(func(s *state) error {
				if s.Cursors == nil {
					s.Cursors = make(map[string]nodeservice.Seq)
				}
				s.Cursors[fmt.Sprint(i)] = 1
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	s, err := f.load()
	if err != nil || len(s.Cursors) != writers {
		t.Errorf("%d updates of %d are there, %v", len(s.Cursors), writers, err)
	}
	if _, err := s.private(); err != nil {
		t.Errorf("the key is gone: %v", err)
	}
}

func TestFailedUpdateChangesNothing(t *testing.T) {
	f := newState(t)
	before, err := os.ReadFile(f.path)
	if err != nil {
		t.Fatal(err)
	}
	err = f.update(func(s *state) error {
		s.Token = "half done"
		return os.ErrInvalid
	})
	after, readErr := os.ReadFile(f.path)
	if err == nil || readErr != nil || string(before) != string(after) {
		t.Errorf("update: %v, read: %v, now %s", err, readErr, after)
	}
}

func TestIdentityIsNotOverwritten(t *testing.T) {
	f := newState(t)
	if err := f.create(&state{PrivateKey: []byte("another")}); err == nil {
		t.Error("overwritten")
	}
}

func TestUnreadableStatesAreRefused(t *testing.T) {
	for name, text := range map[string]string{
		"empty": "", "not JSON": "state", "cut short": `{"format": 1, "private_key"`, "newer": `{"format": 2}`, "no state": `{}`,
	} {
		f := stateFile{filepath.Join(t.TempDir(), "state.json")}
		if err := os.WriteFile(f.path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := f.load(); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
