package redisstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	ns "github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/redisstore/redistest"
)

// conversation is a channel of two with a message in it.
func conversation(t *testing.T, store *Store) (id ns.ChannelID, to ns.Queue) {
	t.Helper()
	created, err := store.CreateChannel(t.Context(), creation(person(1), person(2), 1, 0))
	if err != nil {
		t.Fatal(err)
	}
	id = created.State.Channel.ID
	if _, err := store.Append(t.Context(), note(id, person(2), []byte("first"), "")); err != nil {
		t.Fatal(err)
	}
	return id, ns.Queue{Channel: id, Recipient: person(2)}
}

// isAway insists on unavailable, and on a time to come back.
func isAway(t *testing.T, what string, err error) {
	t.Helper()
	if e := ns.AsError(err); err == nil || e.Code != ns.CodeUnavailable || e.RetryAfter <= 0 {
		t.Errorf("%s: %v", what, err)
	}
}

func TestAServerThatIsAwayIsUnavailableAndServesAgain(t *testing.T) {
	server := redistest.Start(t, redistest.Durable()...)
	store := node(t, server, "", nil)
	id, to := conversation(t, store)
	server.Kill(t)
	_, err := store.Append(t.Context(), note(id, person(2), []byte("lost"), ""))
	isAway(t, "append", err)
	_, err = store.Read(t.Context(), ns.Read{Queue: to, Limit: 1, Now: someTime})
	isAway(t, "read", err)
	_, _, err = store.Sweep(t.Context(), someTime)
	isAway(t, "sweep", err)
	server.Restart(t)
	page, err := store.Read(t.Context(), ns.Read{Queue: to, Limit: 9, MaxBytes: 9, Now: someTime})
	if err != nil || len(page.Messages) != 1 {
		t.Errorf("after the restart: %+v, %v", page, err)
	}
}

func TestAServerThatDoesNotAnswerIsUnavailableInTime(t *testing.T) {
	server := redistest.Start(t)
	store := node(t, server, "", nil)
	id, _ := conversation(t, store)
	server.Pause(t)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	req := note(id, person(2), []byte("slow"), "id")
	_, err := store.Append(ctx, req)
	isAway(t, "append", err)
	server.Resume(t)
	for _, want := range []ns.AppendOutcome{ns.AppendStored, ns.AppendDuplicate} {
		appended, err := store.Append(t.Context(), req)
		if err != nil || appended.Seq != 2 || appended.Outcome > want {
			t.Errorf("sent again: %+v, %v", appended, err)
		}
	}
}

// TestAFullServerTakesNothingButGivesAndForgets is about maxmemory.
func TestAFullServerTakesNothingButGivesAndForgets(t *testing.T) {
	server := redistest.Start(t)
	store := node(t, server, "", nil)
	id, to := conversation(t, store)
	if free, err := store.Free(t.Context()); free != 1 || err != nil {
		t.Errorf("without a maxmemory %v is free, %v", free, err)
	}
	if err := store.client.ConfigSet(t.Context(), "maxmemory", "1").Err(); err != nil {
		t.Fatal(err)
	}
	if free, err := store.Free(t.Context()); free != 0 || err != nil {
		t.Errorf("of a full server %v is free, %v", free, err)
	}
	for _, body := range [][]byte{[]byte("more"), make([]byte, maxInline+1)} {
		_, err := store.Append(t.Context(), note(id, person(2), body, "id"))
		isAway(t, "append", err)
	}
	_, err := store.CreateChannel(t.Context(), creation(person(1), person(3), 2, 0))
	isAway(t, "create", err)
	page, err := store.Read(t.Context(), ns.Read{Queue: to, Limit: 9, MaxBytes: 9, Now: someTime})
	if err != nil || len(page.Messages) != 1 || page.Head != 1 {
		t.Errorf("read: %+v, %v", page, err)
	}
	acked, err := store.Ack(t.Context(), ns.Ack{Queue: to, Through: 1, Now: someTime})
	if err != nil || acked.Outcome != ns.AckDone {
		t.Errorf("ack: %+v, %v", acked, err)
	}
	if _, _, err := store.Sweep(t.Context(), someTime+2*aWeek); err != nil {
		t.Errorf("sweep: %v", err)
	}
}

