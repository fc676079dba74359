package identity_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quicproquo/node/nodeservice/identity"
)

// noon has a millisecond that no float64 of seconds holds exactly.
var noon = time.Date(2026, 11, 5, 12, 0, 0, 837_000_000, time.UTC)

func newVerifier(keys *identity.SigningKeys, remember int) *identity.Verifier {
	return identity.NewVerifier(identity.VerifierConfig{Issuer: audience, Audience: audience, Keys: keys, Remember: remember})
}

func mint(t testing.TB, keys *identity.SigningKeys, id identity.Key, now time.Time) (string, identity.Token) {
	t.Helper()
	issuer := identity.NewIssuer(identity.IssuerConfig{URL: audience, Keys: keys, TTL: 15 * time.Minute})
	token, said, err := issuer.Mint(id, now)
	if err != nil {
		t.Fatal(err)
	}
	return token, said
}

func TestMintedTokenVerifies(t *testing.T) {
	keys := testKeys(t)
	for _, algorithm := range algorithms {
		id := newKey(t, algorithm).Public()
		token, minted := mint(t, keys, id, noon)
		want := identity.Token{Identity: id, Issuer: audience, ID: minted.ID, IssuedAt: noon,
			ExpiresAt: noon.Add(15 * time.Minute), Hash: sha256.Sum256([]byte(token)),
			Signer: identity.Signer{KeyID: testKid, Algorithm: identity.EdDSA, Thumbprint: [32]byte(decode(t, testKid))}}
		if minted != want || len(minted.ID) != 22 {
			t.Errorf("%s: minted %+v, want %+v", algorithm, minted, want)
		}
		verifier := newVerifier(keys, 0)
		for _, path := range []string{"fresh", "remembered"} {
			if got, err := verifier.Verify(context.Background(), token, noon); err != nil || got != want {
				t.Errorf("%s, %s: %+v, %v; want %+v", algorithm, path, got, err, want)
			}
		}
		if got := slog.AnyValue(minted).Resolve().String(); got != "[token]" {
			t.Errorf("a log would show %s", got)
		}
	}
}

// What others may rely on, bit for bit: the header, the claims, their spelling.
func TestMintedTokenIsAsDocumented(t *testing.T) {
	id, err := identity.ParseKeyText(testPublic)
	if err != nil {
		t.Fatal(err)
	}
	token, said := mint(t, testKeys(t), id, noon)
	parts := strings.Split(token, ".")
	header, _ := base64.RawURLEncoding.DecodeString(parts[0])
	claims, _ := base64.RawURLEncoding.DecodeString(parts[1])
	if string(header) != goodHeader {
		t.Errorf("header %s", header)
	}
	want := fmt.Sprintf(`{"aud":"https://node.example",`+
		`"cnf":{"jwk":{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}},`+
		`"exp":1793880900.837,"iat":1793880000.837,"iss":"https://node.example","jti":"%s"}`, said.ID)
	if string(claims) != want {
		t.Errorf("claims %s,\nwant   %s", claims, want)
	}
}

// Tokens outlive a build.
func TestGoldenTokenVerifies(t *testing.T) {
	got, err := newVerifier(testKeys(t), 0).Verify(context.Background(), goldenToken, noon)
	if err != nil || got.Identity.String() != testPublic || got.IssuedAt != noon.Truncate(time.Second) ||
		got.ExpiresAt != got.IssuedAt.Add(15*time.Minute) || got.ID != "AAAAAAAAAAAAAAAAAAAAAA" {
		t.Errorf("%+v, %v", got, err)
	}
}

const goldenToken = "" +
	"eyJhbGciOiJFZERTQSIsImtpZCI6ImtQcktfcW14VldhWVZBOXd3QkY2SXVvM3ZWeno3VHhIQ1R3WEJ5Z3JTNGsiLCJ0eXAiOiJx" +
	"cHEtYXQrand0In0.eyJhdWQiOiJodHRwczovL25vZGUuZXhhbXBsZSIsImNuZiI6eyJqd2siOnsiY3J2IjoiRWQyNTUxOSIsImt0" +
	"eSI6Ik9LUCIsIngiOiIxMXFZQVlLeENyZlZTXzdUeVdRSE9nN2hjdlBhcGlNbHJ3SWFhUGNIVVJvIn19LCJleHAiOjE3OTM4ODA5" +
	"MDAsImlhdCI6MTc5Mzg4MDAwMCwiaXNzIjoiaHR0cHM6Ly9ub2RlLmV4YW1wbGUiLCJqdGkiOiJBQUFBQUFBQUFBQUFBQUFBQUFB" +
	"QUFBIn0.x5AXadvOxg-AyQ2HPUqRdqnclDoSKhjF9iF7Twissv6ucmaD8GjKtAKVUskTlQaiU_zRtmd4avYzQfSGEeCnBA"

