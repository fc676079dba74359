package identity

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"fmt"
	"log/slog"
	"time"
)

// Remembered returns how many tokens the verifier remembers.
func (v *Verifier) Remembered() int { return v.remembered.Len() }

// LoseKeys leaves the verifier with its memory alone: no signature verifies any
// more.
func (v *Verifier) LoseKeys() {
	for _, t := range v.trusted {
		t.algorithms = nil
	}
}

// LoadOnce loads an issuer's keys in the way of all issuers, and waits for it.
func LoadOnce(load func(context.Context) error) error {
	source := newKeySource(IssuerPolicy{}, slog.New(slog.DiscardHandler))
	defer source.close()
	source.load = func(ctx context.Context) (*keySet, error) { return nil, load(ctx) }
	return source.refresh(time.Now(), urlPause).wait(context.Background())
}

// CheckKeySet parses an issuer's keys, and reports what no set may hold.
func CheckKeySet(data []byte) error {
	set, err := parseKeySet(data)
	if err != nil {
		return nil
	}
	if len(data) > maxKeySetSize || len(set.keys) > 2*maxKeySetKeys {
		return fmt.Errorf("%d keys in %d bytes", len(set.keys), len(data))
	}
	for name := range set.keys {
		key, ok := set.find(name)
		if !ok {
			continue
		}
		if name.kid == "" || key.thumbprint == [32]byte{} || !fits(name.algorithm, key.public) {
			return fmt.Errorf("%+v names a %T", name, key.public)
		}
		if methods[name.algorithm].Verify("x", make([]byte, 64), key.public) == nil {
			return fmt.Errorf("%+v verifies zeros", name)
		}
	}
	return nil
}

func fits(algorithm Algorithm, public any) bool {
	switch public := public.(type) {
	case ed25519.PublicKey:
		return algorithm == EdDSA && len(public) == ed25519.PublicKeySize
	case *ecdsa.PublicKey:
		return algorithm == ES256 && public.Curve == elliptic.P256()
	case *rsa.PublicKey:
		bits := public.N.BitLen()
		return (algorithm == RS256 || algorithm == PS256) && bits >= 2048 && bits <= 8192 && public.E >= 3
	}
	return false
}
