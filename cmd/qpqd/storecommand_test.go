package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quicproquo/node/cmd/internal/nodeprocess"
)

// command runs a command, which must end with a code.
func command(t *testing.T, code int, args ...string) string {
	t.Helper()
	var out bytes.Buffer
	if got := run(t.Context(), args, &out, &out); got != code {
		t.Fatalf("qpqd %v exits with %d, not %d:\n%s", args, got, code, out.String())
	}
	return out.String()
}

// serveIn runs a node, and says where its data is and how to stop it.
func serveIn(t *testing.T) (data string, stop func()) {
	t.Helper()
	data = filepath.Join(t.TempDir(), "data")
	ctx, cancel := context.WithCancel(t.Context())
	var log bytes.Buffer
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"serve", "--data-dir", data, "--min-free", "0%", "--audit-file", data + ".audit",
			"--http-listen=127.0.0.1:0", "--rpc-listen=127.0.0.1:0", "--ops-listen=127.0.0.1:0"}, io.Discard, &log)
	}()
	stop = sync.OnceFunc(func() {
		cancel()
		if code := <-ended; code != exitDone {
			t.Errorf("exit %d\n%s", code, log.String())
		}
	})
	t.Cleanup(stop)
	patient, done := context.WithTimeout(ctx, 30*time.Second)
	defer done()
	if _, err := nodeprocess.WaitReady(patient, data); err != nil {
		t.Fatal(err)
	}
	return data, stop
}

func TestBackupOfARunningNodeComesBack(t *testing.T) {
	data, stop := serveIn(t)
	dir := t.TempDir()
	backup, again := filepath.Join(dir, "backup"), filepath.Join(dir, "again")
	command(t, exitDone, "store", "backup", "--data-dir", data, "--to", backup)
	command(t, exitDone, "store", "verify", "--data-dir", backup)
	command(t, exitFailed, "store", "verify", "--data-dir", data) // in use
	command(t, exitFailed, "store", "backup", "--data-dir", data, "--to", backup)
	if text := command(t, exitFailed, "serve", "--data-dir", backup, "--http-listen=127.0.0.1:0", "--rpc-listen=", "--ops-listen="); !strings.Contains(text, "is a backup") {
		t.Errorf("serving a backup: %s", text)
	}
	stop()
	command(t, exitDone, "store", "verify", "--data-dir", data)
	command(t, exitDone, "store", "backup", "--data-dir", data, "--to", backup+"2")

	command(t, exitFailed, "store", "restore", "--from", backup, "--data-dir", data)
	if text := command(t, exitDone, "store", "restore", "--from", backup, "--data-dir", again); !strings.Contains(text, "log in again") {
		t.Errorf("restore says %s", text)
	}
	command(t, exitDone, "store", "verify", "--data-dir", again)
	kept := func(name string) bool {
		old, err := os.ReadFile(filepath.Join(data, name))
		if err != nil {
			t.Fatal(err)
		}
		for _, where := range []string{backup, backup + "2"} {
			copied, err := os.ReadFile(filepath.Join(where, name))
			if info, statErr := os.Stat(filepath.Join(where, name)); err != nil || statErr != nil || !bytes.Equal(copied, old) || info.Mode().Perm() != 0o600 {
				t.Errorf("%s in %s: %v, %v", name, where, err, statErr)
			}
		}
		now, err := os.ReadFile(filepath.Join(again, name))
		return err == nil && bytes.Equal(now, old)
	}
	if !kept(secretFile) || kept(keysFile) {
		t.Error("a restored node needs its secret, and new token keys")
	}
	command(t, exitDone, "store", "restore", "--from", backup, "--data-dir", again+"2", "--keep-token-keys")
	again += "2"
	if !kept(keysFile) {
		t.Error("the token keys were to be kept")
	}
}

func TestStoreVerifySaysWhatIsWrong(t *testing.T) {
	data, stop := serveIn(t)
	stop()
	blobs := filepath.Join(data, storeDir, "blobs")
	if err := os.WriteFile(filepath.Join(blobs, "left"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if text := command(t, exitDone, "store", "verify", "--data-dir", data); !strings.Contains(text, "harmless: payload file left") {
		t.Errorf("verify says %s", text)
	}
	manifests, err := filepath.Glob(filepath.Join(data, storeDir, "db", "MANIFEST-*"))
	if err != nil || len(manifests) == 0 {
		t.Fatalf("manifests: %v, %v", manifests, err)
	}
	for _, m := range manifests {
		if err := os.Remove(m); err != nil {
			t.Fatal(err)
		}
	}
	if text := command(t, exitFailed, "store", "verify", "--data-dir", data); !strings.Contains(text, "fault: ") {
		t.Errorf("verify says %s", text)
	}
	command(t, exitFailed, "store", "verify", "--data-dir", filepath.Join(data, "nothing"))
}
