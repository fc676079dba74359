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

// kinds counts a store's keys by kind, and says of which kinds Redis will remove
// some by itself.
func kinds(t *testing.T, store *Store) (count map[byte]int, expiring string) {
	t.Helper()
	keys, err := store.client.Keys(t.Context(), "*").Result()
	if err != nil {
		t.Fatal(err)
	}
	count = map[byte]int{}
	for _, key := range keys {
		kind := key[strings.IndexByte(key, '}')+1]
		count[kind]++
		life, err := store.client.PTTL(t.Context(), key).Result()
		if err != nil {
			t.Fatal(err)
		}
		if life > 0 && !strings.ContainsRune(expiring, rune(kind)) {
			expiring += string(kind)
		}
	}
	return count, expiring
}

// TestPayloadsApartStayUntilTheyAreDeliveredAndNoLonger sends large messages: Redis
// must not take their payloads away by itself, and nothing of them may be left.
func TestPayloadsApartStayUntilTheyAreDeliveredAndNoLonger(t *testing.T) {
	store := node(t, redistest.Start(t), "", nil)
	id, to := conversation(t, store)
	for range 3 {
		if _, err := store.Append(t.Context(), note(id, person(2), make([]byte, maxInline+1), "")); err != nil {
			t.Fatal(err)
		}
	}
	if count, expiring := kinds(t, store); count[keyPayload] != 3 || count['Z'] != 1 || expiring != "O" {
		t.Errorf("of three payloads there are %d, and Redis removes kinds %q", count[keyPayload], expiring)
	}
	if _, err := store.Ack(t.Context(), ns.Ack{Queue: to, Through: 2, Now: someTime}); err != nil {
		t.Fatal(err)
	}
	big := func() int64 {
		return store.client.ZCard(t.Context(), store.client.Keys(t.Context(), "*}Z*").Val()[0]).Val()
	}
	if count, _ := kinds(t, store); count[keyPayload] != 2 || big() != 2 {
		t.Errorf("when one was acknowledged, of three payloads %d are there, and %d are named", count[keyPayload], big())
	}
	if _, _, err := store.Sweep(t.Context(), someTime+2*aWeek); err != nil {
		t.Fatal(err)
	}
	if count, _ := kinds(t, store); count[keyPayload]+count['Z']+count['S'] != 0 {
		t.Errorf("when all has expired there are %v", count)
	}
}

// TestNothingIsLeftOfALegacyQueue lets messages of a queue expire that nobody reads,
// with all that is kept about their senders.
func TestNothingIsLeftOfALegacyQueue(t *testing.T) {
	store := node(t, redistest.Start(t), "", nil)
	req := note(ns.ChannelID{}, person(2), []byte("hello"), "")
	req.Quota.ShareMessages = 10
	for sender := range byte(3) {
		req.Account = ns.Account{sender}
		for n := range sender + 1 {
			if req.MessageID = ""; n > 0 {
				req.MessageID = fmt.Sprint(n)
			}
			if _, err := store.Append(t.Context(), req); err != nil {
				t.Fatal(err)
			}
		}
	}
	for n := range ns.UnixMilli(2) { // a share is looked at after its queue
		if _, _, err := store.Sweep(t.Context(), someTime+aWeek+n*aWeek); err != nil {
			t.Fatal(err)
		}
	}
	if count, _ := kinds(t, store); count['S']+count['H']+count['G']+count['I']+count['J']+count[keyIndex] != 0 {
		t.Errorf("there are %v", count)
	}
}

// thief is a hook that takes away what was set, as Redis does when the script that
// wants it comes after a minute.
type thief struct{ client *Client }

func (thief) DialHook(next redis.DialHook) redis.DialHook { return next }

func (th thief) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		if key, ok := cmd.Args()[min(1, len(cmd.Args())-1)].(string); ok && cmd.Name() == "set" {
			_ = th.client.Del(ctx, key).Err() // the test sees whether it is gone
		}
		return err
	}
}

func (thief) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// TestAPayloadThatIsGoneStoresNothing lets a payload be away before its message comes.
func TestAPayloadThatIsGoneStoresNothing(t *testing.T) {
	server := redistest.Start(t)
	store := node(t, server, "", nil)
	id, to := conversation(t, store)
	_, err := node(t, server, "", thief{connected(t, server.URL())}).Append(t.Context(), note(id, person(2), make([]byte, maxInline+1), "id"))
	isAway(t, "append", err)
	page, err := store.Read(t.Context(), ns.Read{Queue: to, Limit: 9, MaxBytes: 99, Now: someTime})
	if err != nil || page.Head != 1 || len(page.Messages) != 1 {
		t.Errorf("there are %+v, %v", page, err)
	}
	appended, err := store.Append(t.Context(), note(id, person(2), make([]byte, maxInline+1), "id"))
	if err != nil || appended.Outcome != ns.AppendStored || appended.Seq != 2 {
		t.Errorf("sent again: %+v, %v", appended, err)
	}
}

