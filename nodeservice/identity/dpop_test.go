package identity_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/quicproquo/node/nodeservice/identity"
)

const (
	proofURL   = "https://node.example/v1/channels"
	proofToken = "an.access.token"
)

// prover is a client that makes proofs; its members are there to be changed.
type prover struct {
	private *identity.PrivateKey
	header  claimSet
	claims  claimSet
}

func newProver(t testing.TB, algorithm identity.Algorithm) prover {
	t.Helper()
	private := newKey(t, algorithm)
	hash := sha256.Sum256([]byte(proofToken))
	return prover{private,
		claimSet{"typ": "dpop+jwt", "alg": string(algorithm), "jwk": jwkOf(private.Public())},
		claimSet{"jti": "0123456789", "htm": "POST", "htu": proofURL, "iat": noon.Unix(), "ath": encode(string(hash[:]))}}
}

func jwkOf(key identity.Key) claimSet {
	raw := key.Raw()
	if key.Algorithm() == identity.EdDSA {
		return claimSet{"kty": "OKP", "crv": "Ed25519", "x": encode(raw)}
	}
	return claimSet{"kty": "EC", "crv": "P-256", "x": encode(raw[1:33]), "y": encode(raw[33:])}
}

func (p prover) target() identity.ProofTarget {
	return identity.ProofTarget{Method: "POST", URL: proofURL, Token: proofToken, Key: p.private.Public()}
}

// prove signs any header and claims, each a claimSet or text.
func (p prover) prove(t testing.TB, header, claims any) string {
	t.Helper()
	if set, ok := header.(claimSet); ok {
		header = set.text()
	}
	input := signingInput(header.(string), claims)
	signature, err := p.private.Sign([]byte(input))
	if err != nil {
		t.Fatal(err)
	}
	return input + "." + encode(string(signature))
}

func TestProofIsAccepted(t *testing.T) {
	for _, algorithm := range algorithms {
		p := newProver(t, algorithm)
		jwk := p.header["jwk"].(claimSet)
		first, err := identity.CheckProof(p.prove(t, p.header, p.claims), p.target(), noon)
		if err != nil || !first.FreshUntil.Equal(noon.Truncate(time.Second).Add(time.Minute)) {
			t.Fatalf("%s: %+v, %v", algorithm, first, err)
		}
		for name, proof := range map[string]string{
			"again":              p.prove(t, p.header, p.claims),
			"other order":        p.prove(t, p.header, strings.Replace(p.claims.text(), "{", "{ ", 1)),
			"more members":       p.prove(t, p.header.with("kid", "x"), p.claims.with("nonce", "x").with("exp", 1)),
			"iat 59.999 s ago":   p.prove(t, p.header, p.claims.with("iat", json.Number("1793879940.838"))),
			"iat 5 s ahead":      p.prove(t, p.header, p.claims.with("iat", json.Number("1793880005.837"))),
			"jwk from WebCrypto": p.prove(t, p.header.with("jwk", jwk.with("ext", true).with("key_ops", []string{"verify"})), p.claims),
			"jwk with kid, alg":  p.prove(t, p.header.with("jwk", jwk.with("kid", "x").with("alg", string(algorithm))), p.claims),
		} {
			got, err := identity.CheckProof(proof, p.target(), noon)
			if err != nil || got.ID != first.ID || !got.FreshUntil.After(noon) {
				t.Errorf("%s, %s: %+v, %v", algorithm, name, got, err)
			}
		}
		other, err := identity.CheckProof(p.prove(t, p.header, p.claims.with("jti", strings.Repeat("j", 256))), p.target(), noon)
		if err != nil || other.ID == first.ID {
			t.Errorf("%s: another jti: %v", algorithm, err)
		}
		atLogin := p.target()
		atLogin.Token = ""
		if _, err := identity.CheckProof(p.prove(t, p.header, p.claims.with("ath", nil)), atLogin, noon); err != nil {
			t.Errorf("%s: without a token: %v", algorithm, err)
		}
	}
	one, two := newProver(t, identity.EdDSA), newProver(t, identity.EdDSA)
	first, _ := identity.CheckProof(one.prove(t, one.header, one.claims), one.target(), noon)
	second, _ := identity.CheckProof(two.prove(t, two.header, two.claims), two.target(), noon)
	if first.ID == second.ID {
		t.Error("another's jti would spend ours")
	}
}

