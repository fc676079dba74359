package pebblestore

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	ns "github.com/quicproquo/node/nodeservice"
)

// stalled holds the syncs of the log until release is called.
func stalled(fs *hookFS) (syncing <-chan struct{}, release func()) {
	reached, open := make(chan struct{}, 1), make(chan struct{})
	fs.before(func(op errorfs.Op) error {
		if isLogSync(op) {
			select {
			case reached <- struct{}{}:
			default:
			}
			<-open
		}
		return nil
	})
	return reached, sync.OnceFunc(func() { fs.clear(); close(open) })
}

// queued yields until so many requests wait for the committer.
func queued(s *Store, n int) {
	for len(s.committer.queue) < n {
		runtime.Gosched()
	}
}

func TestOneSyncForAllWhoWait(t *testing.T) {
	fs := newHookFS()
	s := open(t, fs)
	q := channelTo(t, s, 1)
	syncing, release := stalled(fs)
	defer release()
	before := s.Metrics()
	var done sync.WaitGroup
	done.Go(func() { send(t, s, q, []byte("first")) })
	<-syncing
	for range 64 {
		done.Go(func() { send(t, s, q, []byte("later")) })
	}
	queued(s, 64)
	release()
	done.Wait()
	after := s.Metrics()
	if syncs, commits := after.Syncs-before.Syncs, after.Commits-before.Commits; syncs != 2 || commits != 65 {
		t.Errorf("%d commits took %d syncs, not 2", commits, syncs)
	}
}

