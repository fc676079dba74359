package redisstore

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"

	ns "github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/identity"
	"github.com/quicproquo/node/nodeservice/redisstore/redistest"
)

// errCut is what a call gets from a cutter.
var errCut = errors.New("cut")

// cutter is a hook on a client that lets a number of commands pass and loses the
// answer to the last of them, which is so the last that this node ever sent.
type cutter struct {
	mu   sync.Mutex // a settler sends as well
	left int        // guarded by mu
}

// count takes one command off what is left; last says that it was the last.
func (c *cutter) count() (last bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.left--
	return c.left == 0
}

func (c *cutter) dead() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.left == 0
}

func (c *cutter) DialHook(next redis.DialHook) redis.DialHook { return next }

func (c *cutter) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if c.dead() {
			return errCut
		}
		err := next(ctx, cmd)
		if redis.HasErrorPrefix(err, "NOSCRIPT") {
			return err // the script follows
		}
		if c.count() {
			return errCut
		}
		return err
	}
}

func (c *cutter) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if c.dead() {
			for _, cmd := range cmds {
				cmd.SetErr(errCut)
			}
			return errCut
		}
		return next(ctx, cmds)
	}
}

// forgetful is a hook that loses the first answer to each script, as a connection
// that ends does.
type forgetful struct {
	mu   sync.Mutex      // a settler sends as well
	seen map[string]bool // by what was sent; guarded by mu
}

// first says that nothing of the kind was sent before.
func (f *forgetful) first(sent string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	defer func() { f.seen[sent] = true }()
	return !f.seen[sent]
}

func (f *forgetful) DialHook(next redis.DialHook) redis.DialHook { return next }

func (f *forgetful) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (f *forgetful) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		if sent := fmt.Sprint(cmd.Args()...); strings.HasPrefix(cmd.Name(), "eval") && err == nil && f.first(sent) {
			return io.EOF
		}
		return err
	}
}

// node is a store with a client of its own, as a node has.
func node(t *testing.T, server *redistest.Server, namespace string, hook redis.Hook) *Store {
	t.Helper()
	client := connected(t, server.URL())
	store, err := Open(t.Context(), Config{Client: client, Namespace: namespace})
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() { _ = store.Close() })
	if hook != nil {
		client.AddHook(hook)
	}
	return store
}

func person(n uint64) ns.Identity {
	seed := sha256.Sum256(binary.BigEndian.AppendUint64([]byte("person"), n))
	return identity.TrustedKey(string(ed25519.NewKeyFromSeed(seed[:]).Public().(ed25519.PublicKey)))
}

const (
	someTime ns.UnixMilli = 1_750_000_000_000
	aWeek                 = 7 * 24 * 3600 * 1000
)

func creation(creator, peer ns.Identity, id byte, most int) ns.CreateChannel {
	return ns.CreateChannel{
		ID: ns.ChannelID{id, 1}, Creator: creator, Peer: peer, Account: ns.Account{1}, Now: someTime, MaxChannels: most,
	}
}

func note(id ns.ChannelID, to ns.Identity, body []byte, messageID string) ns.Append {
	return ns.Append{
		Queue: ns.Queue{Channel: id, Recipient: to}, Account: ns.Account{1}, Payload: body, Digest: sha256.Sum256(body),
		MessageID: messageID, Now: someTime, ExpiresAt: someTime + aWeek,
	}
}

