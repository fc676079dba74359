package redisstore_test

import (
	"bytes"
	"context"
	"strconv"
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
		if err == nil {
			_, err = n.store.Spend(t.Context(), "trial", [32]byte{}, nodeservice.Milli(time.Now().Add(time.Second)), nodeservice.Milli(time.Now()))
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

// ready is what a probe of the node would say.
func (n *clusterNode) ready(ctx context.Context) error {
	if err := n.Core().Ready(ctx); err != nil {
		return err
	}
	return n.client.Ready(ctx, time.Now)
}

// TestStreamsStayOpenWhileRedisIsAway: nothing is confirmed meanwhile, what was is
// there afterwards, and the streams go on by themselves.
func TestStreamsStayOpenWhileRedisIsAway(t *testing.T) {
	leavesNothing(t)
	server := redistest.Start(t, redistest.Durable()...)
	shared := newCluster(t, server.URL())
	here, there := shared.start(t), shared.start(t)
	c := converse(t, here, there)
	sendTo(t, c.alice, c.channel, "before")
	if got := nextMessage(t, c.stream); string(got.Message.Payload) != "before" {
		t.Fatalf("%q came", got.Message.Payload)
	}
	for name, away := range map[string]struct{ begin, end func() }{
		"killed": {func() { server.Kill(t) }, func() { server.Restart(t) }},
		"paused": {func() { server.Pause(t) }, func() { server.Resume(t) }},
	} {
		t.Run(name, func(t *testing.T) {
			away.begin()
			mustBeUnavailable(t, c)
			for _, n := range []*clusterNode{here, there} {
				ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
				if n.ready(ctx) == nil {
					t.Error("a node says that it is ready")
				}
				cancel()
			}
			away.end()
			awaitStoring(t, here)
			awaitStoring(t, there)
			sent := sendTo(t, c.alice, c.channel, name)
			for {
				got := nextMessage(t, c.stream)
				if got.Message.Seq == sent.Seq && string(got.Message.Payload) == name {
					return
				}
				if string(got.Message.Payload) != "unconfirmed" { // which may have been stored
					t.Fatalf("%q came", got.Message.Payload)
				}
			}
		})
	}
}

// mustBeUnavailable sends what must not be confirmed, and says when to come back.
func mustBeUnavailable(t *testing.T, c conversation) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	_, err := c.alice.Enqueue(ctx, nodeservice.EnqueueRequest{Channel: c.channel, Payload: []byte("unconfirmed")})
	if nodeservice.CodeOf(err) != nodeservice.CodeUnavailable || ctx.Err() == nil && nodeservice.AsError(err).RetryAfter == 0 {
		t.Errorf("Enqueue without Redis: %v", err)
	}
}

// TestAnswersCutOff: a client whose node did not hear what Redis did, at whichever
// step of it, repeats its message under its id, and it is stored once.
func TestAnswersCutOff(t *testing.T) {
	leavesNothing(t)
	server := redistest.Start(t)
	proxy := redistest.StartProxy(t, server)
	straight, cut := newCluster(t, server.URL()), newCluster(t, proxy.URL())
	cut.keys = straight.keys
	c := converse(t, cut.start(t), straight.start(t))
	unanswered := 0
	for after := range 8 {
		message := nodeservice.EnqueueRequest{Channel: c.channel, Payload: []byte{'#', byte(after)}, MessageID: []byte{byte(after)}}
		proxy.CutAnswers(after)
		_, err := c.alice.Enqueue(t.Context(), message)
		switch nodeservice.CodeOf(err) {
		case nodeservice.CodeUnavailable:
			unanswered++
		case "":
		default:
			t.Errorf("cut off after %d answers: %v", after, err)
		}
		proxy.Mend()
		receipt, err := c.alice.Enqueue(t.Context(), message)
		if err != nil || receipt.Seq != nodeservice.Seq(after+1) {
			t.Errorf("sent again: %+v, %v", receipt, err)
		}
	}
	if unanswered == 0 {
		t.Error("every call was answered")
	}
	page, err := c.bob.Fetch(t.Context(), nodeservice.FetchRequest{Channel: c.channel})
	if err != nil || len(page.Messages) != 8 {
		t.Fatalf("there are %d messages, %v", len(page.Messages), err)
	}
	for i, m := range page.Messages {
		if m.Payload[1] != byte(i) {
			t.Errorf("message %d is the one sent as %d", i, m.Payload[1])
		}
	}
}

// TestRedisWithoutMemory: what does not fit is refused and comes back later, while
// reading and acknowledging go on, and make room.
func TestRedisWithoutMemory(t *testing.T) {
	leavesNothing(t)
	shared := newCluster(t, redistest.Start(t, "--maxmemory-policy", "noeviction").URL())
	here, there := shared.start(t), shared.start(t)
	c := converse(t, here, there)
	if err := c.stream.Close(); err != nil { // nobody reads it
		t.Error(err)
	}
	const room, most = 2 << 20, 16
	leave(t, here.client, room)
	big := bytes.Repeat([]byte("x"), 2*room/most)
	send := func() (nodeservice.Receipt, error) {
		return c.alice.Enqueue(t.Context(), nodeservice.EnqueueRequest{Channel: c.channel, Payload: big})
	}
	var last nodeservice.Receipt
	for {
		receipt, err := send()
		if err != nil {
			if e := nodeservice.AsError(err); e.Code != nodeservice.CodeUnavailable || e.RetryAfter == 0 {
				t.Errorf("refused by %v, to be tried again after %v", err, e.RetryAfter)
			}
			break
		}
		if last = receipt; last.Seq > most {
			t.Fatal("twice as much was stored as there was room for")
		}
	}
	page, err := c.bob.Fetch(t.Context(), nodeservice.FetchRequest{Channel: c.channel})
	if err != nil || len(page.Messages) == 0 || page.Head != last.Seq {
		t.Fatalf("%d messages up to %d, confirmed %d: %v", len(page.Messages), page.Head, last.Seq, err)
	}
	if err := c.bob.Ack(t.Context(), nodeservice.AckRequest{Channel: c.channel, Through: last.Seq}); err != nil {
		t.Fatal(err)
	}
	if receipt, err := send(); err != nil || receipt.Seq != last.Seq+1 {
		t.Errorf("with room again: %+v, %v", receipt, err)
	}
}

// leave bounds a Redis's memory to so many bytes more than it has in use.
func leave(t *testing.T, client *redisstore.Client, room int) {
	t.Helper()
	info, err := client.InfoMap(t.Context(), "memory").Result()
	if err != nil {
		t.Fatal(err)
	}
	used, err := strconv.Atoi(info["Memory"]["used_memory"])
	if err != nil {
		t.Fatal(err)
	}
	if err := client.ConfigSet(t.Context(), "maxmemory", strconv.Itoa(used+room)).Err(); err != nil {
		t.Fatal(err)
	}
}
