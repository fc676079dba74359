package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

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
	program := filepath.Join(t.TempDir(), "qpqd")
	if err := nodeprocess.Build(t.Context(), ".", program, raceFlag...); err != nil {
		t.Fatal(err)
	}
	crashtest.Campaign(t, "kills", seedOf(*crashSeed), *crashKills, func(t *testing.T, _ uint64) crashtest.Machine {
		return &processes{program: program, dir: filepath.Join(t.TempDir(), "data")}
	})
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

// processes is a machine that runs qpqd, one process after the other.
type processes struct{ program, dir string }

// unlimited turns off what would refuse a driver in a hurry.
var unlimited = []string{
	"--rate-identity=0", "--rate-address=0", "--rate-channel=0", "--rate-claims=0", "--rate-creates=0",
	"--min-free=0%", "--sweep-every=100ms", "--ops-listen=", "--token-ttl=24h", "--public-url=" + crashtest.Audience,
}

func (m *processes) Start(ctx context.Context) (crashtest.Life, error) {
	l := &process{dead: make(chan struct{})}
	flags := append([]string{"--audit-file=" + m.dir + ".audit"}, unlimited...)
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
		{Name: "capnp", Dial: func(ctx context.Context) (nodeservice.Node, error) {
			return noderpc.Dial(ctx, "tcp", strings.TrimPrefix(p.RPC, "capnp://"), nil)
		}},
		{Name: "http", Dial: func(context.Context) (nodeservice.Node, error) {
			return gatewayclient.New(gatewayclient.Config{BaseURL: p.HTTP, MaxRetries: -1})
		}},
	}
}
