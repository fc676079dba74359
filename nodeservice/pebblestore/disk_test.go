package pebblestore

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	ns "github.com/quicproquo/node/nodeservice"
)

// logged is a log that can be read while it is written.
type logged struct {
	mu  sync.Mutex
	buf bytes.Buffer // guarded by mu
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func openLogged(t *testing.T, fs *hookFS) (*Store, *logged) {
	t.Helper()
	l := new(logged)
	s, err := Open("data", Options{FS: fs, MemTableBytes: 1 << 20, Log: slog.New(slog.NewTextHandler(l, nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s, l
}

// failing makes the operations that match fail.
func (h *hookFS) failing(err error, match func(errorfs.Op) bool) {
	h.before(func(op errorfs.Op) error {
		if match(op) {
			return err
		}
		return nil
	})
}

func isWrite(op errorfs.Op) bool {
	switch op.Kind {
	case errorfs.OpFileWrite, errorfs.OpFileWriteAt, errorfs.OpCreate, errorfs.OpFilePreallocate:
		return true
	}
	return false
}

func isSync(op errorfs.Op) bool {
	return op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData || op.Kind == errorfs.OpFileSyncTo
}

// A disk without room for a payload file refuses that message, and nothing else;
// with room again, the service goes on at once.
func TestNoRoomForAPayloadFile(t *testing.T) {
	for name, match := range map[string]func(errorfs.Op) bool{
		"write": func(op errorfs.Op) bool { return isBlob(op) && op.Kind == errorfs.OpFileWrite },
		"make":  func(op errorfs.Op) bool { return isBlob(op) && op.Kind == errorfs.OpCreate },
		"sync":  func(op errorfs.Op) bool { return isBlob(op) && isSync(op) },
	} {
		t.Run(name, func(t *testing.T) {
			fs := newHookFS()
			s := open(t, fs)
			q := channelTo(t, s, 1)
			fs.failing(syscall.ENOSPC, match)
			got, err := s.Append(t.Context(), note(q, large))
			if ns.CodeOf(err) != ns.CodeUnavailable || !errors.Is(ns.AsError(err).Cause, syscall.ENOSPC) {
				t.Errorf("append: %+v, %v", got, err)
			}
			send(t, s, q, []byte("small"))
			fs.clear()
			send(t, s, q, large)
			if n := blobFiles(t, fs); n != 1 || page(t, s, q).Head != 2 {
				t.Errorf("%d payload files, %+v", n, page(t, s, q))
			}
		})
	}
}

// A log that cannot be written or synced stops all writing. With the disk whole
// again, the next sweep opens the store anew, and nothing that was confirmed is
// lost, nothing that was refused is there in part.
func TestStoreThatCouldNotLogComesBack(t *testing.T) {
	isLog := func(op errorfs.Op) bool { return strings.HasSuffix(op.Path, ".log") }
	for name, c := range map[string]struct {
		err   error
		match func(errorfs.Op) bool
	}{
		"disk full at write":  {syscall.ENOSPC, func(op errorfs.Op) bool { return isLog(op) && op.Kind == errorfs.OpFileWrite }},
		"disk full at sync":   {syscall.ENOSPC, isLogSync},
		"disk broken at sync": {syscall.EIO, isLogSync},
		"all writes and syncs": {syscall.EIO, func(op errorfs.Op) bool {
			return isLog(op) && (isWrite(op) || isSync(op))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			fs := newHookFS()
			s, log := openLogged(t, fs)
			q := channelTo(t, s, 1)
			send(t, s, q, large)
			fs.failing(c.err, c.match)
			for range 2 {
				if _, err := s.Append(t.Context(), note(q, []byte("refused"))); ns.CodeOf(err) != ns.CodeUnavailable {
					t.Fatalf("append: %v", err)
				}
				if _, err := s.Free(t.Context()); ns.CodeOf(err) != ns.CodeUnavailable { // readiness asks it
					t.Errorf("free space: %v", err)
				}
				if p := page(t, s, q); p.Head != 1 || len(p.Messages) != 1 {
					t.Errorf("reads: %+v", p)
				}
			}
			if !strings.Contains(log.String(), "refuses writes") || !strings.Contains(log.String(), c.err.Error()) {
				t.Errorf("the log does not name the cause: %s", log)
			}
			fs.clear()
			if _, _, err := s.Sweep(t.Context(), testNow); err != nil {
				t.Fatalf("a sweep once the disk is whole: %v\n%s", err, log)
			}
			if _, err := s.Free(t.Context()); err != nil {
				t.Errorf("free space: %v", err)
			}
			send(t, s, q, []byte("next"))
			comesBackWhole(t, fs, s, q)
		})
	}
}

// comesBackWhole compares what a store answers with what a power cut leaves.
func comesBackWhole(t *testing.T, fs *hookFS, s *Store, q ns.Queue) {
	t.Helper()
	before := page(t, s, q)
	if last := before.Messages[len(before.Messages)-1]; string(last.Payload) != "next" || !bytes.Equal(before.Messages[0].Payload, large) {
		t.Errorf("the queue: %d messages, the last %+v", len(before.Messages), last)
	}
	crashed := fs.crash()
	verifyAt(t, crashed, "data")
	if after := page(t, open(t, crashed), q); after.Head != before.Head || len(after.Messages) != len(before.Messages) {
		t.Errorf("after a power cut head is %d of %d", after.Head, before.Head)
	}
}

// While the disk takes nothing the store is left as it is, and read; if opening
// it again fails, that is tried again, and meanwhile all is unavailable.
func TestStoreTriesToOpenAgain(t *testing.T) {
	for name, c := range map[string]struct {
		match func(errorfs.Op) bool
		says  string
		reads ns.Code
	}{
		"the disk takes nothing": {func(op errorfs.Op) bool { return isLogSync(op) || op.Kind == errorfs.OpCreate }, "does not take writes yet", ""},
		"opening fails": {func(op errorfs.Op) bool {
			return isLogSync(op) || op.Kind == errorfs.OpOpen && strings.Contains(op.Path, "MANIFEST")
		}, "could not be opened again", ns.CodeUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			fs := newHookFS()
			s, log := openLogged(t, fs)
			q := channelTo(t, s, 1)
			send(t, s, q, large)
			fs.failing(syscall.EIO, c.match)
			if _, err := s.Append(t.Context(), note(q, []byte("refused"))); ns.CodeOf(err) != ns.CodeUnavailable {
				t.Fatalf("append: %v", err)
			}
			for range 3 {
				if _, _, err := s.Sweep(t.Context(), testNow); ns.CodeOf(err) != ns.CodeUnavailable {
					t.Errorf("sweep: %v", err)
				}
				if _, err := s.Read(t.Context(), ns.Read{Queue: q, Limit: 1, Now: testNow}); ns.CodeOf(err) != c.reads {
					t.Errorf("read: %v", err)
				}
				if _, err := s.Free(t.Context()); ns.CodeOf(err) != ns.CodeUnavailable {
					t.Errorf("free: %v", err)
				}
			}
			if !strings.Contains(log.String(), c.says) {
				t.Errorf("the log says: %s", log)
			}
			fs.clear()
			if _, _, err := s.Sweep(t.Context(), testNow); err != nil {
				t.Fatalf("sweep: %v\n%s", err, log)
			}
			send(t, s, q, []byte("next"))
			comesBackWhole(t, fs, s, q)
		})
	}
}

// Memory that cannot be written out to a table refuses writes before they hang,
// and takes them again by itself when it could be.
func TestNoRoomForATable(t *testing.T) {
	fs := newHookFS()
	s, log := openLogged(t, fs)
	q := channelTo(t, s, 1)
	send(t, s, q, large)
	fs.failing(syscall.ENOSPC, func(op errorfs.Op) bool { return strings.HasSuffix(op.Path, ".sst") && isWrite(op) })
	stored := ns.Seq(1)
	for {
		_, err := s.Append(t.Context(), note(q, make([]byte, 60<<10)))
		if err != nil {
			if ns.CodeOf(err) != ns.CodeUnavailable {
				t.Fatalf("append: %v", err)
			}
			break
		}
		stored++
	}
	if _, err := s.Free(t.Context()); ns.CodeOf(err) != ns.CodeUnavailable {
		t.Errorf("free space: %v", err)
	}
	if !strings.Contains(log.String(), syscall.ENOSPC.Error()) {
		t.Errorf("the log does not name the cause: %s", log)
	}
	fs.clear()
	for s.committer.broken.refusal() != nil { // until Pebble's next try
		if _, _, err := s.Sweep(context.Background(), testNow); err == nil {
			break
		}
	}
	send(t, s, q, []byte("next"))
	if p := page(t, s, q); p.Head != stored+1 {
		t.Errorf("head is %d after %d confirmed messages", p.Head, stored+1)
	}
	comesBackWhole(t, fs, s, q)
}

// A damaged table is said, once it is read, and ends the writing: who knows what
// else is gone. What can be read is read.
func TestDamagedTable(t *testing.T) {
	fs := newHookFS()
	s := open(t, fs)
	q, whole := channelTo(t, s, 1), channelTo(t, s, 2)
	send(t, s, q, large)
	for range 10 {
		send(t, s, q, make([]byte, 50<<10))
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	tamper(t, fs, func(db *pebble.DB) error { return db.Flush() })
	names, err := fs.List("data/db")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if info, err := fs.Stat("data/db/" + name); err == nil && strings.HasSuffix(name, ".sst") && info.Size() > 400<<10 {
			if err := flip(fs, "data/db/"+name, 300<<10); err != nil {
				t.Fatal(err)
			}
		}
	}
	s, log := openLogged(t, fs)
	if _, err := s.Read(t.Context(), ns.Read{Queue: q, Limit: 100, MaxBytes: 1 << 30, Now: testNow}); ns.CodeOf(err) != ns.CodeUnavailable {
		t.Errorf("reading what is damaged: %v", err)
	}
	for range 2 {
		if _, err := s.Append(t.Context(), note(whole, []byte("x"))); ns.CodeOf(err) != ns.CodeUnavailable {
			t.Errorf("append: %v", err)
		}
		if _, err := s.Free(t.Context()); ns.CodeOf(err) != ns.CodeUnavailable {
			t.Errorf("free space: %v", err)
		}
		_, _, _ = s.Sweep(t.Context(), testNow) // opening again would mend nothing
	}
	if p := page(t, s, whole); p.Head != 0 {
		t.Errorf("another queue: %+v", p)
	}
	if !strings.Contains(log.String(), "damaged") || !strings.Contains(log.String(), ".sst") {
		t.Errorf("the log does not name the file: %s", log)
	}
}

// A log that is damaged in its middle keeps the store closed: what came after
// the damage was confirmed.
func TestDamagedLog(t *testing.T) {
	fs := newHookFS()
	s := open(t, fs)
	q := channelTo(t, s, 1)
	for range 100 {
		send(t, s, q, make([]byte, 1000))
	}
	crashed := fs.crash()
	names, err := crashed.List("data/db")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if info, err := crashed.Stat("data/db/" + name); err == nil && strings.HasSuffix(name, ".log") && info.Size() > 10000 {
			if err := flip(crashed, "data/db/"+name, 5000); err != nil {
				t.Fatal(err)
			}
		}
	}
	again, err := Open("data", Options{FS: crashed})
	if err == nil {
		p := page(t, again, q)
		t.Errorf("opened with head %d of 100: %v", p.Head, again.Close())
	}
}