func TestFreeIsAShareOfMaxmemory(t *testing.T) {
	for info, want := range map[string]float64{
		"# Memory\r\nused_memory:30\r\nmaxmemory:0\r\n":                                1,
		"used_memory:30\r\nmaxmemory:100\r\n":                                          0.7,
		"used_memory:30\r\nmem_not_counted_for_evict:10\r\nmaxmemory:100\r\nother:x\n": 0.8,
		"used_memory:300\r\nmaxmemory:100\r\n":                                         0,
	} {
		if free, err := freeMemory(info); free != want || err != nil {
			t.Errorf("%q: %v, %v", info, free, err)
		}
	}
	if _, err := freeMemory("used_memory:much"); err == nil {
		t.Errorf("no number is understood")
	}
}

// TestReplicasAreWaitedFor stops the replica: what it does not hear of is not
// confirmed, and the same message sent again is confirmed once it does.
func TestReplicasAreWaitedFor(t *testing.T) {
	cluster := redistest.StartCluster(t, 1)
	client := connected(t, cluster.URL())
	waiting := func(timeout time.Duration) *Store {
		store, err := Open(t.Context(), Config{Client: client, Wait: Wait{Replicas: 1, Timeout: timeout}})
		if err != nil {
			t.Fatal(err)
		}
		return store
	}
	store, impatient := waiting(time.Minute), waiting(200*time.Millisecond)
	id, to := conversation(t, store)
	for _, replica := range cluster.Replicas {
		replica.Pause(t)
	}
	req := note(id, person(2), []byte("second"), "id")
	for range 2 { // the second time it is there already, and nothing new is written for it
		_, err := impatient.Append(t.Context(), req)
		isAway(t, "append", err)
	}
	for _, replica := range cluster.Replicas {
		replica.Resume(t)
	}
	appended, err := store.Append(t.Context(), req)
	if err != nil || appended.Seq != 2 || appended.Outcome != ns.AppendDuplicate {
		t.Errorf("sent again: %+v, %v", appended, err)
	}
	page, err := store.Read(t.Context(), ns.Read{Queue: to, Limit: 9, MaxBytes: 99, Now: someTime})
	if err != nil || len(page.Messages) != 2 {
		t.Errorf("read: %+v, %v", page, err)
	}
	if said := store.Durability(); !strings.Contains(said, "1 replica ") {
		t.Errorf("durability: %q", said)
	}
}

func TestDurabilitySettings(t *testing.T) {
	for setting, want := range map[string]Wait{
		"": {}, "as-configured": {}, "wait-replicas=2": {Replicas: 2}, "waitaof": {Disk: true}, "waitaof=1": {Disk: true, Replicas: 1},
	} {
		if got, err := ParseWait(setting); got != want || err != nil {
			t.Errorf("%q: %+v, %v", setting, got, err)
		}
	}
	for _, setting := range []string{"wait-replicas", "wait-replicas=0", "wait-replicas=x", "waitaof=-1", "always", "as-configured=1"} {
		if got, err := ParseWait(setting); err == nil {
			t.Errorf("%q is understood as %+v", setting, got)
		}
	}
	client := connected(t, redistest.Start(t).URL())
	known, _ := client.Do(t.Context(), "command", "info", "waitaof").Slice()
	store, err := Open(t.Context(), Config{Client: client, Wait: Wait{Disk: true}})
	if has := len(known) == 1 && known[0] != nil; (err == nil) != has {
		t.Errorf("a server with WAITAOF (%v): %+v, %v", has, store, err)
	}
	for _, c := range []struct {
		wait   Wait
		answer any
		ok     bool
	}{
		{Wait{Replicas: 2}, int64(2), true}, {Wait{Replicas: 2}, int64(1), false}, {Wait{Replicas: 1}, "1", false},
		{Wait{Disk: true}, []any{int64(1), int64(0)}, true}, {Wait{Disk: true}, []any{int64(0), int64(0)}, false},
		{Wait{Disk: true, Replicas: 1}, []any{int64(1), int64(0)}, false}, {Wait{Disk: true}, int64(1), false},
	} {
		if err := c.wait.reached(c.answer); (err == nil) != c.ok {
			t.Errorf("%+v, answered %v: %v", c.wait, c.answer, err)
		}
	}
	if _, err := Open(t.Context(), Config{Client: client, Namespace: "a{b}"}); err == nil {
		t.Errorf("braces in a namespace are let in")
	}
}

