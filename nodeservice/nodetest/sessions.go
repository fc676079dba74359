package nodetest

import (
	"strings"
	"time"

	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/identity"
)

var sessions = []Behaviour{
	{Name: "a token that has expired is token_expired", Run: expiredToken},
	{Name: "a token that is none of ours is unauthenticated", Run: foreignTokens},
	{Name: "a session ends with its token", Run: sessionEnds},
	{Name: "a session is renewed by a newer token, and by its own identity's only", Run: renews},
	{Name: "a revoked token ends its session, at once and everywhere", Run: revokes},
	{Name: "a revoked token stays so after a restart", Run: revocationOutlivesRestart},
}

// tokenRefused demands that a token opens nothing. Some doors judge a token
// only with the first call.
func (w *World) tokenRefused(token string, code nodeservice.Code) {
	w.T.Helper()
	session, err := w.Dial().Authenticate(w.Ctx, origin, token)
	if err == nil {
		defer session.Close()
		_, err = session.KeyPackageStatus(w.Ctx)
	}
	w.refused(err, code)
}

func expiredToken(w *World) {
	alice := w.newcomer(w.Dial(), identity.EdDSA)
	w.tokenRefused(w.Mint(alice.ID, w.Clock.Now().Add(-time.Hour), 59*time.Minute), nodeservice.CodeTokenExpired)
	alice = w.Actor()
	w.Clock.Move(16 * time.Minute)
	w.tokenRefused(alice.Token, nodeservice.CodeTokenExpired)
}

func foreignTokens(w *World) {
	alice := w.Actor()
	foreign, err := identity.GenerateSigningKeys()
	w.ok(err)
	header, rest, _ := strings.Cut(alice.Token, ".")
	claims, signature, _ := strings.Cut(rest, ".")
	now := w.Clock.Now()
	for _, token := range []string{
		"garbage", "a.b.c", alice.Token + "A", strings.Repeat("A", 9<<10),
		header + "." + claims + ".", header + ".e30." + signature,
		w.mintBy(identity.IssuerConfig{URL: PublicURL, Keys: foreign, TTL: time.Hour}, alice.ID, now),
		w.mintBy(identity.IssuerConfig{URL: "https://elsewhere.example", Keys: w.cfg.Keys, TTL: time.Hour}, alice.ID, now),
		w.Mint(alice.ID, now.Add(time.Hour), time.Hour),
	} {
		w.tokenRefused(token, nodeservice.CodeUnauthenticated)
	}
}

func sessionEnds(w *World) {
	alice, bob, id := w.pair()
	alice.send(id)
	w.Clock.Move(16 * time.Minute)
	_, err := bob.Session.Fetch(w.Ctx, nodeservice.FetchRequest{Channel: id})
	w.refused(err, nodeservice.CodeTokenExpired)
	_, err = alice.Session.Enqueue(w.Ctx, nodeservice.EnqueueRequest{Channel: id, Payload: w.payload(24)})
	w.refused(err, nodeservice.CodeTokenExpired)
	equal(w, "messages", len(bob.again().unread(id).Messages), 1)
}

func renews(w *World) {
	alice, bob, id := w.pair()
	_, err := alice.Session.Renew(w.Ctx, bob.Token)
	w.refused(err, nodeservice.CodePermissionDenied)
	_, err = alice.Session.Renew(w.Ctx, "garbage")
	w.refused(err, nodeservice.CodeUnauthenticated)

	token := w.Mint(alice.ID, w.Clock.Now(), time.Hour)
	expires, err := alice.Session.Renew(w.Ctx, token)
	w.ok(err)
	equal(w, "expiry of the session", alice.Session.ExpiresAt(), expires)
	if left := expires.Time().Sub(w.Clock.Now()); left < 50*time.Minute {
		w.T.Errorf("the renewed session lasts for another %v, want an hour", left)
	}
	w.Clock.Move(16 * time.Minute)
	equal(w, "identity after renewal", alice.Session.Identity(), alice.ID)
	alice.send(id)
}

func revokes(w *World) {
	alice, bob, id := w.pair()
	copied, other := alice.with(alice.Token), alice.again()
	w.ok(alice.Session.Revoke(w.Ctx))
	w.tokenRefused(alice.Token, nodeservice.CodeUnauthenticated)
	for _, session := range []nodeservice.Session{alice.Session, copied.Session} {
		_, err := session.Fetch(w.Ctx, nodeservice.FetchRequest{Channel: id})
		w.refused(err, nodeservice.CodeUnauthenticated)
	}
	other.send(id) // another token of the same identity
	bob.send(id)
}

func revocationOutlivesRestart(w *World) {
	alice, bob := w.Actor(), w.Actor()
	w.ok(alice.Session.Revoke(w.Ctx))
	older := bob.Token
	w.Clock.Move(time.Second)
	bob.hold(bob.login(true))
	w.Restart()
	w.tokenRefused(alice.Token, nodeservice.CodeUnauthenticated)
	w.tokenRefused(older, nodeservice.CodeUnauthenticated)
	bob.rejoin()
	alice.Node = w.Dial()
	alice.hold(alice.login(false))
	alice.channel(bob)
}
