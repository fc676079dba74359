package identity_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/quicproquo/node/nodeservice/identity"
)

func TestMadeProofsAreAccepted(t *testing.T) {
	nonces := identity.NewNonceSource(bytes.Repeat([]byte{7}, 32))
	for _, algorithm := range algorithms {
		private := newKey(t, algorithm)
		want := identity.ProofTarget{Method: "GET", URL: "https://node.example/v1/channels?limit=1&x=%2F#there", Token: proofToken, Key: private.Public()}
		seen := map[[32]byte]bool{}
		for range 3 {
			made := makeProof(t, private, want, "")
			got, err := identity.CheckProof(made, want, noon)
			if err != nil || seen[got.ID] || !got.FreshUntil.Equal(noon.Truncate(time.Second).Add(identity.ProofLifetime)) {
				t.Errorf("%s: %+v, %v; seen before: %v", algorithm, got, err, seen[got.ID])
			}
			seen[got.ID] = true
		}

		atLogin := want
		atLogin.Token = ""
		if _, err := identity.CheckProof(makeProof(t, private, atLogin, ""), atLogin, noon); err != nil {
			t.Errorf("%s: without a token: %v", algorithm, err)
		}
		if _, err := identity.CheckProof(makeProof(t, private, atLogin, ""), want, noon); !errors.Is(err, identity.ErrProof) {
			t.Errorf("%s: made without the token: %v", algorithm, err)
		}

		noted := want
		noted.Nonces = nonces
		if _, err := identity.CheckProof(makeProof(t, private, want, nonces.Issue(noon)), noted, noon); err != nil {
			t.Errorf("%s: with the nonce: %v", algorithm, err)
		}
		if _, err := identity.CheckProof(makeProof(t, private, want, ""), noted, noon); !errors.Is(err, identity.ErrProofNonce) {
			t.Errorf("%s: without the nonce: %v", algorithm, err)
		}
		if _, err := identity.CheckProof(makeProof(t, newKey(t, algorithm), want, ""), want, noon); !errors.Is(err, identity.ErrProof) {
			t.Errorf("%s: by another key: %v", algorithm, err)
		}
	}
}

func makeProof(t *testing.T, key identity.ProofKey, target identity.ProofTarget, nonce string) string {
	t.Helper()
	made, err := identity.MakeProof(key, target, nonce, noon)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// brokenKey is hardware that is not there.
type brokenKey struct{ identity.Key }

func (k brokenKey) Public() identity.Key      { return k.Key }
func (brokenKey) Sign([]byte) ([]byte, error) { return nil, errors.New("unplugged: serial 1234") }

func TestProofsThatCannotBeMade(t *testing.T) {
	private := newKey(t, identity.EdDSA)
	for name, target := range map[string]identity.ProofTarget{
		"no method":    {URL: proofURL},
		"no URL":       {Method: "GET"},
		"relative URL": {Method: "GET", URL: "/v1/channels"},
		"broken URL":   {Method: "GET", URL: "https://[::1"},
	} {
		if made, err := identity.MakeProof(private, target, "", noon); made != "" || !errors.Is(err, identity.ErrProof) {
			t.Errorf("%s: %q, %v", name, made, err)
		}
	}
	_, err := identity.MakeProof(brokenKey{private.Public()}, identity.ProofTarget{Method: "GET", URL: proofURL}, "", noon)
	if !errors.Is(err, identity.ErrProof) || bytes.Contains([]byte(err.Error()), []byte("1234")) {
		t.Errorf("%v", err)
	}
}
