package nodetest

import (
	"time"

	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/identity"
)

var logins = []Behaviour{
	{Name: "a login gives a session and a token of the identity", Run: loginGivesBoth},
	{Name: "a nonce logs in once", Run: nonceOnce},
	{Name: "a nonce logs in once, raced by ten", Run: nonceRaced},
	{Name: "a nonce is refused after 60 s", Run: nonceExpires},
	{Name: "a nonce of another identity is refused", Run: nonceOfAnother},
	{Name: "a nonce that no node gave is refused", Run: nonceInvented},
	{Name: "a login signed by another key is refused", Run: signedByAnother},
	{Name: "a login signed for another audience is refused", Run: signedForAnother},
	{Name: "a login may void the identity's earlier tokens", Run: revokesOlder},
	{Name: "a node without self-login refuses challenge and login, and takes tokens", Config: func(cfg *nodeservice.Config) { cfg.NoSelfLogin = true }, Run: noSelfLogin},
}

func loginGivesBoth(w *World) {
	for _, algorithm := range []identity.Algorithm{identity.EdDSA, identity.ES256} {
		alice := w.actorOn(w.Dial(), algorithm)
		equal(w, "identity of the login's session", alice.Session.Identity(), alice.ID)
		left := alice.Session.ExpiresAt().Time().Sub(w.Clock.Now())
		if left <= 10*time.Minute || left > 16*time.Minute {
			w.T.Errorf("the session lasts for another %v, want some 15 min", left)
		}
		other := alice.with(alice.Token)
		equal(w, "identity of the token's session", other.Session.Identity(), alice.ID)
	}
}

// loginRefused tries a login that must fail, and then that a good one succeeds.
func (a *Actor) loginRefused(req nodeservice.LoginRequest) {
	a.w.T.Helper()
	_, err := a.Node.Login(a.w.Ctx, origin, req)
	a.w.refused(err, nodeservice.CodeUnauthenticated)
	_ = a.login(false).Session.Close() // may be closed again
}

func nonceOnce(w *World) {
	alice := w.newcomer(w.Dial(), identity.EdDSA)
	req := alice.signed(alice.challenge(), PublicURL)
	login, err := alice.Node.Login(w.Ctx, origin, req)
	w.ok(err)
	alice.hold(login)
	alice.loginRefused(req)
	w.Restart()
	alice.rejoin()
	alice.loginRefused(req)
}

func nonceRaced(w *World) {
	alice := w.newcomer(w.Dial(), identity.EdDSA)
	req := alice.signed(alice.challenge(), PublicURL)
	var logins int
	for _, o := range all(10, func(int) (nodeservice.Login, error) { return alice.Node.Login(w.Ctx, origin, req) }) {
		if o.err == nil {
			logins++
			alice.hold(o.value)
			continue
		}
		w.refused(o.err, nodeservice.CodeUnauthenticated)
	}
	equal(w, "logins with one nonce", logins, 1)
}

func nonceExpires(w *World) {
	alice := w.newcomer(w.Dial(), identity.EdDSA)
	req := alice.signed(alice.challenge(), PublicURL)
	w.Clock.Move(61 * time.Second)
	alice.loginRefused(req)
}

func nonceOfAnother(w *World) {
	alice, bob := w.newcomer(w.Dial(), identity.EdDSA), w.newcomer(w.Dial(), identity.EdDSA)
	alice.loginRefused(alice.signed(bob.challenge(), PublicURL))
}

func nonceInvented(w *World) {
	alice := w.newcomer(w.Dial(), identity.EdDSA)
	genuine := alice.challenge()
	for _, nonce := range [][]byte{{}, randomBytes(len(genuine)), genuine[:len(genuine)-1], append(genuine, 0)} {
		_, err := alice.Node.Login(w.Ctx, origin, alice.signed(nonce, PublicURL))
		if code := nodeservice.CodeOf(err); code != nodeservice.CodeUnauthenticated && code != nodeservice.CodeInvalidArgument {
			w.T.Errorf("a nonce of %d bytes: %v", len(nonce), err)
		}
	}
}

func signedByAnother(w *World) {
	for _, algorithm := range []identity.Algorithm{identity.EdDSA, identity.ES256} {
		alice, mallory := w.newcomer(w.Dial(), algorithm), w.newcomer(w.Dial(), algorithm)
		req := alice.signed(alice.challenge(), PublicURL)
		signature, err := mallory.Key.Sign(identity.LoginMessage(PublicURL, alice.ID, req.Nonce))
		w.ok(err)
		req.Signature = signature
		alice.loginRefused(req)
	}
}

func signedForAnother(w *World) {
	alice := w.newcomer(w.Dial(), identity.EdDSA)
	alice.loginRefused(alice.signed(alice.challenge(), "https://elsewhere.example"))
}

func revokesOlder(w *World) {
	alice, bob := w.Actor(), w.Actor()
	older := alice.again()
	w.Clock.Move(time.Second) // so that "issued before" is beyond doubt
	newer := alice.login(true)
	for _, token := range []string{alice.Token, older.Token} {
		w.tokenRefused(token, nodeservice.CodeUnauthenticated)
	}
	alice.with(newer.Token).channel(bob)
	bob.channel(alice)
	w.Clock.Move(time.Second)
	alice.with(alice.login(false).Token).channel(bob)
	alice.with(newer.Token).channel(bob)
}

func noSelfLogin(w *World) {
	alice := w.newcomer(w.Dial(), identity.EdDSA)
	_, err := alice.Node.Challenge(w.Ctx, origin, alice.ID)
	w.refused(err, nodeservice.CodePermissionDenied)
	_, err = alice.Node.Login(w.Ctx, origin, alice.signed(randomBytes(56), PublicURL))
	w.refused(err, nodeservice.CodePermissionDenied)
	session := alice.with(w.Mint(alice.ID, w.Clock.Now(), time.Hour)).Session
	equal(w, "identity", session.Identity(), alice.ID)
}
