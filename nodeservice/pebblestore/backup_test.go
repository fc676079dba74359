package pebblestore

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	ns "github.com/quicproquo/node/nodeservice"
)

func verifyAt(t *testing.T, fs vfs.FS, dir string) {
	t.Helper()
	findings, err := Verify(dir, Options{FS: fs})
	if err != nil || len(findings) > 0 {
		t.Errorf("verify %s: %+v, %v", dir, findings, err)
	}
}

// Backups are whole while messages, with files of their own, come and go.
func TestBackupIsOneMomentOfARunningStore(t *testing.T) {
	fs := vfs.NewCrashableMem()
	s := open(t, fs)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var busy sync.WaitGroup
	for n := range byte(3) {
		q := channelTo(t, s, n)
		send(t, s, q, large)
		busy.Go(func() {
			for ctx.Err() == nil {
				got, err := s.Append(context.Background(), note(q, large))
				if err == nil {
					_, err = s.Ack(context.Background(), ns.Ack{Queue: q, Through: got.Seq - 1, Now: testNow})
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	names := []string{"one", "two", "three", "four"}
	for _, name := range names {
		if err := s.Backup(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	busy.Wait()
	if n := blobFiles(t, fs); n != 3 {
		t.Errorf("%d payload files are left for 3 messages", n)
	}
	crashed := fs.CrashClone(vfs.CrashCloneCfg{})
	for _, name := range names {
		verifyAt(t, crashed, name)
	}
	if _, err := Open("one", Options{FS: fs}); err == nil || !strings.Contains(err.Error(), "restore it") {
		t.Errorf("opening a backup: %v", err)
	}
	if err := s.Backup(t.Context(), "one"); err == nil {
		t.Error("a backup took another's place")
	}
}

func TestBackupThatFailsLeavesNothing(t *testing.T) {
	fs := newHookFS()
	s := open(t, fs)
	q := channelTo(t, s, 1)
	send(t, s, q, large)
	fs.before(func(op errorfs.Op) error {
		if op.Kind == errorfs.OpLink && strings.HasPrefix(op.Path, "data/blobs") || op.Kind == errorfs.OpCreate && strings.HasPrefix(op.Path, "copy/blobs") {
			return errors.New("injected: no space left on device")
		}
		return nil
	})
	if err := s.Backup(t.Context(), "copy"); err == nil {
		t.Fatal("a backup succeeded without its payload files")
	}
	fs.clear()
	if _, err := fs.Stat("copy"); err == nil {
		t.Error("the failed backup is still there")
	}
	send(t, s, q, large)
	if err := s.Backup(t.Context(), "copy"); err != nil {
		t.Error(err)
	}
}

func restored(t *testing.T, fs vfs.FS) (*Store, Restored) {
	t.Helper()
	done, err := Restore("copy", "new", Options{FS: fs})
	if err != nil {
		t.Fatal(err)
	}
	verifyAt(t, fs, "new")
	s, err := Open("new", Options{FS: fs})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s, done
}

func TestRestoredStoreGivesNothingTwice(t *testing.T) {
	fs := vfs.NewMem()
	channel, legacy := filled(t, fs)
	s := open(t, fs)
	if err := s.Backup(t.Context(), "copy"); err != nil {
		t.Fatal(err)
	}
	for _, q := range []ns.Queue{channel, legacy} {
		send(t, s, q, []byte("after the backup"))
	}
	again, done := restored(t, fs)
	if want := (Restored{Lines: 2, Messages: 6, KeyPackages: 2}); done != want {
		t.Errorf("restored %+v, not %+v", done, want)
	}
	for _, q := range []ns.Queue{channel, legacy} {
		want := 3 + restoredSeqs
		p := page(t, again, q)
		if len(p.Messages) != 0 || p.Head != want || p.Floor != want || p.FloorReason != ns.GapRestored {
			t.Errorf("a restored queue reads %+v", p)
		}
		dup := note(q, []byte("one"))
		dup.MessageID = "id0"
		if got, err := again.Append(t.Context(), dup); err != nil || got.Outcome != ns.AppendDuplicate || got.Seq != 1 {
			t.Errorf("a message id of before: %+v, %v", got, err)
		}
		req := note(q, []byte("new"))
		req.Quota = ns.AppendQuota{AccountBytes: int64(len("new")) * 2, QueueMessages: 1, ShareMessages: 1}
		if got, err := again.Append(t.Context(), req); err != nil || got.Seq != want+1 {
			t.Errorf("the first message after: %+v, %v", got, err)
		}
		if p := page(t, again, q); len(p.Messages) != 1 || p.Floor != want {
			t.Errorf("after it the queue reads %+v", p)
		}
	}
	claim := ns.ClaimKeyPackageRequest{Owner: person(1), Claimer: person(3), OneTime: true, Now: testNow}
	if got, err := again.ClaimKeyPackage(t.Context(), claim); err != nil || !got.Found || !got.KeyPackage.LastResort {
		t.Errorf("a claim gets %+v, %v", got, err)
	}
	claim.Claimer, claim.ClaimID = person(2), "c"
	if got, err := again.ClaimKeyPackage(t.Context(), claim); err != nil || !got.Repeated {
		t.Errorf("a repeated claim gets %+v, %v", got, err)
	}
	if first, err := again.Spend(t.Context(), "nonce", [32]byte{1}, testNow+10, testNow); err != nil || first {
		t.Errorf("a spent nonce: %v, %v", first, err)
	}
	if list, err := again.Revocations(t.Context(), testNow); err != nil || len(list) != 1 {
		t.Errorf("revocations: %+v, %v", list, err)
	}
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
	verifyAt(t, fs, "new")
}

func TestRestoreRefuses(t *testing.T) {
	fs := vfs.NewMem()
	filled(t, fs)
	s := open(t, fs)
	if err := s.Backup(t.Context(), "copy"); err != nil {
		t.Fatal(err)
	}
	for want, pair := range map[string][2]string{
		"is not empty": {"copy", "data"},
		"no store":     {"elsewhere", "new"},
		"in use":       {"data", "new"},
	} {
		if _, err := Restore(pair[0], pair[1], Options{FS: fs}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("restore from %s to %s: %v", pair[0], pair[1], err)
		}
	}
	if err := mark(fs, "copy", markIncomplete); err != nil {
		t.Fatal(err)
	}
	if _, err := Restore("copy", "new", Options{FS: fs}); err == nil || !strings.Contains(err.Error(), "did not end") {
		t.Errorf("restore from half a backup: %v", err)
	}
}

// A restore that stops anywhere leaves what nobody can open for a store.
func TestInterruptedRestoreIsRefused(t *testing.T) {
	fs := newHookFS()
	filled(t, fs.mem)
	s := open(t, fs)
	if err := s.Backup(t.Context(), "copy"); err != nil {
		t.Fatal(err)
	}
	var crashes []*vfs.MemFS
	var mu sync.Mutex
	fs.before(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() == errorfs.OpIsWrite && strings.HasPrefix(op.Path, "new") {
			mu.Lock()
			defer mu.Unlock()
			crashes = append(crashes, fs.crash())
		}
		return nil
	})
	if _, err := Restore("copy", "new", Options{FS: fs}); err != nil {
		t.Fatal(err)
	}
	fs.clear()
	opened := 0
	for _, crashed := range crashes {
		if _, err := crashed.Stat("new/db"); err != nil {
			continue
		}
		again, err := Open("new", Options{FS: crashed})
		if err != nil {
			continue
		}
		opened++
		if b, found, err := get(again.db, firstLine(t, again.db)); err != nil || !found || (&line{}).decode(b) != nil {
			t.Errorf("a half restored store was opened: %v", err)
		}
		if err := again.Close(); err != nil {
			t.Error(err)
		}
	}
	if opened > 1 || len(crashes) < 10 {
		t.Errorf("%d of %d moments could be opened", opened, len(crashes))
	}
}

func firstLine(t *testing.T, db *pebble.DB) []byte {
	t.Helper()
	k, _ := firstOf(db, keyLine)
	if k == nil {
		t.Error("a half restored store was opened: it has no lines")
	}
	return k
}