// TestCreationIsRepairedWhereverItStopped lets a node die behind each step of a
// creation. Whoever creates the channel next completes it, and the account has
// one channel, neither more nor less.
func TestCreationIsRepairedWhereverItStopped(t *testing.T) {
	server := redistest.Start(t)
	alice, bob, carol := person(1), person(2), person(3)
	for step := 1; ; step++ {
		for _, next := range []struct {
			name          string
			creator, peer ns.Identity
		}{{"alice again", alice, bob}, {"bob", bob, alice}} {
			space := fmt.Sprintf("%s after step %d", next.name, step)
			dying := node(t, server, space, &cutter{left: step})
			_, err := dying.CreateChannel(t.Context(), creation(alice, bob, 1, 2))
			survivor := node(t, server, space, nil)
			if err == nil {
				if step < 6 {
					t.Errorf("a creation takes %d steps", step)
				}
				return
			}
			again := creation(next.creator, next.peer, 2, 2)
			if next.creator == bob {
				again.Account = ns.Account{2}
			}
			created, err := survivor.CreateChannel(t.Context(), again)
			if err != nil || created.State.Ordinal != 1 {
				t.Fatalf("%s: %+v, %v", space, created, err)
			}
			c := created.State.Channel
			byID, found, err := survivor.Channel(t.Context(), c.ID)
			if err != nil || !found || byID != c {
				t.Errorf("%s: the channel is %+v, %v, by its id %+v, %v", space, c, found, byID, err)
			}
			if _, found, _ := survivor.Channel(t.Context(), ns.ChannelID{3 - c.ID[0], 1}); found {
				t.Errorf("%s: two channels of one pair", space)
			}
			counts(t, survivor, space, alice, carol, c.ID == ns.ChannelID{1, 1} || next.creator == alice)
		}
	}
}

// counts insists on the number of channels that alice's account has, long after
// all reservations ran out: she may have two, and creates more.
func counts(t *testing.T, store *Store, space string, alice, carol ns.Identity, one bool) {
	t.Helper()
	want := []bool{true, true, false}
	if one {
		want = want[1:]
	}
	for i, more := range want {
		peer := carol
		if i > 0 {
			peer = person(uint64(10 + i))
		}
		req := creation(alice, peer, byte(20+i), 2)
		req.Now += 2 * reservationLife
		created, err := store.CreateChannel(t.Context(), req)
		if err != nil || created.Created != more {
			t.Errorf("%s: further creation %d: %+v, %v", space, i, created, err)
		}
	}
}

// TestSendIsRepairedWhereverItStopped lets a node die behind each step of a
// channel's first message. The message sent again is stored once, shows the
// channel to both, and counts once against its account.
func TestSendIsRepairedWhereverItStopped(t *testing.T) {
	server := redistest.Start(t)
	alice, bob := person(1), person(2)
	for _, c := range []struct {
		creator, peer ns.Identity
		body          []byte
	}{{alice, bob, make([]byte, 100)}, {bob, alice, make([]byte, 100)}, {alice, bob, make([]byte, maxInline+1)}} {
		for step := 1; ; step++ {
			body := c.body
			space := fmt.Sprintf("%.4x, %d bytes after step %d", c.creator.Raw(), len(body), step)
			survivor := node(t, server, space, nil)
			created, err := survivor.CreateChannel(t.Context(), creation(c.creator, c.peer, 1, 0))
			if err != nil {
				t.Fatal(err)
			}
			req := note(created.State.Channel.ID, bob, body, "id")
			req.Quota.AccountBytes = int64(2*len(body) + len(body)/2)
			_, err = node(t, server, space, &cutter{left: step}).Append(t.Context(), req)
			died := err != nil
			appended, err := survivor.Append(t.Context(), req)
			if err != nil || appended.Seq != 1 || appended.Head != 1 {
				t.Fatalf("%s: %+v, %v", space, appended, err)
			}
			for _, who := range created.State.Channel.Members {
				list, err := survivor.Channels(t.Context(), who, 0, 10, someTime)
				if err != nil || len(list) != 1 || list[0].Ordinal != 1 || list[0].Head != 1 {
					t.Errorf("%s: the list of a member: %+v, %v", space, list, err)
				}
			}
			fits(t, survivor, space, req)
			if !died {
				break
			}
		}
	}
}

// fits insists that one more such message fits into the account, and not two,
// once all reservations ran out.
func fits(t *testing.T, store *Store, space string, req ns.Append) {
	t.Helper()
	for _, want := range []ns.AppendOutcome{ns.AppendStored, ns.AppendOverQuota} {
		req.MessageID, req.Now = "", someTime+2*reservationLife
		appended, err := store.Append(t.Context(), req)
		if err != nil || appended.Outcome != want {
			t.Errorf("%s: a further message: %+v, %v; want outcome %d", space, appended, err, want)
		}
	}
}

