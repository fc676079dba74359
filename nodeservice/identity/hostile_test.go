package identity_test

import (
	"context"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"testing"

	"github.com/quicproquo/node/nodeservice/identity"
)

// The test keys are those of RFC 8037, appendix A: known to everybody.
const (
	testSeed   = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"
	testPublic = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
	testKid    = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
	goodHeader = `{"alg":"EdDSA","kid":"` + testKid + `","typ":"qpq-at+jwt"}`
)

type claimSet map[string]any

func goodClaims() claimSet {
	return claimSet{"iss": audience, "aud": audience, "jti": "AAAAAAAAAAAAAAAAAAAAAA",
		"iat": noon.Unix(), "exp": noon.Unix() + 900, "cnf": claimSet{"jwk": goodJWK()}}
}

func goodJWK() claimSet { return claimSet{"kty": "OKP", "crv": "Ed25519", "x": testPublic} }

// with returns a copy with one member changed, or removed if the value is nil.
func (c claimSet) with(name string, value any) claimSet {
	changed := maps.Clone(c)
	changed[name] = value
	if value == nil {
		delete(changed, name)
	}
	return changed
}

func (c claimSet) text() string {
	text, _ := json.Marshal(c)
	return string(text)
}

// forge signs any header and claims (a claimSet or text) with the test key.
func forge(t testing.TB, header string, claims any) string {
	t.Helper()
	seed, err := base64.RawURLEncoding.DecodeString(testSeed)
	if err != nil {
		t.Fatal(err)
	}
	input := signingInput(header, claims)
	return input + "." + encode(string(ed25519.Sign(ed25519.NewKeyFromSeed(seed), []byte(input))))
}

func forgeHS256(header string, secret []byte) string {
	input := signingInput(header, goodClaims())
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(input))
	return input + "." + encode(string(mac.Sum(nil)))
}

func signingInput(header string, claims any) string {
	if set, ok := claims.(claimSet); ok {
		claims = set.text()
	}
	return encode(header) + "." + encode(claims.(string))
}

