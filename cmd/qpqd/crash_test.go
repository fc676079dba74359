package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quicproquo/node/cmd/internal/nodeprocess"
	"github.com/quicproquo/node/gateway/gatewayclient"
	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/crashtest"
	"github.com/quicproquo/node/nodeservice/noderpc"
)

var (
	crashSeed  = flag.Uint64("crash.seed", 0, "what chance follows from in TestCrashKill; 0: chance")
	crashKills = flag.Int("crash.kills", 10, "how often qpqd is killed")
)

// TestCrashKill kills a real qpqd with SIGKILL in the middle of its work, again
// and again on the same data directory, and holds it to its word after each.
func TestCrashKill(t *testing.T) {
	binary, early := program(t), 0
	crashtest.Campaign(t, "kills", crashtest.Seed(*crashSeed), *crashKills, time.Second, func(t *testing.T, seed uint64, retention time.Duration) crashtest.Machine {
		m := &processes{program: binary, dir: filepath.Join(t.TempDir(), "data"), chance: mathrand.New(mathrand.NewPCG(seed, 1))}
		if retention > 0 {
			m.flags = append(m.flags, "--retention-messages="+retention.String())
		}
		t.Cleanup(func() { early += m.early })
		return m
	})
	t.Logf("kills: %d more while a node was starting", early)
}

// processes is a machine that runs qpqd, one process after the other.
type processes struct {
	program, dir string
	flags        []string
	chance       *mathrand.Rand
	early        int // kills during a start
}

// unlimited turns off what would refuse a driver in a hurry.
var unlimited = []string{
	"--rate-identity=0", "--rate-address=0", "--rate-channel=0", "--rate-claims=0", "--rate-creates=0",
	"--min-free=0%", "--sweep-every=100ms", "--ops-listen=", "--token-ttl=24h", "--public-url=" + crashtest.Audience,
}

// Start runs a node, at times with others before it that are killed while they
// start: what recovers from a crash must survive one too.
func (m *processes) Start(ctx context.Context) (crashtest.Life, error) {
	for m.chance.IntN(4) == 0 {
		if err := m.killStarting(ctx, m.chance.IntN(10)); err != nil {
			return nil, err
		}
	}
	l := &process{dead: make(chan struct{})}
	flags := slices.Concat(unlimited, m.flags, []string{"--audit-file=" + m.dir + ".audit"})
	var err error
	if l.Process, err = nodeprocess.Start(ctx, m.program, m.dir, &l.said, flags...); err != nil {
		_, _ = l.said.WriteTo(os.Stderr) // why it did not start
		return nil, err
	}
	l.die = sync.OnceFunc(func() {
		l.Kill()
		close(l.dead)
	})
	return l, nil
}

// killStarting starts a node and kills it when it has changed its database's
// directory so often, or else when it is ready.
func (m *processes) killStarting(ctx context.Context, changes int) error {
	ctx, kill := context.WithCancel(ctx)
	defer kill()
	var watching sync.WaitGroup
	watching.Go(func() {
		tick := time.NewTicker(200 * time.Microsecond)
		defer tick.Stop()
		for last, i := m.files(), 0; i < changes; {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
			if now := m.files(); now != last {
				last, i = now, i+1
			}
		}
		kill()
	})
	var said bytes.Buffer
	p, err := nodeprocess.Start(ctx, m.program, m.dir, &said, unlimited...)
	if err == nil {
		p.Kill()
	} else if ctx.Err() == nil {
		return fmt.Errorf("a node that was to be killed ended by itself: %w\n%s", err, said.String())
	}
	kill()
	watching.Wait()
	m.early++
	return nil
}

// files says what is in the database's directory.
func (m *processes) files() (all string) {
	entries, _ := os.ReadDir(filepath.Join(m.dir, storeDir, "db")) // none: not there yet
	for _, entry := range entries {
		all += entry.Name() + " "
	}
	return all
}

// process is one qpqd.
type process struct {
	*nodeprocess.Process
	said bytes.Buffer // the node's log; owned by its process until that has ended
	die  func()
	dead chan struct{}
}

func (p *process) Strike()               { p.die() }
func (p *process) Dead() <-chan struct{} { return p.dead }

// Bury waits for the process. One that was not killed must end well.
func (p *process) Bury() error {
	select {
	case <-p.dead:
		return nil
	default:
		return p.Stop()
	}
}

func (p *process) Doors() []crashtest.Door {
	return []crashtest.Door{
		{Name: "capnp", Legacy: true, Dial: func(ctx context.Context) (nodeservice.Node, error) {
			return noderpc.Dial(ctx, "tcp", strings.TrimPrefix(p.RPC, "capnp://"), nil)
		}},
		{Name: "http", Dial: func(context.Context) (nodeservice.Node, error) {
			return gatewayclient.New(gatewayclient.Config{BaseURL: p.HTTP, MaxRetries: -1})
		}},
	}
}