// TestCallsWhoseAnswerIsLostAreDoneOnce loses the first answer to every script; the
// engine sends each again, and nothing is doubled.
func TestCallsWhoseAnswerIsLostAreDoneOnce(t *testing.T) {
	server := redistest.Start(t)
	store := node(t, server, "", &forgetful{seen: map[string]bool{}})
	ctx, alice, bob := t.Context(), person(1), person(2)
	must := func(what string, ok bool, err error) {
		t.Helper()
		if err != nil || !ok {
			t.Fatalf("%s: %v, %v (cause: %v)", what, ok, err, errors.Unwrap(err))
		}
	}
	created, err := store.CreateChannel(ctx, creation(alice, bob, 1, 1))
	must("created", created.Created && created.State.Ordinal == 1, err)
	id := created.State.Channel.ID
	for seq, messageID := range []string{"", "id", ""} {
		req := note(id, bob, make([]byte, 10), messageID)
		req.Quota.AccountBytes = 30
		appended, err := store.Append(ctx, req)
		must("stored", appended.Outcome == ns.AppendStored && appended.Seq == ns.Seq(seq+1) && appended.Head == appended.Seq, err)
	}
	req := note(id, bob, []byte{1}, "")
	req.Quota.AccountBytes = 30
	over, err := store.Append(ctx, req)
	must("over quota", over.Outcome == ns.AppendOverQuota, err)
	zero := ns.Seq(0)
	acked, err := store.Ack(ctx, ns.Ack{Queue: req.Queue, Through: 2, IfAcked: &zero, Now: someTime})
	must("acknowledged", acked.Outcome == ns.AckDone && acked.Acked == 2, err)
	one := func(n byte) ns.StoredKeyPackage {
		return ns.StoredKeyPackage{Ref: [32]byte{n}, CipherSuite: 1, Data: []byte{n}, ExpiresAt: someTime + aWeek, NotAfter: someTime + aWeek}
	}
	put, err := store.PutKeyPackages(ctx, ns.PutKeyPackages{Owner: bob, Packages: []ns.StoredKeyPackage{one(1), one(2), one(3)}, Max: 3, Now: someTime})
	must("uploaded", put.Result == ns.PutStored, err)
	for _, claimID := range []string{"", "id"} {
		_, err := store.ClaimKeyPackage(ctx, ns.ClaimKeyPackageRequest{
			Owner: bob, Claimer: alice, ClaimID: claimID, ClaimUntil: someTime + 1000, OneTime: true, Now: someTime,
		})
		must("claimed", true, err)
	}
	stock, err := store.KeyPackageStock(ctx, bob, someTime)
	must("one package left", len(stock) == 1 && stock[0].OneTime == 1, err)
}

// TestNotesOfEmptyQueuesDoNotPileUp sends to many, who all take what they got.
func TestNotesOfEmptyQueuesDoNotPileUp(t *testing.T) {
	const recipients = 400
	store := node(t, redistest.Start(t), "", nil)
	req := note(ns.ChannelID{}, ns.Identity{}, make([]byte, 10), "")
	for n := range uint64(recipients) {
		req.Queue.Recipient = person(n)
		if appended, err := store.Append(t.Context(), req); err != nil || appended.Seq != 1 {
			t.Fatalf("append: %+v, %v", appended, err)
		}
		if _, err := store.Ack(t.Context(), ns.Ack{Queue: req.Queue, Through: 1, Now: someTime}); err != nil {
			t.Fatal(err)
		}
	}
	fields, err := store.client.HLen(t.Context(), store.accountKey(req.Account)).Result()
	if err != nil || fields > 2*manyNotes {
		t.Errorf("an account that has nothing undelivered notes %d queues, %v", fields, err)
	}
	req.Quota.AccountBytes = 25
	for _, want := range []ns.AppendOutcome{ns.AppendStored, ns.AppendStored, ns.AppendOverQuota} {
		if appended, err := store.Append(t.Context(), req); err != nil || appended.Outcome != want {
			t.Errorf("under a quota: %+v, %v; want outcome %d", appended, err, want)
		}
	}
}