// The ratio that the committer is for, on a real disk: never more than a sync
// a message, and far fewer with many writers.
func TestSyncsPerMessage(t *testing.T) {
	for _, c := range []struct {
		writers, each int
		most          float64
	}{{1, 20, 1}, {64, 20, 0.2}} {
		s, err := Open(t.TempDir(), Options{})
		if err != nil {
			t.Fatal(err)
		}
		q := channelTo(t, s, 1)
		before := s.Metrics()
		var done sync.WaitGroup
		for range c.writers {
			done.Go(func() {
				for range c.each {
					send(t, s, q, make([]byte, 1000))
				}
			})
		}
		done.Wait()
		syncs := float64(s.Metrics().Syncs-before.Syncs) / float64(c.writers*c.each)
		if syncs > c.most {
			t.Errorf("%d writers: %.2f syncs a message, more than %.2f", c.writers, syncs, c.most)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestReadersSeeOnlyWhatIsDurable(t *testing.T) {
	fs := newHookFS()
	s := open(t, fs)
	q := channelTo(t, s, 1)
	syncing, release := stalled(fs)
	defer release()
	var done sync.WaitGroup
	done.Go(func() { send(t, s, q, []byte("not yet")) })
	<-syncing
	if p := page(t, s, q); p.Head != 0 || len(p.Messages) > 0 {
		t.Errorf("a reader saw what was not synced: %+v", p)
	}
	release()
	done.Wait()
	if p := page(t, s, q); p.Head != 1 || len(p.Messages) != 1 {
		t.Errorf("a reader does not see what was synced: %+v", p)
	}
}

func TestFailedSync(t *testing.T) {
	fs := newHookFS()
	s := open(t, fs)
	q := channelTo(t, s, 1)
	send(t, s, q, []byte("kept"))
	fs.before(func(op errorfs.Op) error {
		if isLogSync(op) {
			return errors.New("injected: the disk is gone")
		}
		return nil
	})
	for range 3 { // the second and third find the log whole again, and must not trust it
		if _, err := s.Append(t.Context(), note(q, []byte("lost"))); ns.CodeOf(err) != ns.CodeUnavailable {
			t.Fatalf("an append after a failed sync: %v", err)
		}
		fs.clear()
	}
	if p := page(t, s, q); p.Head != 1 || len(p.Messages) != 1 {
		t.Errorf("reads after a failed sync: %+v", p)
	}
	if _, err := s.Spend(t.Context(), "nonce", [32]byte{}, testNow+1, testNow); ns.CodeOf(err) != ns.CodeUnavailable {
		t.Errorf("another write after a failed sync: %v", err)
	}
	if _, err := s.Free(t.Context()); ns.CodeOf(err) != ns.CodeUnavailable { // readiness asks it
		t.Errorf("free space after a failed sync: %v", err)
	}
	again := open(t, fs.crash())
	if p := page(t, again, q); p.Head != 1 || string(p.Messages[0].Payload) != "kept" {
		t.Errorf("after a restart: %+v", p)
	}
	send(t, again, q, []byte("next"))
}

func TestOneBadStepFailsAlone(t *testing.T) {
	fs := newHookFS()
	s := open(t, fs)
	q := channelTo(t, s, 1)
	steps := []func(*tx) error{
		func(t *tx) error { _, _, err := t.append(note(q, []byte("1")), blobRef{}); return err },
		func(t *tx) error { t.set([]byte("zz"), nil); panic("a bug") },
		func(t *tx) error { t.set([]byte("zz"), nil); return errCorrupt },
		func(t *tx) error { _, _, err := t.append(note(q, []byte("2")), blobRef{}); return err },
	}
	syncing, release := stalled(fs)
	defer release()
	var done sync.WaitGroup
	done.Go(func() { send(t, s, q, []byte("0")) })
	<-syncing
	errs := make([]error, len(steps))
	for i, step := range steps {
		done.Go(func() { _, errs[i] = s.committer.do(context.Background(), 0, step) })
		queued(s, i+1)
	}
	release()
	done.Wait()
	for i, err := range errs {
		want := ns.Code("")
		if i == 1 || i == 2 {
			want = ns.CodeInternal
		}
		if ns.CodeOf(err) != want {
			t.Errorf("step %d: %v", i, err)
		}
	}
	if p := page(t, s, q); p.Head != 3 || string(p.Messages[1].Payload) != "1" || string(p.Messages[2].Payload) != "2" {
		t.Errorf("the queue: %+v", p)
	}
	if _, found, err := get(s.db, []byte("zz")); found || err != nil {
		t.Errorf("a failed step left something behind (%v)", err)
	}
}

func TestCallerWhoLeavesTheQueueChangesNothing(t *testing.T) {
	fs := newHookFS()
	s := open(t, fs)
	q := channelTo(t, s, 1)
	syncing, release := stalled(fs)
	defer release()
	var done sync.WaitGroup
	done.Go(func() { send(t, s, q, []byte("first")) })
	<-syncing
	ctx, leave := context.WithCancel(t.Context())
	done.Go(func() {
		if _, err := s.Append(ctx, note(q, make([]byte, 100<<10))); !errors.Is(err, context.Canceled) {
			t.Errorf("an append whose caller left: %v", err)
		}
		release()
	})
	queued(s, 1)
	leave()
	done.Wait()
	send(t, s, q, []byte("second"))
	if p := page(t, s, q); p.Head != 2 || len(p.Messages) != 2 {
		t.Errorf("the queue: %+v", p)
	}
	if n := blobFiles(t, fs); n != 0 {
		t.Errorf("%d payload files are left behind", n)
	}
}

func TestOverlayIsBounded(t *testing.T) {
	o := newOverlay[int, *account](8)
	for group := range 10 {
		for i := range 8 {
			o.add(group*8+i, new(account))
		}
		o.end(true)
	}
	if o.recent.Len() != 8 || len(o.touched) != 0 {
		t.Errorf("%d recent and %d touched records", o.recent.Len(), len(o.touched))
	}
	if _, ok := o.get(79); !ok {
		t.Error("a recent record is forgotten")
	}
	o.end(false)
	if _, ok := o.get(79); ok {
		t.Error("a record of a group that failed is remembered")
	}
}
