package node_test

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	mathrand "math/rand/v2"
	"net"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/goleak"

	"github.com/quicproquo/node/gateway"
	"github.com/quicproquo/node/gateway/gatewayclient"
	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/crashtest"
	"github.com/quicproquo/node/nodeservice/identity"
	"github.com/quicproquo/node/nodeservice/noderpc"
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
	crashtest.Campaign(t, "power cuts", seedOf(*crashSeed), *crashCuts, func(t *testing.T, seed uint64) crashtest.Machine {
		m := newPowered(t, seed)
		t.Cleanup(func() { early += m.early })
		return m
	})
	t.Logf("power cuts: %d more while a node was starting; places: %v", early, cutPlaces())
}

// seedOf is the seed asked for, or a fresh one.
func seedOf(asked uint64) uint64 {
	if asked != 0 {
		return asked
	}
	var b [4]byte
	_, _ = rand.Read(b[:]) // never fails
	return uint64(binary.BigEndian.Uint32(b[:])) + 1
}

// powered is a machine in this process, on a disk in memory that forgets what
// was not synced when its power is cut.
type powered struct {
	disk   *vfs.MemFS
	chance *mathrand.Rand
	keys   *identity.SigningKeys
	early  int // cuts during a start
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
		return m.serve(fs, store)
	}
}

// serve puts the core and both doors over a store.
func (m *powered) serve(fs *cutFS, store *pebblestore.Store) (crashtest.Life, error) {
	core, err := nodeservice.New(nodeservice.Config{
		Store: store, Secret: make([]byte, 32), Keys: m.keys, PublicURL: crashtest.Audience,
		Quotas: nodeservice.DefaultQuotas(), SweepEvery: 50 * time.Millisecond,
	})
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	l := &poweredLife{machine: m, fs: fs, core: core, store: store}
	run, end := context.WithCancel(context.Background())
	l.stops = append(l.stops, serving(func() { _ = core.Run(run) }, end))
	if l.doors, err = l.open(); err != nil {
		return nil, errors.Join(err, l.Bury())
	}
	return l, nil
}

// poweredLife is a node with its doors.
type poweredLife struct {
	machine *powered
	fs      *cutFS
	core    *nodeservice.Service
	store   *pebblestore.Store
	doors   []crashtest.Door
	stops   []func()
}

// open opens both doors on loopback.
func (l *poweredLife) open() ([]crashtest.Door, error) {
	rpc, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	web, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, errors.Join(err, rpc.Close())
	}
	server := noderpc.NewServer(noderpc.ServerConfig{Node: l.core})
	door, err := gateway.New(gateway.Config{Node: l.core})
	if err != nil {
		return nil, errors.Join(err, rpc.Close(), web.Close())
	}
	httpServer := gateway.NewServer(door, slog.New(slog.DiscardHandler))
	l.stops = append(l.stops,
		serving(func() { _ = server.Serve(context.Background(), rpc) }, func() { _ = server.Close() }),
		serving(func() { _ = httpServer.Serve(web) }, func() { _, _ = door.Close(), httpServer.Close() }))
	return bothDoors(rpc.Addr().String(), "http://"+web.Addr().String()), nil
}

// bothDoors are the ways into a node by its addresses.
func bothDoors(rpc, web string) []crashtest.Door {
	return []crashtest.Door{
		{Name: "capnp", Dial: func(ctx context.Context) (nodeservice.Node, error) {
			return noderpc.Dial(ctx, "tcp", rpc, nil)
		}},
		{Name: "http", Dial: func(context.Context) (nodeservice.Node, error) {
			return gatewayclient.New(gatewayclient.Config{BaseURL: web, MaxRetries: -1})
		}},
	}
}

func (l *poweredLife) Doors() []crashtest.Door { return l.doors }
func (l *poweredLife) Dead() <-chan struct{}   { return l.fs.dead }

// Strike has the power cut at a place of chance's choice, or if called again now.
func (l *poweredLife) Strike() {
	if !l.fs.armAnywhere() {
		l.fs.cut("now")
	}
}

// Bury stops what goes on without power: it writes to a disk that nobody will
// read. The next node gets the one of the moment of the cut.
func (l *poweredLife) Bury() error {
	for _, stop := range l.stops {
		stop()
	}
	_ = l.core.Close()
	err := l.store.Close()
	if l.fs.disarm() {
		l.machine.disk = l.fs.after
		return nil // whatever a dead node says
	}
	return err
}
