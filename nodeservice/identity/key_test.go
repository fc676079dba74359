package identity_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"github.com/quicproquo/node/nodeservice/identity"
)

// smallOrder holds the eight points of small order, canonically encoded.
var smallOrder = []string{
	"0100000000000000000000000000000000000000000000000000000000000000",
	"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"0000000000000000000000000000000000000000000000000000000000000000",
	"0000000000000000000000000000000000000000000000000000000000000080",
	"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
	"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
	"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
	"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
}

func TestParseKeyRefusesSmallOrder(t *testing.T) {
	for _, point := range smallOrder {
		refusedKey(t, unhex(t, point), "of small order")
	}
}

func TestParseKeyRefusesNonCanonical(t *testing.T) {
	refusedKey(t, unhex(t, "01"+strings.Repeat("00", 30)+"80"), "not canonically") // y = 1, x = -0
	refusedKey(t, unhex(t, "ec"+strings.Repeat("ff", 31)), "not canonically")      // y = -1, x = -0
	points := 0
	for low := 0xed; low <= 0xff; low++ { // y from p to 2^255-1
		for _, high := range []byte{0x7f, 0xff} {
			raw := append([]byte{byte(low)}, bytes.Repeat([]byte{0xff}, 31)...)
			raw[31] = high
			_, err := identity.ParseKey(raw)
			if !errors.Is(err, identity.ErrKey) {
				t.Errorf("%x: %v", raw, err)
			}
			if strings.Contains(fmt.Sprint(err), "not canonically") {
				points++
			}
		}
	}
	if points < 10 {
		t.Errorf("only %d of the values were points; the case is hardly tested", points)
	}
}

func TestParseKeyRefusesOtherBytes(t *testing.T) {
	p256 := newKey(t, identity.ES256).Public().Bytes()
	offCurve := bytes.Clone(p256)
	offCurve[64] ^= 1
	beyond := append([]byte{4}, bytes.Repeat([]byte{0xff}, 64)...) // coordinates above p
	for _, test := range []struct {
		raw []byte
		why string
	}{
		{nil, "has 0"},
		{make([]byte, 31), "has 31"},
		{make([]byte, 33), "has 33"},
		{make([]byte, 64), "has 64"},
		{append(bytes.Clone(p256), 0), "has 66"},
		{append([]byte{2 + p256[64]&1}, p256[1:33]...), "has 33"}, // compressed
		{append([]byte{2}, p256[1:]...), "begins with 0x04"},
		{append([]byte{6 + p256[64]&1}, p256[1:]...), "begins with 0x04"}, // hybrid
		{make([]byte, 65), "begins with 0x04"},
		{append([]byte{4}, make([]byte, 64)...), "no point of P-256"},
		{offCurve, "no point of P-256"},
		{beyond, "no point of P-256"},
		{append([]byte{2}, make([]byte, 31)...), "no point of edwards25519"}, // y = 2
	} {
		refusedKey(t, test.raw, test.why)
	}
}

func TestKeyRoundTrips(t *testing.T) {
	for _, algorithm := range algorithms {
		key := newKey(t, algorithm).Public()
		raw := key.Bytes()
		same, err := identity.ParseKey(raw)
		if err != nil || same != key || key.Algorithm() != algorithm || key.IsZero() {
			t.Fatalf("%s: ParseKey(%x) = %v, %v", algorithm, raw, same, err)
		}
		raw[5] ^= 1
		if same != key || string(key.Bytes()) != key.Raw() {
			t.Errorf("%s: the key shares its bytes with the caller", algorithm)
		}
		if text, err := identity.ParseKeyText(key.String()); err != nil || text != key {
			t.Errorf("%s: ParseKeyText = %v, %v", algorithm, text, err)
		}
		if identity.TrustedKey(key.Raw()) != key {
			t.Errorf("%s: TrustedKey is another key", algorithm)
		}
		if got := slog.AnyValue(key).Resolve().String(); got != "[identity]" {
			t.Errorf("%s: a log would show %s", algorithm, got)
		}
	}
}

func TestParseKeyTextHasOneSpelling(t *testing.T) {
	// 32 bytes leave two bits of the last character unused.
	text := newKey(t, identity.EdDSA).Public().String()
	last := strings.IndexByte(base64url, text[42])
	for _, spelling := range []string{
		text + "=", text + "\n", "\r\n" + text, text[:20] + "\n" + text[20:], " " + text,
		text[:42] + string(base64url[last|1]), text[:42], text[:41] + "+/", "",
		strings.Repeat("A", 1<<20),
	} {
		if _, err := identity.ParseKeyText(spelling); !errors.Is(err, identity.ErrKey) {
			t.Errorf("ParseKeyText(%.60q) = %v", spelling, err)
		}
	}
}

func TestZeroKeyVerifiesNothing(t *testing.T) {
	var none identity.Key
	if !none.IsZero() || none.Algorithm() != "" || none.Verify(nil, make([]byte, 64)) {
		t.Error("the zero value is a key")
	}
	if identity.TrustedKey(strings.Repeat("x", 65)).Verify(nil, make([]byte, 64)) {
		t.Error("65 bytes that are no point verify")
	}
}

func TestSignatures(t *testing.T) {
	message := []byte("message")
	for _, algorithm := range algorithms {
		private := newKey(t, algorithm)
		signature, err := private.Sign(message)
		if err != nil || len(signature) != 64 || !private.Public().Verify(message, signature) {
			t.Fatalf("%s: %x, %v", algorithm, signature, err)
		}
		if newKey(t, algorithm).Public().Verify(message, signature) {
			t.Errorf("%s: another key verifies it", algorithm)
		}
		for i := range signature {
			changed := bytes.Clone(signature)
			changed[i] ^= 0x40
			if private.Public().Verify(message, changed) {
				t.Fatalf("%s: byte %d does not matter", algorithm, i)
			}
		}
		for _, other := range [][]byte{nil, signature[:63], append(bytes.Clone(signature), 0), make([]byte, 64)} {
			if private.Public().Verify(message, other) {
				t.Errorf("%s: %x verifies", algorithm, other)
			}
		}
	}
}

// JOSE and WebCrypto write ECDSA signatures as r and s; MLS and TLS as DER.
func TestP256SignaturesAreRaw(t *testing.T) {
	private := newKey(t, identity.ES256)
	jose, err := jwt.SigningMethodES256.Sign("message", private.Signer().(*ecdsa.PrivateKey))
	if err != nil || !private.Public().Verify([]byte("message"), jose) {
		t.Errorf("a JOSE signature does not verify (%v)", err)
	}
	digest := sha256.Sum256([]byte("message"))
	der, err := private.Signer().Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil || private.Public().Verify([]byte("message"), der) {
		t.Errorf("a DER signature verifies (%v)", err)
	}
}

func refusedKey(t *testing.T, raw []byte, why string) {
	t.Helper()
	key, err := identity.ParseKey(raw)
	if !errors.Is(err, identity.ErrKey) || !strings.Contains(err.Error(), why) || !key.IsZero() {
		t.Errorf("ParseKey(%x) = %v, %v; want ErrKey: %s", raw, key, err, why)
	}
}

func unhex(t *testing.T, text string) []byte {
	t.Helper()
	raw, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}
