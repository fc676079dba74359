package redisstore_test

import (
	"bytes"
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/redisstore"
	"github.com/quicproquo/node/nodeservice/redisstore/redistest"
)

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
