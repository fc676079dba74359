package main

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/quicproquo/node/cmd/internal/nodeprocess"
	"github.com/quicproquo/node/gateway/gatewayclient"
	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/crashtest"
	"github.com/quicproquo/node/nodeservice/identity"
	"github.com/quicproquo/node/nodeservice/redisstore/redistest"
)

// TestNodesOfOneRedisAreKilled kills one of two real nodes with SIGKILL in the
// middle of their work. The other goes on, and in the next life all clients are at
// it, until it is killed as well; then both start again.
func TestNodesOfOneRedisAreKilled(t *testing.T) {
	seed := crashtest.Seed(*crashSeed)
	m := &pairOfNodes{
		program: program(t), dir: t.TempDir(), redis: redistest.Start(t, redistest.Durable()...).URL(),
		chance: rand.New(rand.NewPCG(seed, 6)),
	}
	t.Cleanup(m.end)
	kit, err := crashtest.New(m, seed, 4)
	if err != nil {
		t.Fatal(err)
	}
	const deaths = 4
	for life := range deaths + 1 {
		if err := kit.Live(t.Context(), life == deaths); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		for _, v := range crashtest.Check(kit.History()) {
			t.Errorf("seed %d, life %d: %v", seed, life, v)
		}
	}
}

// pairOfNodes is a machine of two nodes on one Redis.
type pairOfNodes struct {
	program, dir, redis string
	chance              *rand.Rand
	nodes               [2]*process // nil: dead
}

// Start starts both nodes, unless one is left.
func (m *pairOfNodes) Start(ctx context.Context) (crashtest.Life, error) {
	if m.nodes[0] == nil && m.nodes[1] == nil {
		for n := range m.nodes {
			if err := m.start(ctx, n); err != nil {
				return nil, err
			}
		}
	}
	return &pairLife{machine: m, nodes: m.nodes, dead: make(chan struct{}), once: new(sync.Once)}, nil
}

func (m *pairOfNodes) start(ctx context.Context, n int) error {
	p := &process{dead: make(chan struct{})}
	dir := filepath.Join(m.dir, string(rune('a'+n)))
	flags := append([]string{"--store=redis", "--redis-url=" + m.redis, "--audit-file=" + dir + ".audit"}, unlimited...)
	var err error
	if p.Process, err = nodeprocess.Start(ctx, m.program, dir, &p.said, flags...); err != nil {
		_, _ = p.said.WriteTo(os.Stderr) // why it did not start
		return err
	}
	m.nodes[n] = p
	return nil
}

// end ends what is left of the nodes in peace.
func (m *pairOfNodes) end() {
	for n, p := range m.nodes {
		if p != nil {
			_ = p.Stop()
		}
		m.nodes[n] = nil
	}
}

// pairLife is the time until a node dies.
type pairLife struct {
	machine *pairOfNodes
	nodes   [2]*process // as they were at its start
	dead    chan struct{}
	once    *sync.Once
}

// Doors are those of both nodes; clients of a dead one come to the other.
func (l *pairLife) Doors() (doors []crashtest.Door) {
	for n, p := range l.nodes {
		if p == nil {
			p = l.nodes[1-n]
		}
		doors = append(doors, p.Doors()...)
	}
	return doors
}

// Strike kills one of the nodes that live.
func (l *pairLife) Strike() {
	l.once.Do(func() {
		n := l.machine.chance.IntN(2)
		if l.nodes[n] == nil {
			n = 1 - n
		}
		l.nodes[n].Kill()
		l.machine.nodes[n] = nil
		close(l.dead)
	})
}

func (l *pairLife) Dead() <-chan struct{} { return l.dead }
func (l *pairLife) Bury() error           { return nil }

func TestNodeWithoutItsRedisSaysSo(t *testing.T) {
	var log bytes.Buffer
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("the operator loses patience"))
	code := run(ctx, []string{"serve", "--store=redis", "--redis-url=redis://127.0.0.1:1", "--public-url=http://127.0.0.1:8420",
		"--http-listen=127.0.0.1:0", "--rpc-listen=", "--ops-listen=", "--data-dir=" + filepath.Join(t.TempDir(), "data")}, &log, &log)
	if last := log.String(); code != exitFailed || !strings.Contains(last, "qpqd: --redis-url: redis://127.0.0.1:1 does not answer") {
		t.Errorf("exit %d:\n%s", code, last)
	}
}

func TestTokensOfNodesAreRotatedInRedis(t *testing.T) {
	url := "--redis-url=" + redistest.Start(t).URL()
	refused := command(t, exitFailed, "token", "rotate", url)
	if !strings.Contains(refused, "no such secret") {
		t.Errorf("without keys: %s", refused)
	}
	addresses := serve(t, "--store=redis", url, "--public-url=http://node.example")
	if _, info, err := get(t, addresses.HTTP+"/v1/info", nil); err != nil || !strings.Contains(info, "keeps NOTHING") {
		t.Errorf("of a Redis without persistence info says %s, %v", info, err)
	}
	count := func() int {
		_, jwks, err := get(t, addresses.HTTP+"/.well-known/jwks.json", nil)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Count(jwks, `"kid"`)
	}
	if got := count(); got != 1 {
		t.Fatalf("%d keys at first", got)
	}
	someIdentity := newIdentity(t).String()
	before := strings.TrimSpace(command(t, exitDone, "token", "issue", url, "--public-url=http://node.example", "--identity="+someIdentity))
	command(t, exitDone, "token", "rotate", url, "--lead=0s")
	for count() != 2 { // the node looks each second
	}
	after := strings.TrimSpace(command(t, exitDone, "token", "issue", url, "--public-url=http://node.example", "--identity="+someIdentity))
	for _, token := range []string{before, after} {
		if out := command(t, exitDone, "token", "inspect", url, "--public-url=http://node.example", token); !strings.Contains(out, someIdentity) {
			t.Errorf("inspect: %s", out)
		}
	}
}

// TestClaimsAreCountedOverAllNodes claims at one node, then at another of the same
// Redis: what limits claims is one budget, though other limits are each node's own.
func TestClaimsAreCountedOverAllNodes(t *testing.T) {
	flags := []string{"--store=redis", "--redis-url=" + redistest.Start(t).URL(), "--public-url=http://node.example", "--rate-claims=1"}
	claimer, owner := newIdentity(t), newIdentity(t)
	nodes := []nodeprocess.Addresses{serve(t, flags...), serve(t, flags...)}
	token := strings.TrimSpace(command(t, exitDone, "token", "issue", flags[1], flags[2], "--identity="+claimer.String()))
	for n, want := range []nodeservice.Code{nodeservice.CodeKeyPackageNotFound, nodeservice.CodeRateLimited} {
		client, err := gatewayclient.New(gatewayclient.Config{BaseURL: nodes[n].HTTP, MaxRetries: -1})
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		session, err := client.Authenticate(t.Context(), nodeservice.Origin{}, token)
		if err != nil {
			t.Fatal(err)
		}
		defer session.Close()
		if _, err := session.ClaimKeyPackage(t.Context(), nodeservice.ClaimRequest{Owner: owner}); nodeservice.CodeOf(err) != want {
			t.Errorf("a claim at node %d: %v, not %s", n, err, want)
		}
	}
}

func newIdentity(t *testing.T) identity.Key {
	t.Helper()
	key, err := identity.GenerateKey(identity.EdDSA)
	if err != nil {
		t.Fatal(err)
	}
	return key.Public()
}
