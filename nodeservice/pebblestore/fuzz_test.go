package pebblestore

import (
	"bytes"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// FuzzRecords gives bytes to the decoders of records, keys included: none may
// panic, and what a decoder takes, and we can write, it takes again as the same.
func FuzzRecords(f *testing.F) {
	fs := vfs.NewMem()
	filled(f, fs)
	db, err := pebble.Open("data/db", &pebble.Options{FS: fs, ReadOnly: true, Logger: pebbleLog{log: discard, broken: &failure{log: discard}}})
	if err != nil {
		f.Fatal(err)
	}
	err = scan(db, nil, []byte{0xff}, func(k, value []byte) (bool, error) {
		f.Add(bytes.Clone(k), bytes.Clone(value))
		return false, nil
	})
	if err != nil {
		f.Fatal(err)
	}
	if err := db.Close(); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, k, value []byte) {
		for name, again := range decodings(k, value) {
			if again != nil && !bytes.Equal(again, redecoded(name, again)) {
				t.Errorf("a %s is not the same when it was written and read", name)
			}
		}
		_, _, _ = decodeIDOrder(value)
		_, _ = decodeClaim(value)
		_, _ = decodeRevocation(value)
		_, _ = timeOf(value)
		_, _ = decodePackageRef(k)
		_, _, _ = cutIdentity(k)
		_, _, _ = cutScope(k)
	})
}

// decodings are the records that a value can be, written again; nil: it is none.
func decodings(k, value []byte) map[string][]byte {
	all := map[string][]byte{}
	for name := range redecoders {
		all[name] = redecoded(name, value)
	}
	if len(k) >= 8 {
		if m, err := decodeMessage(k, value); err == nil && m.size >= 0 && m.size <= maxSize {
			all["message"] = m.encode()
		} else if err == nil {
			panic("a payload of a size that nobody can have sent")
		}
	}
	return all
}

func redecoded(name string, value []byte) []byte {
	if name == "message" {
		m, err := decodeMessage(make([]byte, 8), value)
		if err != nil {
			return nil
		}
		return m.encode()
	}
	return redecoders[name](value)
}

// redecoders read a record and write it.
var redecoders = map[string]func([]byte) []byte{
	"line": func(b []byte) []byte {
		ln := new(line)
		if ln.decode(b) != nil {
			return nil
		}
		return ln.encode()
	},
	"share": func(b []byte) []byte {
		sh := new(share)
		if sh.decode(b) != nil {
			return nil
		}
		return sh.encode()
	},
	"account": func(b []byte) []byte {
		a := new(account)
		if a.decode(b) != nil {
			return nil
		}
		return a.encode()
	},
}
