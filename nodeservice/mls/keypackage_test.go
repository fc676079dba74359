package mls

import (
	"bytes"
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"
)

var (
	allSuites = []CipherSuite{
		MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519,
		MLS_128_DHKEMP256_AES128GCM_SHA256_P256,
		MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519,
	}
	testNotBefore = time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)
	testNotAfter  = testNotBefore.Add(MaxLifetime)
)

func TestAFreshPackageIsAccepted(t *testing.T) {
	for _, suite := range allSuites {
		for _, framed := range []bool{false, true} {
			t.Run(fmt.Sprintf("%v/framed=%v", suite, framed), func(t *testing.T) {
				template := testTemplate(t, suite)
				template.Framed = framed
				built, err := template.Build()
				if err != nil {
					t.Fatal(err)
				}
				kp, err := ParseKeyPackage(built.Bytes)
				if err != nil {
					t.Fatal(err)
				}
				checkParsed(t, kp, template, built)
			})
		}
	}
}

func checkParsed(t *testing.T, kp *KeyPackage, template KeyPackageTemplate, built *BuiltKeyPackage) {
	t.Helper()
	if kp.CipherSuite != template.CipherSuite {
		t.Errorf("CipherSuite = %v, want %v", kp.CipherSuite, template.CipherSuite)
	}
	if !bytes.Equal(kp.InitKey, built.InitKey.PublicKey().Bytes()) {
		t.Error("InitKey is not the public half of the built one")
	}
	if !bytes.Equal(kp.EncryptionKey, built.EncryptionKey.PublicKey().Bytes()) {
		t.Error("EncryptionKey is not the public half of the built one")
	}
	if want := testSignatureKey(t, template); !bytes.Equal(kp.SignatureKey, want) {
		t.Errorf("SignatureKey = %x, want %x", kp.SignatureKey, want)
	}
	if !kp.NotBefore.Equal(template.NotBefore) || !kp.NotAfter.Equal(template.NotAfter) {
		t.Errorf("lifetime = %v to %v, want %v to %v",
			kp.NotBefore, kp.NotAfter, template.NotBefore, template.NotAfter)
	}
	header := 0
	if template.Framed {
		header = 4
	}
	if !bytes.Equal(kp.Bare, built.Bytes[header:]) || &kp.Bare[0] != &built.Bytes[header] {
		t.Error("Bare is not the parsed bytes after the framing")
	}
}

func TestFramingDoesNotChangeThePackage(t *testing.T) {
	for _, suite := range allSuites {
		bare := goldenBytes(t, goldenName(suite))
		framed := KeyPackageTemplate{Framed: true}.frame(bare)
		kp, err := ParseKeyPackage(framed)
		if err != nil {
			t.Fatalf("%v: %v", suite, err)
		}
		if !bytes.Equal(kp.Bare, bare) {
			t.Errorf("%v: Bare differs from the package before framing", suite)
		}
	}
}

func TestAppendingToAResultLeavesItsNeighboursAlone(t *testing.T) {
	data := append(goldenBytes(t, goldenName(1)), 0xee)
	data = data[:len(data)-1]
	kp, err := ParseKeyPackage(data)
	if err != nil {
		t.Fatal(err)
	}
	before := bytes.Clone(data[:cap(data)])
	for _, field := range [][]byte{kp.InitKey, kp.EncryptionKey, kp.SignatureKey, kp.Bare} {
		_ = append(field, 0xff)
	}
	if !bytes.Equal(data[:cap(data)], before) {
		t.Error("append wrote into the parsed bytes")
	}
}

func TestBuildRefusesWhatMakesNoSense(t *testing.T) {
	tests := []struct {
		name   string
		change func(*KeyPackageTemplate)
		field  string
	}{
		{"unknown suite", func(k *KeyPackageTemplate) { k.CipherSuite = 4 }, "cipher_suite"},
		{"P-256 key for suite 1", func(k *KeyPackageTemplate) { k.Signer = testSigner(t, 2) }, "leaf_node.signature_key"},
		{"Ed25519 key for suite 2", func(k *KeyPackageTemplate) { k.CipherSuite = 2 }, "leaf_node.signature_key"},
		{"zero lifetime", func(k *KeyPackageTemplate) { k.NotBefore = time.Time{} }, "leaf_node.lifetime"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			template := testTemplate(t, 1)
			test.change(&template)
			_, err := template.Build()
			checkField(t, err, test.field)
		})
	}
}

func TestBuildPassesOnTheSignersError(t *testing.T) {
	template := testTemplate(t, 1)
	template.Signer = failingSigner{template.Signer}
	if _, err := template.Build(); !errors.Is(err, errSigner) {
		t.Errorf("error = %v, want the signer's", err)
	}
}

var errSigner = errors.New("signer unplugged")

type failingSigner struct{ crypto.Signer }

func (failingSigner) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, errSigner
}

func TestSuiteNames(t *testing.T) {
	if got, want := CipherSuite(2).String(), "MLS_128_DHKEMP256_AES128GCM_SHA256_P256"; got != want {
		t.Errorf("String = %q, want %q", got, want)
	}
	if got, want := CipherSuite(0x0a0a).String(), "CipherSuite(0x0a0a)"; got != want {
		t.Errorf("String = %q, want %q", got, want)
	}
}

// BenchmarkParseKeyPackage measures an upload's check, a package at a time.
func BenchmarkParseKeyPackage(b *testing.B) {
	for _, suite := range allSuites[:2] {
		b.Run(suite.String(), func(b *testing.B) {
			data := goldenBytes(b, goldenName(suite))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := ParseKeyPackage(data); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// testTemplate signs with fixed keys, and signs the same bytes alike each time.
func testTemplate(t testing.TB, suite CipherSuite) KeyPackageTemplate {
	return KeyPackageTemplate{
		CipherSuite: suite,
		Signer:      testSigner(t, suite),
		Credential:  []byte("alice"),
		NotBefore:   testNotBefore,
		NotAfter:    testNotAfter,
	}
}

func testSigner(t testing.TB, suite CipherSuite) crypto.Signer {
	t.Helper()
	secret := bytes.Repeat([]byte{3}, 32)
	if suite != MLS_128_DHKEMP256_AES128GCM_SHA256_P256 {
		return ed25519.NewKeyFromSeed(secret)
	}
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), secret)
	if err != nil {
		t.Fatal(err)
	}
	return deterministicSigner{key}
}

// deterministicSigner makes ECDSA signatures by RFC 6979.
type deterministicSigner struct{ key *ecdsa.PrivateKey }

func (s deterministicSigner) Public() crypto.PublicKey { return s.key.Public() }

func (s deterministicSigner) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	return s.key.Sign(nil, digest, opts)
}

func testSignatureKey(t testing.TB, template KeyPackageTemplate) []byte {
	t.Helper()
	key, ok := suites[template.CipherSuite].signature.encodeKey(template.Signer.Public())
	if !ok {
		t.Fatal("signer does not fit the suite")
	}
	return key
}

// testHPKEKey returns a private key made of one byte.
func testHPKEKey(t testing.TB, suite CipherSuite, b byte) *ecdh.PrivateKey {
	t.Helper()
	key, err := suites[suite].kem.NewPrivateKey(bytes.Repeat([]byte{b}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return key
}
