package redisstore_test

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"flag"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/identity"
	"github.com/quicproquo/node/nodeservice/redisstore"
	"github.com/quicproquo/node/nodeservice/redisstore/redistest"
	"github.com/quicproquo/node/nodeservice/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, dialing) }

// TestConformance runs the contract's suite on a server that logs each write before
// it answers. The power cut is a SIGKILL, which leaves what the system was given:
// so the log need not be synced, which would make the suite wait for the disk.
func TestConformance(t *testing.T) {
	storetest.Run(t, storetest.Engine{Name: "redis", Open: func(t storetest.TB) storetest.Opened {
		server := redistest.Start(t, "--appendonly", "yes", "--appendfsync", "no")
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
	if checks := flag.Lookup("rapid.checks"); checks.Value.String() == checks.DefValue {
		// The random calls are those of TestConformance: a few will do.
		_ = checks.Value.Set("4")
		t.Cleanup(func() { _ = checks.Value.Set(checks.DefValue) })
	}
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

// TestClusterSurvivesAPowerCut kills all three shards under writers, and starts them
// again: what was answered is there.
func TestClusterSurvivesAPowerCut(t *testing.T) {
	cluster := redistest.StartCluster(t, 0, redistest.Durable()...)
	store := open(t, cluster.URL(), "")
	var queues []nodeservice.Queue
	for n := range byte(9) { // more than shards
		created, err := store.CreateChannel(t.Context(), nodeservice.CreateChannel{
			ID: nodeservice.ChannelID{n, 1}, Creator: someone(2 * n), Peer: someone(2*n + 1), Now: 1,
		})
		if err != nil {
			t.Fatal(err)
		}
		queues = append(queues, nodeservice.Queue{Channel: created.State.Channel.ID, Recipient: someone(2 * n)})
	}
	answered := make([]int, len(queues)) // each owned by its writer until running is done
	enough := make(chan struct{}, 1000)
	var running sync.WaitGroup
	for i, q := range queues {
		running.Go(func() {
			for {
				body := []byte{byte(answered[i])}
				appended, err := store.Append(context.Background(), nodeservice.Append{
					Queue: q, Payload: body, Digest: sha256.Sum256(body), Now: 1, ExpiresAt: 1000,
				})
				if err != nil {
					return
				}
				answered[i] = int(appended.Seq)
				select {
				case enough <- struct{}{}:
				default:
				}
			}
		})
	}
	for range 60 {
		<-enough
	}
	cluster.Kill(t)
	running.Wait()
	cluster.Restart(t)
	again := open(t, cluster.URL(), "")
	for i, q := range queues {
		page, err := again.Read(t.Context(), nodeservice.Read{Queue: q, Limit: 1 << 20, MaxBytes: 1 << 20, Now: 1})
		if err != nil || len(page.Messages) < answered[i] || int(page.Head) != len(page.Messages) {
			t.Errorf("%d messages were answered, there are %d, head is %d, %v", answered[i], len(page.Messages), page.Head, err)
		}
	}
}

func someone(n byte) nodeservice.Identity {
	seed := sha256.Sum256([]byte{n})
	return identity.TrustedKey(string(ed25519.NewKeyFromSeed(seed[:]).Public().(ed25519.PublicKey)))
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
