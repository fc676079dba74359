package redisstore

import (
	"testing"

	ns "github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/redisstore/redistest"
)

// holding reserves room as a node does that is about to store a message.
func holding(t *testing.T, store *Store, req ns.Append, token string) reservation {
	t.Helper()
	room := reservation{account: req.Account, name: token + req.MessageID, queue: entryOf(req.Queue), size: len(req.Payload)}
	if over, err := store.reserve(t.Context(), &room, req); err != nil || over {
		t.Fatalf("reserved: over %v, %v", over, err)
	}
	return room
}

// TestRoomThatAnotherMessageHoldsIsWaitedFor reserves room for a message that is then
// refused, while the next one waits for it.
func TestRoomThatAnotherMessageHoldsIsWaitedFor(t *testing.T) {
	server := redistest.Start(t)
	other := node(t, server, "", nil)
	req := note(ns.ChannelID{}, person(2), make([]byte, 10), "")
	req.Quota.AccountBytes = 15
	room := holding(t, other, req, newToken())
	waiting := &upon{script: reserveScript, nth: 2, do: func() {
		if err := other.settleAll(t.Context(), []settlement{{room: room}}); err != nil {
			t.Error(err)
		}
	}}
	appended, err := waiting.node(t, server, "").Append(t.Context(), req)
	if err != nil || appended.Outcome != ns.AppendStored {
		t.Errorf("%+v, %v", appended, err)
	}
}

// TestRoomIsHeldUntilItsTimeIsOver audits an account, whose room another message
// holds that is on its way: under an id of its own, under one that a message had
// before it which has expired, and under none.
func TestRoomIsHeldUntilItsTimeIsOver(t *testing.T) {
	server := redistest.Start(t)
	for _, c := range []struct{ name, before, id string }{
		{"without an id", "", ""}, {"with a new id", "old", "new"}, {"with an id used before", "old", "old"},
	} {
		store := node(t, server, c.name, nil)
		req := note(ns.ChannelID{}, person(2), make([]byte, 10), c.before)
		if appended, err := store.Append(t.Context(), req); err != nil || appended.Outcome != ns.AppendStored {
			t.Fatalf("%s: %+v, %v", c.name, appended, err)
		}
		req.Quota.AccountBytes, req.MessageID = 15, c.id
		req.Now, req.ExpiresAt = req.Now+aWeek, req.ExpiresAt+aWeek
		holding(t, store, req, newToken())
		req.MessageID = ""
		large := req
		large.Payload = make([]byte, 20)
		for _, left := range []int{1, 0} {
			if appended, err := store.Append(t.Context(), large); err != nil || appended.Outcome != ns.AppendOverQuota {
				t.Errorf("%s: the large one: %+v, %v", c.name, appended, err)
			}
			if got := reservations(t, store, req.Account); len(got) != left {
				t.Errorf("%s: there are reservations %q, want %d", c.name, got, left)
			}
			large.Now += reservationLife
		}
		if appended, err := store.Append(t.Context(), req); err != nil || appended.Outcome != ns.AppendStored {
			t.Errorf("%s: the small one: %+v, %v", c.name, appended, err)
		}
	}
}

// TestAMessageOnItsWayIsStoredThoughItsAccountIsAudited refuses another message of the
// account while its reservation stands.
func TestAMessageOnItsWayIsStoredThoughItsAccountIsAudited(t *testing.T) {
	server := redistest.Start(t)
	other := node(t, server, "", nil)
	req := note(ns.ChannelID{}, person(2), make([]byte, 10), "")
	req.Quota.AccountBytes = 15
	audited := &upon{script: reserveScript, nth: 1, do: func() {
		large := req
		large.Payload = make([]byte, 20)
		if appended, err := other.Append(t.Context(), large); err != nil || appended.Outcome != ns.AppendOverQuota {
			t.Errorf("the large one: %+v, %v", appended, err)
		}
	}}
	appended, err := audited.node(t, server, "").Append(t.Context(), req)
	if err != nil || appended.Outcome != ns.AppendStored {
		t.Errorf("%+v, %v", appended, err)
	}
}

// TestAMessageHeldUpForLongIsNotStoredBeyondItsQuota stops a node behind its
// reservation until that ran out, and another has used the room.
func TestAMessageHeldUpForLongIsNotStoredBeyondItsQuota(t *testing.T) {
	server := redistest.Start(t)
	for _, id := range []string{"", "id"} {
		for _, legacy := range []bool{true, false} {
			space := "held up" + id
			if legacy {
				space += ", legacy"
			}
			other := node(t, server, space, nil)
			req := note(ns.ChannelID{}, person(2), make([]byte, 10), id)
			if !legacy {
				req.Queue.Channel, _ = conversation(t, other)
			}
			req.Quota.AccountBytes = 19
			later := req
			later.MessageID, later.Now = "", req.Now+reservationLife
			slow := &upon{script: reserveScript, nth: 1, do: func() {
				if appended, err := other.Append(t.Context(), later); err != nil || appended.Outcome != ns.AppendStored {
					t.Errorf("%s: the other's message: %+v, %v", space, appended, err)
				}
			}}
			store := slow.node(t, server, space)
			_, err := store.Append(t.Context(), req)
			isAway(t, space, err)
			req.Now = later.Now
			if appended, err := store.Append(t.Context(), req); err != nil || appended.Outcome != ns.AppendOverQuota {
				t.Errorf("%s: sent again: %+v, %v", space, appended, err)
			}
		}
	}
}

// TestACreationHeldUpForLongIsNotMadeBeyondItsQuota does the same with a channel.
func TestACreationHeldUpForLongIsNotMadeBeyondItsQuota(t *testing.T) {
	server := redistest.Start(t)
	other := node(t, server, "", nil)
	slow := &upon{script: reserveChannelScript, nth: 1, do: func() {
		req := creation(person(1), person(3), 2, 1)
		req.Now += reservationLife
		if created, err := other.CreateChannel(t.Context(), req); err != nil || !created.Created {
			t.Errorf("the other's channel: %+v, %v", created, err)
		}
	}}
	store := slow.node(t, server, "")
	_, err := store.CreateChannel(t.Context(), creation(person(1), person(2), 1, 1))
	isAway(t, "create", err)
	created, err := store.CreateChannel(t.Context(), creation(person(1), person(2), 3, 1))
	if err != nil || !created.OverQuota {
		t.Errorf("asked again: %+v, %v", created, err)
	}
}
