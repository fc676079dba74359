package pebblestore

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	ns "github.com/quicproquo/node/nodeservice"
)

var large = bytes.Repeat([]byte("0123456789abcdef"), 100<<10/16)

// A crash at every operation of the file system while a large message is stored
// and acknowledged: afterwards it is there as a whole, or not at all, and there is
// no file that nothing names.
func TestBlobCrashWindows(t *testing.T) {
	fs := newHookFS()
	s := open(t, fs)
	q := channelTo(t, s, 1)
	random := rand.New(rand.NewPCG(1, 2))
	var mu sync.Mutex
	var crashes []*vfs.MemFS // guarded by mu
	var mark []int           // how many there were when it was stored, and acknowledged
	taken := func() {
		mu.Lock()
		defer mu.Unlock()
		mark = append(mark, len(crashes))
	}
	fs.before(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() == errorfs.OpIsWrite && (strings.HasPrefix(op.Path, "data/blobs") || strings.HasSuffix(op.Path, ".log")) {
			mu.Lock()
			defer mu.Unlock()
			crashes = append(crashes, fs.crash(), fs.mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50, RNG: random}))
		}
		return nil
	})
	send(t, s, q, large)
	taken()
	if _, err := s.Ack(t.Context(), ns.Ack{Queue: q, Through: 1, Now: testNow}); err != nil {
		t.Fatal(err)
	}
	taken()
	fs.clear()
	if mark[0] < 4 || mark[1]-mark[0] < 4 {
		t.Fatalf("the hook saw too little: %v", mark)
	}
	for i, crashed := range append(crashes, fs.crash()) {
		again := open(t, crashed)
		p := page(t, again, q)
		if len(p.Messages) > 0 && !bytes.Equal(p.Messages[0].Payload, large) {
			t.Errorf("crash %d: a message lost its payload", i)
		}
		if i >= mark[0] && p.Head != 1 {
			t.Errorf("crash %d: the message that was confirmed is lost", i)
		}
		if i >= mark[1] && len(p.Messages) > 0 {
			t.Errorf("crash %d: the message that was acknowledged came back", i)
		}
		if files := blobFiles(t, crashed); files != len(p.Messages) {
			t.Errorf("crash %d: %d files for %d messages", i, files, len(p.Messages))
		}
		if err := again.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestRefusedPayloadLeavesNoFile(t *testing.T) {
	fs := newHookFS()
	s := open(t, fs)
	q := channelTo(t, s, 1)
	moved := ns.Seq(7)
	req := note(q, large)
	req.IfHead = &moved
	if got, err := s.Append(t.Context(), req); err != nil || got.Outcome != ns.AppendHeadMoved {
		t.Fatalf("append: %+v, %v", got, err)
	}
	if n := blobFiles(t, fs); n != 0 {
		t.Errorf("%d payload files are left behind", n)
	}
}

func TestOrphansAreRemovedAtOpen(t *testing.T) {
	fs := vfs.NewMem()
	s := open(t, fs)
	q := channelTo(t, s, 1)
	send(t, s, q, large)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{strings.Repeat("ab", 16), "half-written"} {
		f, err := fs.Create("data/blobs/"+name, blobCategory)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	s = open(t, fs)
	if n := blobFiles(t, fs); n != 1 {
		t.Errorf("%d payload files, not 1", n)
	}
	if p := page(t, s, q); len(p.Messages) != 1 || !bytes.Equal(p.Messages[0].Payload, large) {
		t.Error("the message is not there")
	}
}

func TestReadGoesOnWhenAnAckTakesItsFile(t *testing.T) {
	fs := newHookFS()
	s := open(t, fs)
	q := channelTo(t, s, 1)
	send(t, s, q, large)
	send(t, s, q, []byte("small"))
	fs.before(func(op errorfs.Op) error {
		if op.Kind == errorfs.OpOpen && isBlob(op) {
			fs.clear()
			if _, err := s.Ack(context.Background(), ns.Ack{Queue: q, Through: 1, Now: testNow}); err != nil {
				t.Error(err)
			}
		}
		return nil
	})
	if p := page(t, s, q); p.Acked != 1 || len(p.Messages) != 1 || p.Messages[0].Seq != 2 {
		t.Errorf("the page after the ack: %+v", p)
	}
}

// A crowd that asks for large messages has few of them read at once: the rest of it
// waits, or goes.
func TestFewPagesOfFilesAreReadAtOnce(t *testing.T) {
	fs := newHookFS()
	s := open(t, fs)
	q := channelTo(t, s, 1)
	send(t, s, q, large)
	var files atomic.Int32
	opened, goOn := make(chan struct{}), make(chan struct{})
	fs.before(func(op errorfs.Op) error {
		if op.Kind == errorfs.OpOpen && isBlob(op) && files.Add(1) <= maxReading {
			opened <- struct{}{}
			<-goOn
		}
		return nil
	})
	read := func(ctx context.Context) error {
		_, err := s.Read(ctx, ns.Read{Queue: q, Limit: 1, MaxBytes: 1, Now: testNow})
		return err
	}
	var reading sync.WaitGroup
	for range maxReading {
		reading.Go(func() {
			if err := read(t.Context()); err != nil {
				t.Errorf("one of few: %v", err)
			}
		})
	}
	for range maxReading {
		<-opened
	}
	for range 3 {
		ctx, leave := context.WithCancel(t.Context())
		if err := read(leavesInstead{ctx, leave}); !errors.Is(err, context.Canceled) {
			t.Errorf("one too many: %v", err)
		}
	}
	close(goOn)
	reading.Wait()
	if err := read(t.Context()); err != nil || files.Load() != maxReading+1 {
		t.Errorf("afterwards: %v, and %d files were opened", err, files.Load())
	}
}

// leavesInstead is the context of a caller who goes when it has to wait.
type leavesInstead struct {
	context.Context
	leave context.CancelFunc
}

func (c leavesInstead) Done() <-chan struct{} {
	c.leave()
	return c.Context.Done()
}
