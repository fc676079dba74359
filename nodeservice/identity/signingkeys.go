package identity

import (
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"io"
)

// SigningKeys is a set of Ed25519 keys that sign our tokens, each named by its
// kid. The first one signs; all of them verify, so that tokens outlive a change of
// the first. Immutable.
type SigningKeys struct {
	keys []signingKey
	kids map[string]ed25519.PublicKey // the keys' public halves, by kid
}

type signingKey struct {
	kid     string // JWK thumbprint of the public key (RFC 7638)
	private ed25519.PrivateKey
}

// GenerateSigningKeys makes a set of one key.
func GenerateSigningKeys() (*SigningKeys, error) {
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, fmt.Errorf("%w: none could be made", ErrSigningKeys)
	}
	set := &SigningKeys{kids: map[string]ed25519.PublicKey{}}
	set.add(private)
	return set, nil
}

// add appends a key that the set does not hold; only while the set is being made.
func (s *SigningKeys) add(private ed25519.PrivateKey) (added bool) {
	public := private.Public().(ed25519.PublicKey)
	kid := Key{string(public)}.thumbprint()
	if _, held := s.kids[kid]; held {
		return false
	}
	s.kids[kid] = public
	s.keys = append(s.keys, signingKey{kid, private})
	return true
}

// ParseSigningKeys reads what Marshal wrote: a JWK Set of private keys (RFC 7517,
// section 5). It is strict, so that a damaged file is not half used: every member
// must be there, once, and agree with the private key.
func ParseSigningKeys(data []byte) (*SigningKeys, error) {
	file, err := parseObject(data)
	if err != nil || !file.only("keys") {
		return nil, fmt.Errorf(`%w: not a JSON object with the one member "keys"`, ErrSigningKeys)
	}
	var entries []json.RawMessage
	if err := json.Unmarshal(file["keys"], &entries); err != nil || len(entries) == 0 {
		return nil, fmt.Errorf(`%w: "keys" is not a list of at least one key`, ErrSigningKeys)
	}
	set := &SigningKeys{kids: make(map[string]ed25519.PublicKey, len(entries))}
	for i, entry := range entries {
		private, err := parseSigningKey(entry)
		if err != nil {
			return nil, fmt.Errorf("%w (key %d)", err, i)
		}
		if !set.add(private) {
			return nil, fmt.Errorf("%w: key %d is there twice", ErrSigningKeys, i)
		}
	}
	return set, nil
}

func parseSigningKey(entry []byte) (ed25519.PrivateKey, error) {
	members, err := parseObject(entry)
	if err != nil || !members.only("kty", "crv", "x", "d", "kid", "alg", "use") {
		return nil, fmt.Errorf("%w: a key has exactly the members kty, crv, x, d, kid, alg, use", ErrSigningKeys)
	}
	seed, ok := decodeText(members.text("d"))
	if !ok || len(seed) != ed25519.SeedSize {
		return nil, fmt.Errorf("%w: d is not 32 bytes in base64url without padding", ErrSigningKeys)
	}
	private := ed25519.NewKeyFromSeed(seed)
	want := publicJWK(private)
	got := jwk{Kty: members.text("kty"), Crv: members.text("crv"), X: members.text("x"),
		Kid: members.text("kid"), Alg: members.text("alg"), Use: members.text("use")}
	if got != want {
		return nil, fmt.Errorf("%w: kty, crv, x, kid, alg or use does not fit d", ErrSigningKeys)
	}
	return private, nil
}

// Marshal returns the set with its private keys, as JSON. Whoever reads these
// bytes can mint tokens for every identity: keep them in a file of mode 0600.
func (s *SigningKeys) Marshal() []byte {
	return s.marshal(func(private ed25519.PrivateKey) jwk {
		entry := publicJWK(private)
		entry.D = encodeText(private.Seed())
		return entry
	})
}

// JWKS returns the public keys as a JWK Set (RFC 7517, RFC 8037), the active one
// first: what /.well-known/jwks.json serves.
func (s *SigningKeys) JWKS() []byte { return s.marshal(publicJWK) }

func (s *SigningKeys) marshal(entry func(ed25519.PrivateKey) jwk) []byte {
	var set struct {
		Keys []jwk `json:"keys"`
	}
	for _, key := range s.keys {
		set.Keys = append(set.Keys, entry(key.private))
	}
	data, _ := json.MarshalIndent(set, "", "  ") // strings only: it cannot fail
	return append(data, '\n')
}

func publicJWK(private ed25519.PrivateKey) jwk {
	public := Key{string(private.Public().(ed25519.PublicKey))}
	entry := public.jwk()
	entry.Kid, entry.Alg, entry.Use = public.thumbprint(), string(EdDSA), "sig"
	return entry
}

// active returns the key that signs.
func (s *SigningKeys) active() signingKey { return s.keys[0] }

// public returns the key of that kid; nil if it is not in the set.
func (s *SigningKeys) public(kid string) ed25519.PublicKey { return s.kids[kid] }

// Format keeps the keys out of logs and messages, whatever the verb.
func (s *SigningKeys) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[signing keys]") }
