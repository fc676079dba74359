package redisstore

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	ns "github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/redisstore/redistest"
)

// unsettling is a hook that lets no settling through: a node that dies as soon as it
// has answered.
type unsettling struct{}

func (unsettling) DialHook(next redis.DialHook) redis.DialHook { return next }

func (unsettling) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if args := cmd.Args(); len(args) > 1 && args[1] == settleScript.Hash() {
			return errCut
		}
		return next(ctx, cmd)
	}
}

func (unsettling) ProcessPipelineHook(redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(_ context.Context, cmds []redis.Cmder) error {
		for _, cmd := range cmds {
			cmd.SetErr(errCut)
		}
		return errCut
	}
}

// reservations are those that an account holds.
func reservations(t *testing.T, store *Store, a ns.Account) (all []string) {
	t.Helper()
	fields, err := store.client.HKeys(t.Context(), store.accountKey(a)).Result()
	if err != nil {
		t.Fatal(err)
	}
	for _, field := range fields {
		if strings.HasPrefix(field, "r") {
			all = append(all, field)
		}
	}
	return all
}

// TestAnsweredMessagesOfADeadNodeCountOnce lets nodes die behind the answers to all
// kinds of messages, which nobody settles. Others know at once what became of each:
// what is delivered counts no more, what is not counts once.
func TestAnsweredMessagesOfADeadNodeCountOnce(t *testing.T) {
	server := redistest.Start(t)
	for _, c := range []struct {
		name, messageID string
		legacy          bool
		to              uint64 // by which the recipient is on this side of the channel or that
	}{
		{"without an id", "", false, 2}, {"with an id", "id", false, 2}, {"the other way", "id", false, 1},
		{"legacy", "", true, 2}, {"legacy with an id", "id", true, 2},
	} {
		survivor, dying := node(t, server, c.name, nil), node(t, server, c.name, unsettling{})
		req := note(ns.ChannelID{}, person(c.to), make([]byte, 10), "")
		if !c.legacy {
			created, err := survivor.CreateChannel(t.Context(), creation(person(1), person(2), 1, 0))
			if err != nil {
				t.Fatal(err)
			}
			req.Queue.Channel = created.State.Channel.ID
		}
		req.Quota.AccountBytes = 25
		for n := range 2 {
			if req.MessageID = c.messageID; req.MessageID != "" {
				req.MessageID += fmt.Sprint(n)
			}
			if appended, err := dying.Append(t.Context(), req); err != nil || appended.Outcome != ns.AppendStored {
				t.Fatalf("%s: %+v, %v", c.name, appended, err)
			}
		}
		if left := reservations(t, survivor, req.Account); len(left) != 2 {
			t.Fatalf("%s: the dead node left reservations %q", c.name, left)
		}
		if _, err := survivor.Ack(t.Context(), ns.Ack{Queue: req.Queue, Through: 1, Now: someTime}); err != nil {
			t.Fatal(err)
		}
		req.MessageID = ""
		for _, want := range []ns.AppendOutcome{ns.AppendStored, ns.AppendOverQuota} {
			if appended, err := survivor.Append(t.Context(), req); err != nil || appended.Outcome != want {
				t.Errorf("%s: after the death: %+v, %v; want outcome %d", c.name, appended, err, want)
			}
		}
	}
}

// TestCloseSettlesWhatWasAnswered closes behind the last of many answers.
func TestCloseSettlesWhatWasAnswered(t *testing.T) {
	server := redistest.Start(t)
	store, other := node(t, server, "", nil), node(t, server, "", nil)
	req := note(ns.ChannelID{}, person(2), make([]byte, 10), "")
	req.Quota.AccountBytes = 10_000
	for range 300 {
		if _, err := store.Append(t.Context(), req); err != nil {
			t.Fatal(err)
		}
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	fields, err := other.client.HGetAll(t.Context(), other.accountKey(req.Account)).Result()
	if left := reservations(t, other, req.Account); err != nil || len(left) != 0 || fields["t"] != "3000" || fields["R"] != "0" {
		t.Errorf("of 300 messages of 10 bytes %s bytes are noted and %s reserved, by %q; %v", fields["t"], fields["R"], left, err)
	}
}

// hanging is a hook that never gets an answer to a pipeline.
type hanging struct{ unsettling }

func (hanging) ProcessPipelineHook(redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		<-ctx.Done()
		for _, cmd := range cmds {
			cmd.SetErr(ctx.Err())
		}
		return ctx.Err()
	}
}

// TestCloseGivesUpWhatCannotBeSettled closes before a Redis that is silent.
func TestCloseGivesUpWhatCannotBeSettled(t *testing.T) {
	store := node(t, redistest.Start(t), "", hanging{})
	store.settler.patience = 0
	req := note(ns.ChannelID{}, person(2), make([]byte, 10), "")
	req.Quota.AccountBytes = 10_000
	if _, err := store.Append(t.Context(), req); err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	if store.settler.working {
		t.Errorf("it is still at work")
	}
}

// TestNoMoreThanABoundWaitsToBeSettled lets a settler stand still: what is beyond its
// bound is settled before the answer, and later it does the rest.
func TestNoMoreThanABoundWaitsToBeSettled(t *testing.T) {
	store := node(t, redistest.Start(t), "", nil)
	standing := store.settler
	standing.working = true // so that none is started
	req := note(ns.ChannelID{}, person(2), []byte{1}, "")
	req.Quota.AccountBytes = 1 << 20
	const beyond = 3
	for range maxUnsettled + beyond {
		if _, err := store.Append(t.Context(), req); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(standing.waiting); n != maxUnsettled || len(reservations(t, store, req.Account)) > n {
		t.Errorf("%d wait to be settled, %d are reserved", n, len(reservations(t, store, req.Account)))
	}
	standing.work()
	if left := reservations(t, store, req.Account); len(left) != 0 || standing.working {
		t.Errorf("%d are left", len(left))
	}
}

// TestNotesOfWhatAFailoverTookBackDoNotStay loses a queue, as a shard does whose
// replica had not heard of it: its sender has the room again.
func TestNotesOfWhatAFailoverTookBackDoNotStay(t *testing.T) {
	store := node(t, redistest.Start(t), "", nil)
	req := note(ns.ChannelID{}, person(2), make([]byte, 10), "")
	req.Quota.AccountBytes = 25
	for range 2 {
		if appended, err := store.Append(t.Context(), req); err != nil || appended.Outcome != ns.AppendStored {
			t.Fatalf("%+v, %v", appended, err)
		}
	}
	line := lineOf(req.Queue)
	base := store.lineBase(line)
	keys, err := store.client.Keys(t.Context(), globbed(base)+"[^A]*").Result()
	if err != nil {
		t.Fatal(err)
	}
	if err := store.client.Del(t.Context(), keys...).Err(); err != nil {
		t.Fatal(err)
	}
	for _, want := range []ns.AppendOutcome{ns.AppendStored, ns.AppendStored, ns.AppendOverQuota} {
		if appended, err := store.Append(t.Context(), req); err != nil || appended.Outcome != want {
			t.Errorf("after the loss: %+v, %v; want outcome %d", appended, err, want)
		}
	}
}