// TestSweepsLeaveWhatWasMadeAnew sweeps entries that were due when the sweep looked,
// and are not any more.
func TestSweepsLeaveWhatWasMadeAnew(t *testing.T) {
	store := node(t, redistest.Start(t), "", nil)
	ctx, digest := t.Context(), [32]byte{1}
	claim := ns.ClaimKeyPackageRequest{
		Owner: person(2), Claimer: person(1), ClaimID: "id", ClaimUntil: someTime + 1000, OneTime: true, Now: someTime,
	}
	if _, err := store.PutKeyPackages(ctx, ns.PutKeyPackages{Owner: person(2), Now: someTime, Packages: []ns.StoredKeyPackage{{
		Ref: [32]byte{1}, CipherSuite: 1, Data: []byte{1}, ExpiresAt: someTime + aWeek, NotAfter: someTime + aWeek,
	}}}); err != nil {
		t.Fatal(err)
	}
	if claimed, err := store.ClaimKeyPackage(ctx, claim); err != nil || !claimed.Found {
		t.Fatalf("claimed: %+v, %v", claimed, err)
	}
	if first, err := store.Spend(ctx, "nonce", digest, someTime+1000, someTime); err != nil || !first {
		t.Fatalf("spent: %v, %v", first, err)
	}
	for bucket := range uint32(buckets) {
		base := store.base(bucket)
		entries, err := store.client.ZRange(ctx, base+string(keyIndex), 0, -1).Result()
		if err != nil {
			t.Fatal(err)
		}
		if err := store.sweepBucket(ctx, &sweepStep{now: someTime, budget: maxSweepStep}, base, entries); err != nil {
			t.Fatal(err)
		}
	}
	if claimed, err := store.ClaimKeyPackage(ctx, claim); err != nil || !claimed.Repeated {
		t.Errorf("claimed again: %+v, %v", claimed, err)
	}
	if first, err := store.Spend(ctx, "nonce", digest, someTime+1000, someTime); err != nil || first {
		t.Errorf("spent again: %v, %v", first, err)
	}
}

// TestSweepsLookAgainWhenTheNextExpires lets messages and key packages expire one after
// the other, twice: each goes when it is due, and what is not due is not looked at.
func TestSweepsLookAgainWhenTheNextExpires(t *testing.T) {
	store := node(t, redistest.Start(t), "", nil)
	for _, from := range []ns.UnixMilli{someTime, someTime + 3*aWeek} {
		for n := range ns.UnixMilli(2) {
			until := from + (n+1)*aWeek
			req := note(ns.ChannelID{}, person(2), []byte("hello"), "")
			req.Now, req.ExpiresAt = from, until
			if _, err := store.Append(t.Context(), req); err != nil {
				t.Fatal(err)
			}
			if _, err := store.PutKeyPackages(t.Context(), ns.PutKeyPackages{Owner: person(2), Now: from, Packages: []ns.StoredKeyPackage{
				{Ref: [32]byte{byte(n)}, CipherSuite: 1, Data: []byte{1}, ExpiresAt: until, NotAfter: until},
			}}); err != nil {
				t.Fatal(err)
			}
		}
		for n := range ns.UnixMilli(2) {
			now := from + (n+1)*aWeek
			for _, want := range []int{1, 0} {
				swept, more, err := store.Sweep(t.Context(), now)
				if err != nil || more || swept.Messages != want || swept.KeyPackages != want {
					t.Errorf("at %d: swept %+v, more %v, %v; want %d of each", now-someTime, swept, more, err, want)
				}
			}
			if left := due(t, store, now); len(left) != 0 {
				t.Errorf("at %d: there are still due %q", now-someTime, left)
			}
		}
		if count, _ := kinds(t, store); count['S']+count[keyPackages] != 0 {
			t.Errorf("of what has expired there are %v", count)
		}
	}
}

// due are the entries of all buckets that a sweep would look at.
func due(t *testing.T, store *Store, now ns.UnixMilli) (all []string) {
	t.Helper()
	for first := uint32(0); first < buckets; first += sweepRound {
		some, err := store.due(t.Context(), first, now)
		if err != nil {
			t.Fatal(err)
		}
		for _, answer := range some {
			all = append(all, answer.Val()...)
		}
	}
	return all
}

// TestAnIDUsedAnewIsAmongTheLatest uses an id again when its first use has expired:
// what is left of that in the order of ids does not make the new use be forgotten.
func TestAnIDUsedAnewIsAmongTheLatest(t *testing.T) {
	store := node(t, redistest.Start(t), "", nil)
	send := func(id string, at ns.UnixMilli, want ns.AppendOutcome) {
		t.Helper()
		req := note(ns.ChannelID{}, person(2), []byte(id), id)
		req.Now, req.ExpiresAt, req.Quota.RememberedIDs = at, at+aWeek, 2
		if appended, err := store.Append(t.Context(), req); err != nil || appended.Outcome != want {
			t.Errorf("%s: %+v, %v; want outcome %d", id, appended, err, want)
		}
	}
	later := someTime + aWeek + 1
	send("a", someTime, ns.AppendStored)
	for _, id := range []string{"b", "a", "c"} { // of which the latest two are a and c
		send(id, later, ns.AppendStored)
	}
	send("a", later, ns.AppendDuplicate)
	send("b", later, ns.AppendStored)
}
