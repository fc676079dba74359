package identity

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
)

const (
	maxKeySetSize = 1 << 20 // bytes
	maxKeySetKeys = 256
	maxKeyID      = 256 // bytes

	// RFC 7518, section 3.3, asks for 2048 bits; the upper bound is for the time
	// that a verification takes.
	minRSABits = 2048
	maxRSABits = 8192
)

// keySet is what an external issuer publishes, as far as it can verify tokens.
// Immutable.
type keySet struct {
	keys map[keyName]verifyKey
}

// The sentences are for operators.
var (
	errKeySet     = errors.New(`not a JSON object with "keys", a list of at most 256`)
	errKeySetSize = errors.New("larger than 1 MiB")
)

// parseKeySet reads a JWK Set (RFC 7517, section 5). Keys that it cannot use are
// passed over, as the RFC asks: a set may serve others as well. Passed over is
// also a key whose private half is published, and one without a kid. Two keys with
// the same kid for the same algorithm are both passed over: which one was meant?
//
// It is not left to jwkset v0.11.4, which takes RSA keys of 8 bits and of 800,000,
// Ed25519 keys of small order, and Ed25519 keys whose alg is HS256.
func parseKeySet(data []byte) (*keySet, error) {
	if len(data) > maxKeySetSize {
		return nil, errKeySetSize
	}
	file, err := parseObject(data)
	if err != nil {
		return nil, errKeySet
	}
	var entries []json.RawMessage
	if err := json.Unmarshal(file["keys"], &entries); err != nil || entries == nil || len(entries) > maxKeySetKeys {
		return nil, errKeySet
	}
	set := &keySet{keys: map[keyName]verifyKey{}}
	for _, entry := range entries {
		set.add(membersOf(entry))
	}
	return set, nil
}

// add passes over what is no usable key, nil included.
func (s *keySet) add(members object) {
	kid, alg := members.text("kid"), Algorithm(members.text("alg"))
	switch {
	case kid == "" || len(kid) > maxKeyID,
		members.has("d", "p", "q", "dp", "dq", "qi", "oth", "k"),
		members.has("use") && members.text("use") != "sig",
		members.has("key_ops") && !slices.Contains(members.texts("key_ops"), "verify"):
		return
	}
	key, algorithms, err := parseVerifyKey(members)
	if err != nil {
		return
	}
	for _, algorithm := range algorithms {
		if !members.has("alg") || alg == algorithm {
			s.addAs(keyName{kid, algorithm}, key)
		}
	}
}

func (s *keySet) addAs(name keyName, key verifyKey) {
	if other, ok := s.keys[name]; ok && other.thumbprint != key.thumbprint {
		key = verifyKey{} // ambiguous, for good: no thumbprint is zero
	}
	s.keys[name] = key
}

// find returns the key, if the set has exactly one of that name.
func (s *keySet) find(name keyName) (verifyKey, bool) {
	key := s.keys[name]
	return key, key.public != nil
}

// parseVerifyKey returns the key and the algorithms that fit it.
func parseVerifyKey(members object) (verifyKey, []Algorithm, error) {
	if members.text("kty") == "RSA" {
		key, err := parseRSA(members)
		return key, []Algorithm{RS256, PS256}, err
	}
	key, err := parseJWK(members.pick("kty", "crv", "x", "y"))
	if err != nil {
		return verifyKey{}, nil, err
	}
	var public crypto.PublicKey = ed25519.PublicKey(key.raw)
	if key.Algorithm() == ES256 {
		public, err = ecdsa.ParseUncompressedPublicKey(elliptic.P256(), []byte(key.raw))
	}
	return verifyKey{public: public, thumbprint: key.thumbprint()}, []Algorithm{key.Algorithm()}, err
}

// parseRSA reads n and e (RFC 7518, section 6.3.1): unsigned, big endian, without
// leading zeros, so that a thumbprint names one key.
func parseRSA(members object) (verifyKey, error) {
	modulus, ok1 := decodeText(members.text("n"))
	exponent, ok2 := decodeText(members.text("e"))
	if !ok1 || !ok2 || len(modulus) == 0 || modulus[0] == 0 || len(exponent) == 0 || len(exponent) > 4 || exponent[0] == 0 {
		return verifyKey{}, fmt.Errorf("%w: n or e is not a number in base64url", ErrKey)
	}
	e := binary.BigEndian.Uint32(append(make([]byte, 4-len(exponent)), exponent...))
	n := new(big.Int).SetBytes(modulus)
	if n.BitLen() < minRSABits || n.BitLen() > maxRSABits || n.Bit(0) == 0 || e < 3 || e > 1<<31-1 || e%2 == 0 {
		return verifyKey{}, fmt.Errorf("%w: the RSA key is too small, too large, or none", ErrKey)
	}
	return verifyKey{
		public: &rsa.PublicKey{N: n, E: int(e)},
		thumbprint: thumbprintOf(struct {
			E   string `json:"e"`
			Kty string `json:"kty"`
			N   string `json:"n"`
		}{members.text("e"), "RSA", members.text("n")}),
	}, nil
}
