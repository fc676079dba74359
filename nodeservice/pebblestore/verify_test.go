package pebblestore

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	ns "github.com/quicproquo/node/nodeservice"
)

// filled is a closed store with a record of every kind, and its two queues.
func filled(t testing.TB, fs vfs.FS) (channel, legacy ns.Queue) {
	t.Helper()
	s := open(t, fs)
	channel, legacy = channelTo(t, s, 1), ns.Queue{Recipient: person(9)}
	for _, q := range []ns.Queue{channel, legacy} {
		for i, payload := range [][]byte{[]byte("one"), large, []byte("three")} {
			req := note(q, payload)
			req.MessageID = fmt.Sprint("id", i)
			if got, err := s.Append(t.Context(), req); err != nil || got.Outcome != ns.AppendStored {
				t.Fatalf("append: %+v, %v", got, err)
			}
		}
	}
	for _, lastResort := range []bool{false, true} {
		put := ns.PutKeyPackages{Owner: person(1), LastResort: lastResort, Now: testNow}
		for i := range 3 {
			data := fmt.Appendf(nil, "package %d %v", i, lastResort)
			sum := sha256.Sum256(data)
			put.Packages = append(put.Packages, ns.StoredKeyPackage{
				Ref: sum, Fingerprint: sum, CipherSuite: 1, Data: data, ExpiresAt: testNow + 100, NotAfter: testNow + 100,
			})
		}
		if got, err := s.PutKeyPackages(t.Context(), put); err != nil || got.Result != ns.PutStored {
			t.Fatalf("put: %+v, %v", got, err)
		}
	}
	claim := ns.ClaimKeyPackageRequest{Owner: person(1), Claimer: person(2), ClaimID: "c", ClaimUntil: testNow + 20, OneTime: true, Now: testNow}
	if got, err := s.ClaimKeyPackage(t.Context(), claim); err != nil || !got.Found {
		t.Fatalf("claim: %+v, %v", got, err)
	}
	if _, err := s.Spend(t.Context(), "nonce", [32]byte{1}, testNow+10, testNow); err != nil {
		t.Fatal(err)
	}
	if err := s.Revoke(t.Context(), ns.Revocation{Token: [32]byte{2}, Until: testNow + 10}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return channel, legacy
}

func verify(t *testing.T, fs vfs.FS) (texts []string) {
	t.Helper()
	findings, err := Verify("data", Options{FS: fs})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range findings {
		texts = append(texts, f.Text)
	}
	return texts
}

func TestVerifyFindsNothingInAWholeStore(t *testing.T) {
	fs := vfs.NewMem()
	filled(t, fs)
	if found := verify(t, fs); len(found) > 0 {
		t.Errorf("found: %q", found)
	}
	s := open(t, fs)
	if _, err := Verify("data", Options{FS: fs}); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("verifying a store in use: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Verify("nothing", Options{FS: fs}); err == nil {
		t.Error("verified a directory that is not there")
	}
}

// firstOf is the first record of a kind.
func firstOf(db *pebble.DB, kind byte) (k, value []byte) {
	_ = scan(db, []byte{kind}, []byte{kind + 1}, func(key, v []byte) (bool, error) {
		k, value = slices.Clone(key), slices.Clone(v)
		return true, nil
	})
	return k, value
}

// Whatever single record is lost or turns to nonsense, it is found.
func TestVerifyFindsEveryLostOrDamagedRecord(t *testing.T) {
	for _, kind := range "cpvVlmbahAiokKOxCnrs" {
		for _, how := range []string{"lost", "damaged"} {
			if how == "damaged" && strings.ContainsRune("ks", kind) || how == "lost" && strings.ContainsRune("xCnr", kind) {
				continue // no value; and what expires may be gone
			}
			fs := vfs.NewMem()
			filled(t, fs)
			tamper(t, fs, func(db *pebble.DB) error {
				k, _ := firstOf(db, byte(kind))
				if k == nil {
					return errors.New("no such record")
				}
				if how == "lost" {
					return db.Delete(k, pebble.Sync)
				}
				return db.Set(k, []byte{0xff}, pebble.Sync)
			})
			if found := verify(t, fs); len(found) == 0 {
				t.Errorf("a %s record of kind %c is not found", how, kind)
			}
		}
	}
}

// changeLine changes the state of a line.
func changeLine(db *pebble.DB, q ns.Queue, change func(*line)) error {
	ln, _, _, err := loadLine(db, q)
	if err != nil {
		return err
	}
	change(ln)
	return db.Set(key(keyLine, ln.key[:]), ln.encode(), pebble.Sync)
}

func TestVerifySaysWhatIsWrong(t *testing.T) {
	type store struct {
		db              *pebble.DB
		channel, legacy ns.Queue
	}
	lines := func(change func(*line)) func(store) error {
		return func(s store) error { return changeLine(s.db, s.channel, change) }
	}
	for want, spoil := range map[string]func(store) error{
		"above head, which is 2": lines(func(ln *line) { ln.head = 2 }),
		"is still there":         lines(func(ln *line) { ln.sides[0].acked, ln.sides[1].acked = 1, 1 }),
		"below acked 9":          lines(func(ln *line) { ln.sides[0].acked = 9 }),
		"it should hold":         lines(func(ln *line) { ln.sides[0].added.count++; ln.sides[1].added.count++ }),
		"differ by":              lines(func(ln *line) { ln.sides[0].account[0]++; ln.sides[1].account[0]++ }),
		"too late":               lines(func(ln *line) { ln.sides[0].sweepAt, ln.sides[1].sweepAt = testNow+2000, testNow+2000 }),
		"should be remembered":   lines(func(ln *line) { ln.sides[0].ids.count++ }),
		"not in a member's list": lines(func(ln *line) { ln.sides[0].ordinal = 7 }),
		"unknown kind": func(s store) error {
			return s.db.Set([]byte("Z"), nil, pebble.Sync)
		},
		"given twice": func(s store) error {
			return s.db.Set(key(keyViewer, identityField(person(1))), []byte{0}, pebble.Sync)
		},
		"handed out again": func(s store) error {
			return scan(s.db, []byte{keyPackage}, []byte{keyPackage + 1}, func(k, _ []byte) (bool, error) {
				return false, s.db.Set(append([]byte{keySpent}, k[1:]...), timeField(testNow+1000), pebble.Sync)
			})
		},
		"is not what was stored": func(s store) error {
			k, v := firstOf(s.db, keyPackage)
			v[len(v)-1] ^= 1
			return s.db.Set(k, v, pebble.Sync)
		},
		"the sweep would stop there": func(s store) error {
			q := queueKey{0: channelLine}
			return s.db.Set(sweepKey(testNow, sweepQueue, q[:]), nil, pebble.Sync)
		},
		"a line that does not exist": func(s store) error {
			_, v := firstOf(s.db, keyMessage)
			return s.db.Set(seqKey(keyMessage, make([]byte, len(queueKey{})), 1), v, pebble.Sync)
		},
		"the accounts have created": func(s store) error {
			return s.db.Set(key(keyAccount, make([]byte, 16)), (&account{channels: 5}).encode(), pebble.Sync)
		},
		"the share says": func(s store) error {
			k, _ := firstOf(s.db, keyShare)
			return s.db.Set(k, (&share{held: tally{1, 1}}).encode(), pebble.Sync)
		},
	} {
		fs := vfs.NewMem()
		channel, legacy := filled(t, fs)
		tamper(t, fs, func(db *pebble.DB) error { return spoil(store{db, channel, legacy}) })
		if found := verify(t, fs); !strings.Contains(strings.Join(found, "\n"), want) {
			t.Errorf("%q is not among what was found: %q", want, found)
		}
	}
}

func TestVerifyChecksPayloadFiles(t *testing.T) {
	for want, spoil := range map[string]func(fs *vfs.MemFS, file string) error{
		"is missing":             func(fs *vfs.MemFS, file string) error { return fs.Remove(file) },
		"is not what was stored": func(fs *vfs.MemFS, file string) error { return flip(fs, file, 5000) },
	} {
		fs := vfs.NewMem()
		filled(t, fs)
		names, err := fs.List("data/blobs")
		if err != nil {
			t.Fatal(err)
		}
		if err := spoil(fs, "data/blobs/"+names[0]); err != nil {
			t.Fatal(err)
		}
		if found := verify(t, fs); len(found) != 1 || !strings.Contains(found[0], want) {
			t.Errorf("%q is not what was found: %q", want, found)
		}
	}
}

// flip changes a byte of a file.
func flip(fs vfs.FS, file string, at int64) error {
	f, err := fs.OpenReadWrite(file, blobCategory)
	if err != nil {
		return err
	}
	b := make([]byte, 1)
	_, err = f.ReadAt(b, at)
	if err == nil {
		b[0] ^= 0xff
		_, err = f.WriteAt(b, at)
	}
	return errors.Join(err, f.Close())
}

func TestVerifyCallsLeftoversHarmless(t *testing.T) {
	fs := vfs.NewMem()
	filled(t, fs)
	f, err := fs.Create("data/blobs/half-written", blobCategory)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	findings, err := Verify("data", Options{FS: fs})
	if err != nil || len(findings) != 1 || !findings[0].Harmless {
		t.Errorf("found %+v, %v", findings, err)
	}
}

// A byte that turned over on the disk is found, wherever it is in a table or a log
// that holds records.
func TestVerifyFindsDamagedDatabaseFiles(t *testing.T) {
	for _, suffix := range []string{".sst", ".log"} {
		fs := vfs.NewCrashableMem()
		filled(t, fs)
		if suffix == ".sst" {
			tamper(t, fs, func(db *pebble.DB) error { return db.Flush() })
		} else {
			s := open(t, fs)
			for range 50 {
				send(t, s, channelTo(t, s, 2), make([]byte, 1000))
			}
			fs = fs.CrashClone(vfs.CrashCloneCfg{})
		}
		names, err := fs.List("data/db")
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(names)
		spoiled := 0
		for _, name := range names {
			info, err := fs.Stat("data/db/" + name)
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasSuffix(name, suffix) && info.Size() > 200 {
				spoiled++
				if err := flip(fs, "data/db/"+name, 150); err != nil {
					t.Fatal(err)
				}
			}
		}
		if found := verify(t, fs); spoiled == 0 || len(found) == 0 {
			t.Errorf("nothing was found in %d damaged %s files of %q", spoiled, suffix, names)
		}
	}
}
