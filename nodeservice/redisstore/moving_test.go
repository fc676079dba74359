package redisstore

import (
	"net"
	"testing"

	"github.com/redis/go-redis/v9"

	ns "github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/redisstore/redistest"
)

// TestASlotThatMovesIsNotHalfWritten moves a channel's slot from shard to shard. In
// between, when some of its keys are here and others there, no script begins; then
// all goes on.
func TestASlotThatMovesIsNotHalfWritten(t *testing.T) {
	ctx := t.Context()
	client := connected(t, redistest.StartCluster(t, 0).URL())
	store, err := Open(ctx, Config{Client: client})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	id, to := conversation(t, store)
	line := store.lineKey(id)
	from, err := client.cluster.MasterForKey(ctx, line)
	if err != nil {
		t.Fatal(err)
	}
	into := another(t, client.cluster, from)
	slot := client.ClusterKeySlot(ctx, line).Val()
	must := func(server *redis.Client, args ...any) any {
		t.Helper()
		answer, err := server.Do(ctx, args...).Result()
		if err != nil {
			t.Fatalf("%v: %v", args, err)
		}
		return answer
	}
	fromID, intoID := must(from, "cluster", "myid"), must(into, "cluster", "myid")
	must(into, "cluster", "setslot", slot, "importing", fromID)
	must(from, "cluster", "setslot", slot, "migrating", intoID)
	move := func(key string) { // as redis-cli does
		t.Helper()
		host, port := hostPort(t, into)
		must(from, "migrate", host, port, key, 0, 5000)
	}
	move(tagOf(line) + string(keyIndex))
	_, err = store.Append(ctx, note(id, person(2), []byte("second"), "id"))
	isAway(t, "append", err)
	_, err = store.Ack(ctx, ns.Ack{Queue: to, Through: 1, Now: someTime})
	isAway(t, "ack", err)
	for _, key := range must(from, "cluster", "getkeysinslot", slot, 1000).([]any) {
		move(key.(string))
	}
	must(into, "cluster", "setslot", slot, "node", intoID)
	must(from, "cluster", "setslot", slot, "node", intoID)
	appended, err := store.Append(ctx, note(id, person(2), []byte("second"), "id"))
	if err != nil || appended.Seq != 2 {
		t.Errorf("when it has moved: %+v, %v", appended, err)
	}
	page, err := store.Read(ctx, ns.Read{Queue: to, Limit: 9, MaxBytes: 99, Now: someTime})
	if err != nil || len(page.Messages) != 2 || string(page.Messages[1].Payload) != "second" {
		t.Errorf("there are %+v, %v", page, err)
	}
}

// another is a master that is not this one.
func another(t *testing.T, cluster *redis.ClusterClient, one *redis.Client) *redis.Client {
	t.Helper()
	for _, key := range []string{"{0}", "{1}", "{2}", "{3}"} { // on all shards
		other, err := cluster.MasterForKey(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		if other.Options().Addr != one.Options().Addr {
			return other
		}
	}
	t.Fatal("there is one master")
	return nil
}

func hostPort(t *testing.T, server *redis.Client) (host, port string) {
	t.Helper()
	host, port, err := net.SplitHostPort(server.Options().Addr)
	if err != nil {
		t.Fatal(err)
	}
	return host, port
}
