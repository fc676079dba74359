package node_test

import (
	"context"
	"flag"
	"slices"
	"testing"

	"go.uber.org/goleak"

	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/crashtest"
	"github.com/quicproquo/node/nodeservice/identity"
)

var linearHistories = flag.Int("linear.histories", 3, "how many concurrent histories of each engine are checked")

// TestLinearizable records what concurrent clients at both doors see of channels
// and key packages, and looks for an order that explains it.
func TestLinearizable(t *testing.T) {
	leaks := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, leaks) })
	seed := seedOf(*crashSeed)
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
	node, err := serveStore(m.store, m.keys, 0)
	return lastingLife{node}, err
}

type lastingLife struct{ *servedNode }

func (l lastingLife) Doors() []crashtest.Door { return slices.Repeat(l.doors, 2) }
func (l lastingLife) Strike()                 {}
func (l lastingLife) Dead() <-chan struct{}   { return nil }
func (l lastingLife) Bury() error             { return l.stop() }
