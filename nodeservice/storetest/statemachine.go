package storetest

import (
	"context"
	"crypto/ed25519"
	"flag"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/identity"
	"github.com/quicproquo/node/nodeservice/storetest/model"
)

// machine makes the same random calls on an engine and on the model, and
// compares each answer; now and then, before and after each crash and at the
// end it compares all that can be read.
type machine struct {
	ctx      context.Context
	opened   Opened
	engine   nodeservice.Store // of opened, since the last crash
	model    *model.Store
	now      nodeservice.UnixMilli
	made     uint64 // ids given so far
	people   []nodeservice.Identity
	channels []nodeservice.Channel
	swept    bool // and nothing expired since: unread is exact
}

// compareWithModel runs the machine. Without -rapid.checks and -rapid.steps it
// takes fewer, longer runs than is rapid's default: opening costs, calls do not.
func compareWithModel(t *testing.T, e Engine) {
	unlessGiven(t, "rapid.checks", "15")
	unlessGiven(t, "rapid.steps", "120")
	rapid.Check(t, func(t *rapid.T) {
		opened := e.Open(t)
		m := &machine{ctx: t.Context(), opened: opened, engine: opened.Store, model: model.New(), now: 1_750_000_000_000}
		long := string(twinKey())
		for _, raw := range []string{long, long[:ed25519.PublicKeySize], string(ed25519Key(1))} {
			m.people = append(m.people, identity.TrustedKey(raw))
		}
		t.Repeat(map[string]func(*rapid.T){
			"createChannel": m.createChannel,
			"append":        m.append,
			"append too":    m.append,
			"append again":  m.append,
			"read":          m.read,
			"ack":           m.ack,
			"put":           m.put,
			"claim":         m.claim,
			"claim too":     m.claim,
			"spend":         m.spend,
			"revoke":        m.revoke,
			"sweep":         m.sweep,
			"time passes":   m.pass,
			"crash":         m.crash,
			"compare":       m.compareAll,
		})
		m.crash(t)
	})
}

// unlessGiven sets a flag for this test, if it has its default.
func unlessGiven(t *testing.T, name, value string) {
	f := flag.Lookup(name)
	if f == nil || f.Value.String() != f.DefValue {
		return
	}
	if err := f.Value.Set(value); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Value.Set(f.DefValue) })
}

// both makes a call on engine and model, and compares the answers.
func both[T any](t *rapid.T, m *machine, what string, call func(nodeservice.Store) (T, error)) T {
	want, err := call(m.model)
	if err != nil {
		t.Fatalf("%s of the model: %v", what, err)
	}
	got, err := call(m.engine)
	if err != nil {
		t.Fatalf("%s of the engine: %v (cause: %v)", what, err, nodeservice.AsError(err).Cause)
	}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("%s:\nengine %s\n model %s", what, brief(got), brief(want))
	}
	return want
}

func (m *machine) pass(t *rapid.T) {
	m.now += rapid.SampledFrom([]nodeservice.UnixMilli{1, 10, 40}).Draw(t, "ms")
	m.swept = false
}

func (m *machine) crash(t *rapid.T) {
	m.compareAll(t)
	m.engine = m.opened.Crash(t)
	m.compareAll(t)
}

func (m *machine) sweep(t *rapid.T) {
	for _, store := range []nodeservice.Store{m.model, m.engine} {
		for more := true; more; {
			var err error
			if _, more, err = store.Sweep(m.ctx, m.now); err != nil {
				t.Fatalf("Sweep: %v", err)
			}
		}
	}
	m.swept = true
}

func (m *machine) createChannel(t *rapid.T) {
	creator := m.person(t, "creator")
	peer := rapid.SampledFrom(m.people).Filter(func(p nodeservice.Identity) bool { return p != creator }).Draw(t, "peer")
	m.made++
	req := nodeservice.CreateChannel{
		ID: channelID(m.made), Creator: creator, Peer: peer, Account: account(creator), Now: m.now,
		MaxChannels: rapid.IntRange(0, 2).Draw(t, "most"),
	}
	created := both(t, m, "CreateChannel", func(s nodeservice.Store) (nodeservice.CreatedChannel, error) {
		got, err := s.CreateChannel(m.ctx, req)
		got.State.Unread = 0
		return got, err
	})
	if created.Created {
		m.channels = append(m.channels, created.State.Channel)
	}
}

func (m *machine) person(t *rapid.T, label string) nodeservice.Identity {
	return rapid.SampledFrom(m.people).Draw(t, label)
}

// queue is one of those that exist, with the account of one who writes to it.
func (m *machine) queue(t *rapid.T) (nodeservice.Queue, nodeservice.Account) {
	i := rapid.IntRange(0, len(m.channels)).Draw(t, "channel")
	if i == len(m.channels) {
		return nodeservice.Queue{Recipient: m.person(t, "recipient")}, account(m.person(t, "sender"))
	}
	c := m.channels[i]
	to := rapid.IntRange(0, 1).Draw(t, "direction")
	return nodeservice.Queue{Channel: c.ID, Recipient: c.Members[to]}, account(c.Members[1-to])
}

// nearHead is a seq up to one above the head of a queue.
func (m *machine) nearHead(t *rapid.T, q nodeservice.Queue, label string) nodeservice.Seq {
	page, err := m.model.Read(m.ctx, nodeservice.Read{Queue: q, Limit: 1, Now: m.now})
	if err != nil {
		t.Fatalf("Read of the model: %v", err)
	}
	return page.Head + 1 - min(page.Head+1, nodeservice.Seq(rapid.IntRange(0, 6).Draw(t, label)))
}

