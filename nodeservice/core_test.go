package nodeservice

import (
	"errors"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/quicproquo/node/nodeservice/identity"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newIdentity(t testing.TB) Identity {
	t.Helper()
	key, err := identity.GenerateKey(identity.EdDSA)
	if err != nil {
		t.Fatal(err)
	}
	return key.Public()
}

func TestCodesAreListedOnceAndCounted(t *testing.T) {
	if len(codeIndex) != codeCount || len(Codes()) != codeCount-1 {
		t.Fatalf("%d codes, %d distinct, room for %d", len(Codes()), len(codeIndex)-1, codeCount-1)
	}
}

func TestEveryOperationHasAPolicy(t *testing.T) {
	names := map[string]bool{}
	for op := range operations {
		p := policies[op]
		if p.name == "" || names[p.name] {
			t.Errorf("operation %d has no name of its own: %q", op, p.name)
		}
		names[p.name] = true
	}
	for _, op := range []operation{opGetChannel, opEnqueue, opFetch, opAck, opFollow, opStreamAck} {
		if !policies[op].member {
			t.Errorf("%v does not ask for membership", op)
		}
	}
}

func TestInternalErrorsKeepTheirTextInside(t *testing.T) {
	e := AsError(errors.New("pebble: /secret/path is corrupt"))
	if e.Code != CodeInternal || strings.Contains(e.Error(), "secret") || errors.Unwrap(e) == nil {
		t.Fatalf("%v, cause %v", e, errors.Unwrap(e))
	}
}

func TestTheClockNeverGoesBack(t *testing.T) {
	at := time.UnixMilli(1_000_000)
	s := &Service{cfg: Config{Now: func() time.Time { return at }}}
	before := s.now()
	at = at.Add(-time.Hour)
	if after := s.now(); after != before {
		t.Fatalf("from %d back to %d", before, after)
	}
}

func TestBucketsAreBounded(t *testing.T) {
	const size = 64
	l := NewMemoryLimiter(size)
	for i := range 10 * size {
		charge := []Charge{{Bucket: string(rune('a' + i)), Cost: 1, Rate: Per(10, time.Second)}}
		if _, err := l.Take(t.Context(), time.Now(), charge); err != nil {
			t.Fatal(err)
		}
	}
	if n := l.buckets.Len(); n != size {
		t.Fatalf("%d buckets are remembered, not %d", n, size)
	}
}

func TestWindowLetsOneMessagePassAndCountsBytes(t *testing.T) {
	w := Window{Messages: 2, Bytes: 10}
	for _, c := range []struct {
		out  Window
		size int
		want bool
	}{
		{Window{}, 100, true},
		{Window{1, 5}, 5, true},
		{Window{1, 5}, 6, false},
		{Window{2, 0}, 1, false},
	} {
		if got := w.fits(c.out, c.size); got != c.want {
			t.Errorf("%d bytes behind %+v: %v", c.size, c.out, got)
		}
	}
	if share := newWindow(Window{Messages: 3}, true).share; share.Messages != 1 {
		t.Errorf("a channel's share of three messages is %d", share.Messages)
	}
}

func TestGapNamesWhatWillNotCome(t *testing.T) {
	for _, c := range []struct {
		after, acked, floor Seq
		want                *Gap
	}{
		{0, 0, 0, nil},
		{5, 5, 0, nil},
		{7, 5, 0, nil},
		{0, 0, 3, &Gap{1, 3, GapExpired}},
		{2, 4, 0, &Gap{3, 4, GapAcked}},
		{2, 4, 9, &Gap{3, 9, GapExpired}},
		{9, 4, 9, nil},
	} {
		got := gapAfter(c.after, QueuePage{Acked: c.acked, Floor: c.floor, FloorReason: GapExpired})
		if (got == nil) != (c.want == nil) || got != nil && *got != *c.want {
			t.Errorf("after %d, acked %d, floor %d: %v, not %v", c.after, c.acked, c.floor, got, c.want)
		}
	}
}

func TestRevocationsAreForgottenWhenTheirTokensExpired(t *testing.T) {
	r, id := newRevoked(), newIdentity(t)
	r.add(Revocation{Token: [32]byte{1}, Until: 10})
	r.add(Revocation{Identity: id, IssuedBefore: 5, Until: 10})
	token := &identity.Token{Identity: id, IssuedAt: time.UnixMilli(4)}
	if !r.has(token) || !r.has(&identity.Token{Hash: [32]byte{1}}) {
		t.Error("a revocation does not hold")
	}
	token.IssuedAt = time.UnixMilli(5)
	if r.has(token) {
		t.Error("a token issued at the instant is revoked")
	}
	r.forget(10)
	if len(r.tokens)+len(r.identities) != 0 {
		t.Error("expired revocations are kept")
	}
}

func TestAddressesShareABucketBySubnet(t *testing.T) {
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"192.0.2.1", "192.0.2.2", false},
		{"192.0.2.1", "::ffff:192.0.2.1", true},
		{"2001:db8::1", "2001:db8::ffff", true},
		{"2001:db8::1", "2001:db8:0:1::1", false},
	} {
		a, b := Origin{Address: mustAddr(c.a)}, Origin{Address: mustAddr(c.b)}
		if same := a.bucket() == b.bucket(); same != c.same {
			t.Errorf("%s and %s: %v", c.a, c.b, same)
		}
	}
}

func TestPresenceIsBoundedByItsQuota(t *testing.T) {
	p, id := newPresence(), newIdentity(t)
	leave, err := p.enter(id, waiting, 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.enter(id, waiting, 1); CodeOf(err) != CodeQuotaExceeded {
		t.Errorf("the second wait of one: %v", err)
	}
	leave()
	leave()
	if len(p.open) != 0 {
		t.Error("presence remembers who left")
	}
}
