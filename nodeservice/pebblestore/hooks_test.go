package pebblestore

import (
	"context"
	"crypto/sha256"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	ns "github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/identity"
)

// hookFS is a crashable file system that asks hook before every operation. An
// error of hook is the operation's.
type hookFS struct {
	*errorfs.FS
	mem  *vfs.MemFS
	hook atomic.Pointer[func(errorfs.Op) error]
}

func newHookFS() *hookFS {
	h := &hookFS{mem: vfs.NewCrashableMem()}
	h.FS = errorfs.Wrap(h.mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if hook := h.hook.Load(); hook != nil {
			return (*hook)(op)
		}
		return nil
	}))
	return h
}

func (h *hookFS) before(hook func(errorfs.Op) error) { h.hook.Store(&hook) }
func (h *hookFS) clear()                             { h.hook.Store(nil) }

func (h *hookFS) crash() *vfs.MemFS { return h.mem.CrashClone(vfs.CrashCloneCfg{}) }

// isLogSync says that op syncs the write-ahead log.
func isLogSync(op errorfs.Op) bool {
	switch op.Kind {
	case errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo:
		return strings.HasSuffix(op.Path, ".log")
	}
	return false
}

func isBlob(op errorfs.Op) bool { return strings.HasPrefix(op.Path, "data/blobs/") }

func open(t testing.TB, fs vfs.FS) *Store {
	t.Helper()
	s, err := Open("data", Options{FS: fs, MemTableBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

var discard = slog.New(slog.DiscardHandler)

const testNow ns.UnixMilli = 1_750_000_000_000

// person is an identity that no key stands behind: the engine does not ask.
func person(n byte) ns.Identity {
	sum := sha256.Sum256([]byte{n})
	return identity.TrustedKey(string(sum[:]))
}

// numbered is one of many persons.
func numbered(n int) ns.Identity {
	sum := sha256.Sum256([]byte{byte(n), byte(n >> 8), 'n'})
	return identity.TrustedKey(string(sum[:]))
}

// channelTo makes a channel between two persons, and is the second one's queue.
func channelTo(t testing.TB, s *Store, n byte) ns.Queue {
	t.Helper()
	id := ns.ChannelID{n, 1}
	_, err := s.CreateChannel(t.Context(), ns.CreateChannel{ID: id, Creator: person(n), Peer: person(n + 128), Now: testNow})
	if err != nil {
		t.Fatal(err)
	}
	return ns.Queue{Channel: id, Recipient: person(n + 128)}
}

func note(q ns.Queue, payload []byte) ns.Append {
	return ns.Append{Queue: q, Account: ns.Account{1}, Payload: payload, Digest: sha256.Sum256(payload), Now: testNow, ExpiresAt: testNow + 1000}
}

func send(t testing.TB, s *Store, q ns.Queue, payload []byte) {
	t.Helper()
	got, err := s.Append(context.Background(), note(q, payload))
	if err != nil || got.Outcome != ns.AppendStored {
		t.Fatalf("append: %+v, %v", got, err)
	}
}

func page(t testing.TB, s *Store, q ns.Queue) ns.QueuePage {
	t.Helper()
	p, err := s.Read(context.Background(), ns.Read{Queue: q, Limit: 100, MaxBytes: 1 << 30, Now: testNow})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func blobFiles(t testing.TB, fs vfs.FS) int {
	t.Helper()
	files, err := fs.List("data/blobs")
	if err != nil {
		t.Fatal(err)
	}
	return len(files)
}
