package nodetest

import (
	"net/netip"
	"time"

	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/identity"
)

// The rates of these behaviours refill once in minutes of the moved clock, so
// that what a test takes of real time does not count.
var rates = []Behaviour{
	{Name: "requests are limited by address", Config: func(cfg *nodeservice.Config) {
		longSessions(cfg)
		cfg.Rates.Address = nodeservice.Per(30, 10*time.Hour)
	}, Run: limitedByAddress},
	{Name: "one address does not spend another's limit, and 64 bits of IPv6 are one address", Needs: Origins, Config: func(cfg *nodeservice.Config) {
		cfg.Rates.Address = nodeservice.Per(5, 10*time.Hour)
	}, Run: addressesApart},
	{Name: "a failed authentication costs its address ten requests", Config: func(cfg *nodeservice.Config) {
		cfg.Rates.Address = nodeservice.Per(40, 40*time.Hour)
		cfg.Rates.FailureCost = 10
	}, Run: failureCosts},
	{Name: "requests are limited by identity, over all its sessions", Config: func(cfg *nodeservice.Config) {
		longSessions(cfg)
		cfg.Rates.Identity = nodeservice.Per(20, 20*time.Hour)
	}, Run: limitedByIdentity},
	{Name: "requests are limited by channel and caller", Config: func(cfg *nodeservice.Config) {
		longSessions(cfg)
		cfg.Rates.Channel = nodeservice.Per(5, 5*time.Hour)
	}, Run: limitedByChannel},
	{Name: "what one limit refuses charges no other", Config: func(cfg *nodeservice.Config) {
		cfg.Rates.Channel = nodeservice.Per(3, 3*time.Hour)
		cfg.Rates.Identity = nodeservice.Per(30, 30*time.Hour)
	}, Run: refusalChargesNothing},
	{Name: "bytes sent are limited by identity, and a refused send costs none", Config: func(cfg *nodeservice.Config) {
		longSessions(cfg)
		cfg.Rates.BytesIn = nodeservice.Per(3000, 3*time.Hour)
	}, Run: bytesSentLimited},
	{Name: "bytes returned are limited by identity, afterwards", Config: func(cfg *nodeservice.Config) {
		longSessions(cfg)
		cfg.Rates.BytesOut = nodeservice.Per(3000, 3*time.Hour)
	}, Run: bytesReturnedLimited},
	{Name: "channels really created are limited, and those that are there are not", Config: func(cfg *nodeservice.Config) {
		longSessions(cfg)
		cfg.Rates.CreatesIdentity = nodeservice.Per(2, 2*time.Hour)
	}, Run: createsLimited},
	{Name: "channels created from one address are limited", Config: func(cfg *nodeservice.Config) {
		cfg.Rates.CreatesAddress = nodeservice.Per(2, 2*time.Hour)
	}, Run: createsFromAddressLimited},
	{Name: "the default limits let 100 requests through at once", Config: func(cfg *nodeservice.Config) {
		cfg.Rates = nodeservice.DefaultRates()
	}, Run: defaultRates},
}

// limitedAfter tries until it is rate limited and returns how many went
// through, and after how long to come back.
func (w *World) limitedAfter(most int, try func() error) (passed int, retryAfter time.Duration) {
	w.T.Helper()
	for ; passed <= most; passed++ {
		if err := try(); err != nil {
			return passed, w.limited(err)
		}
	}
	w.T.Fatalf("%d requests went through, want at most %d", passed, most)
	return 0, 0
}

// limited demands rate_limited with a time to come back after.
func (w *World) limited(err error) time.Duration {
	w.T.Helper()
	refusal := w.refused(err, nodeservice.CodeRateLimited)
	if refusal.RetryAfter <= 0 {
		w.T.Errorf("rate_limited comes without a time to come back after")
	}
	return refusal.RetryAfter
}

func limitedByAddress(w *World) {
	alice := w.newcomer(w.Dial(), identity.EdDSA)
	ask := func() error {
		_, err := alice.Node.Challenge(w.Ctx, origin, alice.ID)
		return err
	}
	passed, retryAfter := w.limitedAfter(30, ask)
	if passed < 25 { // a client may ask for more than it was told to
		w.T.Errorf("%d requests went through, want 30", passed)
	}
	w.limited(ask())
	w.Clock.Move(retryAfter + time.Second)
	w.ok(ask())
	w.limited(ask())
	w.Clock.Move(11 * time.Hour)
	alice.hold(alice.login(false))
}

func addressesApart(w *World) {
	node := w.Dial()
	alice := w.newcomer(node, identity.EdDSA)
	from := func(addr string) func() error {
		return func() error {
			_, err := node.Challenge(w.Ctx, nodeservice.Origin{Address: netip.MustParseAddr(addr), Door: "direct"}, alice.ID)
			return err
		}
	}
	for _, addr := range []string{"192.0.2.7", "192.0.2.8", "2001:db8::1", "2001:db8:0:1::1"} {
		passed, _ := w.limitedAfter(5, from(addr))
		equal(w, "requests from "+addr, passed, 5)
	}
	w.limited(from("2001:db8::ffff:1")())   // of the same /64
	w.limited(from("::ffff:192.0.2.7")())   // the same IPv4 address
	w.ok(from("2001:db8:0:2::1")())         // another /64
	w.ok(from("::ffff:192.0.2.9")())        // another IPv4 address
	w.limited(from("2001:db8:0:1:ff::1")()) // of the second /64
}

