package identity

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
)

// jwk is a JSON Web Key as we write it: OKP/Ed25519 (RFC 8037, section 2) or
// EC/P-256 (RFC 7518, section 6.2).
type jwk struct {
	Kty string `json:"kty"`
	Crv string `json:"crv"`
	X   string `json:"x"`
	Y   string `json:"y,omitempty"`
	D   string `json:"d,omitempty"` // private
	Kid string `json:"kid,omitempty"`
	Alg string `json:"alg,omitempty"`
	Use string `json:"use,omitempty"`
}

// jwk returns the key with the members that it needs, and no others.
func (k Key) jwk() jwk {
	if k.Algorithm() == ES256 {
		x, y := k.raw[1:1+p256Scalar], k.raw[1+p256Scalar:]
		return jwk{Kty: "EC", Crv: "P-256", X: encodeText([]byte(x)), Y: encodeText([]byte(y))}
	}
	return jwk{Kty: "OKP", Crv: "Ed25519", X: k.String()}
}

// parseJWK reads a public key that has exactly the members it needs: a private
// one (d) is refused, and so is whatever else might contradict it.
func parseJWK(members object) (Key, error) {
	kind := members.text("kty") + "/" + members.text("crv")
	switch {
	case kind == "OKP/Ed25519" && members.only("kty", "crv", "x"):
		return keyOf(nil, members.text("x"))
	case kind == "EC/P-256" && members.only("kty", "crv", "x", "y"):
		return keyOf([]byte{4}, members.text("x"), members.text("y"))
	}
	return Key{}, fmt.Errorf("%w: the JWK is no public OKP/Ed25519 or EC/P-256 key without further members", ErrKey)
}

// parseDescribedJWK is parseJWK for keys that others wrote down: members that only
// describe the key are let pass if they do not contradict it; "ext" and "key_ops"
// are what WebCrypto exports. Private members are none of them.
func parseDescribedJWK(members object) (Key, error) {
	if !members.within("kty", "crv", "x", "y", "kid", "alg", "use", "key_ops", "ext") {
		return Key{}, fmt.Errorf("%w: the JWK has a member that does not belong to a public key", ErrKey)
	}
	key, err := parseJWK(members.pick("kty", "crv", "x", "y"))
	if err == nil && members.has("alg") && members.text("alg") != string(key.Algorithm()) {
		return Key{}, fmt.Errorf("%w: the JWK's alg does not fit its crv", ErrKey)
	}
	return key, err
}

// keyOf joins coordinates of 32 bytes (RFC 7518, section 6.2.1.2: full size).
func keyOf(raw []byte, coordinates ...string) (Key, error) {
	for _, text := range coordinates {
		coordinate, ok := decodeText(text)
		if !ok || len(coordinate) != p256Scalar {
			return Key{}, fmt.Errorf("%w: a coordinate is not 32 bytes in base64url without padding", ErrKey)
		}
		raw = append(raw, coordinate...)
	}
	return ParseKey(raw)
}

// thumbprint returns the JWK thumbprint: SHA-256 over the required members in
// lexical order, without white space (RFC 7638, section 3).
func (k Key) thumbprint() [sha256.Size]byte {
	full := k.jwk()
	return thumbprintOf(struct {
		Crv string `json:"crv"`
		Kty string `json:"kty"`
		X   string `json:"x"`
		Y   string `json:"y,omitempty"`
	}{full.Crv, full.Kty, full.X, full.Y})
}

func thumbprintOf(required any) [sha256.Size]byte {
	text, _ := json.Marshal(required) // strings only: it cannot fail
	return sha256.Sum256(text)
}
