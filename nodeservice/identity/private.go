package identity

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"io"
)

// PrivateKey is a client's side of an identity. The server never holds one.
type PrivateKey struct {
	signer crypto.Signer // ed25519.PrivateKey or *ecdsa.PrivateKey; static after construction
	public Key
}

// GenerateKey makes a new identity.
func GenerateKey(algorithm Algorithm) (*PrivateKey, error) {
	switch algorithm {
	case EdDSA:
		_, private, err := ed25519.GenerateKey(nil)
		if err != nil {
			return nil, fmt.Errorf("%w: none could be made", ErrKey)
		}
		return newPrivateKey(private)
	case ES256:
		private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return nil, fmt.Errorf("%w: none could be made", ErrKey)
		}
		return newPrivateKey(private)
	}
	return nil, fmt.Errorf("%w: the algorithm is neither EdDSA nor ES256", ErrKey)
}

// ParsePrivateKey reads what MarshalBinary wrote: PKCS#8 DER (RFC 5958).
func ParsePrivateKey(der []byte) (*PrivateKey, error) {
	private, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, fmt.Errorf("%w: the private key is not PKCS#8 DER", ErrKey)
	}
	return newPrivateKey(private)
}

func newPrivateKey(private any) (*PrivateKey, error) {
	var raw []byte
	var signer crypto.Signer
	switch private := private.(type) {
	case ed25519.PrivateKey:
		raw, signer = private.Public().(ed25519.PublicKey), private
	case *ecdsa.PrivateKey:
		raw, _ = private.PublicKey.Bytes() // another curve's has another length
		signer = private
	}
	public, err := ParseKey(raw)
	if err != nil {
		return nil, fmt.Errorf("%w: the private key is neither of Ed25519 nor of P-256", ErrKey)
	}
	return &PrivateKey{signer: signer, public: public}, nil
}

// Public returns the identity.
func (p *PrivateKey) Public() Key { return p.public }

// Signer returns the key for use by other packages, which decide how a signature
// is encoded: for P-256 it signs digests and gives DER, as MLS and TLS want it.
func (p *PrivateKey) Signer() crypto.Signer { return p.signer }

// Sign signs message so that Key.Verify accepts it: 64 bytes, for P-256 raw r and s.
func (p *PrivateKey) Sign(message []byte) ([]byte, error) {
	private, ok := p.signer.(*ecdsa.PrivateKey)
	if !ok {
		return p.signer.Sign(rand.Reader, message, crypto.Hash(0))
	}
	digest := sha256.Sum256(message)
	r, s, err := ecdsa.Sign(rand.Reader, private, digest[:])
	if err != nil {
		return nil, fmt.Errorf("%w: it could not sign", ErrKey)
	}
	signature := make([]byte, signatureSize)
	r.FillBytes(signature[:p256Scalar])
	s.FillBytes(signature[p256Scalar:])
	return signature, nil
}

// MarshalBinary returns the private key as PKCS#8 DER, unencrypted: whoever holds
// these bytes is the identity.
func (p *PrivateKey) MarshalBinary() ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(p.signer)
	if err != nil {
		return nil, fmt.Errorf("%w: it could not be encoded", ErrKey)
	}
	return der, nil
}

// Format keeps the key out of logs and messages, whatever the verb.
func (p *PrivateKey) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[private key]") }
