package identity

import (
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"time"
)

// privateJWK is a signing key as Marshal writes it: the times are members of our
// own (RFC 7517, section 4, lets us add some), in seconds as in RFC 7519.
type privateJWK struct {
	jwk
	Created json.Number `json:"created,omitempty"`
	Retired json.Number `json:"retired,omitempty"`
}

// ParseSigningKeys reads what Marshal wrote: a JWK Set of private keys (RFC 7517,
// section 5). It is strict, so that a damaged file is not half used: every member
// must be there, once, and agree with the private key; only the times created and
// retired may be left out.
func ParseSigningKeys(data []byte) (*SigningKeys, error) {
	file, err := parseObject(data)
	if err != nil || !file.only("keys") {
		return nil, fmt.Errorf(`%w: not a JSON object with the one member "keys"`, ErrSigningKeys)
	}
	var entries []json.RawMessage
	if err := json.Unmarshal(file["keys"], &entries); err != nil || len(entries) == 0 || len(entries) > maxSigningKeys {
		return nil, fmt.Errorf(`%w: "keys" is not a list of 1 to %d keys`, ErrSigningKeys, maxSigningKeys)
	}
	keys := make([]signingKey, 0, len(entries))
	seen := make(map[string]bool, len(entries))
	for i, entry := range entries {
		key, err := parseSigningKey(entry)
		if err != nil {
			return nil, fmt.Errorf("%w (key %d)", err, i)
		}
		if seen[key.signer.KeyID] {
			return nil, fmt.Errorf("%w: key %d is there twice", ErrSigningKeys, i)
		}
		seen[key.signer.KeyID] = true
		keys = append(keys, key)
	}
	if !keys[0].retired.IsZero() {
		return nil, fmt.Errorf("%w: key 0 is the one that signs, but has a time to retire", ErrSigningKeys)
	}
	return signingKeysOf(keys), nil
}

func parseSigningKey(entry []byte) (signingKey, error) {
	members, err := parseObject(entry)
	needed := []string{"kty", "crv", "x", "d", "kid", "alg", "use"}
	if err != nil || !members.pick(needed...).only(needed...) || !members.within(append(needed, "created", "retired")...) {
		return signingKey{}, fmt.Errorf("%w: a key has exactly the members kty, crv, x, d, kid, alg, use, and may have created and retired", ErrSigningKeys)
	}
	seed, ok := decodeText(members.text("d"))
	if !ok || len(seed) != ed25519.SeedSize {
		return signingKey{}, fmt.Errorf("%w: d is not 32 bytes in base64url without padding", ErrSigningKeys)
	}
	key := signingKeyOf(ed25519.NewKeyFromSeed(seed))
	got := jwk{Kty: members.text("kty"), Crv: members.text("crv"), X: members.text("x"),
		Kid: members.text("kid"), Alg: members.text("alg"), Use: members.text("use")}
	if got != key.publicJWK() {
		return signingKey{}, fmt.Errorf("%w: kty, crv, x, kid, alg or use does not fit d", ErrSigningKeys)
	}
	return key.withTimes(members)
}

func (k signingKey) withTimes(members object) (signingKey, error) {
	for name, to := range map[string]*time.Time{"created": &k.created, "retired": &k.retired} {
		if !members.has(name) {
			continue
		}
		at, ok := members.time(name)
		if !ok {
			return signingKey{}, fmt.Errorf("%w: %s is not a number of seconds with at most three decimals", ErrSigningKeys, name)
		}
		*to = at
	}
	return k, nil
}