func failureCosts(w *World) {
	node := w.Dial()
	alice := w.newcomer(node, identity.EdDSA)
	foreign, err := identity.GenerateSigningKeys()
	w.ok(err)
	token := w.mintBy(identity.IssuerConfig{URL: PublicURL, Keys: foreign, TTL: time.Hour}, alice.ID, w.Clock.Now())
	failures := 0
	for ; failures < 6; failures++ {
		session, err := node.Authenticate(w.Ctx, origin, token)
		if err == nil { // a door that judges with the first call
			_, err = session.KeyPackageStatus(w.Ctx)
			_ = session.Close()
		}
		if nodeservice.CodeOf(err) == nodeservice.CodeRateLimited {
			break
		}
		w.refused(err, nodeservice.CodeUnauthenticated)
	}
	if failures < 3 || failures > 5 {
		w.T.Errorf("%d failures used up 40 requests, want 4", failures)
	}
	_, err = node.Challenge(w.Ctx, origin, alice.ID)
	w.limited(err)
}

func limitedByIdentity(w *World) {
	alice, bob := w.Actor(), w.Actor()
	other := alice.again()
	turn := 0
	status := func() error {
		turn++
		_, err := []*Actor{alice, other}[turn%2].Session.KeyPackageStatus(w.Ctx)
		return err
	}
	passed, retryAfter := w.limitedAfter(20, status)
	if passed < 15 {
		w.T.Errorf("%d requests went through, want 20", passed)
	}
	_, err := bob.Session.KeyPackageStatus(w.Ctx)
	w.ok(err)
	w.limited(status())
	w.Clock.Move(retryAfter + time.Second)
	w.ok(status())
	w.limited(status())
}

func limitedByChannel(w *World) {
	alice, bob, id := w.pair()
	other := alice.channel(w.Actor())
	send := func() error {
		_, err := alice.Session.Enqueue(w.Ctx, nodeservice.EnqueueRequest{Channel: id, Payload: w.payload(24)})
		return err
	}
	passed, retryAfter := w.limitedAfter(5, send)
	equal(w, "requests", passed, 5)
	alice.send(other)
	bob.send(id)
	w.Clock.Move(retryAfter + time.Second)
	w.ok(send())
	w.limited(send())
	equal(w, "messages", len(bob.unread(id).Messages), 6)
}

func refusalChargesNothing(w *World) {
	alice, _, id := w.pair()
	alice.sendAll(id, 3)
	for range 60 { // twice what the identity may
		alice.enqueueRefused(id, w.payload(24), nodeservice.CodeRateLimited)
	}
	_, err := alice.Session.KeyPackageStatus(w.Ctx)
	w.ok(err)
}

func bytesSentLimited(w *World) {
	alice, bob, id := w.pair()
	alice.enqueue(nodeservice.EnqueueRequest{Channel: id, Payload: w.payload(2000)})
	for range 3 {
		w.limited(alice.enqueueRefused(id, w.payload(1500), nodeservice.CodeRateLimited))
	}
	_, err := alice.Session.Enqueue(w.Ctx, nodeservice.EnqueueRequest{Channel: id, Payload: w.payload(500), IfHead: seqPtr(7)})
	w.refusedWithHead(err, nodeservice.CodePreconditionFailed, 1)
	alice.enqueue(nodeservice.EnqueueRequest{Channel: id, Payload: w.payload(900)})
	retryAfter := w.limited(alice.enqueueRefused(id, w.payload(1500), nodeservice.CodeRateLimited))
	bob.enqueue(nodeservice.EnqueueRequest{Channel: id, Payload: w.payload(2000)})
	w.Clock.Move(retryAfter + time.Second)
	alice.enqueue(nodeservice.EnqueueRequest{Channel: id, Payload: w.payload(1500)})
}

// bytesReturnedLimited: what is returned is owed, and what is owed is to be
// waited for, by this identity alone.
func bytesReturnedLimited(w *World) {
	alice, bob, id := w.pair()
	payload := w.payload(9000)
	alice.enqueue(nodeservice.EnqueueRequest{Channel: id, Payload: payload})
	bob.send(id)
	w.holds(bob.unread(id), payload) // more than there is: it goes through, as debt
	_, err := bob.again().Session.Fetch(w.Ctx, nodeservice.FetchRequest{Channel: id})
	retryAfter := w.limited(err)
	equal(w, "messages for alice", len(alice.unread(id).Messages), 1)
	w.Clock.Move(retryAfter + time.Second)
	w.holds(bob.unread(id), payload)
}

func createsLimited(w *World) {
	alice, bob, id := w.pair()
	carol, dave := w.Actor(), w.Actor()
	his := carol.channel(alice)
	for range 3 {
		equal(w, "a channel that is there", alice.channel(bob), id)
		equal(w, "a channel that another created", alice.channel(carol), his)
	}
	alice.channel(dave)
	erin := w.Actor()
	_, _, err := alice.Session.CreateChannel(w.Ctx, erin.ID)
	retryAfter := w.limited(err)
	equal(w, "a channel that is there", alice.channel(bob), id)
	w.Clock.Move(retryAfter + time.Second)
	alice.channel(erin)
}

func createsFromAddressLimited(w *World) {
	alice, _, _ := w.pair()
	bob, carol := w.Actor(), w.Actor()
	bob.channel(carol)
	_, _, err := carol.Session.CreateChannel(w.Ctx, alice.ID)
	w.limited(err)
}

func defaultRates(w *World) {
	alice, bob, id := w.pair() // 6 requests of the address
	payloads := alice.sendAll(id, 80)
	w.holds(bob.unread(id), payloads...)
}
