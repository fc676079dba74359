package redisstore

import (
	"context"
	"io"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"

	ns "github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/redisstore/redistest"
)

// upon is a hook that does something when a script has run for the nth time, before
// its caller goes on, and that may lose the answer, as a connection that ends does.
type upon struct {
	script *script
	nth    int64
	do     func()
	loses  bool

	runs atomic.Int64
}

func (u *upon) DialHook(next redis.DialHook) redis.DialHook { return next }

func (u *upon) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		args := cmd.Args()
		if err != nil || len(args) < 2 || args[1] != u.script.Hash() || u.runs.Add(1) != u.nth {
			return err
		}
		if u.do != nil {
			u.do()
		}
		if u.loses {
			return io.EOF
		}
		return nil
	}
}

func (u *upon) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// node is a node with the hook, on a server that knows the script.
func (u *upon) node(t *testing.T, server *redistest.Server, namespace string) *Store {
	t.Helper()
	store := node(t, server, namespace, u)
	if err := u.script.Load(t.Context(), store.client).Err(); err != nil {
		t.Fatal(err)
	}
	return store
}

// TestADrainWhoseAnswerWasCutKeepsItsMessages acknowledges what a drain is about to
// hand out. What is done must not be taken for another's drain, or the messages
// reach nobody: whatever others did before the engine asked again.
func TestADrainWhoseAnswerWasCutKeepsItsMessages(t *testing.T) {
	server := redistest.Start(t)
	one, three := ns.Seq(1), ns.Seq(3)
	for name, meanwhile := range map[string]*ns.Ack{
		"nothing": nil, "another drain": {Through: three, IfAcked: &one}, "an acknowledgement": {Through: three},
	} {
		other := node(t, server, name, nil)
		id, to := conversation(t, other)
		for range 2 {
			if _, err := other.Append(t.Context(), note(id, person(2), []byte("more"), "")); err != nil {
				t.Fatal(err)
			}
		}
		cut := &upon{script: ackScript, nth: 1, loses: true, do: func() {
			if meanwhile == nil {
				return
			}
			req := *meanwhile
			req.Queue, req.Now = to, someTime
			if acked, err := other.Ack(t.Context(), req); err != nil || acked.Outcome != ns.AckDone {
				t.Errorf("%s: %+v, %v", name, acked, err)
			}
		}}
		zero := ns.Seq(0)
		acked, err := cut.node(t, server, name).Ack(t.Context(), ns.Ack{Queue: to, Through: one, IfAcked: &zero, Now: someTime})
		if err != nil || acked.Outcome != ns.AckDone || cut.runs.Load() != 2 {
			t.Errorf("with %s meanwhile: %+v, %v", name, acked, err)
		}
	}
}

// TestAClaimWhoseAnswerWasCutCostsOnePackage claims without an id.
func TestAClaimWhoseAnswerWasCutCostsOnePackage(t *testing.T) {
	cut := &upon{script: claimScript, nth: 1, loses: true}
	store := cut.node(t, redistest.Start(t), "")
	put := ns.PutKeyPackages{Owner: person(2), Now: someTime}
	for n := range byte(2) {
		put.Packages = append(put.Packages, ns.StoredKeyPackage{
			Ref: [32]byte{n}, CipherSuite: 1, Data: []byte{n}, ExpiresAt: someTime + aWeek, NotAfter: someTime + aWeek,
		})
	}
	if _, err := store.PutKeyPackages(t.Context(), put); err != nil {
		t.Fatal(err)
	}
	claimed, err := store.ClaimKeyPackage(t.Context(), ns.ClaimKeyPackageRequest{
		Owner: person(2), Claimer: person(1), OneTime: true, Now: someTime,
	})
	if err != nil || !claimed.Found || claimed.Repeated || claimed.Remaining != 1 || claimed.KeyPackage.Data[0] != 0 {
		t.Errorf("of two packages: %+v, %v", claimed, err)
	}
	if cut.runs.Load() != 2 {
		t.Errorf("the claim was sent %d times", cut.runs.Load())
	}
}

