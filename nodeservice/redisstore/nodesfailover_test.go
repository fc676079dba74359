package redisstore_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/crashtest"
	"github.com/quicproquo/node/nodeservice/redisstore"
	"github.com/quicproquo/node/nodeservice/redisstore/redistest"
)

// TestTwoNodesSurviveTheirRedis kills the Redis under two nodes in the middle of
// their work, with SIGKILL, and holds them to their word when it is there again.
// The nodes themselves go on all the time.
func TestTwoNodesSurviveTheirRedis(t *testing.T) {
	leavesNothing(t)
	server := redistest.Start(t, redistest.Durable()...)
	shared := newCluster(t, server.URL())
	survive(t, &redisMachine{t: t, nodes: []*clusterNode{shared.start(t), shared.start(t)},
		kill: func() { server.Kill(t) }, revive: func() { server.Restart(t) }}, 3)
}

// TestTwoNodesSurviveAFailover kills the master, of which nothing is on disk. What
// was confirmed is at the replica, for which each write waits.
func TestTwoNodesSurviveAFailover(t *testing.T) {
	leavesNothing(t)
	redis := redistest.StartSentinel(t)
	shared := newCluster(t, redis.URL())
	shared.wait = redisstore.Wait{Replicas: 1}
	survive(t, &redisMachine{t: t, nodes: []*clusterNode{shared.start(t), shared.start(t)},
		kill: func() { redis.Master.Kill(t) },
		revive: func() {
			redis.AwaitFailover(t)
			redistest.StartReplica(t, redis.Replica) // for which the next writes wait
		}}, 1)
}

// TestTwoNodesSurviveAFailoverInACluster kills the master on whose shard Alice's
// node tells the others what to re-read. Its replica takes over, and the nodes find
// it by themselves. They have no slow tick: later messages come by hints.
func TestTwoNodesSurviveAFailoverInACluster(t *testing.T) {
	leavesNothing(t)
	redis := redistest.StartCluster(t, 1)
	shared := newCluster(t, redis.URL())
	shared.wait = redisstore.Wait{Replicas: 1}
	noTick := func(c *nodeservice.Config) { c.Tick = 0 }
	here, there := shared.start(t, noTick), shared.start(t, noTick)
	c := converse(t, here, there)
	say := func(text string) {
		t.Helper()
		sendTo(t, c.alice, c.channel, text)
		if got := nextMessage(t, c.stream); string(got.Message.Payload) != text {
			t.Errorf("%q came, and not %q", got.Message.Payload, text)
		}
	}
	say("before")
	shard := redis.ShardOf(t, here.client.ClusterKeySlot(t.Context(), here.bus.SpeaksOn()).Val())
	survive(t, &redisMachine{t: t, nodes: []*clusterNode{here, there},
		kill: func() { redis.Masters[shard].Kill(t) },
		revive: func() {
			redis.AwaitFailover(t, shard)
			redis.Masters[shard].Restart(t) // as the replica for which the next writes wait
		}}, 1)
	for n := range 10 {
		say(fmt.Sprint("after ", n))
	}
}

// survive uses the nodes of a machine through so many deaths of their Redis, and
// checks the history.
func survive(t *testing.T, machine *redisMachine, deaths int) {
	t.Helper()
	seed := crashtest.Seed(0)
	kit, err := crashtest.New(machine, seed, 4)
	if err != nil {
		t.Fatal(err)
	}
	for life := range deaths + 1 {
		if err := kit.Live(t.Context(), life == deaths); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		for _, v := range crashtest.Check(kit.History()) {
			t.Errorf("seed %d, life %d: %v", seed, life, v)
		}
	}
}

// redisMachine is a machine whose nodes live on, while their Redis dies.
type redisMachine struct {
	t            *testing.T
	nodes        []*clusterNode
	kill, revive func()
	dead         chan struct{} // of the present life
}

// Start brings Redis back, and waits until the nodes are ready: they have to
// notice by themselves.
func (m *redisMachine) Start(ctx context.Context) (crashtest.Life, error) {
	if m.dead != nil {
		m.revive()
	}
	for _, n := range m.nodes {
		awaitStoring(m.t, n)
	}
	m.dead = make(chan struct{})
	return &redisLife{machine: m, dead: m.dead, once: new(sync.Once)}, nil
}

// redisLife is the time between two deaths of a Redis.
type redisLife struct {
	machine *redisMachine
	dead    chan struct{}
	once    *sync.Once
}

// Doors are Cap'n Proto at the one node, and HTTP at the other.
func (l *redisLife) Doors() []crashtest.Door {
	return []crashtest.Door{l.machine.nodes[0].Doors()[0], l.machine.nodes[1].Doors()[1]}
}

func (l *redisLife) Strike() {
	l.once.Do(func() {
		l.machine.kill()
		close(l.dead)
	})
}

func (l *redisLife) Dead() <-chan struct{} { return l.dead }
func (l *redisLife) Bury() error           { return nil }

// awaitStoring waits until a node is ready, and its writes count as stored.
func awaitStoring(t testing.TB, n *clusterNode) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; {
		err := n.ready(t.Context())
		for digest := byte(0); err == nil && digest < 16; digest++ { // on every shard
			_, err = n.store.Spend(t.Context(), "trial", [32]byte{digest}, nodeservice.Milli(time.Now().Add(time.Second)), nodeservice.Milli(time.Now()))
		}
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the node is not ready: %v", nodeservice.AsError(err).Cause)
		}
		<-time.After(20 * time.Millisecond)
	}
}
