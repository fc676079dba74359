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
