package identity_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/quicproquo/node/nodeservice/identity"
)

func TestExternalTokenVerifies(t *testing.T) {
	for _, algorithm := range foreignAlgorithms {
		key := newForeignKey(t, "k1", algorithm)
		v := trusting(t, newJWKSFile(t, jwksOf(key)).policy())
		header, claims := key.header(), foreignClaims()
		media := strings.Replace(header, "at+jwt", "Application/AT+jwt", 1)
		jwk := func(name string, value any) claimSet {
			return claims.with("cnf", claimSet{"jwk": goodJWK().with(name, value)})
		}
		for name, token := range map[string]string{
			"as it is":           key.sign(t, header, claims),
			"typ a media type":   key.sign(t, media, claims),
			"aud a list":         key.sign(t, header, claims.with("aud", []string{"https://x.example", audience})),
			"no jti":             key.sign(t, header, claims.with("jti", nil)),
			"sub and more":       key.sign(t, header, claims.with("sub", "alice").with("client_id", "x")),
			"iat at the leeway":  key.sign(t, header, claims.with("iat", noon.Unix()+30)),
			"a day":              key.sign(t, header, claims.with("exp", noon.Unix()+86400)),
			"jwk with kid":       key.sign(t, header, jwk("kid", "x")),
			"jwk with alg":       key.sign(t, header, jwk("alg", "EdDSA")),
			"jwk from WebCrypto": key.sign(t, header, claims.with("cnf", claimSet{"jwk": goodJWK().with("ext", true).with("key_ops", []string{"verify"})})),
			"P-256":              key.sign(t, header, claims.with("cnf", claimSet{"jwk": p256JWK(t)})),
		} {
			got, err := v.Verify(t.Context(), token, noon)
			if err != nil || got.Issuer != foreignIssuer || got.Signer.Algorithm != algorithm || !v.StillTrusted(got) {
				t.Errorf("%s, %s: %+v, %v", algorithm, name, got, err)
			}
			if again, err := v.Verify(t.Context(), token, noon); err != nil || again != got {
				t.Errorf("%s, %s, remembered: %+v, %v", algorithm, name, again, err)
			}
		}
	}
}