// What is remembered against replay, bit for bit: nodes of two builds share it.
func TestProofIDIsGolden(t *testing.T) {
	key, err := identity.ParseKeyText(testPublic)
	if err != nil {
		t.Fatal(err)
	}
	header := `{"typ":"dpop+jwt","alg":"EdDSA","jwk":` + goodJWK().text() + `}`
	claims := claimSet{"jti": "a", "htm": "GET", "htu": "http://localhost", "iat": noon.Unix()}
	got, err := identity.CheckProof(forge(t, header, claims), identity.ProofTarget{Method: "GET", URL: "http://localhost:80/", Key: key}, noon)
	want := sha256.Sum256(append(decode(t, testKid), 'a'))
	if err != nil || got.ID != want {
		t.Errorf("%x, %v; want %x", got.ID, err, want)
	}
}

func TestHostileProofs(t *testing.T) {
	for _, algorithm := range algorithms {
		p, stranger := newProver(t, algorithm), newProver(t, algorithm)
		otherAlgorithm := newProver(t, map[identity.Algorithm]identity.Algorithm{identity.EdDSA: identity.ES256, identity.ES256: identity.EdDSA}[algorithm])
		head := func(name string, value any) string { return p.prove(t, p.header.with(name, value), p.claims) }
		claim := func(name string, value any) string { return p.prove(t, p.header, p.claims.with(name, value)) }
		jwk := p.header["jwk"].(claimSet)
		good := p.prove(t, p.header, p.claims)
		parts := strings.Split(good, ".")
		for name, proof := range map[string]string{
			"nothing":             "",
			"dots":                "..",
			"four parts":          good + "." + parts[2],
			"two proofs":          good + "," + good,
			"padded":              good + "=",
			"line break":          good + "\n",
			"over 8 KiB":          claim("x", strings.Repeat("x", 6200)),
			"no signature":        parts[0] + "." + parts[1] + ".",
			"cut signature":       good[:len(good)-2],
			"typ JWT":             head("typ", "JWT"),
			"typ of a token":      head("typ", "qpq-at+jwt"),
			"typ in upper case":   head("typ", "DPoP+JWT"),
			"typ missing":         head("typ", nil),
			"alg none":            head("alg", "none"),
			"alg HS256":           head("alg", "HS256"),
			"alg RS256":           head("alg", "RS256"),
			"alg of another":      head("alg", otherAlgorithm.header["alg"]),
			"alg missing":         head("alg", nil),
			"jwk missing":         head("jwk", nil),
			"jwk null":            p.prove(t, `{"typ":"dpop+jwt","alg":"`+string(algorithm)+`","jwk":null}`, p.claims),
			"jwk a text":          head("jwk", jwk.text()),
			"jwk with d":          head("jwk", jwk.with("d", testSeed)),
			"jwk with k":          head("jwk", jwk.with("k", testSeed)),
			"jwk with x5c":        head("jwk", jwk.with("x5c", []string{})),
			"jwk with other alg":  head("jwk", jwk.with("alg", "RS256")),
			"jwk of another":      head("jwk", stranger.header["jwk"]),
			"jwk of another kind": head("jwk", otherAlgorithm.header["jwk"]),
			"jwk padded":          head("jwk", jwk.with("x", text(jwk["x"])+"=")),
			"another's, whole":    stranger.prove(t, stranger.header, stranger.claims),
			"another's signature": stranger.prove(t, p.header, p.claims),
			"jku":                 head("jku", "https://evil.example"),
			"x5u":                 head("x5u", "https://evil.example"),
			"x5c":                 head("x5c", []string{}),
			"crit":                head("crit", []string{"iat"}),
			"duplicate jwk":       p.prove(t, strings.Replace(p.header.text(), "{", `{"jwk":{},`, 1), p.claims),
			"duplicate typ":       p.prove(t, strings.Replace(p.header.text(), "{", `{"typ":"dpop+jwt",`, 1), p.claims),
			"duplicate in jwk":    p.prove(t, strings.Replace(p.header.text(), `"kty"`, `"kty":"oct","kty"`, 1), p.claims),
			"duplicate htm":       p.prove(t, p.header, strings.Replace(p.claims.text(), "{", `{"htm":"GET",`, 1)),
			"duplicate, \\u":      p.prove(t, p.header, strings.Replace(p.claims.text(), "{", `{"h\u0074m":"GET",`, 1)),
			"claims a list":       p.prove(t, p.header, "[]"),
			"htm other":           claim("htm", "GET"),
			"htm in lower case":   claim("htm", "post"),
			"htm missing":         claim("htm", nil),
			"HTM":                 p.prove(t, p.header, p.claims.with("htm", nil).with("HTM", "POST")),
			"htu other":           claim("htu", proofURL+"/x"),
			"htu missing":         claim("htu", nil),
			"ath other":           claim("ath", testKid),
			"ath in hex":          claim("ath", fmt.Sprintf("%x", sha256.Sum256([]byte(proofToken)))),
			"ath padded":          claim("ath", text(p.claims["ath"])+"="),
			"ath missing":         claim("ath", nil),
			"iat a minute ago":    claim("iat", json.Number("1793879940.837")),
			"iat ahead":           claim("iat", json.Number("1793880005.838")),
			"iat in milliseconds": claim("iat", noon.UnixMilli()),
			"iat a text":          claim("iat", "1793880000"),
			"iat negative":        claim("iat", -1),
			"iat missing":         claim("iat", nil),
			"jti empty":           claim("jti", ""),
			"jti long":            claim("jti", strings.Repeat("j", 257)),
			"jti a number":        claim("jti", 1),
			"jti missing":         claim("jti", nil),
		} {
			got, err := identity.CheckProof(proof, p.target(), noon)
			if !errors.Is(err, identity.ErrProof) || got != (identity.Proof{}) {
				t.Errorf("%s, %s: %+v, %v", algorithm, name, got, err)
			}
			quotesNothing(t, name, proof, err)
		}
		for name, change := range map[string]func(*identity.ProofTarget){
			"no key":        func(w *identity.ProofTarget) { w.Key = identity.Key{} },
			"other key":     func(w *identity.ProofTarget) { w.Key = stranger.private.Public() },
			"other kind":    func(w *identity.ProofTarget) { w.Key = otherAlgorithm.private.Public() },
			"other token":   func(w *identity.ProofTarget) { w.Token += "x" },
			"other method":  func(w *identity.ProofTarget) { w.Method = "DELETE" },
			"no method":     func(w *identity.ProofTarget) { w.Method = "" },
			"no URL":        func(w *identity.ProofTarget) { w.URL = "" },
			"relative URL":  func(w *identity.ProofTarget) { w.URL = "/v1/channels" },
			"other host":    func(w *identity.ProofTarget) { w.URL = "https://other.example/v1/channels" },
			"plain http":    func(w *identity.ProofTarget) { w.URL = "http://node.example/v1/channels" },
			"for websocket": func(w *identity.ProofTarget) { w.URL = "wss://node.example/v1/channels" },
		} {
			want := p.target()
			change(&want)
			if _, err := identity.CheckProof(good, want, noon); !errors.Is(err, identity.ErrProof) {
				t.Errorf("%s, target with %s: %v", algorithm, name, err)
			}
		}
	}
}

