package identity_test

import (
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
		_, err := verifier.Verify(token, noon)
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
		got, err := newVerifier(keys, 1).Verify(token, noon)
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