func TestHostileExternalTokens(t *testing.T) {
	for _, algorithm := range foreignAlgorithms {
		key, stranger := newForeignKey(t, "k1", algorithm), newForeignKey(t, "k1", algorithm)
		if _, ok := stranger.private.(*rsa.PrivateKey); ok {
			stranger.private = rsaKeys()[1]
		}
		header := func(replace ...string) string { return strings.NewReplacer(replace...).Replace(key.header()) }
		add := func(member string) string { return header(`{"alg"`, `{`+member+`,"alg"`) }
		good := foreignClaims()
		cnf := func(jwk any) claimSet { return good.with("cnf", claimSet{"jwk": jwk}) }
		v := trusting(t, newJWKSFile(t, jwksOf(key)).policy())
		for name, token := range map[string]string{
			"another's key":       stranger.token(t),
			"none":                signingInput(header(string(algorithm), "none"), good) + ".",
			"no signature":        signingInput(header(), good) + ".",
			"alg missing":         key.sign(t, header(`"alg"`, `"ALG"`), good),
			"ES384":               key.sign(t, header(string(algorithm), "ES384"), good),
			"kid unknown":         key.sign(t, header("k1", "k2"), good),
			"kid missing":         key.sign(t, header(`"kid":"k1",`, ""), good),
			"kid empty":           key.sign(t, header("k1", ""), good),
			"kid of ours":         key.sign(t, header("k1", testKid), good),
			"typ of ours":         key.sign(t, header("at+jwt", "qpq-at+jwt"), good),
			"typ JWT":             key.sign(t, header("at+jwt", "JWT"), good),
			"typ of a proof":      key.sign(t, header("at+jwt", "dpop+jwt"), good),
			"typ missing":         key.sign(t, header(`,"typ":"at+jwt"`, ""), good),
			"jwk":                 stranger.sign(t, add(`"jwk":`+stranger.jwk().text()), good),
			"jku":                 stranger.sign(t, add(`"jku":"https://evil.example/jwks"`), good),
			"x5u":                 key.sign(t, add(`"x5u":"https://issuer.example"`), good),
			"x5c":                 key.sign(t, add(`"x5c":[]`), good),
			"crit":                key.sign(t, add(`"crit":["exp"]`), good),
			"duplicate kid":       key.sign(t, add(`"kid":"k1"`), good),
			"duplicate iss":       key.sign(t, header(), strings.Replace(good.text(), `"iss"`, `"iss":"https://node.example","iss"`, 1)),
			"duplicate iss, late": key.sign(t, header(), strings.Replace(good.text(), `{`, `{"iss":"https://issuer.example",`, 1)),
			"our iss":             key.sign(t, header(), goodClaims()),
			"our iss and header":  key.sign(t, goodHeader, goodClaims()),
			"iss unknown":         key.sign(t, header(), good.with("iss", otherIssuer)),
			"iss missing":         key.sign(t, header(), good.with("iss", nil)),
			"iss a list":          key.sign(t, header(), good.with("iss", []string{foreignIssuer})),
			"aud other":           key.sign(t, header(), good.with("aud", foreignIssuer)),
			"aud a list without":  key.sign(t, header(), good.with("aud", []string{foreignIssuer, audience + "/"})),
			"aud a mixed list":    key.sign(t, header(), good.with("aud", []any{audience, 1})),
			"aud empty":           key.sign(t, header(), good.with("aud", []string{})),
			"aud missing":         key.sign(t, header(), good.with("aud", nil)),
			"iat missing":         key.sign(t, header(), good.with("iat", nil)),
			"iat ahead":           key.sign(t, header(), good.with("iat", noon.Unix()+31)),
			"exp missing":         key.sign(t, header(), good.with("exp", nil)),
			"over a day":          key.sign(t, header(), good.with("exp", noon.Unix()+86401)),
			"over a day, old iat": key.sign(t, header(), good.with("iat", 1)),
			"nbf ahead":           key.sign(t, header(), good.with("nbf", noon.Unix()+31)),
			"jti a number":        key.sign(t, header(), good.with("jti", 1)),
			"jti empty":           key.sign(t, header(), good.with("jti", "")),
			"cnf missing":         key.sign(t, header(), good.with("cnf", nil)),
			"cnf jkt":             key.sign(t, header(), good.with("cnf", claimSet{"jkt": testKid})),
			"jwk with d":          key.sign(t, header(), cnf(goodJWK().with("d", testSeed))),
			"jwk with k":          key.sign(t, header(), cnf(goodJWK().with("k", testSeed))),
			"jwk with x5c":        key.sign(t, header(), cnf(goodJWK().with("x5c", []string{}))),
			"jwk with other alg":  key.sign(t, header(), cnf(goodJWK().with("alg", "ES256"))),
			"jwk with HMAC's alg": key.sign(t, header(), cnf(goodJWK().with("alg", "HS256"))),
			"small order":         key.sign(t, header(), cnf(goodJWK().with("x", encode(string(unhex(t, smallOrder[4])))))),
			"off the curve":       key.sign(t, header(), cnf(p256JWK(t).with("x", testPublic))),
		} {
			got, err := v.Verify(t.Context(), token, noon)
			if !errors.Is(err, identity.ErrToken) || got != (identity.Token{}) {
				t.Errorf("%s, %s: %+v, %v", algorithm, name, got, err)
			}
		}
		if _, err := v.Verify(t.Context(), key.sign(t, header(), good.with("exp", noon.Unix())), noon); !errors.Is(err, identity.ErrTokenExpired) {
			t.Errorf("%s, expired: %v", algorithm, err)
		}
	}
}

