package mls

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"

	"golang.org/x/crypto/cryptobyte"
)

// Labels of the two signatures in a KeyPackage (RFC 9420, sections 7.2 and 10).
const (
	labelLeafNode   = "LeafNodeTBS"
	labelKeyPackage = "KeyPackageTBS"
)

// signContent encodes SignContent (section 5.1.2): what is really signed. The
// label keeps a signature made for one purpose from serving another.
func signContent(label string, content []byte) ([]byte, error) {
	const prefix = "MLS 1.0 "
	// Two lengths take at most 1 and 4 bytes.
	b := cryptobyte.NewBuilder(make([]byte, 0, 1+len(prefix)+len(label)+4+len(content)))
	b.AddValue(vector(prefix + label))
	b.AddValue(vector(content))
	return b.Bytes()
}

// verifyWithLabel is VerifyWithLabel of section 5.1.2.
func verifyWithLabel(key verifier, label string, content, signature []byte) bool {
	signed, err := signContent(label, content)
	return err == nil && key(signed, signature)
}

// signWithLabel is SignWithLabel of section 5.1.2.
func signWithLabel(scheme signatureScheme, signer crypto.Signer, label string, content []byte) ([]byte, error) {
	signed, err := signContent(label, content)
	if err != nil {
		return nil, err
	}
	return scheme.sign(signer, signed)
}

// signatureScheme is a cipher suite's signature algorithm and the way its keys
// (section 5.1.1) and signatures (section 5.1.2) are encoded.
type signatureScheme interface {
	name() string

	// parseKey reports whether key is an encoded public key of the scheme, and
	// returns what verifies with it.
	parseKey(key []byte) (verifier, bool)

	// encodeKey is parseKey's inverse; false if key is not of the scheme.
	encodeKey(key crypto.PublicKey) ([]byte, bool)

	sign(signer crypto.Signer, content []byte) ([]byte, error)
}

// verifier reports whether signature is one of content under a certain key.
type verifier func(content, signature []byte) bool

type ed25519Scheme struct{}

func (ed25519Scheme) name() string { return "Ed25519" }

func (ed25519Scheme) parseKey(key []byte) (verifier, bool) {
	if len(key) != ed25519.PublicKeySize {
		return nil, false
	}
	return func(content, signature []byte) bool {
		return ed25519.Verify(key, content, signature)
	}, true
}

func (ed25519Scheme) encodeKey(key crypto.PublicKey) ([]byte, bool) {
	public, ok := key.(ed25519.PublicKey)
	return public, ok
}

func (ed25519Scheme) sign(signer crypto.Signer, content []byte) ([]byte, error) {
	return signer.Sign(rand.Reader, content, crypto.Hash(0))
}

// p256Scheme is ECDSA over P-256 with SHA-256. Keys are uncompressed points,
// signatures are DER; s may be high, as RFC 9420 asks nothing else.
type p256Scheme struct{}

func (p256Scheme) name() string { return "P-256" }

func (p256Scheme) parseKey(key []byte) (verifier, bool) {
	public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), key)
	if err != nil {
		return nil, false
	}
	return func(content, signature []byte) bool {
		digest := sha256.Sum256(content)
		return ecdsa.VerifyASN1(public, digest[:], signature)
	}, true
}

func (p256Scheme) encodeKey(key crypto.PublicKey) ([]byte, bool) {
	public, ok := key.(*ecdsa.PublicKey)
	if !ok || public.Curve != elliptic.P256() {
		return nil, false
	}
	encoded, err := public.Bytes()
	return encoded, err == nil
}

func (p256Scheme) sign(signer crypto.Signer, content []byte) ([]byte, error) {
	digest := sha256.Sum256(content)
	return signer.Sign(rand.Reader, digest[:], crypto.SHA256)
}
