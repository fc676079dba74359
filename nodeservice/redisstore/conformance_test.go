package redisstore_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/redisstore"
	"github.com/quicproquo/node/nodeservice/redisstore/redistest"
	"github.com/quicproquo/node/nodeservice/storetest"
)

// TestConformance runs the contract's suite on a server that has each write on
// disk before it answers. The power cut is a SIGKILL.
func TestConformance(t *testing.T) {
	storetest.Run(t, storetest.Engine{Name: "redis", Open: func(t storetest.TB) storetest.Opened {
		server := redistest.Start(t, redistest.Durable()...)
		store := open(t, server.URL(), "")
		return storetest.Opened{
			Store: store,
			Crash: func(t storetest.TB) nodeservice.Store {
				server.Kill(t)
				_ = store.Close() // waits for calls that were under way, and now fail
				server.Restart(t)
				store = open(t, server.URL(), "")
				return store
			},
		}
	}})
}

// TestConformanceOnCluster runs it on three shards. What crashes is the node: it
// leaves its calls where they are, and another goes on. A cluster takes seconds to
// come back from a power cut, which TestClusterSurvivesAPowerCut is about.
func TestConformanceOnCluster(t *testing.T) {
	cluster := redistest.StartCluster(t, 0)
	var opened atomic.Int64
	storetest.Run(t, storetest.Engine{Name: "redis cluster", Open: func(t storetest.TB) storetest.Opened {
		namespace := fmt.Sprintf("n%d", opened.Add(1))
		store := open(t, cluster.URL(), namespace)
		return storetest.Opened{
			Store: store,
			Crash: func(t storetest.TB) nodeservice.Store {
				return open(t, cluster.URL(), namespace)
			},
		}
	}})
}

func open(t storetest.TB, url, namespace string) *redisstore.Store {
	t.Helper()
	client, err := redisstore.Connect(url)
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	t.Cleanup(func() { _ = client.Close() })
	store, err := redisstore.Open(context.Background(), redisstore.Config{Client: client, Namespace: namespace})
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() { _ = store.Close() })
	return store
}
