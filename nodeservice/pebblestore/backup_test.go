package pebblestore

import (
	"context"
	"errors"
	"fmt"
	"reflect"
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

// What was not acknowledged in the backup waits under new seqs, in its order,
// behind a gap; no seq of before comes again, whatever was given since.
func TestRestoredStoreDeliversWhatWaitedAndGivesNothingTwice(t *testing.T) {
	fs := vfs.NewMem()
	channel, legacy := filled(t, fs)
	s := open(t, fs)
	if _, err := s.Ack(t.Context(), ns.Ack{Queue: channel, Through: 1, Now: testNow}); err != nil {
		t.Fatal(err)
	}
	if err := s.Backup(t.Context(), "copy"); err != nil {
		t.Fatal(err)
	}
	for _, q := range []ns.Queue{channel, legacy} {
		send(t, s, q, []byte("after the backup"))
		if _, err := s.Ack(t.Context(), ns.Ack{Queue: q, Through: 3, Now: testNow}); err != nil {
			t.Fatal(err)
		}
	}
	again, done := restored(t, fs)
	if want := (Restored{Lines: 2, Messages: 5, KeyPackages: 2}); !reflect.DeepEqual(done, want) {
		t.Errorf("restored %+v, not %+v", done, want)
	}
	restoredQueue(t, again, channel, 1, "", string(large), "three")
	restoredQueue(t, again, legacy, 0, "one", string(large), "three")
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

// restoredQueue holds a queue of filled, acknowledged to a seq in the backup, to
// what a restore promises: payloads are its messages 1, 2, 3, "" those gone.
func restoredQueue(t *testing.T, s *Store, q ns.Queue, acked ns.Seq, payloads ...string) {
	t.Helper()
	p := page(t, s, q)
	floor, head := restoredSeqs+acked, restoredSeqs+3
	if p.Head != head || p.Acked != acked || p.Floor != floor || p.FloorReason != ns.GapRestored {
		t.Errorf("a restored queue reads head %d, acked %d, floor %d (%v)", p.Head, p.Acked, p.Floor, p.FloorReason)
	}
	for i, m := range p.Messages {
		if at := int(acked) + i; m.Seq != restoredSeqs+ns.Seq(at+1) || string(m.Payload) != payloads[at] {
			t.Errorf("message %d of the backup came as seq %d, %d bytes", at+1, m.Seq, len(m.Payload))
		}
	}
	if want := 3 - int(acked); len(p.Messages) != want {
		t.Errorf("%d messages, not %d", len(p.Messages), want)
	}
	for i, payload := range []string{"one", string(large), "three"} {
		dup := note(q, []byte(payload))
		dup.MessageID = fmt.Sprint("id", i)
		if got, err := s.Append(t.Context(), dup); err != nil || got.Outcome != ns.AppendDuplicate || got.Seq != restoredSeqs+ns.Seq(i+1) {
			t.Errorf("a message id of before: %+v, %v", got, err)
		}
	}
	// A client acknowledged after the backup, and says so again.
	if got, err := s.Ack(t.Context(), ns.Ack{Queue: q, Through: 4, Now: testNow}); err != nil || got.Outcome != ns.AckDone {
		t.Errorf("an acknowledgement of before: %+v, %v", got, err)
	}
	req := note(q, []byte("new"))
	req.MessageID = "new"
	req.Quota = ns.AppendQuota{QueueMessages: len(p.Messages) + 1, RememberedIDs: 3}
	if got, err := s.Append(t.Context(), req); err != nil || got.Seq != head+1 {
		t.Errorf("the first message after: %+v, %v", got, err)
	}
	if got, err := s.Append(t.Context(), req); err != nil || got.Outcome != ns.AppendDuplicate {
		t.Errorf("and again: %+v, %v", got, err)
	}
	if got, err := s.Append(t.Context(), note(q, []byte("one"))); err != nil || got.Outcome != ns.AppendStored {
		t.Errorf("without an id: %+v, %v", got, err)
	}
	if p := page(t, s, q); len(p.Messages) != 5-int(acked) || p.Floor != floor {
		t.Errorf("after it the queue reads %+v", p)
	}
	if got, err := s.Ack(t.Context(), ns.Ack{Queue: q, Through: head, Now: testNow}); err != nil || got.Outcome != ns.AckDone {
		t.Errorf("acknowledge what waited: %+v, %v", got, err)
	}
	if p := page(t, s, q); len(p.Messages) != 2 || p.Floor != 0 {
		t.Errorf("and then the queue reads %+v", p)
	}
}

// A legacy queue that began after the backup, and of which nothing is known,
// does not begin with the same seqs again, however often a store is restored.
func TestLegacyQueueThatTheBackupDoesNotKnow(t *testing.T) {
	fs := vfs.NewMem()
	s := open(t, fs)
	q := ns.Queue{Recipient: person(7)}
	for n := range ns.Seq(3) {
		base := n * restoredSeqs
		if p := page(t, s, q); p.Head != base || p.Floor != base || base > 0 && p.FloorReason != ns.GapRestored {
			t.Errorf("after %d restores it reads %+v", n, p)
		}
		from, to := fmt.Sprint("copy", n), fmt.Sprint("new", n)
		if err := s.Backup(t.Context(), from); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Append(t.Context(), note(q, []byte("since"))); err != nil || got.Seq != base+1 {
			t.Errorf("after %d restores: %+v, %v", n, got, err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := Restore(from, to, Options{FS: fs}); err != nil {
			t.Fatal(err)
		}
		verifyAt(t, fs, to)
		var err error
		if s, err = Open(to, Options{FS: fs}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// A message whose payload cannot be read is left out of a restore, with what it
// was charged for, and the others come; so a store that was damaged is mended.
func TestRestoreLeavesOutWhatCannotBeRead(t *testing.T) {
	for name, spoil := range map[string]func(fs *vfs.MemFS, file string) error{
		"missing": func(fs *vfs.MemFS, file string) error { return fs.Remove(file) },
		"damaged": func(fs *vfs.MemFS, file string) error { return flip(fs, file, 5000) },
	} {
		t.Run(name, func(t *testing.T) {
			fs := vfs.NewMem()
			channel, legacy := filled(t, fs)
			names, err := fs.List("data/blobs")
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range names {
				if err := spoil(fs, "data/blobs/"+name); err != nil {
					t.Fatal(err)
				}
			}
			done, err := Restore("data", "new", Options{FS: fs})
			if err != nil || done.LeftOut != 2 || len(done.LeftOutOf) != 2 || done.Messages != 4 {
				t.Errorf("restored %+v, %v", done, err)
			}
			verifyAt(t, fs, "new")
			again, err := Open("new", Options{FS: fs})
			if err != nil {
				t.Fatal(err)
			}
			for _, q := range []ns.Queue{channel, legacy} {
				p := page(t, again, q)
				if len(p.Messages) != 2 || string(p.Messages[1].Payload) != "three" || p.Floor != restoredSeqs {
					t.Errorf("the queue reads %+v", p)
				}
			}
			if err := again.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// The gap that a restore left is told as such until it was acknowledged, though
// what was behind it has expired.
func TestRestoredGapOutlastsExpiry(t *testing.T) {
	fs := vfs.NewMem()
	channel, _ := filled(t, fs)
	s := open(t, fs)
	if err := s.Backup(t.Context(), "copy"); err != nil {
		t.Fatal(err)
	}
	again, _ := restored(t, fs)
	later := testNow + 5000
	for _, swept := range []bool{false, true} {
		p, err := again.Read(t.Context(), ns.Read{Queue: channel, Limit: 9, MaxBytes: 9, Now: later})
		if err != nil || len(p.Messages) != 0 || p.Floor != restoredSeqs+3 || p.FloorReason != ns.GapRestored {
			t.Errorf("swept %v: %+v, %v", swept, p, err)
		}
		if _, _, err := again.Sweep(t.Context(), later); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := again.Ack(t.Context(), ns.Ack{Queue: channel, Through: restoredSeqs + 3, Now: later}); err != nil {
		t.Fatal(err)
	}
	last := note(channel, []byte("last"))
	last.Now, last.ExpiresAt = later, later+1
	if _, err := again.Append(t.Context(), last); err != nil {
		t.Fatal(err)
	}
	p, err := again.Read(t.Context(), ns.Read{Queue: channel, Limit: 9, MaxBytes: 9, Now: later + 1})
	if err != nil || p.Floor != restoredSeqs+4 || p.FloorReason != ns.GapExpired {
		t.Errorf("expired after the gap was seen: %+v, %v", p, err)
	}
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