func decode(t testing.TB, text string) []byte {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func encode(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

func TestForgedTokenWouldVerify(t *testing.T) {
	for name, claims := range map[string]any{
		"as it is":          goodClaims(),
		"white space":       " \n" + goodClaims().text() + "\t ",
		"unknown claim":     goodClaims().with("scope", []any{"x", claimSet{"y": 1}}),
		"iat at the leeway": goodClaims().with("iat", noon.Unix()+30),
		"nbf at the leeway": goodClaims().with("nbf", noon.Unix()+30),
		"P-256":             goodClaims().with("cnf", claimSet{"jwk": p256JWK(t)}),
	} {
		if _, err := newVerifier(testKeys(t), 0).Verify(context.Background(), forge(t, goodHeader, claims), noon); err != nil {
			t.Errorf("%s: %v; the tables below test nothing", name, err)
		}
	}
}

func TestHostileHeaders(t *testing.T) {
	header := func(replace ...string) string { return strings.NewReplacer(replace...).Replace(goodHeader) }
	add := func(member string) string { return header(`"alg"`, member+`,"alg"`) }
	raw, _ := base64.RawURLEncoding.DecodeString(testPublic)
	other := forge(t, goodHeader, "{}")
	for name, token := range map[string]string{
		"none":                    signingInput(header("EdDSA", "none"), goodClaims()) + ".",
		"none, signed":            forge(t, header("EdDSA", "none"), goodClaims()),
		"EdDSA without signature": signingInput(goodHeader, goodClaims()) + ".",
		"HS256 with the key":      forgeHS256(header("EdDSA", "HS256"), raw),
		"HS256 with its text":     forgeHS256(header("EdDSA", "HS256"), []byte(testPublic)),
		"HS256 with the JWKS":     forgeHS256(header("EdDSA", "HS256"), testKeys(t).JWKS()),
		"EdDSA with an HMAC":      forgeHS256(goodHeader, raw),
		"ES256":                   forge(t, header("EdDSA", "ES256"), goodClaims()),
		"alg in lower case":       forge(t, header("EdDSA", "eddsa"), goodClaims()),
		"alg missing":             forge(t, header(`"alg":"EdDSA",`, ``), goodClaims()),
		"alg a list":              forge(t, header(`"EdDSA"`, `["EdDSA"]`), goodClaims()),
		"kid unknown":             forge(t, header(testKid, testPublic), goodClaims()),
		"kid missing":             forge(t, header(`"kid"`, `"Kid"`), goodClaims()),
		"kid null":                forge(t, header(`"`+testKid+`"`, `null`), goodClaims()),
		"jwk":                     forge(t, add(`"jwk":`+goodJWK().text()), goodClaims()),
		"jwk null":                forge(t, add(`"jwk":null`), goodClaims()),
		"jku":                     forge(t, add(`"jku":"https://node.example/jwks.json"`), goodClaims()),
		"x5u":                     forge(t, add(`"x5u":"https://node.example/x5u"`), goodClaims()),
		"x5c":                     forge(t, add(`"x5c":["AA=="]`), goodClaims()),
		"crit":                    forge(t, add(`"crit":["b64"],"b64":true`), goodClaims()),
		"typ JWT":                 forge(t, header("qpq-at+jwt", "JWT"), goodClaims()),
		"typ at+jwt":              forge(t, header("qpq-at+jwt", "at+jwt"), goodClaims()),
		"typ in upper case":       forge(t, header("qpq-at+jwt", "QPQ-AT+JWT"), goodClaims()),
		"typ as media type":       forge(t, header("qpq-at+jwt", "application/qpq-at+jwt"), goodClaims()),
		"typ missing":             forge(t, header(`,"typ":"qpq-at+jwt"`, ``), goodClaims()),
		"duplicate alg":           forge(t, add(`"alg":"none"`), goodClaims()),
		"duplicate kid":           forge(t, add(`"kid":"x"`), goodClaims()),
		"duplicate deep inside":   forge(t, add(`"x":[{"y":1,"\u0079":2}]`), goodClaims()),
		"too deep":                forge(t, add(`"x":[[[[[[[[[1]]]]]]]]]`), goodClaims()),
		"a second object":         forge(t, goodHeader+`{}`, goodClaims()),
		"an array":                forge(t, `["alg","EdDSA"]`, goodClaims()),
		"null":                    forge(t, `null`, goodClaims()),
		"not UTF-8":               forge(t, add("\"\xff\":1"), goodClaims()),
		"another's signature":     signingInput(goodHeader, goodClaims()) + other[strings.LastIndex(other, "."):],
	} {
		refusedToken(t, name, token, identity.ErrToken)
	}
}

func TestHostileClaims(t *testing.T) {
	good := goodClaims()
	cnf := func(jwk any) claimSet { return good.with("cnf", claimSet{"jwk": jwk}) }
	after := noon.Unix() + 31
	for name, claims := range map[string]any{
		"exp missing":      good.with("exp", nil),
		"exp null":         strings.Replace(good.text(), `"exp":1793880900`, `"exp":null`, 1),
		"exp text":         good.with("exp", "1793880900"),
		"exp exponent":     good.with("exp", json.Number("1793880900e3")),
		"exp beyond years": good.with("exp", json.Number("999999999999")),
		"exp too precise":  good.with("exp", json.Number("1793880900.0001")),
		"exp negative":     good.with("exp", -1),
		"iat missing":      good.with("iat", nil),
		"iat ahead":        good.with("iat", after),
		"nbf ahead":        good.with("nbf", after),
		"nbf null":         strings.Replace(good.text(), `"iat"`, `"nbf":null,"iat"`, 1),
		"iss other":        good.with("iss", audience+"/"),
		"iss missing":      good.with("iss", nil),
		"iss in upper":     good.with("iss", nil).with("ISS", audience),
		"aud other":        good.with("aud", "https://evil.example"),
		"aud missing":      good.with("aud", nil),
		"aud a list":       good.with("aud", []string{audience, "https://evil.example"}),
		"jti missing":      good.with("jti", nil),
		"jti long":         good.with("jti", strings.Repeat("x", 65)),
		"cnf missing":      good.with("cnf", nil),
		"cnf null":         strings.Replace(good.text(), `"cnf":{`, `"cnf":null,"x":{`, 1),
		"cnf jkt":          good.with("cnf", claimSet{"jkt": testKid}),
		"cnf jwk and jkt":  good.with("cnf", claimSet{"jwk": goodJWK(), "jkt": testKid}),
		"jwk a list":       cnf([]any{goodJWK()}),
		"jwk with d":       cnf(goodJWK().with("d", testSeed)),
		"jwk with kid":     cnf(goodJWK().with("kid", "x")),
		"jwk with y":       cnf(goodJWK().with("y", testPublic)),
		"jwk oct":          cnf(claimSet{"kty": "oct", "k": testPublic}),
		"jwk X25519":       cnf(goodJWK().with("crv", "X25519")),
		"jwk EC Ed25519":   cnf(goodJWK().with("kty", "EC")),
		"jwk padded":       cnf(goodJWK().with("x", testPublic+"=")),
		"jwk broken":       cnf(goodJWK().with("x", testPublic[:20]+"\n"+testPublic[20:])),
		"jwk short":        cnf(goodJWK().with("x", testPublic[:42])),
		"small order":      cnf(goodJWK().with("x", encode(string(unhex(t, smallOrder[4]))))),
		"zero":             cnf(goodJWK().with("x", strings.Repeat("A", 43))),
		"off the curve":    cnf(p256JWK(t).with("x", testPublic)),
		"P-256 without y":  cnf(p256JWK(t).with("y", nil)),
		"P-256 with d":     cnf(p256JWK(t).with("d", testSeed)),
		"P-256 long x":     cnf(p256JWK(t).with("x", encode(strings.Repeat("\x00", 33)))),
		"duplicate exp":    strings.Replace(good.text(), `"exp"`, `"exp":1,"exp"`, 1),
		"duplicate in jwk": strings.Replace(good.text(), `"crv"`, `"crv":"P-256","crv"`, 1),
		"duplicate, \\u":   strings.Replace(good.text(), `"exp"`, `"\u0065xp":1,"exp"`, 1),
		"null":             "null",
		"a list":           "[" + good.text() + "]",
		"two":              good.text() + good.text(),
		"nothing":          "",
	} {
		refusedToken(t, name, forge(t, goodHeader, claims), identity.ErrToken)
	}
	refusedToken(t, "exp now", forge(t, goodHeader, good.with("exp", json.Number("1793880000.837"))), identity.ErrTokenExpired)
	refusedToken(t, "exp passed", forge(t, goodHeader, good.with("exp", noon.Unix()-1)), identity.ErrTokenExpired)
}

func TestHostileSpellings(t *testing.T) {
	token := forge(t, goodHeader, goodClaims())
	parts := strings.Split(token, ".")
	for name, spelling := range map[string]string{
		"nothing":        "",
		"dots":           "..",
		"two parts":      parts[0] + "." + parts[1],
		"four parts":     token + "." + parts[2],
		"JSON":           `{"payload":"` + parts[1] + `"}`,
		"over 8 KiB":     forge(t, goodHeader, goodClaims().with("x", strings.Repeat("x", 6200))),
		"padded header":  parts[0] + "=." + parts[1] + "." + parts[2],
		"padded":         token + "==",
		"line break":     token + "\n",
		"inner CR":       parts[0] + "." + parts[1][:9] + "\r" + parts[1][9:] + "." + parts[2],
		"space":          " " + token,
		"with its label": "Bearer " + token,
	} {
		refusedToken(t, name, spelling, identity.ErrToken)
	}
}

// A token's hash names it, for revocation: whoever holds a token must not be able
// to write it in another way.
func TestTokenHasOneSpelling(t *testing.T) {
	token := forge(t, goodHeader, goodClaims())
	verifier := newVerifier(testKeys(t), 0)
	taken := func(spelling string) bool {
		_, err := verifier.Verify(context.Background(), spelling, noon)
		return err == nil
	}
	for i := range token {
		for _, insert := range []string{"\n", "\r", "=", " ", "\x00", "A"} {
			if taken(token[:i] + insert + token[i:]) {
				t.Fatalf("%q may be put in at %d", insert, i)
			}
		}
		if taken(token[:i] + token[i+1:]) {
			t.Fatalf("the character at %d does not matter", i)
		}
	}
	for _, last := range base64url {
		if changed := token[:len(token)-1] + string(last); changed != token && taken(changed) {
			t.Errorf("it may end in %q", last)
		}
	}
}

func refusedToken(t *testing.T, name, token string, want error) {
	t.Helper()
	got, err := newVerifier(testKeys(t), 0).Verify(context.Background(), token, noon)
	if !errors.Is(err, want) || got != (identity.Token{}) {
		t.Errorf("%s: %+v, %v; want %v", name, got, err, want)
		return
	}
	for _, part := range strings.Split(token, ".") {
		plain, _ := base64.RawURLEncoding.DecodeString(part)
		for _, text := range []string{part, string(plain)} {
			for i := 0; i+12 <= len(text); i++ {
				if strings.Contains(err.Error(), text[i:i+12]) {
					t.Fatalf("%s: the error quotes the token: %v", name, err)
				}
			}
		}
	}
}
