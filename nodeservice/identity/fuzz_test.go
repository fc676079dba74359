package identity_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/quicproquo/node/nodeservice/identity"
)

func FuzzParseKey(f *testing.F) {
	f.Add([]byte(nil))
	f.Fuzz(func(t *testing.T, raw []byte) {
		key, err := identity.ParseKey(raw)
		if err != nil {
			if !errors.Is(err, identity.ErrKey) || !key.IsZero() {
				t.Fatalf("%v, %v", key, err)
			}
			return
		}
		if key.Raw() != string(raw) {
			t.Fatal("the key is not the bytes it was parsed from")
		}
		if same, err := identity.ParseKeyText(key.String()); err != nil || same != key {
			t.Fatalf("its text is refused: %v", err)
		}
		key.Verify(raw, make([]byte, 64))
	})
}

// FuzzVerify looks for a token that the server did not sign: the one golden token
// of the corpus is the only text that may pass.
func FuzzVerify(f *testing.F) {
	golden := forge(f, goodHeader, goodClaims())
	f.Add(golden)
	verifier := newVerifier(testKeys(f), 1)
	f.Fuzz(func(t *testing.T, token string) {
		_, err := verifier.Verify(context.Background(), token, noon)
		switch {
		case err == nil && token != golden:
			t.Fatalf("%q is taken", token)
		case err != nil && !errors.Is(err, identity.ErrToken) && !errors.Is(err, identity.ErrTokenExpired):
			t.Fatalf("%v wraps neither error", err)
		}
	})
}

// FuzzVerifySigned signs whatever comes, so that the claims are reached: what is
// taken must be what another reader of the same claims sees.
func FuzzVerifySigned(f *testing.F) {
	f.Add(goodHeader, goodClaims().text())
	keys := testKeys(f)
	f.Fuzz(func(t *testing.T, header, claims string) {
		token := forge(t, header, claims)
		got, err := newVerifier(keys, 1).Verify(context.Background(), token, noon)
		if err != nil {
			return
		}
		var other jwt.MapClaims
		parsed, _, err := jwt.NewParser().ParseUnverified(token, &other)
		if err != nil || parsed.Header["typ"] != "qpq-at+jwt" || parsed.Header["kid"] != testKid {
			t.Fatalf("another reader sees %+v, %v", parsed, err)
		}
		expires, err := other.GetExpirationTime()
		if err != nil || expires == nil || got.ExpiresAt.Sub(expires.Time).Abs() > time.Second || !got.ExpiresAt.After(noon) {
			t.Fatalf("expires %v, another reader sees %v, %v", got.ExpiresAt, expires, err)
		}
		if other["iss"] != audience || other["aud"] != audience || other["jti"] != got.ID {
			t.Fatalf("%+v, another reader sees %v", got, other)
		}
		if _, err := identity.ParseKey(got.Identity.Bytes()); err != nil {
			t.Fatal(err)
		}
	})
}

// FuzzProof signs whatever comes: a proof that is taken must say to another reader
// what it was taken for.
func FuzzProof(f *testing.F) {
	key, err := identity.ParseKeyText(testPublic)
	if err != nil {
		f.Fatal(err)
	}
	want := identity.ProofTarget{Method: "GET", URL: "https://node.example/v1/stream", Key: key}
	f.Add(`{"typ":"dpop+jwt","alg":"EdDSA","jwk":`+goodJWK().text()+`}`, `{"jti":"a","htm":"GET","htu":"https://node.example/v1/stream","iat":1793880000}`)
	f.Fuzz(func(t *testing.T, header, claims string) {
		proof := forge(t, header, claims)
		got, err := identity.CheckProof(proof, want, noon)
		if err != nil {
			if !errors.Is(err, identity.ErrProof) || got != (identity.Proof{}) {
				t.Fatalf("%+v, %v", got, err)
			}
			return
		}
		var other jwt.MapClaims
		parsed, _, err := jwt.NewParser().ParseUnverified(proof, &other)
		if err != nil || parsed.Header["typ"] != "dpop+jwt" || parsed.Header["alg"] != "EdDSA" {
			t.Fatalf("another reader sees %+v, %v", parsed, err)
		}
		jwk, _ := parsed.Header["jwk"].(map[string]any)
		id, _ := other["jti"].(string)
		if jwk["x"] != testPublic || jwk["d"] != nil || other["htm"] != "GET" || id == "" {
			t.Fatalf("another reader sees %v, %v", jwk, other)
		}
		if ahead := got.FreshUntil.Sub(noon); ahead <= 0 || ahead > 65*time.Second {
			t.Fatalf("fresh until %v", got.FreshUntil)
		}
	})
}

func FuzzJWKS(f *testing.F) {
	f.Add([]byte(publicSet))
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := identity.CheckKeySet(data); err != nil {
			t.Fatal(err)
		}
	})
}