func (m *machine) append(t *rapid.T) {
	q, from := m.queue(t)
	size := rapid.SampledFrom([]int{1, 10, 30, 1, 10, 30, 1, 10, 30, 70_000}).Draw(t, "size")
	f := fixture{now: m.now}
	req := f.note(q, payload(size, rapid.Uint64Range(0, 1).Draw(t, "body")))
	req.Account = from
	req.MessageID = rapid.SampledFrom([]string{"", "", "a", "b", "c"}).Draw(t, "message id")
	req.ExpiresAt = m.now + rapid.SampledFrom([]nodeservice.UnixMilli{5, 30, 60}).Draw(t, "life")
	if rapid.IntRange(0, 3).Draw(t, "conditional") == 0 {
		req.IfHead = accept(m.nearHead(t, q, "if head"))
	}
	req.Quota = nodeservice.AppendQuota{
		QueueMessages: rapid.SampledFrom([]int{0, 3}).Draw(t, "queue messages"),
		QueueBytes:    rapid.SampledFrom([]int64{0, 0, 60}).Draw(t, "queue bytes"),
		AccountBytes:  rapid.SampledFrom([]int64{0, 0, 100}).Draw(t, "account bytes"),
		RememberedIDs: 2,
	}
	if q.Legacy() {
		req.Quota.ShareMessages = rapid.SampledFrom([]int{0, 2}).Draw(t, "share messages")
		req.Quota.ShareBytes = rapid.SampledFrom([]int64{0, 0, 40}).Draw(t, "share bytes")
	}
	both(t, m, "Append", func(s nodeservice.Store) (nodeservice.Appended, error) { return s.Append(m.ctx, req) })
}

func (m *machine) read(t *rapid.T) {
	q, _ := m.queue(t)
	m.readBoth(t, nodeservice.Read{
		Queue:    q,
		After:    m.nearHead(t, q, "after"),
		Limit:    rapid.IntRange(1, 3).Draw(t, "limit"),
		MaxBytes: rapid.IntRange(0, 80).Draw(t, "bytes"),
	})
}

func (m *machine) readBoth(t *rapid.T, req nodeservice.Read) {
	req.Now = m.now
	both(t, m, "Read", func(s nodeservice.Store) (nodeservice.QueuePage, error) {
		page, err := s.Read(m.ctx, req)
		page.Messages = orNil(page.Messages)
		return page, err
	})
}

func (m *machine) ack(t *rapid.T) {
	q, _ := m.queue(t)
	req := nodeservice.Ack{Queue: q, Through: m.nearHead(t, q, "through"), Now: m.now}
	if rapid.IntRange(0, 3).Draw(t, "conditional") == 0 {
		req.IfAcked = accept(m.nearHead(t, q, "if acked"))
	}
	both(t, m, "Ack", func(s nodeservice.Store) (nodeservice.Acked, error) { return s.Ack(m.ctx, req) })
}

// compareAll reads everything from both.
func (m *machine) compareAll(t *rapid.T) {
	for _, who := range m.people {
		both(t, m, "Channels", func(s nodeservice.Store) ([]nodeservice.ChannelState, error) {
			states, err := s.Channels(m.ctx, who, 0, everything, m.now)
			for i := range states {
				m.checkUnread(t, &states[i], who)
			}
			return orNil(states), err
		})
		both(t, m, "KeyPackageStock", func(s nodeservice.Store) ([]nodeservice.KeyPackageStock, error) {
			stock, err := s.KeyPackageStock(m.ctx, who, m.now)
			return orNil(stock), err
		})
		m.readBoth(t, nodeservice.Read{Queue: nodeservice.Queue{Recipient: who}, Limit: everything, MaxBytes: everything})
	}
	for _, c := range m.channels {
		for _, who := range c.Members {
			both(t, m, "ChannelState", func(s nodeservice.Store) (nodeservice.ChannelState, error) {
				state, _, err := s.ChannelState(m.ctx, c.ID, who, m.now)
				m.checkUnread(t, &state, who)
				return state, err
			})
			m.readBoth(t, nodeservice.Read{Queue: nodeservice.Queue{Channel: c.ID, Recipient: who}, Limit: everything, MaxBytes: everything})
		}
	}
	both(t, m, "Revocations", func(s nodeservice.Store) (map[nodeservice.Revocation]int, error) {
		list, err := s.Revocations(m.ctx, m.now)
		times := map[nodeservice.Revocation]int{}
		for _, r := range list {
			times[r]++
		}
		return times, err
	})
}

// checkUnread compares unread with what can be read, and takes it out of the
// comparison: expired messages may be counted until they are swept.
func (m *machine) checkUnread(t *rapid.T, state *nodeservice.ChannelState, viewer nodeservice.Identity) {
	page, err := m.model.Read(m.ctx, nodeservice.Read{
		Queue: nodeservice.Queue{Channel: state.Channel.ID, Recipient: viewer},
		Limit: everything, MaxBytes: everything, Now: m.now,
	})
	unexpired := uint64(len(page.Messages))
	if err != nil || state.Unread < unexpired || m.swept && state.Unread > unexpired || state.Unread > uint64(state.Head-state.Acked) {
		t.Fatalf("unread is %d of a queue with %d (swept: %v, %v)", state.Unread, unexpired, m.swept, err)
	}
	state.Unread = 0
}
