package storetest

import (
	"context"
	"sync/atomic"

	"github.com/quicproquo/node/nodeservice"
)

var closePromises = []promise{
	{"a closed store is unavailable", (*fixture).closedIsUnavailable},
	{"a closed store kept what it answered", (*fixture).closeKeeps},
	{"a store closed among calls kept what it answered", (*fixture).closeAmongCalls},
	{"a call whose context ended is whole or not at all", (*fixture).contextEnded},
	{"a store says what it is and what is free", (*fixture).describesItself},
}

func (f *fixture) closeStore() {
	f.Helper()
	must(f, struct{}{}, f.store.Close())
}

func (f *fixture) closedIsUnavailable() {
	id, _, bobs := f.pair()
	f.closeStore()
	f.closeStore() // twice is as good as once
	for name, call := range f.everyCall(id, bobs) {
		if err := call(f.ctx, f.store); nodeservice.CodeOf(err) != nodeservice.CodeUnavailable {
			f.Errorf("%s of a closed store: %v, not unavailable", name, err)
		}
	}
	f.crash()
	f.same("a channel of before", f.send(bobs), nodeservice.Seq(1))
}

// everyCall is each method that can fail, by name.
func (f *fixture) everyCall(id nodeservice.ChannelID, q nodeservice.Queue) map[string]func(context.Context, nodeservice.Store) error {
	who := q.Recipient
	return map[string]func(context.Context, nodeservice.Store) error{
		"CreateChannel": func(ctx context.Context, s nodeservice.Store) error {
			_, err := s.CreateChannel(ctx, nodeservice.CreateChannel{ID: channelID(f.number()), Creator: who, Peer: f.someone(), Now: f.now})
			return err
		},
		"Channel": func(ctx context.Context, s nodeservice.Store) error { _, _, err := s.Channel(ctx, id); return err },
		"ChannelByPair": func(ctx context.Context, s nodeservice.Store) error {
			_, _, err := s.ChannelByPair(ctx, [2]nodeservice.Identity{who, who})
			return err
		},
		"ChannelState": func(ctx context.Context, s nodeservice.Store) error {
			_, _, err := s.ChannelState(ctx, id, who, f.now)
			return err
		},
		"Channels": func(ctx context.Context, s nodeservice.Store) error {
			_, err := s.Channels(ctx, who, 0, 1, f.now)
			return err
		},
		"Append": func(ctx context.Context, s nodeservice.Store) error {
			_, err := s.Append(ctx, f.note(q, []byte("late")))
			return err
		},
		"Read": func(ctx context.Context, s nodeservice.Store) error {
			_, err := s.Read(ctx, nodeservice.Read{Queue: q, Limit: 1, Now: f.now})
			return err
		},
		"Ack": func(ctx context.Context, s nodeservice.Store) error {
			_, err := s.Ack(ctx, nodeservice.Ack{Queue: q, Now: f.now})
			return err
		},
		"PutKeyPackages": func(ctx context.Context, s nodeservice.Store) error {
			_, err := s.PutKeyPackages(ctx, nodeservice.PutKeyPackages{Owner: who, Packages: f.packages(1, suite1), Now: f.now})
			return err
		},
		"ClaimKeyPackage": func(ctx context.Context, s nodeservice.Store) error {
			_, err := s.ClaimKeyPackage(ctx, nodeservice.ClaimKeyPackageRequest{Owner: who, Claimer: who, OneTime: true, Now: f.now})
			return err
		},
		"KeyPackageStock": func(ctx context.Context, s nodeservice.Store) error {
			_, err := s.KeyPackageStock(ctx, who, f.now)
			return err
		},
		"Spend": func(ctx context.Context, s nodeservice.Store) error {
			_, err := s.Spend(ctx, "late", [32]byte{}, f.now+hour, f.now)
			return err
		},
		"Revoke": func(ctx context.Context, s nodeservice.Store) error {
			return s.Revoke(ctx, nodeservice.Revocation{Identity: who, Until: f.now + hour})
		},
		"Revocations": func(ctx context.Context, s nodeservice.Store) error { _, err := s.Revocations(ctx, f.now); return err },
		"Sweep":       func(ctx context.Context, s nodeservice.Store) error { _, _, err := s.Sweep(ctx, f.now); return err },
		"Free":        func(ctx context.Context, s nodeservice.Store) error { _, err := s.Free(ctx); return err },
	}
}

func (f *fixture) closeKeeps() {
	_, _, bobs := f.pair()
	f.stored(f.note(bobs, payload(100<<10, f.number())))
	f.puts(bobs.Recipient, false, f.packages(2, suite1), putStored)
	before := f.view()
	f.closeStore()
	f.crash()
	f.same("all that was readable", f.view(), before)
}

// closeAmongCalls closes a store under writers: each of their calls is answered
// and kept, or unavailable.
func (f *fixture) closeAmongCalls() {
	_, _, bobs := f.pair()
	store := f.store
	var stored atomic.Int64
	atOnce(6, func(i int) {
		for n := 0; ; n++ {
			if i == 0 && n == 10 {
				f.closeStore()
			}
			appended, err := store.Append(f.ctx, f.note(bobs, payload(50, f.number())))
			if code := nodeservice.CodeOf(err); code == nodeservice.CodeUnavailable {
				return
			}
			f.outcome(must(f, appended, err), nodeservice.AppendStored)
			stored.Add(1)
		}
	})
	f.crash()
	page := f.read(bobs)
	if n := int64(len(page.Messages)); n < stored.Load() || page.Head != nodeservice.Seq(n) {
		f.Errorf("%d messages were answered; there are %d, and head is %d", stored.Load(), n, page.Head)
	}
}

func (f *fixture) contextEnded() {
	id, _, bobs := f.pair()
	ended, cancel := context.WithCancel(f.ctx)
	cancel()
	for _, call := range f.everyCall(id, bobs) {
		_ = call(ended, f.store) // may succeed, may fail; what follows holds anyway
	}
	page := f.read(bobs)
	f.same("head is what is there", page.Head, nodeservice.Seq(len(page.Messages)))
	f.same("the next seq", f.send(bobs), page.Head+1)
}

func (f *fixture) describesItself() {
	if f.store.Durability() == "" {
		f.Errorf("Durability says nothing")
	}
	free, err := f.store.Free(f.ctx)
	if free = must(f, free, err); free < 0 || free > 1 {
		f.Errorf("Free is %v, no share from 0 to 1", free)
	}
}
