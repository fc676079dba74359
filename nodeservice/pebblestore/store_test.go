package pebblestore

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	ns "github.com/quicproquo/node/nodeservice"
)

// tamper changes a closed store's database.
func tamper(t *testing.T, fs vfs.FS, change func(*pebble.DB) error) {
	t.Helper()
	db, err := pebble.Open("data/db", pebbleOptions(Options{FS: fs, Log: discard}, &failure{log: discard}))
	if err != nil {
		t.Fatal(err)
	}
	if err := change(db); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestNewerFormatIsRefused(t *testing.T) {
	fs := vfs.NewMem()
	if err := open(t, fs).Close(); err != nil {
		t.Fatal(err)
	}
	tamper(t, fs, func(db *pebble.DB) error {
		return db.Set([]byte{keyFormat}, []byte{formatVersion + 1}, pebble.Sync)
	})
	if _, err := Open("data", Options{FS: fs}); err == nil || !strings.Contains(err.Error(), "newer") {
		t.Errorf("opening a newer format: %v", err)
	}
}

func TestForeignDataIsRefused(t *testing.T) {
	fs := vfs.NewMem()
	if err := fs.MkdirAll("data/db", 0o700); err != nil {
		t.Fatal(err)
	}
	tamper(t, fs, func(db *pebble.DB) error { return db.Set([]byte("somebody's"), nil, pebble.Sync) })
	if _, err := Open("data", Options{FS: fs}); err == nil || !strings.Contains(err.Error(), "not ours") {
		t.Errorf("opening what is not ours: %v", err)
	}
}

func TestOneProcessHoldsTheDirectory(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := Open(dir, Options{}); err == nil {
		t.Error("the directory was opened twice")
	}
	if free, err := s.Free(t.Context()); err != nil || free <= 0 || free > 1 {
		t.Errorf("free: %v, %v", free, err)
	}
}

// What makes no sense fails the calls that need it, and nothing else.
func TestDamagedRecordIsInternal(t *testing.T) {
	fs := vfs.NewMem()
	s := open(t, fs)
	damaged, whole := channelTo(t, s, 1), channelTo(t, s, 2)
	send(t, s, damaged, []byte("x"))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	k := lineOf(damaged)
	tamper(t, fs, func(db *pebble.DB) error { return db.Set(key(keyLine, k[:]), []byte{0xff}, pebble.Sync) })
	s = open(t, fs)
	if _, err := s.Append(t.Context(), note(damaged, []byte("y"))); ns.CodeOf(err) != ns.CodeInternal {
		t.Errorf("append: %v", err)
	}
	if _, err := s.Read(t.Context(), ns.Read{Queue: damaged, Limit: 1, Now: testNow}); ns.CodeOf(err) != ns.CodeInternal {
		t.Errorf("read: %v", err)
	}
	send(t, s, whole, []byte("z"))
}

// However much is due, a step of the sweep touches a bounded number of records.
func TestSweepWorksInBoundedSteps(t *testing.T) {
	s := open(t, vfs.NewMem())
	channel, legacy := channelTo(t, s, 1), ns.Queue{Recipient: person(9)}
	const writers, each = 16, 160
	var stored atomic.Int64
	var done sync.WaitGroup
	for w := range writers {
		done.Go(func() {
			for i := range each {
				req := note([]ns.Queue{channel, legacy}[i%2], []byte("x"))
				req.Account, req.MessageID = ns.Account{byte(w)}, fmt.Sprint(w, "-", i)
				got, err := s.Append(t.Context(), req)
				if err != nil || got.Outcome != ns.AppendStored {
					t.Errorf("append: %+v, %v", got, err)
				}
				stored.Add(1)
			}
		})
	}
	done.Wait()
	var messages, ids, steps int
	for more := true; more; steps++ {
		var swept ns.Swept
		var err error
		if swept, more, err = s.Sweep(t.Context(), testNow+1000); err != nil {
			t.Fatal(err)
		}
		if n := swept.MessageIDs; n > maxSweepStep {
			t.Errorf("a step forgot %d ids", n)
		}
		messages += swept.Messages
		ids += swept.MessageIDs
	}
	if total := int(stored.Load()); messages != total || ids != total || steps < 4 {
		t.Errorf("%d steps swept %d messages and %d ids of %d", steps, messages, ids, total)
	}
	a, err := accountOf(s, ns.Account{3})
	if err != nil || a.bytes != 0 {
		t.Errorf("an account is left with %+v, %v", a, err)
	}
}

// A budget cuts expiry in the middle of a queue, and the counts stay exact.
func TestExpiryInParts(t *testing.T) {
	fs := vfs.NewMem()
	s := open(t, fs)
	for _, q := range []ns.Queue{channelTo(t, s, 1), {Recipient: person(9)}} {
		total := 0
		for _, payload := range [][]byte{large, []byte("x"), large, []byte("y"), large, []byte("z")} {
			send(t, s, q, payload)
			total += len(payload)
		}
		for round := 1; ; round++ {
			before := blobFiles(t, fs)
			var removed removal
			var left tally
			_, err := s.committer.do(t.Context(), 0, func(t *tx) error {
				ln, at, _, err := t.line(q)
				if err != nil {
					return err
				}
				removed, err = t.expire(ln, at, testNow+1000, 2)
				left = ln.sides[at].held()
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			s.blobs.remove(removed.garbage...)
			if n := len(removed.garbage); n > 2 || blobFiles(t, fs) != before-n {
				t.Errorf("round %d removed %d files of %d, and %d are left", round, n, before, blobFiles(t, fs))
			}
			a, err := accountOf(s, ns.Account{1})
			if err != nil || uint64(a.bytes) != left.bytes {
				t.Errorf("round %d: the account has %d bytes, the queue %d (%v)", round, a.bytes, left.bytes, err)
			}
			if removed.count == 0 {
				if round < 3 || left != (tally{}) {
					t.Errorf("after round %d the queue holds %+v of %d bytes", round, left, total)
				}
				break
			}
		}
		if p := page(t, s, q); p.Floor != 6 || len(p.Messages) != 0 {
			t.Errorf("the queue: %+v", p)
		}
	}
}

func accountOf(s *Store, k ns.Account) (a account, err error) {
	b, found, err := get(s.db, key(keyAccount, k[:]))
	if err != nil || !found {
		return a, err
	}
	return a, a.decode(b)
}

// All that a store holds goes away again but what must stay: channels, lines,
// lists, accounts, suites.
func TestNothingIsLeftBehind(t *testing.T) {
	fs := vfs.NewMem()
	s := open(t, fs)
	channel, legacy := channelTo(t, s, 1), ns.Queue{Recipient: person(9)}
	for i, q := range []ns.Queue{channel, legacy, channel, legacy} {
		req := note(q, []byte("x"))
		if i > 1 {
			req = note(q, large)
		}
		req.MessageID = fmt.Sprint(i)
		if _, err := s.Append(t.Context(), req); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Ack(t.Context(), ns.Ack{Queue: channel, Through: 1, Now: testNow}); err != nil {
		t.Fatal(err)
	}
	p := ns.StoredKeyPackage{Ref: [32]byte{1}, CipherSuite: 1, Data: []byte("kp"), ExpiresAt: testNow + 10, NotAfter: testNow + 10}
	if _, err := s.PutKeyPackages(t.Context(), ns.PutKeyPackages{Owner: person(1), Packages: []ns.StoredKeyPackage{p}, Now: testNow}); err != nil {
		t.Fatal(err)
	}
	claim := ns.ClaimKeyPackageRequest{Owner: person(1), Claimer: person(2), ClaimID: "c", ClaimUntil: testNow + 20, OneTime: true, Now: testNow}
	if got, err := s.ClaimKeyPackage(t.Context(), claim); err != nil || !got.Found {
		t.Fatalf("claim: %+v, %v", got, err)
	}
	if _, err := s.Spend(t.Context(), "nonce", [32]byte{1}, testNow+10, testNow); err != nil {
		t.Fatal(err)
	}
	if err := s.Revoke(t.Context(), ns.Revocation{Identity: person(1), Until: testNow + 10}); err != nil {
		t.Fatal(err)
	}
	for more := true; more; {
		var err error
		if _, more, err = s.Sweep(t.Context(), testNow+1000); err != nil {
			t.Fatal(err)
		}
	}
	err := scan(s.db, nil, nil, func(k, _ []byte) (bool, error) {
		if !strings.ContainsRune("FcpvVlAO", rune(k[0])) {
			t.Errorf("a record of kind %q is left: %x", k[0], k)
		}
		return false, nil
	})
	if err != nil || blobFiles(t, fs) != 0 {
		t.Errorf("%d payload files are left (%v)", blobFiles(t, fs), err)
	}
}
