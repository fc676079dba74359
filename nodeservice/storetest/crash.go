package storetest

import (
	"bytes"
	"sync"

	"github.com/quicproquo/node/nodeservice"
)

var crashPromises = []promise{
	{"a crash among appends loses nothing that was answered", (*fixture).crashAmongAppends},
	{"a crash among claims hands nothing out twice", (*fixture).crashAmongClaims},
	{"each change alone survives a crash", (*fixture).eachChangeSurvives},
	{"an empty store survives a crash", func(f *fixture) { f.crash(); f.crash() }},
}

// amongCalls runs call in several goroutines again and again, cuts the power
// once enough calls were answered, and waits for the goroutines. call says
// whether it was answered.
func (f *fixture) amongCalls(enough int, call func(store nodeservice.Store) bool) {
	f.Helper()
	store := f.store
	answered := make(chan struct{})
	over := make(chan struct{})
	var running sync.WaitGroup
	for range 6 {
		running.Go(func() {
			for call(store) {
				select {
				case answered <- struct{}{}:
				case <-over:
					return
				}
			}
		})
	}
	for range enough {
		<-answered
	}
	f.crash()
	close(over)
	running.Wait()
}

func (f *fixture) crashAmongAppends() {
	_, _, bobs := f.pair()
	var mu sync.Mutex
	for range 3 {
		confirmed := map[nodeservice.Seq][]byte{} // guarded by mu
		var before map[nodeservice.Seq][]byte
		crash := f.opened.Crash
		f.opened.Crash = func(t TB) nodeservice.Store {
			mu.Lock()
			before, confirmed = confirmed, map[nodeservice.Seq][]byte{} // later answers promise nothing
			mu.Unlock()
			return crash(t)
		}
		f.amongCalls(40, func(store nodeservice.Store) bool {
			req := f.note(bobs, payload(60, f.number()))
			got, err := store.Append(f.ctx, req)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				confirmed[got.Seq] = req.Payload
			}
			return err == nil
		})
		f.opened.Crash = crash
		f.keptAll(bobs, before)
	}
}

// keptAll insists on messages by seq, in a queue that is dense.
func (f *fixture) keptAll(q nodeservice.Queue, confirmed map[nodeservice.Seq][]byte) {
	f.Helper()
	page := f.read(q)
	f.same("head is what is there", page.Head, nodeservice.Seq(len(page.Messages)))
	for seq, body := range confirmed {
		if int(seq) > len(page.Messages) || !bytes.Equal(page.Messages[seq-1].Payload, body) {
			f.Errorf("the message confirmed as seq %d is lost", seq)
		}
	}
}

func (f *fixture) crashAmongClaims() {
	alice, bob := f.someone(), f.someone()
	batch := f.packages(150, suite1)
	f.puts(alice, false, batch, putStored)
	var mu sync.Mutex
	handed := map[nodeservice.Fingerprint]bool{} // guarded by mu
	before := map[nodeservice.Fingerprint]bool{} // those confirmed before the crash
	crash := f.opened.Crash
	f.opened.Crash = func(t TB) nodeservice.Store {
		mu.Lock()
		before, handed = handed, map[nodeservice.Fingerprint]bool{}
		mu.Unlock()
		return crash(t)
	}
	f.amongCalls(40, func(store nodeservice.Store) bool {
		req := wanted(alice, bob)
		req.Now = f.now
		got, err := store.ClaimKeyPackage(f.ctx, req)
		mu.Lock()
		defer mu.Unlock()
		if err == nil && got.Found {
			handed[got.KeyPackage.Fingerprint] = true
		}
		return err == nil && got.Found
	})
	f.opened.Crash = crash
	for {
		got := f.claim(wanted(alice, bob))
		if !got.Found {
			return
		}
		if before[got.KeyPackage.Fingerprint] {
			f.Fatalf("a key package that was handed out before the crash was handed out after it")
		}
	}
}

// eachChangeSurvives cuts the power right behind every kind of change, so that
// no later change can have taken it to the disk along with itself.
func (f *fixture) eachChangeSurvives() {
	alice, bob := f.someone(), f.someone()
	id := f.create(alice, bob).State.Channel.ID
	bobs := nodeservice.Queue{Channel: id, Recipient: bob}
	legacy := nodeservice.Queue{Recipient: bob}
	batch := f.packages(3, suite1)
	f.surviveCrash()
	f.send(bobs)
	f.surviveCrash()
	f.send(legacy)
	f.surviveCrash()
	f.stored(f.note(bobs, payload(100<<10, f.number())))
	f.surviveCrash()
	f.ack(bobs, 1)
	f.surviveCrash()
	f.create(bob, f.someone())
	f.surviveCrash()
	f.puts(alice, false, batch, putStored)
	f.surviveCrash()
	f.takes(alice, batch[0])
	f.surviveCrash()
	f.puts(alice, true, f.packages(1, suite1), putStored)
	f.surviveCrash()
	f.claim(nodeservice.ClaimKeyPackageRequest{Owner: alice, Claimer: bob})
	f.surviveCrash()
	f.revoke(nodeservice.Revocation{Identity: alice, IssuedBefore: f.now, Until: f.now + hour})
	f.surviveCrash()
	f.same("first", f.spend("nonce", [32]byte{1}, f.now+hour), true)
	f.crash()
	f.same("second", f.spend("nonce", [32]byte{1}, f.now+hour), false)
	f.now += 2 * week
	f.sweep()
	f.surviveCrash()
}
