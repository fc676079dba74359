package mls

import (
	"crypto/ecdh"
	"fmt"
)

// CipherSuite is a cipher suite of RFC 9420, section 17.1.
type CipherSuite uint16

// The cipher suites that the node accepts, by their registered names.
const (
	MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519        CipherSuite = 1
	MLS_128_DHKEMP256_AES128GCM_SHA256_P256             CipherSuite = 2
	MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519 CipherSuite = 3
)

// suites holds what a KeyPackage depends on in a suite: its KEM's group and
// its signature scheme. AEAD and hash show only in groups.
var suites = map[CipherSuite]suiteParameters{
	MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519: {
		name: "MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519",
		kem:  ecdh.X25519(), kemName: "X25519", signature: ed25519Scheme{},
	},
	MLS_128_DHKEMP256_AES128GCM_SHA256_P256: {
		name: "MLS_128_DHKEMP256_AES128GCM_SHA256_P256",
		kem:  ecdh.P256(), kemName: "P-256", signature: p256Scheme{},
	},
	MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519: {
		name: "MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519",
		kem:  ecdh.X25519(), kemName: "X25519", signature: ed25519Scheme{},
	},
}

type suiteParameters struct {
	name      string
	kem       ecdh.Curve
	kemName   string
	signature signatureScheme
}

// Supported reports whether the node accepts key packages of the suite.
func (s CipherSuite) Supported() bool {
	_, ok := suites[s]
	return ok
}

// String returns the suite's registered name, or its number.
func (s CipherSuite) String() string {
	if suite, ok := suites[s]; ok {
		return suite.name
	}
	return fmt.Sprintf("CipherSuite(0x%04x)", uint16(s))
}

// checkHPKEKey refuses what is not a public key of the suite's KEM: 32 bytes
// for X25519; for P-256 the 65 bytes of an uncompressed point on the curve
// (RFC 9180, section 7.1.1).
func (p suiteParameters) checkHPKEKey(field string, key []byte) error {
	if _, err := p.kem.NewPublicKey(key); err != nil {
		return &Error{field, "is not a valid " + p.kemName + " public key"}
	}
	return nil
}
