package crashtest_test

import (
	"context"
	"flag"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/goleak"

	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/crashtest"
	"github.com/quicproquo/node/nodeservice/crashtest/loopback"
	"github.com/quicproquo/node/nodeservice/identity"
	"github.com/quicproquo/node/nodeservice/pebblestore"
	"github.com/quicproquo/node/nodeservice/storetest/model"
)

var linearHistories = flag.Int("linear.histories", 3, "how many concurrent histories of each engine are checked")

// TestLinearizable records what concurrent clients at both doors see of channels
// and key packages, and looks for an order that explains it.
func TestLinearizable(t *testing.T) {
	leaks := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, leaks) })
	seed := crashtest.Seed(*crashSeed)
	for name, open := range map[string]func(*testing.T) nodeservice.Store{"model": openModel, "pebble": openPebble} {
		t.Run(name, func(t *testing.T) {
			var all crashtest.Linearization
			for i := range uint64(*linearHistories) {
				all.Add(crashtest.Linearizable(recordConcurrent(t, open(t), seed+i)))
			}
			t.Logf("seed %d: %d histories, %d operations in %d partitions, %d without an order that explains them",
				seed, *linearHistories, all.Operations, all.Partitions, len(all.Broken))
			for _, broken := range all.Broken {
				t.Error(broken)
			}
		})
	}
}

// recordConcurrent lets two people use a node, each through both doors with two
// sessions at each.
func recordConcurrent(t *testing.T, store nodeservice.Store, seed uint64) *crashtest.History {
	t.Helper()
	keys, err := identity.GenerateSigningKeys()
	if err != nil {
		t.Fatal(err)
	}
	kit, err := crashtest.New(lasting{store, keys}, seed, 2)
	if err != nil {
		t.Fatal(err)
	}
	if err := kit.Use(t.Context(), 400); err != nil {
		t.Fatal(err)
	}
	for _, v := range crashtest.Check(kit.History()) {
		t.Error(v)
	}
	return kit.History()
}

// lasting is a machine for one node that nobody kills.
type lasting struct {
	store nodeservice.Store
	keys  *identity.SigningKeys
}

func (m lasting) Start(context.Context) (crashtest.Life, error) {
	node, err := loopback.Open(config(m.store, m.keys, 0))
	return lastingLife{node}, err
}

type lastingLife struct{ *loopback.Node }

// Doors are each door twice.
func (l lastingLife) Doors() []crashtest.Door { return slices.Concat(l.Node.Doors(), l.Node.Doors()) }

func (l lastingLife) Strike()               {}
func (l lastingLife) Dead() <-chan struct{} { return nil }
func (l lastingLife) Bury() error           { return l.Stop() }

func openModel(*testing.T) nodeservice.Store { return model.New() }

func openPebble(t *testing.T) nodeservice.Store {
	store, err := pebblestore.Open("node", pebblestore.Options{FS: vfs.NewMem(), CacheBytes: 1 << 20, MemTableBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	return store
}
