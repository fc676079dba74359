package identity_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/quicproquo/node/nodeservice/identity"
)

const (
	foreignIssuer = "https://issuer.example"
	otherIssuer   = "https://other.example"
)

var foreignAlgorithms = []identity.Algorithm{identity.EdDSA, identity.ES256, identity.RS256, identity.PS256}

// foreignKey is a key of an external issuer.
type foreignKey struct {
	kid       string
	algorithm identity.Algorithm
	private   crypto.Signer
}

// rsaKeys are two, since making one takes long.
var rsaKeys = sync.OnceValue(func() (keys [2]*rsa.PrivateKey) {
	for i := range keys {
		keys[i], _ = rsa.GenerateKey(rand.Reader, 2048)
	}
	return keys
})

func newForeignKey(t testing.TB, kid string, algorithm identity.Algorithm) foreignKey {
	t.Helper()
	var private crypto.Signer
	var err error
	switch algorithm {
	case identity.EdDSA:
		_, private, err = ed25519.GenerateKey(rand.Reader)
	case identity.ES256:
		private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	default:
		private = rsaKeys()[0]
	}
	if err != nil {
		t.Fatal(err)
	}
	return foreignKey{kid, algorithm, private}
}

func (k foreignKey) jwk() claimSet {
	set := claimSet{"kid": k.kid, "alg": string(k.algorithm), "use": "sig"}
	switch public := k.private.Public().(type) {
	case ed25519.PublicKey:
		set["kty"], set["crv"], set["x"] = "OKP", "Ed25519", encode(string(public))
	case *ecdsa.PublicKey:
		raw, _ := public.Bytes()
		set["kty"], set["crv"], set["x"], set["y"] = "EC", "P-256", encode(string(raw[1:33])), encode(string(raw[33:]))
	case *rsa.PublicKey:
		set["kty"], set["n"], set["e"] = "RSA", encode(string(public.N.Bytes())), encodeExponent(public.E)
	}
	return set
}

func encodeExponent(e int) string {
	return encode(strings.TrimLeft(string(binary.BigEndian.AppendUint32(nil, uint32(e))), "\x00"))
}

// header is a good one; tests change it with a Replacer.
func (k foreignKey) header() string {
	return fmt.Sprintf(`{"alg":"%s","kid":"%s","typ":"at+jwt"}`, k.algorithm, k.kid)
}

// sign signs any header and claims with the algorithm of the key.
func (k foreignKey) sign(t testing.TB, header string, claims any) string {
	t.Helper()
	input := signingInput(header, claims)
	signature, err := jwt.GetSigningMethod(string(k.algorithm)).Sign(input, k.private)
	if err != nil {
		t.Fatal(err)
	}
	return input + "." + encode(string(signature))
}

// token is a good one.
func (k foreignKey) token(t testing.TB) string {
	t.Helper()
	return k.sign(t, k.header(), foreignClaims())
}

func foreignClaims() claimSet {
	return goodClaims().with("iss", foreignIssuer)
}

func jwksOf(keys ...foreignKey) string {
	entries := []claimSet{}
	for _, key := range keys {
		entries = append(entries, key.jwk())
	}
	return jwksOfEntries(entries...)
}

func jwksOfEntries(entries ...claimSet) string {
	text, _ := json.Marshal(map[string]any{"keys": entries})
	return string(text)
}

// jwksFile is a JWK Set that can be replaced, each time with another mtime.
type jwksFile struct {
	t    testing.TB
	path string
	at   time.Time
}

func newJWKSFile(t testing.TB, content string) *jwksFile {
	t.Helper()
	f := &jwksFile{t: t, path: filepath.Join(t.TempDir(), "jwks.json"), at: noon}
	f.write(content)
	return f
}

func (f *jwksFile) write(content string) {
	f.t.Helper()
	if err := os.WriteFile(f.path, []byte(content), 0o600); err != nil {
		f.t.Fatal(err)
	}
	f.at = f.at.Add(time.Second)
	if err := os.Chtimes(f.path, f.at, f.at); err != nil {
		f.t.Fatal(err)
	}
}

func (f *jwksFile) policy() identity.IssuerPolicy {
	return identity.IssuerPolicy{Issuer: foreignIssuer, Audience: audience, JWKSFile: f.path}
}

// trusting returns a verifier with our own test key and external issuers.
func trusting(t testing.TB, policies ...identity.IssuerPolicy) *identity.Verifier {
	t.Helper()
	v := identity.NewVerifier(identity.VerifierConfig{Issuer: audience, Audience: audience, Keys: testKeys(t), External: policies})
	t.Cleanup(func() {
		for range 2 {
			if err := v.Close(); err != nil {
				t.Error(err)
			}
		}
	})
	return v
}
