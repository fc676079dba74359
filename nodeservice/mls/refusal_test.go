package mls

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"
)

// TestRefusedAndWhy signs each package properly after spoiling it, so that only
// the named field can be at fault.
func TestRefusedAndWhy(t *testing.T) {
	tests := []struct {
		name  string
		suite CipherSuite
		spoil func(*wireKeyPackage)
		field string
	}{
		{"another version", 1, func(w *wireKeyPackage) { w.version = 2 }, "version"},
		{"wrong leaf source", 1, func(w *wireKeyPackage) { w.leafNode.source = 2 }, "leaf_node.leaf_node_source"},
		{"unknown credential type", 1, func(w *wireKeyPackage) { w.leafNode.credential.credentialType = 3 }, "leaf_node.credential.credential_type"},
		{"torn certificate list", 1, func(w *wireKeyPackage) { w.leafNode.credential = credential{credentialX509, []byte{2, 0}} }, "leaf_node.credential.certificates"},
		{"half a version", 1, func(w *wireKeyPackage) { w.leafNode.capabilities.versions = []byte{0, 1, 0} }, "leaf_node.capabilities.versions"},
		{"half a suite", 1, func(w *wireKeyPackage) { w.leafNode.capabilities.cipherSuites = []byte{0} }, "leaf_node.capabilities.cipher_suites"},
		{"half an extension type", 1, func(w *wireKeyPackage) { w.leafNode.capabilities.extensions = []byte{0} }, "leaf_node.capabilities.extensions"},
		{"half a proposal type", 1, func(w *wireKeyPackage) { w.leafNode.capabilities.proposals = []byte{0} }, "leaf_node.capabilities.proposals"},
		{"half a credential type", 1, func(w *wireKeyPackage) { w.leafNode.capabilities.credentials = []byte{0} }, "leaf_node.capabilities.credentials"},
		{"torn leaf extension", 1, func(w *wireKeyPackage) { w.leafNode.extensions = []byte{0, 1, 2, 0} }, "leaf_node.extensions"},
		{"leaf extension twice", 1, func(w *wireKeyPackage) { w.leafNode.extensions = []byte{0, 1, 0, 0, 1, 0} }, "leaf_node.extensions"},
		{"torn extension", 1, func(w *wireKeyPackage) { w.extensions = []byte{0} }, "extensions"},
		{"extension twice", 1, func(w *wireKeyPackage) { w.extensions = []byte{0, 10, 0, 0, 1, 0, 0, 10, 1, 1} }, "extensions"},
		{"short X25519 init key", 1, func(w *wireKeyPackage) { w.initKey = w.initKey[:31] }, "init_key"},
		{"no X25519 init key", 3, func(w *wireKeyPackage) { w.initKey = nil }, "init_key"},
		{"long X25519 encryption key", 1, func(w *wireKeyPackage) { w.leafNode.encryptionKey = append(w.leafNode.encryptionKey, 0) }, "leaf_node.encryption_key"},
		{"X25519 init key in suite 2", 2, func(w *wireKeyPackage) { w.initKey = make([]byte, 32) }, "init_key"},
		{"P-256 init key off the curve", 2, func(w *wireKeyPackage) { w.initKey[64] ^= 1 }, "init_key"},
		{"compressed P-256 encryption key", 2, func(w *wireKeyPackage) { w.leafNode.encryptionKey = compress(w.leafNode.encryptionKey) }, "leaf_node.encryption_key"},
		{"init key is encryption key", 1, func(w *wireKeyPackage) { w.initKey = w.leafNode.encryptionKey }, "init_key"},
		{"init key is P-256 encryption key", 2, func(w *wireKeyPackage) { w.initKey = w.leafNode.encryptionKey }, "init_key"},
		{"P-256 signature key in suite 1", 1, func(w *wireKeyPackage) { w.leafNode.signatureKey = testSignatureKey(t, testTemplate(t, 2)) }, "leaf_node.signature_key"},
		{"Ed25519 signature key in suite 2", 2, func(w *wireKeyPackage) { w.leafNode.signatureKey = testSignatureKey(t, testTemplate(t, 1)) }, "leaf_node.signature_key"},
		{"compressed P-256 signature key", 2, func(w *wireKeyPackage) { w.leafNode.signatureKey = compress(w.leafNode.signatureKey) }, "leaf_node.signature_key"},
		{"P-256 signature key off the curve", 2, func(w *wireKeyPackage) { w.leafNode.signatureKey[64] ^= 1 }, "leaf_node.signature_key"},
		{"somebody else's signature key", 1, func(w *wireKeyPackage) { w.leafNode.signatureKey = make([]byte, 32) }, "leaf_node.signature"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := unsignedPackage(t, test.suite)
			test.spoil(w)
			_, err := ParseKeyPackage(signed(t, w))
			checkField(t, err, test.field)
		})
	}
}

