package pebblestore_test

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/goleak"

	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/pebblestore"
	"github.com/quicproquo/node/nodeservice/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestConformance runs the contract's suite on a file system in memory that
// forgets at a crash what was not synced, names in directories included.
func TestConformance(t *testing.T) {
	storetest.Run(t, storetest.Engine{Name: "pebble", Open: openCrashable})
}

func openCrashable(t storetest.TB) storetest.Opened {
	fs := vfs.NewCrashableMem()
	t.Cleanup(func() { verified(t, fs) }) // runs last: when the store is closed
	return storetest.Opened{
		Store: openOn(t, fs),
		Crash: func(t storetest.TB) nodeservice.Store {
			fs = fs.CrashClone(vfs.CrashCloneCfg{})
			return openOn(t, fs)
		},
	}
}

func openOn(t storetest.TB, fs vfs.FS) *pebblestore.Store {
	t.Helper()
	store, err := pebblestore.Open("data", pebblestore.Options{FS: fs, MemTableBytes: 1 << 20})
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() { _ = store.Close() })
	return store
}

// verified insists that a closed store, whatever a test did to it, has no fault.
func verified(t storetest.TB, fs vfs.FS) {
	t.Helper()
	findings, err := pebblestore.Verify("data", pebblestore.Options{FS: fs})
	if err != nil {
		t.Errorf("verify: %v", err)
	}
	for _, f := range findings {
		if !f.Harmless {
			t.Errorf("verify: %s", f.Text)
		}
	}
}
