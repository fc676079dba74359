package crashtest_test

import (
	"context"
	"flag"
	"fmt"
	mathrand "math/rand/v2"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/goleak"

	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/crashtest"
	"github.com/quicproquo/node/nodeservice/crashtest/loopback"
	"github.com/quicproquo/node/nodeservice/identity"
	"github.com/quicproquo/node/nodeservice/pebblestore"
)

var (
	crashSeed = flag.Uint64("crash.seed", 0, "what chance follows from in crashes and concurrent histories; 0: chance")
	crashCuts = flag.Int("crash.cuts", 10, "how often the power is cut under a node")
)

// TestCrashPowerCut cuts the power under a node, at and around every sync, and
// holds it to its word after each.
func TestCrashPowerCut(t *testing.T) {
	leaks := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, leaks) })
	var early int
	crashtest.Campaign(t, "power cuts", crashtest.Seed(*crashSeed), *crashCuts, 250*time.Millisecond, func(t *testing.T, seed uint64, retention time.Duration) crashtest.Machine {
		m := newPowered(t, seed)
		m.retention = retention
		t.Cleanup(func() { early += m.early })
		return m
	})
	t.Logf("power cuts: %d more while a node was starting; places: %v", early, cutPlaces())
}

// TestCrashPowerCutOnADiskThatLies is the kit's own test: where a sync is missing,
// of any kind of file, a power cut soon loses what was confirmed, or keeps the
// node from starting, and the kit must see it.
func TestCrashPowerCutOnADiskThatLies(t *testing.T) {
	for _, about := range []string{"log", "payload", "payloads' directory", "manifest", "table", "database directory"} {
		t.Run(about, func(t *testing.T) {
			m := newPowered(t, 1)
			kit, err := crashtest.New(m, 1, 4)
			if err != nil {
				t.Fatal(err)
			}
			for life := range 12 {
				err := kit.Live(t.Context(), false)
				if found := crashtest.Check(kit.History()); err != nil || len(found) > 0 {
					t.Logf("life %d: %v; %d violations: %v...", life, err, len(found), found[:min(1, len(found))])
					return
				}
				m.lies = about // the first life must be able to begin
			}
			t.Fatal("nothing was noticed")
		})
	}
}

// config is a node on a store, which sweeps all the time.
func config(store nodeservice.Store, keys *identity.SigningKeys, retention time.Duration) nodeservice.Config {
	return nodeservice.Config{
		Store: store, Secret: make([]byte, 32), Keys: keys, PublicURL: crashtest.Audience, TokenTTL: 24 * time.Hour,
		Quotas: nodeservice.DefaultQuotas(), SweepEvery: 50 * time.Millisecond,
		Retention: nodeservice.Retention{Messages: retention},
	}
}

// powered is a machine in this process, on a disk in memory that forgets what
// was not synced when its power is cut.
type powered struct {
	disk   *vfs.MemFS
	chance *mathrand.Rand
	keys   *identity.SigningKeys
	early  int // cuts during a start

	retention time.Duration // of messages; 0: the default

	lies string // kind of files that its disk does not sync; "": it syncs all
}

func newPowered(t *testing.T, seed uint64) *powered {
	keys, err := identity.GenerateSigningKeys()
	if err != nil {
		t.Fatal(err)
	}
	return &powered{disk: vfs.NewCrashableMem(), chance: mathrand.New(mathrand.NewPCG(seed, 1)), keys: keys}
}

// Start opens the store, at times with a power cut in the middle of it: what
// recovers from a crash must survive one too.
func (m *powered) Start(context.Context) (crashtest.Life, error) {
	for {
		fs := newCutFS(m.disk, m.chance)
		fs.lies = m.lies
		if m.chance.IntN(4) == 0 {
			fs.arm(anywhere, m.chance.IntN(20))
		}
		store, err := pebblestore.Open("node", pebblestore.Options{FS: fs, CacheBytes: 1 << 20, MemTableBytes: 64 << 10})
		if fs.disarm() {
			m.disk, m.early = fs.after, m.early+1
			if err == nil {
				err = store.Close()
			}
			if err != nil {
				return nil, fmt.Errorf("the node that lost power while it started: %w", err)
			}
			continue
		}
		if err != nil {
			return nil, err
		}
		node, err := loopback.Open(config(store, m.keys, m.retention))
		return &poweredLife{Node: node, machine: m, fs: fs}, err
	}
}

// poweredLife is a node on a disk whose power can be cut.
type poweredLife struct {
	*loopback.Node
	machine *powered
	fs      *cutFS
}

func (l *poweredLife) Dead() <-chan struct{} { return l.fs.dead }

// Strike has the power cut at a place of chance's choice, or if called again now.
func (l *poweredLife) Strike() {
	if !l.fs.armAnywhere() {
		l.fs.cut("now")
	}
}

// Bury stops what goes on without power: it writes to a disk that nobody will
// read. The next node gets the one of the moment of the cut.
func (l *poweredLife) Bury() error {
	err := l.Stop()
	if l.fs.disarm() {
		l.machine.disk = l.fs.after
		return nil // whatever a dead node says
	}
	return err
}
