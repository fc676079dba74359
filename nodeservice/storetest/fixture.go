package storetest

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"reflect"
	"sync"
	"testing"

	"github.com/quicproquo/node/nodeservice"
)

// The spans of the suite's clock, which moves only when a test says so.
const (
	second nodeservice.UnixMilli = 1000
	hour                         = 3600 * second
	week                         = 7 * 24 * hour
)

// everything is a bound that nothing in the suite reaches.
const everything = 1 << 30

// fixture is one open engine with short words for its calls: each fails the
// test on an error, and takes the fixture's clock. It remembers who and what the
// test used, and so knows what must survive a crash.
type fixture struct {
	*testing.T
	ctx    context.Context
	opened Opened
	store  nodeservice.Store     // of opened, since the last crash
	now    nodeservice.UnixMilli // moved by the test's goroutine alone

	mu       sync.Mutex
	made     uint64                  // guarded by mu: ids given so far
	people   []nodeservice.Identity  // guarded by mu
	channels []nodeservice.ChannelID // guarded by mu
}

func newFixture(t *testing.T, e Engine) *fixture {
	opened := e.Open(t)
	return &fixture{T: t, ctx: t.Context(), opened: opened, store: opened.Store, now: 1_750_000_000_000}
}

// crash cuts the power and goes on with the store reopened.
func (f *fixture) crash() {
	f.Helper()
	f.store = f.opened.Crash(f)
}

// surviveCrash cuts the power, and compares everything that can be read.
func (f *fixture) surviveCrash() {
	f.Helper()
	f.crashed("all that was readable", f.view)
}

// crashed compares what read answers before and after a crash.
func (f *fixture) crashed(what string, read func() any) {
	f.Helper()
	before := read()
	f.crash()
	f.same(what+" after a crash", read(), before)
}

// view is all that can be read without changing anything.
func (f *fixture) view() any {
	f.Helper()
	var all []any
	for _, who := range f.people {
		for _, state := range f.list(who) {
			all = append(all, withoutUnread(state))
		}
		all = append(all, f.stock(who), f.read(nodeservice.Queue{Recipient: who}))
		for _, id := range f.channels {
			if state, found := f.state(id, who); found {
				all = append(all, withoutUnread(state), f.read(nodeservice.Queue{Channel: id, Recipient: who}))
			}
		}
	}
	return append(all, f.revocations())
}

// withoutUnread drops what may count expired messages or not, before a sweep.
func withoutUnread(state nodeservice.ChannelState) nodeservice.ChannelState {
	state.Unread = 0
	return state
}

// same fails the test unless got is want.
func (f *fixture) same(what string, got, want any) {
	f.Helper()
	if !reflect.DeepEqual(got, want) {
		f.Errorf("%s:\n got %s\nwant %s", what, brief(got), brief(want))
	}
}

// brief prints a value in so many characters as a reader has patience for.
func brief(v any) string {
	const patience = 4000
	text := fmt.Sprintf("%+v", v)
	if len(text) > patience {
		text = text[:patience] + "..."
	}
	return text
}

// must fails the test on an error of the store. In a goroutine of atOnce it ends
// that goroutine, and the test goes on, failed.
func must[T any](f *fixture, result T, err error) T {
	f.Helper()
	if err != nil {
		f.Fatalf("the store failed: %v (cause: %v)", err, nodeservice.AsError(err).Cause)
	}
	return result
}

// number is fresh with every call.
func (f *fixture) number() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.made++
	return f.made
}

// account is the one that the suite keeps for an identity.
func account(who nodeservice.Identity) nodeservice.Account {
	digest := sha256.Sum256([]byte(who.Raw()))
	return nodeservice.Account(digest[:16])
}

func channelID(n uint64) (id nodeservice.ChannelID) {
	digest := sha256.Sum256(binary.BigEndian.AppendUint64(nil, n))
	copy(id[:], digest[:])
	return id
}

// payload is n bytes that differ with seed, and from end to end.
func payload(n int, seed uint64) []byte {
	var key [32]byte
	binary.BigEndian.PutUint64(key[:], seed)
	b := make([]byte, n)
	_, _ = rand.NewChaCha8(key).Read(b) // never fails
	return b
}

// seqs are the seqs of messages.
func seqs(messages []nodeservice.Message) (all []nodeservice.Seq) {
	for _, m := range messages {
		all = append(all, m.Seq)
	}
	return all
}

// atOnce runs n calls at the same time and waits for all.
func atOnce(n int, call func(i int)) {
	var done sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		done.Go(func() {
			<-start
			call(i)
		})
	}
	close(start)
	done.Wait()
}