func TestAcceptedThoughUnusual(t *testing.T) {
	tests := []struct {
		name   string
		change func(*wireKeyPackage)
	}{
		{"x509 credential", func(w *wireKeyPackage) { w.leafNode.credential = credential{credentialX509, []byte{2, 0x30, 0, 1, 7}} }},
		{"empty identity", func(w *wireKeyPackage) { w.leafNode.credential.content = nil }},
		{"no capabilities", func(w *wireKeyPackage) { w.leafNode.capabilities = capabilities{} }},
		{"GREASE", func(w *wireKeyPackage) { w.leafNode.capabilities.proposals = []byte{0x0a, 0x0a, 0xea, 0xea} }},
		{"one type in both lists", func(w *wireKeyPackage) {
			w.extensions = []byte{0, 10, 0, 0x1a, 0x1a, 1, 9}
			w.leafNode.extensions = []byte{0, 10, 0}
		}},
		{"lengths of 2 and 4 bytes", func(w *wireKeyPackage) {
			w.leafNode.credential.content = make([]byte, 1<<6)
			w.extensions = append([]byte{0, 10, 0x80, 0, 0x40, 0}, make([]byte, 1<<14)...)
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := unsignedPackage(t, 1)
			test.change(w)
			if _, err := ParseKeyPackage(signed(t, w)); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestSignaturesOfOtherThingsAreRefused(t *testing.T) {
	for _, suite := range allSuites {
		w := unsignedPackage(t, suite)
		signed(t, w)
		leaf, whole := w.leafNode.signature, w.signature

		w.signature = leaf
		checkParseField(t, w, "signature")
		w.signature = nil
		checkParseField(t, w, "signature")

		// Both signatures are right, but the package's is not of this leaf's.
		w.signature = whole
		w.leafNode.signature = whole
		w.tbs, _ = w.encodeTBS()
		checkParseField(t, w, "leaf_node.signature")
	}
}

func TestEveryTruncationIsRefused(t *testing.T) {
	forEachForm(t, func(t *testing.T, data []byte) {
		for n := range data {
			if _, err := ParseKeyPackage(data[:n]); err == nil {
				t.Errorf("the first %d of %d bytes are accepted", n, len(data))
			}
		}
	})
}

func TestEveryFlippedBitIsRefused(t *testing.T) {
	forEachForm(t, func(t *testing.T, data []byte) {
		for i := range data {
			for bit := range 8 {
				data[i] ^= 1 << bit
				if _, err := ParseKeyPackage(data); err == nil {
					t.Errorf("byte %d with bit %d flipped is accepted", i, bit)
				}
				data[i] ^= 1 << bit
			}
		}
	})
}

func TestEncodingIsUnique(t *testing.T) {
	golden := goldenBytes(t, goldenName(1)) // version, suite, then init_key's length at 4
	signatureAt := len(golden) - 64 - 2
	tests := []struct {
		name   string
		data   []byte
		reason string
	}{
		{"2 bytes for 32", slices.Replace(slices.Clone(golden), 4, 5, 0x40, 0x20), "init_key has a length that is not minimally encoded"},
		{"4 bytes for 32", slices.Replace(slices.Clone(golden), 4, 5, 0x80, 0, 0, 0x20), "init_key has a length that is not minimally encoded"},
		{"4 bytes for 64", slices.Replace(slices.Clone(golden), signatureAt, signatureAt+2, 0x80, 0, 0, 0x40), "signature has a length that is not minimally encoded"},
		{"8 bytes", slices.Replace(slices.Clone(golden), 4, 5, 0xc0, 0, 0, 0, 0, 0, 0, 0x20), "init_key has an invalid length prefix"},
		{"longest length", slices.Replace(slices.Clone(golden), 4, 5, 0xbf, 0xff, 0xff, 0xff), "init_key is cut short"},
		{"trailing byte", append(slices.Clone(golden), 0), "signature is followed by other bytes"},
		{"framed twice", framed(framed(golden)), "cipher_suite is not supported"},
		{"suite 4", slices.Replace(slices.Clone(golden), 2, 4, 0, 4), "cipher_suite is not supported"},
		{"nothing", nil, "version is cut short"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := ParseKeyPackage(test.data)
			if want := "key package: " + test.reason; err == nil || err.Error() != want {
				t.Errorf("error = %v, want %s", err, want)
			}
		})
	}
}

// A wire format other than mls_key_package may read as a cipher suite of a bare
// package; whatever follows then does not make one.
func TestOtherWireFormatsAreRefused(t *testing.T) {
	golden := goldenBytes(t, goldenName(1))
	for format := range byte(9) {
		if format == wireFormatKeyPackage {
			continue
		}
		if _, err := ParseKeyPackage(append([]byte{0, protocolMLS10, 0, format}, golden...)); err == nil {
			t.Errorf("wire format %d is accepted", format)
		}
	}
}

func forEachForm(t *testing.T, f func(t *testing.T, data []byte)) {
	for _, suite := range allSuites {
		bare := goldenBytes(t, goldenName(suite))
		t.Run(fmt.Sprintf("%v/bare", suite), func(t *testing.T) { f(t, bytes.Clone(bare)) })
		t.Run(fmt.Sprintf("%v/framed", suite), func(t *testing.T) { f(t, framed(bare)) })
	}
}

func framed(bare []byte) []byte { return KeyPackageTemplate{Framed: true}.frame(bare) }

// unsignedPackage is the golden package of the suite, open to changes.
func unsignedPackage(t testing.TB, suite CipherSuite) *wireKeyPackage {
	t.Helper()
	w, err := testTemplate(t, suite).fill(
		testHPKEKey(t, suite, 1).PublicKey(), testHPKEKey(t, suite, 2).PublicKey())
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func signed(t testing.TB, w *wireKeyPackage) []byte {
	t.Helper()
	if err := w.sign(testSigner(t, w.cipherSuite)); err != nil {
		t.Fatal(err)
	}
	data, err := w.encode()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func checkParseField(t *testing.T, w *wireKeyPackage, field string) {
	t.Helper()
	data, err := w.encode()
	if err != nil {
		t.Fatal(err)
	}
	_, err = ParseKeyPackage(data)
	checkField(t, err, field)
}

func checkField(t *testing.T, err error, field string) {
	t.Helper()
	var refusal *Error
	if !errors.As(err, &refusal) {
		t.Fatalf("error = %v, want an *Error about %s", err, field)
	}
	if refusal.Field != field {
		t.Errorf("error = %v, want one about %s", err, field)
	}
}

// compress turns an uncompressed P-256 point into its 33 byte form.
func compress(point []byte) []byte {
	return append([]byte{2 | point[64]&1}, point[1:33]...)
}