// TestRecordsThatMakeNoSenseAreInternal puts a string where a line, a list and the
// rest should be.
func TestRecordsThatMakeNoSenseAreInternal(t *testing.T) {
	store := node(t, redistest.Start(t), "", nil)
	ctx, id := t.Context(), ns.ChannelID{1, 1}
	_, _, packages := store.shelf(person(1))
	for _, key := range []string{
		store.lineKey(id), store.viewKey(person(1)), packages, store.revocationKeys()[0], store.accountKey(ns.Account{1}),
	} {
		if err := store.client.Set(ctx, key, "nonsense", 0).Err(); err != nil {
			t.Fatal(err)
		}
	}
	pair := pairName(ns.Pair(person(1), person(2)))
	if err := store.client.Set(ctx, store.pairKey(pair), "short", 0).Err(); err != nil {
		t.Fatal(err)
	}
	for what, call := range map[string]func() error{
		"state":   func() error { _, _, err := store.ChannelState(ctx, id, person(1), someTime); return err },
		"channel": func() error { _, _, err := store.Channel(ctx, id); return err },
		"pair":    func() error { _, _, err := store.ChannelByPair(ctx, ns.Pair(person(1), person(2))); return err },
		"list":    func() error { _, err := store.Channels(ctx, person(1), 0, 1, someTime); return err },
		"append":  func() error { _, err := store.Append(ctx, note(id, person(1), []byte("x"), "")); return err },
		"nowhere": func() error {
			_, err := store.Append(ctx, note(ns.ChannelID{9}, person(1), []byte("x"), ""))
			return err
		},
		"quota": func() error {
			req := note(ns.ChannelID{9}, person(1), []byte("x"), "")
			req.Quota.AccountBytes = 9
			_, err := store.Append(ctx, req)
			return err
		},
		"stock": func() error { _, err := store.KeyPackageStock(ctx, person(1), someTime); return err },
		"put": func() error {
			_, err := store.PutKeyPackages(ctx, ns.PutKeyPackages{Owner: person(1), Packages: []ns.StoredKeyPackage{{}}})
			return err
		},
		"revocations": func() error { _, err := store.Revocations(ctx, someTime); return err },
	} {
		if what == "stock" {
			continue // counts suites, of which there are none
		}
		if err := call(); ns.CodeOf(err) != ns.CodeInternal {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestErrorsOfRedisHaveTheirCodes(t *testing.T) {
	said := func(text string) error { return fmt.Errorf("wrapped: %w", redisError(text)) }
	for err, want := range map[error]ns.Code{
		said("OOM command not allowed when used memory > 'maxmemory'."): ns.CodeUnavailable,
		said("READONLY You can't write against a read only replica."):   ns.CodeUnavailable,
		said("LOADING Redis is loading the dataset in memory"):          ns.CodeUnavailable,
		said("CLUSTERDOWN The cluster is down"):                         ns.CodeUnavailable,
		said("MASTERDOWN Link with MASTER is down"):                     ns.CodeUnavailable,
		said("MISCONF Errors writing to the AOF file"):                  ns.CodeUnavailable,
		said("NOREPLICAS Not enough good replicas to write."):           ns.CodeUnavailable,
		said("BUSY Redis is busy running a script."):                    ns.CodeUnavailable,
		said("WRONGTYPE Operation against a key holding the wrong"):     ns.CodeInternal,
		said("ERR user_script:1: attempt to index a nil value"):         ns.CodeInternal,
		said("CORRUPT an index names what is not there"):                ns.CodeInternal,
		context.DeadlineExceeded:                                        ns.CodeUnavailable,
		errors.New("dial tcp: connection refused"):                      ns.CodeUnavailable,
		fmt.Errorf("%w: a pair", errCorrupt):                            ns.CodeInternal,
	} {
		if got := ns.CodeOf(asStoreError(err)); got != want {
			t.Errorf("%v: %s, want %s", err, got, want)
		}
	}
	if asStoreError(nil) != nil {
		t.Errorf("no error is one")
	}
}

// redisError is an error as a server answers it.
type redisError string

func (e redisError) Error() string { return string(e) }
func (redisError) RedisError()     {}

var _ redis.Error = redisError("")
