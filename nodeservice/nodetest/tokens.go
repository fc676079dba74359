package nodetest

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"

	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/identity"
)

// noticing nodes look at their streams often enough for a test.
func noticing(cfg *nodeservice.Config) { cfg.Tick = 20 * time.Millisecond }

var tokens = []Behaviour{
	{Name: "a token of an external issuer opens a session of the identity in its cnf.jwk", Run: foreignOpens},
	{Name: "a token of an external issuer is taken only as its policy says", Run: foreignRefused},
	{Name: "a token of an external issuer can be revoked", Run: foreignRevoked},
	{Name: "a login that revokes older tokens voids an external issuer's whose clock is ahead", Run: foreignRevokedAhead},
	{Name: "a key that an external issuer adds is known without a restart", Run: foreignKeyAdded},
	{Name: "a key that an external issuer withdraws ends its tokens and their streams", Config: noticing, Run: foreignKeyWithdrawn},
	{Name: "a change of our signing key logs nobody out, and publishes both keys", Config: noticing, Run: keysRotated},
	{Name: "a signing key of ours that is withdrawn ends its tokens and their streams", Config: noticing, Run: keyWithdrawn},
}

func foreignOpens(w *World) {
	for _, signing := range []identity.Algorithm{identity.EdDSA, identity.ES256, identity.RS256} {
		key := w.foreignKey("first", signing)
		w.trustForeign(key)
		bob := w.Actor()
		for _, algorithm := range []identity.Algorithm{identity.EdDSA, identity.ES256} {
			alice := w.newcomer(w.Dial(), algorithm)
			guest := alice.with(w.foreignToken(key, key.header(), w.foreignClaims(alice.ID)))
			equal(w, "identity", guest.Session.Identity(), alice.ID)
			left := guest.Session.ExpiresAt().Time().Sub(w.Clock.Now())
			if left < 50*time.Minute || left > time.Hour {
				w.T.Errorf("the session lasts for another %v, want an hour", left)
			}
			id := guest.channel(bob)
			_, payload := guest.send(id)
			w.holds(bob.unread(id), payload)
			equal(w, "the channel by a login of the same identity", alice.again().channel(bob), id)
		}
	}
}

func foreignRefused(w *World) {
	key, others := w.foreignKey("first", identity.EdDSA), w.foreignKey("first", identity.EdDSA)
	w.trustForeign(key)
	alice := w.newcomer(w.Dial(), identity.EdDSA)
	good := w.foreignClaims(alice.ID)
	now := w.Clock.Now().Unix()
	claim := func(name string, value any) string {
		return w.foreignToken(key, key.header(), good.with(name, value))
	}
	head := func(name string, value any) string {
		return w.foreignToken(key, key.header().with(name, value), good)
	}
	withPrivate := jwkOf(alice.ID).with("d", base64URL(randomBytes(32)))
	for what, token := range map[string]string{
		"another audience":      claim("aud", "https://elsewhere.example"),
		"no audience":           claim("aud", nil),
		"another issuer":        claim("iss", "https://elsewhere.example"),
		"our own issuer":        claim("iss", PublicURL),
		"too long a lifetime":   claim("exp", now+24*3600+1),
		"no expiry":             claim("exp", nil),
		"from the future":       claim("nbf", now+60),
		"no key":                claim("cnf", nil),
		"a key by name only":    claim("cnf", claimSet{"kid": "x"}),
		"a private key":         claim("cnf", claimSet{"jwk": withPrivate}),
		"no identity's key":     claim("cnf", claimSet{"jwk": jwkOf(alice.ID).with("x", base64URL(make([]byte, 32)))}),
		"another type":          head("typ", "JWT"),
		"the type of ours":      head("typ", "qpq-at+jwt"),
		"no type":               head("typ", nil),
		"an unknown key":        head("kid", "second"),
		"another algorithm":     head("alg", "ES256"),
		"no algorithm":          head("alg", "none"),
		"a symmetric algorithm": head("alg", "HS256"),
		"its own key":           head("jku", "https://elsewhere.example"),
		"another's signature":   w.foreignToken(others, key.header(), good),
	} {
		session, err := w.Dial().Authenticate(w.Ctx, origin, token)
		if err == nil {
			_, err = session.KeyPackageStatus(w.Ctx)
			_ = session.Close()
		}
		if code := nodeservice.CodeOf(err); code != nodeservice.CodeUnauthenticated {
			w.T.Errorf("a token with %s: got %q, want unauthenticated", what, code)
		}
	}
	w.tokenRefused(w.foreignToken(key, key.header(), good.with("iat", now-100).with("exp", now-1)), nodeservice.CodeTokenExpired)
	alice.with(claim("aud", []string{"https://elsewhere.example", PublicURL}))
	alice.with(claim("exp", now+24*3600))
	alice.with(head("typ", "application/at+jwt"))
}

func foreignRevoked(w *World) {
	key := w.foreignKey("first", identity.ES256)
	w.trustForeign(key)
	alice := w.newcomer(w.Dial(), identity.EdDSA)
	token := w.foreignToken(key, key.header(), w.foreignClaims(alice.ID))
	f := alice.with(token).followed()
	w.ok(alice.with(token).Session.Revoke(w.Ctx))
	w.tokenRefused(token, nodeservice.CodeUnauthenticated)
	w.refused(f.end(), nodeservice.CodeUnauthenticated)
	w.Restart()
	w.tokenRefused(token, nodeservice.CodeUnauthenticated)
}

