package mls

import (
	"crypto"
	"crypto/ecdh"
	"crypto/rand"
	"fmt"
	"time"
)

// KeyPackageTemplate says what is to stand in a new KeyPackage. Built again, it
// gives another package, with fresh HPKE keys.
type KeyPackageTemplate struct {
	CipherSuite CipherSuite

	// Signer holds the leaf's signature key: an ed25519.PrivateKey, an
	// *ecdsa.PrivateKey on P-256, or whatever signs as they do.
	Signer crypto.Signer

	// Credential is the identity of a basic credential (RFC 9420, section 5.3).
	Credential []byte

	// NotBefore and NotAfter are the lifetime, cut to whole seconds. They are
	// not compared with any clock, nor with each other.
	NotBefore, NotAfter time.Time

	// Framed asks for MLSMessage(mls_key_package) instead of the bare package.
	Framed bool
}

// BuiltKeyPackage is a new KeyPackage and the secrets that belong to it.
type BuiltKeyPackage struct {
	// Bytes is the package as it is uploaded.
	Bytes []byte

	// InitKey opens the Welcome, EncryptionKey is the leaf's in the ratchet
	// tree (section 10). The caller keeps them secret.
	InitKey, EncryptionKey *ecdh.PrivateKey
}

// Build generates the HPKE keys, fills in the template and signs. A template
// that makes no sense gives an [*Error]; a failing signer gives its own error.
func (t KeyPackageTemplate) Build() (*BuiltKeyPackage, error) {
	suite, ok := suites[t.CipherSuite]
	if !ok {
		return nil, &Error{"cipher_suite", "is not supported"}
	}
	initKey, err := suite.kem.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("mls: generate init_key: %w", err)
	}
	encryptionKey, err := suite.kem.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("mls: generate leaf_node.encryption_key: %w", err)
	}
	return t.build(initKey, encryptionKey)
}

func (t KeyPackageTemplate) build(initKey, encryptionKey *ecdh.PrivateKey) (*BuiltKeyPackage, error) {
	w, err := t.fill(initKey.PublicKey(), encryptionKey.PublicKey())
	if err != nil {
		return nil, err
	}
	if err := w.sign(t.Signer); err != nil {
		return nil, err
	}
	bare, err := w.encode()
	if err != nil {
		return nil, err
	}
	return &BuiltKeyPackage{t.frame(bare), initKey, encryptionKey}, nil
}

// fill returns the unsigned KeyPackage.
func (t KeyPackageTemplate) fill(initKey, encryptionKey *ecdh.PublicKey) (*wireKeyPackage, error) {
	signatureKey, ok := suites[t.CipherSuite].signature.encodeKey(t.Signer.Public())
	if !ok {
		return nil, &Error{"leaf_node.signature_key", "is not of the cipher suite's kind"}
	}
	notBefore, err := secondsOf(t.NotBefore)
	if err != nil {
		return nil, err
	}
	notAfter, err := secondsOf(t.NotAfter)
	if err != nil {
		return nil, err
	}
	return &wireKeyPackage{
		version:     protocolMLS10,
		cipherSuite: t.CipherSuite,
		initKey:     initKey.Bytes(),
		leafNode: leafNode{
			encryptionKey: encryptionKey.Bytes(),
			signatureKey:  signatureKey,
			credential:    credential{credentialBasic, t.Credential},
			capabilities:  t.capabilities(),
			source:        leafNodeSourceKeyPackage,
			lifetime:      lifetime{notBefore, notAfter},
		},
	}, nil
}

// capabilities names both credential types, as peers that use certificates add
// only members that can read them; extensions and proposals of RFC 9420 itself
// need not be named (section 7.2).
func (t KeyPackageTemplate) capabilities() capabilities {
	return capabilities{
		versions:     uint16s[uint16](protocolMLS10),
		cipherSuites: uint16s(t.CipherSuite),
		credentials:  uint16s(credentialBasic, credentialX509),
	}
}

// frame puts the MLSMessage header (section 6) before the package if asked to.
func (t KeyPackageTemplate) frame(bare []byte) []byte {
	if !t.Framed {
		return bare
	}
	return append([]byte{0, protocolMLS10, 0, wireFormatKeyPackage}, bare...)
}

// sign makes both signatures, the leaf's first: the package's covers it.
func (w *wireKeyPackage) sign(signer crypto.Signer) (err error) {
	scheme := suites[w.cipherSuite].signature
	leaf := &w.leafNode
	if leaf.tbs, err = leaf.encodeTBS(); err != nil {
		return err
	}
	if leaf.signature, err = signWithLabel(scheme, signer, labelLeafNode, leaf.tbs); err != nil {
		return fmt.Errorf("mls: sign leaf_node: %w", err)
	}
	if w.tbs, err = w.encodeTBS(); err != nil {
		return err
	}
	if w.signature, err = signWithLabel(scheme, signer, labelKeyPackage, w.tbs); err != nil {
		return fmt.Errorf("mls: sign key package: %w", err)
	}
	return nil
}