// quotesNothing fails if an error shows a part of what was sent.
func quotesNothing(t *testing.T, name, sent string, err error) {
	t.Helper()
	for _, part := range strings.Split(sent, ".") {
		plain, _ := base64.RawURLEncoding.DecodeString(part)
		for i := 0; i+12 <= len(plain); i++ {
			if strings.Contains(fmt.Sprint(err), string(plain[i:i+12])) {
				t.Fatalf("%s: the error quotes the proof: %v", name, err)
			}
		}
	}
}

func TestProofURLs(t *testing.T) {
	p := newProver(t, identity.EdDSA)
	const asked = "https://node.example/v1/stream"
	for htu, same := range map[string]bool{
		asked:                                     true,
		"HTTPS://NODE.Example/v1/stream":          true,
		"https://node.example:443/v1/stream":      true,
		"https://node.example:/v1/stream":         true,
		asked + "?after=1":                        true,
		asked + "#x":                              true,
		asked + "?":                               true,
		asked + "/":                               false,
		"https://node.example/V1/stream":          false,
		"https://node.example/v1//stream":         false,
		"https://node.example/v1/./stream":        false,
		"https://node.example/x/../v1/stream":     false,
		"https://node.example/v1/strea%6d":        false,
		"https://node.example:80/v1/stream":       false,
		"https://node.example:0443/v1/stream":     false,
		"http://node.example:443/v1/stream":       false,
		"https://node.example./v1/stream":         false,
		"https://user@node.example/v1/stream":     false,
		"https://node.example@evil.x/v1/stream":   false,
		"https://evil.x/https://node.example/":    false,
		"https://node.example\\@evil.x/v1/stream": false,
		"//node.example/v1/stream":                false,
		"https:/v1/stream":                        false,
		"https:node.example/v1/stream":            false,
		"ftp://node.example/v1/stream":            false,
		"":                                        false,
		" " + asked:                               false,
		asked + "\x00":                            false,
		"https://node.example:https/v1/stream":    false,
	} {
		want := p.target()
		want.URL = asked
		_, err := identity.CheckProof(p.prove(t, p.header, p.claims.with("htu", htu)), want, noon)
		if same != (err == nil) {
			t.Errorf("%q: %v", htu, err)
		}
	}
	for asked, htu := range map[string]string{"http://[::1]:8420": "http://[::1]:8420/", "http://127.0.0.1:80/x?y": "http://127.0.0.1/x", "https://node.example/a%2Fb": "https://node.example/a%2Fb"} {
		want := p.target()
		want.URL = asked
		if _, err := identity.CheckProof(p.prove(t, p.header, p.claims.with("htu", htu)), want, noon); err != nil {
			t.Errorf("%q, %q: %v", asked, htu, err)
		}
	}
}

