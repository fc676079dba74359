package mls

import (
	"bytes"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// update rewrites the golden packages; a change in them is a change in what
// all clients see.
var update = flag.Bool("update", false, "rewrite testdata/suite*.bin")

func goldenName(suite CipherSuite) string { return fmt.Sprintf("suite%d.bin", uint16(suite)) }

func goldenBytes(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestEncodingHasNotDrifted builds packages from fixed keys.
func TestEncodingHasNotDrifted(t *testing.T) {
	for _, suite := range allSuites {
		built, err := testTemplate(t, suite).build(testHPKEKey(t, suite, 1), testHPKEKey(t, suite, 2))
		if err != nil {
			t.Fatal(err)
		}
		if *update {
			if err := os.WriteFile(filepath.Join("testdata", goldenName(suite)), built.Bytes, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if want := goldenBytes(t, goldenName(suite)); !bytes.Equal(built.Bytes, want) {
			t.Errorf("%v: built\n%x, want\n%x", suite, built.Bytes, want)
		}
	}
}

var tsMLSNotAfter = time.Date(2100, time.January, 1, 0, 0, 0, 0, time.UTC)

// goldenFields is what the packages in testdata say, ours and foreign ones.
var goldenFields = []struct {
	file         string
	size         int
	framed       bool
	suite        CipherSuite
	signatureKey string
	notAfter     time.Time
}{
	{"suite1.bin", 275, false, 1, "ed4928c628d1c2c6eae90338905995612959273a5c63f93636c14614ac8737d1", testNotAfter},
	{"suite2.bin", 392, false, 2, "04591ab771ebbcfd6d9cb9094d106528add1a69d44c2c1f627f089ec58b9c61adf9f4e6abf0d045c0c693a3c68ad7c97ca72be64def4a26fecd263dd98a92780f0", testNotAfter},
	{"suite3.bin", 275, false, 3, "ed4928c628d1c2c6eae90338905995612959273a5c63f93636c14614ac8737d1", testNotAfter},
	{"ts-mls-suite1.bin", 280, true, 1, "a77451495ad6e940a81a991db4e99c931baa765f9d7492be3bb592381d09c715", tsMLSNotAfter},
	{"ts-mls-suite2.bin", 394, true, 2, "040370e1ef2b85e762ff95cf3adebe8083ddaba02002e8500b7b9e56fdc1be87f9d824350ea9631fecd8c9fdc500382a3043239bd98e79d31fb4ea2aef94960e16", tsMLSNotAfter},
	{"ts-mls-suite3.bin", 280, true, 3, "a0490f3f1f2893cd12d9d647171532d7d1dbe09e77e0854671a18b566bd9e52a", tsMLSNotAfter},
}

func TestGoldenPackages(t *testing.T) {
	for _, golden := range goldenFields {
		t.Run(golden.file, func(t *testing.T) {
			data := goldenBytes(t, golden.file)
			kp, err := ParseKeyPackage(data)
			if err != nil {
				t.Fatal(err)
			}
			if len(data) != golden.size || (len(data) != len(kp.Bare)) != golden.framed {
				t.Errorf("%d bytes, %d of them bare; want %d, framed %v", len(data), len(kp.Bare), golden.size, golden.framed)
			}
			if kp.CipherSuite != golden.suite {
				t.Errorf("CipherSuite = %v, want %v", kp.CipherSuite, golden.suite)
			}
			if got := hex.EncodeToString(kp.SignatureKey); got != golden.signatureKey {
				t.Errorf("SignatureKey = %s, want %s", got, golden.signatureKey)
			}
			if !kp.NotBefore.Equal(testNotBefore) || !kp.NotAfter.Equal(golden.notAfter) {
				t.Errorf("lifetime = %v to %v, want %v to %v", kp.NotBefore, kp.NotAfter, testNotBefore, golden.notAfter)
			}
		})
	}
}
