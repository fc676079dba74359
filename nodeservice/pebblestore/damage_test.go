package pebblestore

import (
	"strings"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	ns "github.com/quicproquo/node/nodeservice"
)

// spoilt is a store with a queue whose second of three messages has a payload
// file that was spoilt, and the file's name.
func spoilt(t *testing.T, spoil func(fs *hookFS, file string) error) (fs *hookFS, s *Store, log *logged, q ns.Queue, file string) {
	t.Helper()
	fs = newHookFS()
	s, log = openLogged(t, fs)
	q = channelTo(t, s, 1)
	send(t, s, q, []byte("first"))
	send(t, s, q, large)
	send(t, s, q, []byte("last"))
	names, err := fs.List("data/blobs")
	if err != nil {
		t.Fatal(err)
	}
	if err := spoil(fs, "data/blobs/"+names[0]); err != nil {
		t.Fatal(err)
	}
	return fs, s, log, q, names[0]
}

func readAfter(t *testing.T, s *Store, q ns.Queue, after ns.Seq, now ns.UnixMilli) (ns.QueuePage, ns.Code) {
	t.Helper()
	p, err := s.Read(t.Context(), ns.Read{Queue: q, After: after, Limit: 100, MaxBytes: 1 << 30, Now: now})
	return p, ns.CodeOf(err)
}

// free is the code of what the store says of its room: readiness follows it.
func free(t *testing.T, s *Store) ns.Code {
	t.Helper()
	_, err := s.Free(t.Context())
	return ns.CodeOf(err)
}

// A payload file that is lost or damaged holds back its message and those behind
// it, and is told: to the reader, to the operator by name and once, to whoever
// asks for readiness. All else goes on, and so does the queue when the message
// has expired.
func TestDamagedPayloadFile(t *testing.T) {
	for name, spoil := range map[string]func(*hookFS, string) error{
		"damaged": func(fs *hookFS, file string) error { return flip(fs.mem, file, 5000) },
		"missing": func(fs *hookFS, file string) error { return fs.mem.Remove(file) },
		"unreadable": func(fs *hookFS, _ string) error {
			fs.failing(syscall.EIO, func(op errorfs.Op) bool { return isBlob(op) && op.Kind == errorfs.OpFileRead })
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, s, log, q, file := spoilt(t, spoil)
			if code := free(t, s); code != "" {
				t.Errorf("before anybody read: %s", code)
			}
			for range 3 {
				if p, code := readAfter(t, s, q, 0, testNow); code != "" || len(p.Messages) != 1 || !p.More {
					t.Errorf("the page before it: %+v, %s", p, code)
				}
				if _, code := readAfter(t, s, q, 1, testNow); code != ns.CodeUnavailable {
					t.Errorf("the message itself: %s", code)
				}
			}
			if code := free(t, s); code != ns.CodeUnavailable {
				t.Errorf("the store's room: %s", code)
			}
			if _, _, err := s.Sweep(t.Context(), testNow); err != nil || free(t, s) != ns.CodeUnavailable {
				t.Errorf("a sweep: %v; then %s", err, free(t, s))
			}
			if n := strings.Count(log.String(), "file=data/blobs/"+file); n != 1 {
				t.Errorf("the log names the file %d times: %s", n, log)
			}
			other := channelTo(t, s, 2)
			send(t, s, other, []byte("elsewhere"))
			if p, code := readAfter(t, s, other, 0, testNow); code != "" || len(p.Messages) != 1 {
				t.Errorf("another queue: %+v, %s", p, code)
			}
			later := note(q, []byte("later"))
			later.ExpiresAt += 5000
			if _, err := s.Append(t.Context(), later); err != nil {
				t.Fatal(err)
			}
			expired := testNow + 2000
			if p, code := readAfter(t, s, q, 0, expired); code != "" || len(p.Messages) != 1 || p.Floor != 3 {
				t.Errorf("once it has expired: %+v, %s", p, code)
			}
			if _, _, err := s.Sweep(t.Context(), expired); err != nil || free(t, s) != "" {
				t.Errorf("once it was swept: %v; %s", err, free(t, s))
			}
		})
	}
}

// An error of the disk that passes leaves nothing behind: the next read, or the
// sweep if nobody reads, finds the file whole.
func TestPayloadFileThatCanBeReadAgain(t *testing.T) {
	unreadable := func(fs *hookFS, _ string) error {
		fs.failing(syscall.EIO, isBlob)
		return nil
	}
	for name, again := range map[string]func(*Store, ns.Queue) error{
		"read": func(s *Store, q ns.Queue) error {
			_, err := s.Read(t.Context(), ns.Read{Queue: q, Limit: 9, MaxBytes: 1 << 30, Now: testNow})
			return err
		},
		"sweep": func(s *Store, _ ns.Queue) error { _, _, err := s.Sweep(t.Context(), testNow); return err },
	} {
		t.Run(name, func(t *testing.T) {
			fs, s, _, q, _ := spoilt(t, unreadable)
			if _, code := readAfter(t, s, q, 1, testNow); code != ns.CodeUnavailable || free(t, s) != ns.CodeUnavailable {
				t.Errorf("while it cannot be read: %s, %s", code, free(t, s))
			}
			fs.clear()
			if err := again(s, q); err != nil {
				t.Fatal(err)
			}
			if p := page(t, s, q); free(t, s) != "" || len(p.Messages) != 3 {
				t.Errorf("afterwards: %s, %d messages", free(t, s), len(p.Messages))
			}
		})
	}
}

// A message that was acknowledged takes its damaged file out of the count.
func TestDamagedFileOfAnAcknowledgedMessage(t *testing.T) {
	_, s, _, q, _ := spoilt(t, func(fs *hookFS, file string) error { return flip(fs.mem, file, 1) })
	if _, code := readAfter(t, s, q, 1, testNow); code != ns.CodeUnavailable {
		t.Errorf("it reads %s", code)
	}
	if _, err := s.Ack(t.Context(), ns.Ack{Queue: q, Through: 2, Now: testNow}); err != nil {
		t.Fatal(err)
	}
	if p := page(t, s, q); free(t, s) != "" || len(p.Messages) != 1 {
		t.Errorf("afterwards: %s, %+v", free(t, s), p)
	}
}