func TestProofNonces(t *testing.T) {
	source := identity.NewNonceSource(secret)
	p := newProver(t, identity.EdDSA)
	want := p.target()
	want.Nonces = source
	window := noon.Truncate(identity.NonceWindow) // windows begin with the epoch
	check := func(nonce any, at time.Time) error {
		claims := p.claims.with("nonce", nonce).with("iat", at.Unix())
		_, err := identity.CheckProof(p.prove(t, p.header, claims), want, at)
		return err
	}
	for _, issued := range []time.Time{window, window.Add(identity.NonceWindow - time.Millisecond)} {
		nonce := source.Issue(issued)
		for _, at := range []time.Time{issued, window.Add(2*identity.NonceWindow - time.Millisecond)} {
			if err := check(nonce, at); err != nil {
				t.Errorf("issued %v, used %v: %v", issued, at, err)
			}
		}
		for _, at := range []time.Time{window.Add(-time.Millisecond), window.Add(2 * identity.NonceWindow), issued.Add(time.Hour)} {
			if err := check(nonce, at); !errors.Is(err, identity.ErrProofNonce) || errors.Is(err, identity.ErrProof) {
				t.Errorf("issued %v, used %v: %v", issued, at, err)
			}
		}
	}
	nonce := source.Issue(noon)
	for name, bad := range map[string]any{"missing": nil, "empty": "", "a number": 1, "cut": nonce[1:], "longer": nonce + "A",
		"another secret's": identity.NewNonceSource(append([]byte("x"), secret...)).Issue(noon)} {
		if err := check(bad, noon); !errors.Is(err, identity.ErrProofNonce) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if !identity.NewNonceSource(secret).Check(nonce, noon) || len(nonce) != 43 {
		t.Error("another node does not take the nonce")
	}
	// All else comes first: only a proof that is good deserves a second try.
	if _, err := identity.CheckProof(p.prove(t, p.header, p.claims.with("htm", "GET")), want, noon); !errors.Is(err, identity.ErrProof) {
		t.Error(err)
	}
}

// Whoever sees nonces of one kind must not be able to use them as another.
func TestNonceSourceHasItsOwnKey(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a short secret is taken")
		}
	}()
	challenge, _ := identity.NewChallenger(secret).Issue(newKey(t, identity.EdDSA).Public(), noon)
	if identity.NewNonceSource(secret).Check(encode(string(challenge[24:])), noon) {
		t.Error("a challenge is a nonce")
	}
	identity.NewNonceSource([]byte("short"))
}