// The algorithm must fit the key that the kid names, whatever was signed how.
func TestAlgorithmConfusionIsRefused(t *testing.T) {
	var keys []foreignKey
	for _, algorithm := range foreignAlgorithms {
		keys = append(keys, newForeignKey(t, "of "+string(algorithm), algorithm))
	}
	v := trusting(t, newJWKSFile(t, jwksOf(keys...)).policy())
	for _, signer := range keys {
		for _, named := range keys {
			for _, alg := range append(foreignAlgorithms, "HS256", "HS512", "none", "RS512", "EdDSA25519") {
				header := foreignKey{kid: named.kid, algorithm: alg}.header()
				_, err := v.Verify(t.Context(), signer.sign(t, header, foreignClaims()), noon)
				if good := signer.kid == named.kid && alg == signer.algorithm; good != (err == nil) {
					t.Errorf("signed %s, kid %q, alg %s: %v", signer.algorithm, named.kid, alg, err)
				}
			}
		}
	}
	for _, key := range keys {
		for _, secret := range []string{jwksOf(keys...), key.jwk().text(), text(key.jwk()["x"]), text(key.jwk()["n"])} {
			for _, header := range []string{foreignKey{kid: key.kid, algorithm: "HS256"}.header(), key.header()} {
				input := signingInput(header, foreignClaims())
				mac, err := jwt.SigningMethodHS256.Sign(input, []byte(secret))
				if err != nil {
					t.Fatal(err)
				}
				if _, err := v.Verify(t.Context(), input+"."+encode(string(mac)), noon); !errors.Is(err, identity.ErrToken) {
					t.Errorf("HMAC under what is public of %s: %v", key.kid, err)
				}
			}
		}
	}
}

func text(value any) string { s, _ := value.(string); return s }

func TestIssuersDoNotShareKeys(t *testing.T) {
	one, two := newForeignKey(t, "same", identity.EdDSA), newForeignKey(t, "same", identity.EdDSA)
	second := newJWKSFile(t, jwksOf(two)).policy()
	second.Issuer = otherIssuer
	v := trusting(t, newJWKSFile(t, jwksOf(one)).policy(), second)
	for i, key := range []foreignKey{one, two} {
		for j, iss := range []string{foreignIssuer, otherIssuer} {
			_, err := v.Verify(t.Context(), key.sign(t, key.header(), foreignClaims().with("iss", iss)), noon)
			if (i == j) != (err == nil) {
				t.Errorf("a key of one issuer, the iss of another: %v", err)
			}
		}
	}
}

