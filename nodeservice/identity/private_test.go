package identity_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"testing"

	"github.com/quicproquo/node/nodeservice/identity"
)

const base64url = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

var algorithms = []identity.Algorithm{identity.EdDSA, identity.ES256}

func newKey(t testing.TB, algorithm identity.Algorithm) *identity.PrivateKey {
	t.Helper()
	private, err := identity.GenerateKey(algorithm)
	if err != nil {
		t.Fatal(err)
	}
	return private
}

func TestPrivateKeyRoundTrips(t *testing.T) {
	for _, algorithm := range algorithms {
		private := newKey(t, algorithm)
		der, err := private.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		same, err := identity.ParsePrivateKey(der)
		if err != nil || same.Public() != private.Public() {
			t.Fatalf("%s: %v, %v", algorithm, same, err)
		}
		signature, err := same.Sign([]byte("message"))
		if err != nil || !private.Public().Verify([]byte("message"), signature) {
			t.Errorf("%s: the key that came back signs otherwise (%v)", algorithm, err)
		}
	}
}

func TestPrivateKeyOfAnotherKindIsRefused(t *testing.T) {
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for _, other := range []any{p384, rsaKey} {
		der, err := x509.MarshalPKCS8PrivateKey(other)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := identity.ParsePrivateKey(der); !errors.Is(err, identity.ErrKey) {
			t.Errorf("%T: %v", other, err)
		}
	}
	if _, err := identity.ParsePrivateKey([]byte("no DER")); !errors.Is(err, identity.ErrKey) {
		t.Error(err)
	}
	if _, err := identity.GenerateKey("RS256"); !errors.Is(err, identity.ErrKey) {
		t.Error(err)
	}
}

func TestPrivateKeysDoNotPrint(t *testing.T) {
	private := newKey(t, identity.EdDSA)
	keys, err := identity.GenerateSigningKeys()
	if err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
		if got := fmt.Sprintf(verb, private); got != "[private key]" {
			t.Errorf("%s shows %s", verb, got)
		}
		if got := fmt.Sprintf(verb, keys); got != "[signing keys]" {
			t.Errorf("%s shows %s", verb, got)
		}
	}
}
