package mls

import (
	"bytes"
	"slices"
	"time"

	"golang.org/x/crypto/cryptobyte"
)

// KeyPackage is a KeyPackage (RFC 9420, section 10) that [ParseKeyPackage]
// found sound. Its byte slices alias the parsed bytes; whoever keeps them
// longer than those may be kept copies them.
type KeyPackage struct {
	CipherSuite CipherSuite

	// InitKey and EncryptionKey are HPKE public keys (section 5.1.1): the
	// first for the Welcome, the second for the ratchet tree.
	InitKey, EncryptionKey []byte

	// SignatureKey verifies both signatures: 32 bytes for Ed25519, 65 bytes
	// (an uncompressed point) for P-256.
	SignatureKey []byte

	// NotBefore and NotAfter are the leaf's lifetime (section 7.2), in UTC.
	// Times after the year 9999 are given as its last second.
	NotBefore, NotAfter time.Time

	// Bare is the KeyPackage without MLSMessage framing. Its hash names the
	// package, whichever way it was sent.
	Bare []byte
}

// Values of RFC 9420, sections 6 and 7.2.
const (
	protocolMLS10            = 1 // ProtocolVersion mls10
	wireFormatKeyPackage     = 5 // WireFormat mls_key_package
	leafNodeSourceKeyPackage = 1 // LeafNodeSource key_package
)

// ParseKeyPackage decodes a KeyPackage, bare or framed as
// MLSMessage(mls_key_package), and verifies it as section 10.1 of RFC 9420
// asks, but for the lifetime and for what concerns a group. The error is
// always an [*Error].
//
// The time taken is linear in len(data), plus two signatures once the rest is
// found to be in order; the caller bounds len(data).
func ParseKeyPackage(data []byte) (*KeyPackage, error) {
	bare := unframe(data)
	w, err := decodeKeyPackage(bare)
	if err != nil {
		return nil, err
	}
	if err := w.check(); err != nil {
		return nil, err
	}
	return &KeyPackage{
		CipherSuite:   w.cipherSuite,
		InitKey:       slices.Clip(w.initKey),
		EncryptionKey: slices.Clip(w.leafNode.encryptionKey),
		SignatureKey:  slices.Clip(w.leafNode.signatureKey),
		NotBefore:     timeOf(w.leafNode.lifetime.notBefore),
		NotAfter:      timeOf(w.leafNode.lifetime.notAfter),
		Bare:          slices.Clip(bare),
	}, nil
}

// unframe takes off the MLSMessage header (section 6). There is no telling
// apart in general: both forms begin with mls10, and where MLSMessage has its
// wire format the bare KeyPackage has its cipher suite. But cipher suite 5 is
// not supported here, so 5 can only mean mls_key_package.
func unframe(data []byte) []byte {
	if bare, ok := bytes.CutPrefix(data, []byte{0, protocolMLS10, 0, wireFormatKeyPackage}); ok {
		return bare
	}
	return data
}

// wireKeyPackage is the KeyPackage structure of section 10, field by field.
type wireKeyPackage struct {
	version     uint16
	cipherSuite CipherSuite
	initKey     []byte
	leafNode    leafNode
	extensions  []byte // the vector's content, well-formed

	tbs       []byte // KeyPackageTBS: the encoding of all fields above
	signature []byte
}

// decodeKeyPackage refuses what is not the one encoding of a KeyPackage, and
// versions and suites of which it does not know the encoding.
func decodeKeyPackage(bare []byte) (*wireKeyPackage, error) {
	d := &decoder{rest: bare}
	w := &wireKeyPackage{}
	w.version = d.uint16("version")
	d.require(w.version == protocolMLS10, "version", "is not mls10")
	w.cipherSuite = CipherSuite(d.uint16("cipher_suite"))
	d.require(w.cipherSuite.Supported(), "cipher_suite", "is not supported")
	w.initKey = d.vector("init_key")
	w.leafNode = d.leafNode()
	w.extensions = d.extensions("extensions")
	w.tbs = bare[:len(bare)-len(d.rest)]
	w.signature = d.vector("signature")
	d.require(len(d.rest) == 0, "signature", "is followed by other bytes")
	if d.err != nil {
		return nil, d.err
	}
	return w, nil
}

// check verifies keys, then signatures: cheap things first.
func (w *wireKeyPackage) check() error {
	suite := suites[w.cipherSuite]
	if err := suite.checkHPKEKey("init_key", w.initKey); err != nil {
		return err
	}
	if err := suite.checkHPKEKey("leaf_node.encryption_key", w.leafNode.encryptionKey); err != nil {
		return err
	}
	if bytes.Equal(w.initKey, w.leafNode.encryptionKey) {
		return &Error{"init_key", "is the same as leaf_node.encryption_key"}
	}
	return w.checkSignatures(suite.signature)
}

// checkSignatures verifies the leaf's and the package's signature, both made
// with the leaf's signature key.
func (w *wireKeyPackage) checkSignatures(scheme signatureScheme) error {
	key, ok := scheme.parseKey(w.leafNode.signatureKey)
	switch {
	case !ok:
		return &Error{"leaf_node.signature_key", "is not a valid " + scheme.name() + " public key"}
	case !verifyWithLabel(key, labelLeafNode, w.leafNode.tbs, w.leafNode.signature):
		return &Error{"leaf_node.signature", "does not verify"}
	case !verifyWithLabel(key, labelKeyPackage, w.tbs, w.signature):
		return &Error{"signature", "does not verify"}
	}
	return nil
}

// encodeTBS returns KeyPackageTBS; the leaf is signed already.
func (w *wireKeyPackage) encodeTBS() ([]byte, error) {
	var b cryptobyte.Builder
	b.AddUint16(w.version)
	b.AddUint16(uint16(w.cipherSuite))
	b.AddValue(vector(w.initKey))
	b.AddBytes(w.leafNode.tbs)
	b.AddValue(vector(w.leafNode.signature))
	b.AddValue(vector(w.extensions))
	return b.Bytes()
}

// encode returns the signed KeyPackage.
func (w *wireKeyPackage) encode() ([]byte, error) {
	b := cryptobyte.NewBuilder(slices.Clone(w.tbs))
	b.AddValue(vector(w.signature))
	return b.Bytes()
}
