package mls

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func FuzzParseKeyPackage(f *testing.F) {
	files, err := filepath.Glob(filepath.Join("testdata", "*.bin"))
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		checkRoundTrip(t, unframe(data))
		kp, err := ParseKeyPackage(data)
		if err != nil {
			checkRefusal(t, err)
			return
		}
		checkAccepted(t, kp, data)
	})
}

// checkRoundTrip asserts that what can be decoded has only that one encoding,
// and that what the signatures cover is just the fields above them.
func checkRoundTrip(t *testing.T, bare []byte) {
	w, err := decodeKeyPackage(bare)
	if err != nil {
		return
	}
	leafTBS, err := w.leafNode.encodeTBS()
	if err != nil || !bytes.Equal(leafTBS, w.leafNode.tbs) {
		t.Fatalf("LeafNodeTBS (%v)\n%x, read as\n%x", err, leafTBS, w.leafNode.tbs)
	}
	tbs, err := w.encodeTBS()
	if err != nil || !bytes.Equal(tbs, w.tbs) {
		t.Fatalf("KeyPackageTBS (%v)\n%x, read as\n%x", err, tbs, w.tbs)
	}
	again, err := w.encode()
	if err != nil || !bytes.Equal(again, bare) {
		t.Fatalf("encoded again (%v)\n%x, want\n%x", err, again, bare)
	}
}

func checkRefusal(t *testing.T, err error) {
	var refusal *Error
	if !errors.As(err, &refusal) || refusal.Field == "" || refusal.Problem == "" {
		t.Fatalf("error %v names no field", err)
	}
	if !strings.HasPrefix(err.Error(), "key package: ") {
		t.Fatalf("error %q does not say what it is about", err)
	}
}

func checkAccepted(t *testing.T, kp *KeyPackage, data []byte) {
	if !kp.CipherSuite.Supported() || !bytes.HasSuffix(data, kp.Bare) {
		t.Fatalf("accepted as suite %v, bare %x", kp.CipherSuite, kp.Bare)
	}
	for _, form := range [][]byte{kp.Bare, framed(kp.Bare)} {
		again, err := ParseKeyPackage(form)
		if err != nil || !bytes.Equal(again.Bare, kp.Bare) {
			t.Fatalf("accepted once, then: %v", err)
		}
	}
}