// An issuer that publishes our own public key, under our own kid, gains nothing;
// nor do we sign for it.
func TestOwnTokensAndExternalOnesStayApart(t *testing.T) {
	ours := newJWKSFile(t, string(testKeys(t).JWKS()))
	foreign := newForeignKey(t, testKid, identity.EdDSA)
	v := trusting(t, ours.policy())
	own, _ := mint(t, testKeys(t), newKey(t, identity.EdDSA).Public(), noon)
	if got, err := v.Verify(t.Context(), own, noon); err != nil || got.Issuer != audience {
		t.Errorf("our own token: %+v, %v", got, err)
	}
	for name, token := range map[string]string{
		"ours, other iss":     forge(t, goodHeader, foreignClaims()),
		"foreign, ours as it": foreign.sign(t, goodHeader, goodClaims()),
		"foreign, our iss":    foreign.sign(t, foreign.header(), goodClaims()),
		"ours, foreign typ":   forge(t, foreign.header(), goodClaims()),
	} {
		if _, err := v.Verify(t.Context(), token, noon); !errors.Is(err, identity.ErrToken) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// To an ECDSA signature anybody can find a second one: revoking one must revoke
// the other.
func TestTwinSignaturesHaveOneName(t *testing.T) {
	key := newForeignKey(t, "k1", identity.ES256)
	v := trusting(t, newJWKSFile(t, jwksOf(key)).policy())
	for range 8 { // both halves come first by chance
		token := key.token(t)
		input := token[:strings.LastIndexByte(token, '.')]
		signature := decode(t, token[len(input)+1:])
		s := new(big.Int).SetBytes(signature[32:])
		s.Sub(elliptic.P256().Params().N, s).FillBytes(signature[32:])
		twin := input + "." + encode(string(signature))
		one, err1 := v.Verify(t.Context(), token, noon)
		two, err2 := v.Verify(t.Context(), twin, noon)
		if err1 != nil || err2 != nil || token == twin || one != two {
			t.Fatalf("%v, %v: %x and %x", err1, err2, one.Hash, two.Hash)
		}
	}
	if _, ok := key.private.(*ecdsa.PrivateKey); !ok {
		t.Fatal("no ECDSA was tested")
	}
}

func TestPolicyNarrowsAlgorithmsTypesAndLifetimes(t *testing.T) {
	ed, rs := newForeignKey(t, "ed", identity.EdDSA), newForeignKey(t, "rs", identity.RS256)
	policy := newJWKSFile(t, jwksOf(ed, rs)).policy()
	policy.Algorithms, policy.Type, policy.MaxLifetime = []identity.Algorithm{identity.EdDSA}, "JWT", time.Minute
	v := trusting(t, policy)
	short := foreignClaims().with("exp", json.Number("1793880060"))
	jwtHeader := func(k foreignKey) string { return strings.Replace(k.header(), "at+jwt", "JWT", 1) }
	for name, token := range map[string]string{
		"algorithm": rs.sign(t, jwtHeader(rs), short),
		"type":      ed.sign(t, ed.header(), short),
		"lifetime":  ed.sign(t, jwtHeader(ed), short.with("exp", json.Number("1793880060.001"))),
	} {
		if _, err := v.Verify(t.Context(), token, noon); !errors.Is(err, identity.ErrToken) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := v.Verify(t.Context(), ed.sign(t, jwtHeader(ed), short), noon); err != nil {
		t.Error(err)
	}
}

func TestPoliciesAreValidated(t *testing.T) {
	good := identity.IssuerPolicy{Issuer: foreignIssuer, Audience: audience, JWKSURL: "https://issuer.example/jwks"}
	change := func(f func(*identity.IssuerPolicy)) identity.IssuerPolicy { p := good; f(&p); return p }
	at := func(url string) identity.IssuerPolicy {
		return change(func(p *identity.IssuerPolicy) { p.JWKSURL = url })
	}
	for _, p := range []identity.IssuerPolicy{good, at("http://localhost:1/x"), at("http://127.0.0.1/x"), at("http://[::1]:8/x")} {
		if err := p.Validate(); err != nil {
			t.Errorf("%+v: %v", p, err)
		}
	}
	bad := map[string]identity.IssuerPolicy{
		"no issuer":         change(func(p *identity.IssuerPolicy) { p.Issuer = "" }),
		"no audience":       change(func(p *identity.IssuerPolicy) { p.Audience = "" }),
		"HS256":             change(func(p *identity.IssuerPolicy) { p.Algorithms = []identity.Algorithm{"HS256"} }),
		"none":              change(func(p *identity.IssuerPolicy) { p.Algorithms = []identity.Algorithm{identity.EdDSA, "none"} }),
		"negative lifetime": change(func(p *identity.IssuerPolicy) { p.MaxLifetime = -1 }),
		"two sources":       change(func(p *identity.IssuerPolicy) { p.JWKSFile = "x" }),
		"no source":         at(""),
		"plain http":        at("http://issuer.example/jwks"),
		"nearly loopback":   at("http://localhost.evil.example/jwks"),
		"file":              at("file:///etc/jwks"),
		"no host":           at("https:///jwks"),
		"a user":            at("https://u:p@issuer.example/jwks"),
		"no URL":            at("https://\x00"),
	}
	for name, p := range bad {
		if err := p.Validate(); !errors.Is(err, identity.ErrIssuers) {
			t.Errorf("%s: %v", name, err)
		}
	}
	config := func(external ...identity.IssuerPolicy) identity.VerifierConfig {
		return identity.VerifierConfig{Issuer: audience, Audience: audience, Keys: testKeys(t), External: external}
	}
	ours := change(func(p *identity.IssuerPolicy) { p.Issuer = audience })
	for name, cfg := range map[string]identity.VerifierConfig{
		"bad": config(bad["HS256"]), "twice": config(good, good), "ours": config(ours)} {
		if err := cfg.Validate(); !errors.Is(err, identity.ErrIssuers) {
			t.Errorf("%s: %v", name, err)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("a verifier was made of a bad policy")
		}
	}()
	identity.NewVerifier(config(bad["none"]))
}

func TestUnverifiableTokensAreNotRemembered(t *testing.T) {
	key := newForeignKey(t, "k1", identity.EdDSA)
	v := trusting(t, newJWKSFile(t, jwksOf(key)).policy())
	for range 50 {
		header := foreignKey{kid: rand8(t), algorithm: identity.EdDSA}.header()
		if _, err := v.Verify(context.Background(), key.sign(t, header, foreignClaims()), noon); !errors.Is(err, identity.ErrToken) {
			t.Fatal(err)
		}
	}
	if n := v.Remembered(); n != 0 {
		t.Errorf("%d refused tokens are remembered", n)
	}
}

func rand8(t testing.TB) string { return newKey(t, identity.EdDSA).Public().String()[:8] }
