package identity

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"io"
	"sync/atomic"
	"time"
)

// maxSigningKeys bounds a set; rotating weekly, tokens of half a year fit.
const maxSigningKeys = 32

// SigningKeys is a set of Ed25519 keys that sign our tokens, each named by its
// kid. The first one that has begun signs; all of them verify until they retire,
// so that tokens outlive a change of the first. A set itself is immutable, but
// Replace puts another in its place, which whoever holds the SigningKeys sees.
type SigningKeys struct {
	set atomic.Pointer[signingSet] // replaced by Replace, never nil
}

// signingSet is immutable.
type signingSet struct {
	keys []signingKey
	kids map[string]signingKey // the same, by kid
}

type signingKey struct {
	signer  Signer // its KeyID is the thumbprint as text (RFC 7638)
	private ed25519.PrivateKey
	created time.Time // when it begins to sign; zero: always did
	retired time.Time // when it ends to verify; zero: not yet known
}

// GenerateSigningKeys makes a set of one key.
func GenerateSigningKeys() (*SigningKeys, error) {
	key, err := generateSigningKey()
	if err != nil {
		return nil, err
	}
	return signingKeysOf([]signingKey{key}), nil
}

func generateSigningKey() (signingKey, error) {
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		return signingKey{}, fmt.Errorf("%w: none could be made", ErrSigningKeys)
	}
	return signingKeyOf(private), nil
}

func signingKeyOf(private ed25519.PrivateKey) signingKey {
	thumbprint := Key{string(private.Public().(ed25519.PublicKey))}.thumbprint()
	return signingKey{signer: Signer{KeyID: encodeText(thumbprint[:]), Algorithm: EdDSA, Thumbprint: thumbprint}, private: private}
}

// signingKeysOf takes keys with different kids.
func signingKeysOf(keys []signingKey) *SigningKeys {
	set := &signingSet{keys: keys, kids: make(map[string]signingKey, len(keys))}
	for _, key := range keys {
		set.kids[key.signer.KeyID] = key
	}
	s := new(SigningKeys)
	s.set.Store(set)
	return s
}

// Replace puts another's set in the place of this one, at once for every Issuer
// and Verifier that holds s. A key that is not in it verifies nothing from here
// on, in remembered tokens neither.
func (s *SigningKeys) Replace(other *SigningKeys) { s.set.Store(other.set.Load()) }

// Marshal returns the set with its private keys, as JSON. Whoever reads these
// bytes can mint tokens for every identity: keep them in a file of mode 0600.
func (s *SigningKeys) Marshal() []byte {
	return s.marshal(func(key signingKey) any {
		entry := privateJWK{jwk: key.publicJWK()}
		entry.D = encodeText(key.private.Seed())
		if !key.created.IsZero() {
			entry.Created = numericDate(key.created)
		}
		if !key.retired.IsZero() {
			entry.Retired = numericDate(key.retired)
		}
		return entry
	})
}

// JWKS returns the public keys as a JWK Set (RFC 7517, RFC 8037), the newest one
// first: what /.well-known/jwks.json serves. Keys that have not begun are among
// them, so that others know them in time; ValidAt drops those that have retired.
func (s *SigningKeys) JWKS() []byte {
	return s.marshal(func(key signingKey) any { return key.publicJWK() })
}

func (s *SigningKeys) marshal(entry func(signingKey) any) []byte {
	var file struct {
		Keys []any `json:"keys"`
	}
	for _, key := range s.set.Load().keys {
		file.Keys = append(file.Keys, entry(key))
	}
	data, _ := json.MarshalIndent(file, "", "  ") // strings and numbers: it cannot fail
	return append(data, '\n')
}

func (k signingKey) publicJWK() jwk {
	entry := Key{string(k.private.Public().(ed25519.PublicKey))}.jwk()
	entry.Kid, entry.Alg, entry.Use = k.signer.KeyID, string(EdDSA), "sig"
	return entry
}

// active returns the key that signs at that time.
func (s *SigningKeys) active(now time.Time) signingKey {
	keys := s.set.Load().keys
	for _, key := range keys {
		if !now.Before(key.created) && !key.retiredAt(now) {
			return key
		}
	}
	return keys[0]
}

// find implements issuerKeys: what is not in the set is no key of ours.
func (s *SigningKeys) find(_ context.Context, name keyName, now time.Time) (verifyKey, error) {
	key, ok := s.set.Load().kids[name.kid]
	if !ok || name.algorithm != EdDSA || key.retiredAt(now) {
		return verifyKey{}, fmt.Errorf("%w: its kid is none of this server's", ErrToken)
	}
	return verifyKey{public: key.private.Public(), thumbprint: key.signer.Thumbprint}, nil
}

// holds implements issuerKeys. The kid is the thumbprint: it says it all.
func (s *SigningKeys) holds(signer Signer) bool {
	_, ok := s.set.Load().kids[signer.KeyID]
	return ok
}

// freshen implements issuerKeys: others call Replace.
func (s *SigningKeys) freshen(context.Context, time.Time) {}

// Format keeps the keys out of logs and messages, whatever the verb.
func (s *SigningKeys) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[signing keys]") }
