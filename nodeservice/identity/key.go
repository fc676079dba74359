package identity

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"log/slog"
	"math/big"
	"strings"

	"filippo.io/edwards25519"
)

const (
	ed25519Size   = 32 // RFC 8032, section 5.1.5
	p256Size      = 65 // SEC 1, section 2.3.3: 0x04, x, y
	p256Scalar    = 32 // one coordinate, or one half of a signature
	signatureSize = 64 // of either algorithm, raw
)

// Algorithm names a signature algorithm as JOSE does (RFC 7518, RFC 8037).
type Algorithm string

// The algorithms of identities: those of the MLS cipher suites 1, 2 and 3.
const (
	EdDSA Algorithm = "EdDSA" // Ed25519
	ES256 Algorithm = "ES256" // ECDSA with P-256 and SHA-256
)

// The algorithms that besides those an external issuer may sign tokens with.
const (
	RS256 Algorithm = "RS256" // RSASSA-PKCS1-v1_5 with SHA-256
	PS256 Algorithm = "PS256" // RSASSA-PSS with SHA-256
)

// Key is an identity: a client's MLS signature public key, raw. Keys are
// comparable, and equal exactly if their bytes are; the zero value is no key.
type Key struct{ raw string }

// ParseKey checks bytes from outside: 32 bytes are an Ed25519 key, canonically
// encoded and not of small order; 65 bytes are a P-256 point, uncompressed and on
// the curve. Anything else is ErrKey. A key of small order would verify one
// signature for many messages, and a second encoding would be a second account
// for the same key. It keeps no reference to raw.
func ParseKey(raw []byte) (Key, error) {
	var err error
	switch len(raw) {
	case ed25519Size:
		err = checkEd25519(raw)
	case p256Size:
		err = checkP256(raw)
	default:
		err = fmt.Errorf("%w: an Ed25519 key has 32 bytes, an uncompressed P-256 key has 65; this has %d", ErrKey, len(raw))
	}
	if err != nil {
		return Key{}, err
	}
	return Key{string(raw)}, nil
}

func checkEd25519(raw []byte) error {
	p, err := new(edwards25519.Point).SetBytes(raw)
	if err != nil {
		return fmt.Errorf("%w: these 32 bytes are no point of edwards25519", ErrKey)
	}
	// SetBytes takes y >= p and x = -0, as RFC 8032 verifiers do.
	if !bytes.Equal(p.Bytes(), raw) {
		return fmt.Errorf("%w: the Ed25519 key is not canonically encoded", ErrKey)
	}
	if new(edwards25519.Point).MultByCofactor(p).Equal(edwards25519.NewIdentityPoint()) == 1 {
		return fmt.Errorf("%w: the Ed25519 key is of small order", ErrKey)
	}
	return nil
}

func checkP256(raw []byte) error {
	if raw[0] != 4 {
		return fmt.Errorf("%w: a P-256 key begins with 0x04 (uncompressed)", ErrKey)
	}
	if _, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), raw); err != nil {
		return fmt.Errorf("%w: these 65 bytes are no point of P-256", ErrKey)
	}
	return nil
}

// ParseKeyText is ParseKey for base64url without padding, the spelling of keys in
// paths and JSON (RFC 4648, section 5). Only the canonical spelling is taken.
func ParseKeyText(text string) (Key, error) {
	if len(text) > base64.RawURLEncoding.EncodedLen(p256Size) {
		return Key{}, fmt.Errorf("%w: longer than the longest one, 87 characters of base64url", ErrKey)
	}
	raw, ok := decodeText(text)
	if !ok {
		return Key{}, fmt.Errorf("%w: not base64url without padding", ErrKey)
	}
	return ParseKey(raw)
}

// strictBase64 refuses bits left over in the last character.
var strictBase64 = base64.RawURLEncoding.Strict()

func encodeText(raw []byte) string { return base64.RawURLEncoding.EncodeToString(raw) }

// decodeText decodes the one canonical spelling. Go's decoder skips line breaks,
// even a strict one: two texts would then name one value.
func decodeText(text string) ([]byte, bool) {
	if strings.ContainsAny(text, "\r\n") {
		return nil, false
	}
	raw, err := strictBase64.DecodeString(text)
	return raw, err == nil
}

// TrustedKey is for engines: it takes bytes that this server checked before it
// stored them, and does not check them again. Bytes from anywhere else go through
// ParseKey.
func TrustedKey(raw string) Key { return Key{raw} }

// Raw returns the key's bytes, as a string that can be a map key or a store key.
func (k Key) Raw() string { return k.raw }

// Bytes returns a copy of the key's bytes, which the caller owns.
func (k Key) Bytes() []byte { return []byte(k.raw) }

// String returns the key as base64url without padding; ParseKeyText reads it.
func (k Key) String() string { return encodeText([]byte(k.raw)) }

// IsZero reports whether k is no key.
func (k Key) IsZero() bool { return k.raw == "" }

// LogValue keeps identities out of logs: an audit names them by pseudonym.
func (k Key) LogValue() slog.Value { return slog.StringValue("[identity]") }

// Algorithm returns the algorithm that the key signs with; "" for no key.
func (k Key) Algorithm() Algorithm {
	switch len(k.raw) {
	case ed25519Size:
		return EdDSA
	case p256Size:
		return ES256
	}
	return ""
}

// Verify reports whether signature is the key's signature over message: Ed25519
// (RFC 8032), or ECDSA-P256-SHA256 as 64 bytes r and s (RFC 7518, section 3.4, as
// WebCrypto gives it; not the DER of MLS). No key verifies nothing.
func (k Key) Verify(message, signature []byte) bool {
	if len(signature) != signatureSize {
		return false
	}
	switch k.Algorithm() {
	case EdDSA:
		return ed25519.Verify(ed25519.PublicKey(k.raw), message, signature)
	case ES256:
		return k.verifyP256(message, signature)
	}
	return false
}

func (k Key) verifyP256(message, signature []byte) bool {
	public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), []byte(k.raw))
	if err != nil {
		return false
	}
	digest := sha256.Sum256(message)
	r := new(big.Int).SetBytes(signature[:p256Scalar])
	s := new(big.Int).SetBytes(signature[p256Scalar:])
	return ecdsa.Verify(public, digest[:], r, s)
}
