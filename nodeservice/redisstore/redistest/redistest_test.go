package redistest_test

import (
	"testing"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/quicproquo/node/nodeservice/redisstore/redistest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestServerKeepsItsFilesOverAKill(t *testing.T) {
	server := redistest.Start(t, redistest.Durable()...)
	set(t, connect(t, server.Addr()))
	server.Kill(t)
	server.Restart(t)
	kept(t, connect(t, server.Addr()))
}

func TestClusterServesAndKeepsItsFilesOverAKill(t *testing.T) {
	cluster := redistest.StartCluster(t, 1, redistest.Durable()...)
	set(t, connect(t, cluster.Addrs()...))
	cluster.Kill(t)
	cluster.Restart(t)
	kept(t, connect(t, cluster.Addrs()...))
}

func connect(t *testing.T, addrs ...string) redis.UniversalClient {
	client := redis.NewUniversalClient(&redis.UniversalOptions{Addrs: addrs, ContextTimeoutEnabled: true})
	t.Cleanup(func() {
		if err := client.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return client
}

var keys = []string{"a", "b", "c", "d"} // in different shards

func set(t *testing.T, client redis.UniversalClient) {
	t.Helper()
	for _, key := range keys {
		if err := client.Set(t.Context(), key, key, 0).Err(); err != nil {
			t.Fatalf("set: %v", err)
		}
	}
}

func kept(t *testing.T, client redis.UniversalClient) {
	t.Helper()
	for _, key := range keys {
		if got, err := client.Get(t.Context(), key).Result(); got != key || err != nil {
			t.Errorf("the value of %s is %q, %v", key, got, err)
		}
	}
}