// TestACreationWhoseAnswerWasCutCountsOnce leaves room for a second channel.
func TestACreationWhoseAnswerWasCutCountsOnce(t *testing.T) {
	cut := &upon{script: reserveChannelScript, nth: 1, loses: true}
	store := cut.node(t, redistest.Start(t), "")
	for n, want := range []bool{true, true, false} {
		created, err := store.CreateChannel(t.Context(), creation(person(1), person(uint64(2+n)), byte(n+1), 2))
		if err != nil || created.Created != want {
			t.Errorf("creation %d: %+v, %v", n, created, err)
		}
	}
	if cut.runs.Load() < 4 {
		t.Errorf("the reservation was sent %d times", cut.runs.Load())
	}
}

// TestAChannelThatThePeerMadeFirstIsGivenBackOnce cuts the answer to giving it back.
func TestAChannelThatThePeerMadeFirstIsGivenBackOnce(t *testing.T) {
	server := redistest.Start(t)
	other := node(t, server, "", nil)
	cut := &upon{script: settleChannelScript, nth: 1, loses: true}
	store := cut.node(t, server, "")
	first := &upon{script: reserveChannelScript, nth: 1, do: func() {
		req := creation(person(2), person(1), 9, 0)
		req.Account = ns.Account{2}
		if created, err := other.CreateChannel(t.Context(), req); err != nil || !created.Created {
			t.Errorf("the peer's: %+v, %v", created, err)
		}
	}}
	store.client.AddHook(first)
	if err := first.script.Load(t.Context(), store.client).Err(); err != nil {
		t.Fatal(err)
	}
	if created, err := store.CreateChannel(t.Context(), creation(person(1), person(2), 1, 1)); err != nil || created.Created {
		t.Errorf("behind the peer's: %+v, %v", created, err)
	}
	for n, want := range []bool{true, false} {
		created, err := store.CreateChannel(t.Context(), creation(person(1), person(uint64(3+n)), byte(2+n), 1))
		if err != nil || created.Created != want {
			t.Errorf("further creation %d: %+v, %v", n, created, err)
		}
	}
}

// TestASweepWhoseAnswerWasCutTellsOfTheGap expires the first of two messages: who
// waits for the queue has to be told.
func TestASweepWhoseAnswerWasCutTellsOfTheGap(t *testing.T) {
	server := redistest.Start(t)
	cut := &upon{script: sweepQueueScript, nth: 1, loses: true}
	store := cut.node(t, server, "")
	id, to := conversation(t, store)
	req := note(id, person(2), []byte("later"), "")
	req.ExpiresAt += aWeek
	if _, err := store.Append(t.Context(), req); err != nil {
		t.Fatal(err)
	}
	swept, _, err := store.Sweep(t.Context(), someTime+aWeek)
	if err != nil || len(swept.Floors) != 1 || swept.Floors[0] != to || cut.runs.Load() != 2 {
		t.Errorf("swept %+v, %v", swept, err)
	}
	swept, _, err = store.Sweep(t.Context(), someTime+aWeek)
	if err != nil || len(swept.Floors) != 0 || cut.runs.Load() != 2 {
		t.Errorf("swept again %+v, %v", swept, err)
	}
}

// TestAnAppendThatMakesRoomLeavesTheGapToTheSweep lets a message be refused, for which
// what has expired before it was removed: nobody was told of that yet.
func TestAnAppendThatMakesRoomLeavesTheGapToTheSweep(t *testing.T) {
	store := node(t, redistest.Start(t), "", nil)
	id, to := conversation(t, store)
	req := note(id, person(2), make([]byte, 10), "")
	req.Now, req.Quota.QueueBytes = someTime+aWeek, 5
	if appended, err := store.Append(t.Context(), req); err != nil || appended.Outcome != ns.AppendQueueFull {
		t.Fatalf("%+v, %v", appended, err)
	}
	swept, _, err := store.Sweep(t.Context(), someTime+aWeek)
	if err != nil || len(swept.Floors) != 1 || swept.Floors[0] != to {
		t.Errorf("swept %+v, %v", swept, err)
	}
}