func foreignRevokedAhead(w *World) {
	key := w.foreignKey("first", identity.EdDSA)
	w.trustForeign(key)
	alice := w.newcomer(w.Dial(), identity.EdDSA)
	claims := w.foreignClaims(alice.ID)
	ahead := w.foreignToken(key, key.header(), claims.with("iat", claims["iat"].(int64)+25))
	alice.with(ahead)
	newer := alice.login(true)
	w.tokenRefused(ahead, nodeservice.CodeUnauthenticated)
	alice.with(newer.Token)
	w.Clock.Move(31 * time.Second) // then one that was issued since is told from one of before
	alice.with(w.foreignToken(key, key.header(), w.foreignClaims(alice.ID)))
}

func foreignKeyAdded(w *World) {
	first, second := w.foreignKey("first", identity.EdDSA), w.foreignKey("second", identity.ES256)
	f := w.trustForeign(first)
	alice, bob := w.newcomer(w.Dial(), identity.EdDSA), w.Actor()
	before := w.foreignToken(first, first.header(), w.foreignClaims(alice.ID))
	after := w.foreignToken(second, second.header(), w.foreignClaims(alice.ID))
	guest := alice.with(before)
	w.tokenRefused(after, nodeservice.CodeUnauthenticated)
	f.publish(first, second)
	alice.with(after).channel(bob)
	guest.channel(bob)
	alice.with(before).channel(bob)
}

func foreignKeyWithdrawn(w *World) {
	first, second := w.foreignKey("first", identity.EdDSA), w.foreignKey("second", identity.EdDSA)
	f := w.trustForeign(first, second)
	alice, bob := w.newcomer(w.Dial(), identity.EdDSA), w.Actor()
	lost := w.foreignToken(first, first.header(), w.foreignClaims(alice.ID))
	kept := alice.with(w.foreignToken(second, second.header(), w.foreignClaims(alice.ID)))
	guest := alice.with(lost)
	ending, staying := guest.followed(), kept.followed()
	f.publish(second)
	w.tokenRefused(lost, nodeservice.CodeUnauthenticated)
	w.refused(ending.end(), nodeservice.CodeUnauthenticated)
	_, err := guest.Session.KeyPackageStatus(w.Ctx)
	w.refused(err, nodeservice.CodeUnauthenticated)
	_, payload := bob.send(bob.channel(alice))
	next[nodeservice.ChannelEvent](staying)
	staying.message(kept.channel(bob), 1, payload)
}

// kidOf is the key that a token says it is signed by.
func (w *World) kidOf(token string) string {
	w.T.Helper()
	part, _, _ := strings.Cut(token, ".")
	text, err := base64.RawURLEncoding.DecodeString(part)
	w.ok(err)
	var header struct {
		Kid string `json:"kid"`
	}
	w.ok(json.Unmarshal(text, &header))
	return header.Kid
}

// published are the kids that the door tells of, the newest first.
func (w *World) published(through nodeservice.Node) (kids []string) {
	w.T.Helper()
	info, err := through.Info(w.Ctx)
	w.ok(err)
	var set struct {
		Keys []struct {
			Kid string `json:"kid"`
			D   string `json:"d"`
		} `json:"keys"`
	}
	w.ok(json.Unmarshal(info.JWKS, &set))
	for _, key := range set.Keys {
		equal(w, "private part of a published key", key.D, "")
		kids = append(kids, key.Kid)
	}
	return kids
}

// keysRotated keeps the old key for longer than its last token lives, as one must.
func keysRotated(w *World) {
	alice, bob, id := w.pair()
	f := bob.followed()
	before := w.kidOf(alice.Token)
	equal(w, "keys", strings.Join(w.published(alice.Node), " "), before)

	rotated, err := w.cfg.Keys.Rotate(w.Clock.Now(), 0, 20*time.Minute)
	w.ok(err)
	w.cfg.Keys.Replace(rotated)
	w.Clock.Move(time.Second)
	newer := alice.again()
	after := w.kidOf(newer.Token)
	if after == before {
		w.T.Fatal("a new token is signed by the old key")
	}
	equal(w, "keys", strings.Join(w.published(alice.Node), " "), after+" "+before)
	for i, session := range []*Actor{alice, newer, alice.with(alice.Token)} {
		_, payload := session.send(id)
		if i == 0 {
			next[nodeservice.ChannelEvent](f) // the stream of an old token goes on
		}
		f.message(id, seq(i+1), payload)
	}

	w.Clock.Move(21 * time.Minute)
	equal(w, "keys", strings.Join(w.published(alice.Node), " "), after)
	w.tokenRefused(alice.Token, nodeservice.CodeUnauthenticated)
	alice.again().send(id)
}

func keyWithdrawn(w *World) {
	alice, bob, id := w.pair()
	f := bob.followed()
	other, err := identity.GenerateSigningKeys()
	w.ok(err)
	w.cfg.Keys.Replace(other)
	w.refused(f.end(), nodeservice.CodeUnauthenticated)
	w.tokenRefused(alice.Token, nodeservice.CodeUnauthenticated)
	_, err = alice.Session.Fetch(w.Ctx, nodeservice.FetchRequest{Channel: id})
	w.refused(err, nodeservice.CodeUnauthenticated)
	alice.again().send(id)
}
