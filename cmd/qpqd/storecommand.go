package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/quicproquo/node/cmd/internal/privatefile"
	"github.com/quicproquo/node/nodeservice/pebblestore"
)

// storeCommand looks after what a data directory holds.
type storeCommand struct {
	Verify  storeVerify  `cmd:"" help:"Check the data directory of a stopped node, or a backup, and say what is wrong with it."`
	Backup  storeBackup  `cmd:"" help:"Copy the data directory, of a running node too, as it is at one moment."`
	Restore storeRestore `cmd:"" help:"Make a data directory out of a backup, such that nothing is given twice; see --help."`
}

// storeVerify checks a store.
type storeVerify struct {
	DataDir string `default:"./var/qpqd" placeholder:"DIR" help:"The data directory, or a backup of one. No node may use it meanwhile."`
}

// Run prints one finding a line.
func (v *storeVerify) Run(std streams) error {
	findings, err := pebblestore.Verify(filepath.Join(v.DataDir, storeDir), pebblestore.Options{})
	if err != nil {
		return err
	}
	faults := 0
	for _, f := range findings {
		text := "fault: " + f.Text
		if f.Harmless {
			text = "harmless: " + f.Text
		} else {
			faults++
		}
		if _, err := fmt.Fprintln(std.out, text); err != nil {
			return err
		}
	}
	if faults > 0 {
		return fmt.Errorf("the store in %s has %d faults: restore a backup, or ask for help", v.DataDir, faults)
	}
	_, err = fmt.Fprintln(std.out, "the store has no faults")
	return err
}

// storeBackup copies a data directory.
type storeBackup struct {
	DataDir string `default:"./var/qpqd" placeholder:"DIR" help:"The data directory. A node that uses it makes the backup itself, and goes on."`
	To      string `required:"" placeholder:"DIR" help:"Where the backup goes: a directory that does not exist yet, in one that does. A running node writes it: name a place that it can write to. On the same file system large files are linked, not copied: carry the backup to another machine."`
}

// Run asks the node that holds the directory, or else opens it.
func (b *storeBackup) Run(ctx context.Context, std streams) error {
	to, err := filepath.Abs(b.To)
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(b.DataDir, storeDir)); err != nil {
		return fmt.Errorf("there is no store in %s: %w", b.DataDir, err)
	}
	asked, err := askForBackup(ctx, filepath.Join(b.DataDir, controlSocket), to)
	if !asked {
		err = backupStopped(ctx, b.DataDir, to)
	}
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	_, err = fmt.Fprintf(std.out, "backed up %s to %s\n", b.DataDir, to)
	return err
}

// backupStopped is for a directory that no node uses.
func backupStopped(ctx context.Context, dir, to string) (err error) {
	data, err := openDataDir(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, data.close()) }()
	store, err := pebblestore.Open(data.file(storeDir), pebblestore.Options{})
	if err != nil {
		return err
	}
	return errors.Join(data.backup(ctx, store, to), store.Close())
}

// backup copies the store and the secrets that it is worth nothing without. It
// leaves all of it or nothing; a crash may leave a part, which no node starts on.
func (d *dataDir) backup(ctx context.Context, store *pebblestore.Store, to string) error {
	if err := os.Mkdir(to, 0o700); err != nil {
		return err
	}
	err := store.Backup(ctx, filepath.Join(to, storeDir))
	for _, name := range []string{keysFile, secretFile} {
		if err == nil {
			err = ignoreMissing(copyPrivate(d.file(name), filepath.Join(to, name)))
		}
	}
	if err == nil {
		err = syncDir(filepath.Dir(to))
	}
	if err != nil {
		return errors.Join(err, os.RemoveAll(to))
	}
	return nil
}

// storeRestore makes a data directory out of a backup.
type storeRestore struct {
	From          string `required:"" placeholder:"DIR" help:"The backup; it stays as it is."`
	DataDir       string `default:"./var/qpqd" placeholder:"DIR" help:"The data directory to make: missing or empty."`
	KeepTokenKeys bool   `help:"Keep the backup's token keys, so that clients stay logged in, and so do the holders of tokens that were revoked after the backup."`
}

// Help is what --help says beside the flags.
func (storeRestore) Help() string {
	return `What happened after the backup is not known, so what may be done once only is
taken to have been done.

Every seq rises by 2^32, so that none is given twice. What was not acknowledged
in the backup is delivered, under its new seqs and perhaps not for the first
time; every reader sees a gap with the reason "restored" before it. What was sent
after the backup is lost. Messages whose payload file cannot be read are left
out: restoring a stopped node's own directory to another one so mends it.

Every one-time key package is spent, since it may have been handed out; owners
upload new ones. Last-resort ones stay.

New token keys are made at the next start, so every client logs in again:
revocations made after the backup are lost with the rest, and a revoked token
must stay dead. A file given by --token-keys is yours to rotate (qpqd token
rotate), and issuers of your own must revoke again what they revoked.

Channels created after the backup are gone; clients create them anew.`
}

// Run restores the store first and its secret last: a node refuses to start on a
// store without one.
func (r *storeRestore) Run(std streams) (err error) {
	if _, err := os.Stat(filepath.Join(r.From, secretFile)); err != nil {
		return fmt.Errorf("%s is not a backup of a data directory: %w", r.From, err)
	}
	if left, err := os.ReadDir(r.DataDir); ignoreMissing(err) != nil || len(left) > 0 {
		return errors.Join(fmt.Errorf("--data-dir %s is not empty", r.DataDir), ignoreMissing(err))
	}
	data, err := openDataDir(r.DataDir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, data.close()) }()
	done, err := pebblestore.Restore(filepath.Join(r.From, storeDir), data.file(storeDir), pebblestore.Options{})
	if err == nil && r.KeepTokenKeys {
		err = ignoreMissing(copyPrivate(filepath.Join(r.From, keysFile), data.file(keysFile)))
	}
	if err == nil {
		err = copyPrivate(filepath.Join(r.From, secretFile), data.file(secretFile))
	}
	if err != nil {
		return fmt.Errorf("%w (remove %s before you try again)", err, r.DataDir)
	}
	return r.report(std, done)
}

func (r *storeRestore) report(std streams, done pebblestore.Restored) error {
	keys := "new token keys are made at the next start, so that tokens revoked since the backup stay dead: clients log in again"
	if r.KeepTokenKeys {
		keys = "the token keys are the backup's: tokens revoked since the backup are valid again until they expire"
	}
	_, err := fmt.Fprintf(std.out, `restored %s
%d channels and queues: every seq rose by 2^32, and readers see a gap (restored)
%d undelivered messages of the backup wait behind it
%d one-time key packages are spent; their owners upload new ones
%s
`, r.DataDir, done.Lines, done.Messages, done.KeyPackages, keys)
	if err == nil && done.LeftOut > 0 {
		_, err = fmt.Fprintf(std.out, "%d messages were left out: their payload files cannot be read:\n%s\n", done.LeftOut, strings.Join(done.LeftOutOf, "\n"))
	}
	return err
}

func copyPrivate(from, to string) error {
	data, err := privatefile.Read(from)
	if err != nil {
		return err
	}
	return privatefile.Replace(to, data)
}

// syncDir makes the names in a directory durable.
func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
