package pebblestore

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/cockroachdb/errors/oserror"
	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	ns "github.com/quicproquo/node/nodeservice"
)

// Finding is one thing that is wrong with a store's directory, in a sentence.
type Finding struct {
	Text     string
	Harmless bool // the store mends it by itself
}

// maxFindings bounds what Verify lists: a store that is wrong in more places is
// wrong altogether.
const maxFindings = 200

// Verify checks the directory of a store that no process has open, or of a
// backup, and changes nothing in it but a lock file. It reads every block of
// every file, decodes every record, and compares what is stored twice: counts
// with what is there, indexes with records, records with payload files. The
// error is for a directory that could not be looked at; what is wrong with one
// that could is in the findings.
func Verify(dir string, opts Options) ([]Finding, error) {
	opts = opts.complete()
	at := opts.FS.PathJoin(dir, "db")
	if _, err := opts.FS.Stat(at); err != nil {
		return nil, fmt.Errorf("pebblestore: there is no store in %s: %w", dir, err)
	}
	lock, err := pebble.LockDirectory(at, opts.FS)
	if err != nil {
		return nil, fmt.Errorf("pebblestore: %s is in use: %w", dir, err)
	}
	v := &verifier{
		blobs:    newBlobs(opts.FS, opts.FS.PathJoin(dir, "blobs"), opts.Log),
		named:    make(map[string]struct{}),
		accounts: make(map[ns.Account]*account),
	}
	o := pebbleOptions(opts, &failure{log: opts.Log})
	o.ReadOnly, o.Lock = true, lock
	db, err := pebble.Open(at, o)
	if err != nil {
		v.find("the database cannot be opened: %v", err)
		return v.findings, lock.Close()
	}
	if err := errors.Join(v.verify(db), db.Close(), lock.Close()); err != nil {
		return nil, err
	}
	return v.findings, nil
}

// complete fills in the defaults.
func (o Options) complete() Options {
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// verifier checks one store. It reads each kind of record in turn, and keeps
// only what is bounded by the number of senders and of payload files.
type verifier struct {
	r        pebble.Reader
	blobs    *blobs
	named    map[string]struct{}     // payload files that a message names
	accounts map[ns.Account]*account // what the queues add up to; channels: what the records say
	channels uint64
	created  uint64  // by all accounts
	seen     lineKey // the last line that was found to exist

	findings []Finding
}

func (v *verifier) find(format string, args ...any) {
	switch n := len(v.findings); {
	case n < maxFindings:
		v.findings = append(v.findings, Finding{Text: fmt.Sprintf(format, args...)})
	case n == maxFindings:
		v.findings = append(v.findings, Finding{Text: "there is more, which is not listed"})
	}
}

// verify goes through the whole store.
func (v *verifier) verify(db *pebble.DB) error {
	v.r = db
	version, err := readFormat(db)
	if err == nil && version != formatVersion {
		err = fmt.Errorf("pebblestore: the data has format %d, and this version checks format %d", version, formatVersion)
	}
	if err != nil && !pebble.IsCorruptionError(err) {
		return err
	}
	if err := db.CheckLevels(nil); err != nil {
		v.find("the database's files are damaged: %v", err)
	}
	checks := v.checks()
	for kind := 0; kind < 256; kind++ {
		check := checks[byte(kind)]
		err := scan(v.r, []byte{byte(kind)}, after([]byte{byte(kind)}), func(k, value []byte) (stop bool, err error) {
			if check == nil {
				v.find("there are records of an unknown kind %q", byte(kind))
				return true, nil
			}
			if err := check(k, value); err != nil {
				v.find("record %x: %v", brief(k), err)
			}
			return len(v.findings) > maxFindings, nil
		})
		if err != nil {
			v.find("the records of kind %q cannot be read to their end: %v", byte(kind), err)
		}
	}
	v.checkTotals()
	return v.checkFiles()
}

// checks has what every kind of record is asked; a key and a value are valid
// during the call.
func (v *verifier) checks() map[byte]func(k, value []byte) error {
	nothing := func(_, _ []byte) error { return nil }
	return map[byte]func(k, value []byte) error{
		keyFormat:  nothing, // read before
		keyBase:    v.checkBase,
		keyChannel: v.checkChannel, keyPair: v.checkPair, keyView: v.checkView, keyViewer: v.checkViewer,
		keyLine: v.checkLine, keyMessage: v.checkMessageKey, keyBlob: v.checkBlobRecord, keyLegacy: v.checkLegacyRecord,
		keyShare: v.checkShare, keyAccount: v.checkAccount, keyID: v.checkID, keyIDOrder: v.checkIDOrder,
		keyPackages: v.checkPackageIndex, keyPackage: v.checkPackage, keyStock: v.checkStock,
		keySpent: v.checkUntil, keyClaim: v.checkClaim, keyNonce: v.checkUntil, keyRevocation: v.checkRevocation,
		keySweep: v.checkSweepEntry,
	}
}

// checkTotals compares what only the whole store tells.
func (v *verifier) checkTotals() {
	for k, a := range v.accounts {
		if a.bytes != 0 {
			v.find("account %x: its record and its undelivered messages differ by %d bytes", k, a.bytes)
		}
	}
	if v.created != v.channels {
		v.find("the accounts have created %d channels, and there are %d", v.created, v.channels)
	}
}

// checkFiles looks for payload files that no message names.
func (v *verifier) checkFiles() error {
	files, err := v.blobs.fs.List(v.blobs.dir)
	if err != nil && !oserror.IsNotExist(err) {
		return fmt.Errorf("pebblestore: list the payload files: %w", err)
	}
	for _, f := range files {
		if _, ok := v.named[f]; !ok && len(v.findings) < maxFindings {
			v.findings = append(v.findings, Finding{
				Text: fmt.Sprintf("payload file %s belongs to no message: a crash left it, and the next start removes it", f), Harmless: true,
			})
		}
	}
	return nil
}

// account is what the queues seen so far add up to for an account, less what
// its record says.
func (v *verifier) account(k ns.Account) *account {
	a, ok := v.accounts[k]
	if !ok {
		a = new(account)
		v.accounts[k] = a
	}
	return a
}

// has says whether there is a record.
func (v *verifier) has(k []byte) (bool, error) {
	_, found, err := get(v.r, k)
	return found, err
}

// brief is as much of a key as tells records apart.
func brief(k []byte) []byte { return k[:min(len(k), 64)] }