func TestTokensOfOneSecondAreDistinguishable(t *testing.T) {
	keys, id := testKeys(t), newKey(t, identity.EdDSA).Public()
	second := noon.Truncate(time.Second)
	for ms := range 1000 {
		at := second.Add(time.Duration(ms) * time.Millisecond)
		claims := goodClaims()
		claims["iat"] = json.Number(fmt.Sprintf("%d.%03d", second.Unix(), ms))
		got, err := newVerifier(keys, 1).Verify(context.Background(), forge(t, goodHeader, claims), at)
		if err != nil || !got.IssuedAt.Equal(at) {
			t.Fatalf("%v came back as %v, %v", at, got.IssuedAt, err)
		}
	}
	_, first := mint(t, keys, id, second)
	_, later := mint(t, keys, id, second.Add(time.Millisecond))
	if !first.IssuedAt.Before(later.IssuedAt) || first.ID == later.ID {
		t.Error("the earlier token cannot be told from the later")
	}
}

func TestMintNeedsAnIdentity(t *testing.T) {
	issuer := identity.NewIssuer(identity.IssuerConfig{URL: audience, Keys: testKeys(t), TTL: time.Minute})
	if _, _, err := issuer.Mint(identity.Key{}, noon); !errors.Is(err, identity.ErrKey) {
		t.Error(err)
	}
}

func TestTokenExpiresAtItsExpiry(t *testing.T) {
	keys := testKeys(t)
	token, said := mint(t, keys, newKey(t, identity.EdDSA).Public(), noon)
	for _, remembered := range []bool{false, true} {
		verifier := newVerifier(keys, 0)
		if remembered {
			if _, err := verifier.Verify(context.Background(), token, noon); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := verifier.Verify(context.Background(), token, said.ExpiresAt.Add(-1)); err != nil {
			t.Errorf("remembered %t, a nanosecond early: %v", remembered, err)
		}
		if got, err := verifier.Verify(context.Background(), token, said.ExpiresAt); !errors.Is(err, identity.ErrTokenExpired) || got != (identity.Token{}) {
			t.Errorf("remembered %t, at its expiry: %+v, %v", remembered, got, err)
		}
		if n := verifier.Remembered(); n != 0 {
			t.Errorf("remembered %t: %d expired tokens are kept", remembered, n)
		}
	}
}

func TestVerifiedTokensAreRememberedWithinABound(t *testing.T) {
	keys, id := testKeys(t), newKey(t, identity.EdDSA).Public()
	verifier := newVerifier(keys, 8)
	var last identity.Token
	var token string
	for range 30 {
		token, last = mint(t, keys, id, noon)
		if _, err := verifier.Verify(context.Background(), token, noon); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := verifier.Verify(context.Background(), token+"x", noon); err == nil || verifier.Remembered() != 8 {
		t.Errorf("%d remembered, want 8", verifier.Remembered())
	}
	verifier.LoseKeys() // from here on, only memory can answer
	if got, err := verifier.Verify(context.Background(), token, noon); err != nil || got != last {
		t.Errorf("a remembered token is verified again: %v", err)
	}
	verifier.Forget(last.Hash)
	verifier.Forget(last.Hash)
	if _, err := verifier.Verify(context.Background(), token, noon); !errors.Is(err, identity.ErrToken) {
		t.Errorf("a forgotten token is remembered: %v", err)
	}
}

func TestEveryKeyOfTheSetVerifies(t *testing.T) {
	old := testKeys(t)
	fresh, err := identity.GenerateSigningKeys()
	if err != nil {
		t.Fatal(err)
	}
	both := joinKeys(t, fresh, old)
	id := newKey(t, identity.EdDSA).Public()
	before, _ := mint(t, old, id, noon)
	after, _ := mint(t, both, id, noon)
	for _, token := range []string{before, after} {
		if _, err := newVerifier(both, 0).Verify(context.Background(), token, noon); err != nil {
			t.Error(err)
		}
	}
	if _, err := newVerifier(fresh, 0).Verify(context.Background(), after, noon); err != nil {
		t.Errorf("the first key does not sign: %v", err)
	}
	if _, err := newVerifier(fresh, 0).Verify(context.Background(), before, noon); !errors.Is(err, identity.ErrToken) {
		t.Errorf("a key that left the set: %v", err)
	}
}

func TestVerifierIsSafeForConcurrentUse(t *testing.T) {
	keys := testKeys(t)
	verifier := newVerifier(keys, 2)
	var all sync.WaitGroup
	for range 4 {
		token, said := mint(t, keys, newKey(t, identity.EdDSA).Public(), noon)
		for range 2 {
			all.Go(func() {
				for range 20 {
					if got, err := verifier.Verify(context.Background(), token, noon); err != nil || got != said {
						t.Errorf("%+v, %v", got, err)
					}
					verifier.Forget(said.Hash)
				}
			})
		}
	}
	all.Wait()
}
