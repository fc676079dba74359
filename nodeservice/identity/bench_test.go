package identity_test

import (
	"context"
	"crypto/sha256"
	"testing"

	"github.com/quicproquo/node/nodeservice/identity"
)

func BenchmarkVerify(b *testing.B) {
	keys := testKeys(b)
	for _, algorithm := range algorithms {
		token, said := mint(b, keys, newKey(b, algorithm).Public(), noon)
		verifier := newVerifier(keys, 0)
		verify := func(b *testing.B) {
			if _, err := verifier.Verify(context.Background(), token, noon); err != nil {
				b.Fatal(err)
			}
		}
		b.Run("fresh/"+string(algorithm), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				verifier.Forget(said.Hash)
				verify(b)
			}
		})
		b.Run("remembered/"+string(algorithm), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				verify(b)
			}
		})
	}
}

func BenchmarkMint(b *testing.B) {
	b.ReportAllocs()
	keys, id := testKeys(b), newKey(b, identity.EdDSA).Public()
	for b.Loop() {
		mint(b, keys, id, noon)
	}
}

func BenchmarkParseKey(b *testing.B) {
	for _, algorithm := range algorithms {
		raw := newKey(b, algorithm).Public().Bytes()
		b.Run(string(algorithm), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := identity.ParseKey(raw); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkLogin(b *testing.B) {
	for _, algorithm := range algorithms {
		private := newKey(b, algorithm)
		challenger := identity.NewChallenger(secret)
		nonce, _ := challenger.Issue(private.Public(), noon)
		signature, err := private.Sign(identity.LoginMessage(audience, private.Public(), nonce))
		if err != nil {
			b.Fatal(err)
		}
		b.Run(string(algorithm), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := challenger.Check(private.Public(), nonce, noon); err != nil {
					b.Fatal(err)
				}
				if err := identity.CheckLogin(audience, private.Public(), nonce, signature); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkVerifyExternal(b *testing.B) {
	for _, algorithm := range foreignAlgorithms {
		key := newForeignKey(b, "k1", algorithm)
		verifier := trusting(b, newJWKSFile(b, jwksOf(key)).policy())
		token := key.token(b)
		verify := func(b *testing.B) identity.Token {
			said, err := verifier.Verify(b.Context(), token, noon)
			if err != nil {
				b.Fatal(err)
			}
			return said
		}
		b.Run("fresh/"+string(algorithm), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				verifier.Forget(sha256.Sum256([]byte(token)))
				verify(b)
			}
		})
		b.Run("remembered/"+string(algorithm), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				verify(b)
			}
		})
		said := verify(b)
		b.Run("still trusted/"+string(algorithm), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if !verifier.StillTrusted(said) {
					b.Fatal("it is not")
				}
			}
		})
	}
}

func BenchmarkCheckProof(b *testing.B) {
	for _, algorithm := range algorithms {
		p := newProver(b, algorithm)
		want := p.target()
		want.Nonces = identity.NewNonceSource(secret)
		proof := p.prove(b, p.header, p.claims.with("nonce", want.Nonces.Issue(noon)))
		b.Run(string(algorithm), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := identity.CheckProof(proof, want, noon); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
