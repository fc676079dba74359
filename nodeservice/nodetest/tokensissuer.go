package nodetest

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/identity"
)

const foreignURL = "https://issuer.example"

// claimSet is a JSON object: of a token, or a key.
type claimSet map[string]any

// with is the set with a member changed, or without it (nil).
func (c claimSet) with(name string, value any) claimSet {
	changed := claimSet{}
	for k, v := range c {
		changed[k] = v
	}
	changed[name] = value
	if value == nil {
		delete(changed, name)
	}
	return changed
}

// foreign is an external issuer that the node trusts, by the JWKS in a file.
type foreign struct {
	w    *World
	path string
}

// trustForeign starts the node anew, with an issuer whose keys are these.
func (w *World) trustForeign(keys ...foreignKey) *foreign {
	w.T.Helper()
	f := &foreign{w, filepath.Join(w.T.TempDir(), "jwks.json")}
	f.publish(keys...)
	w.cfg.Issuers = []identity.IssuerPolicy{{Issuer: foreignURL, Audience: PublicURL, JWKSFile: f.path}}
	w.Restart()
	return f
}

// publish replaces the issuer's keys. A node looks at the file once a second: of
// the clock, which goes on by more.
func (f *foreign) publish(keys ...foreignKey) {
	f.w.T.Helper()
	set := []claimSet{}
	for _, key := range keys {
		set = append(set, key.jwk)
	}
	text, err := json.Marshal(claimSet{"keys": set})
	f.w.ok(err)
	f.w.ok(os.WriteFile(f.path+".new", text, 0o600))
	f.w.ok(os.Rename(f.path+".new", f.path))
	f.w.Clock.Move(2 * time.Second)
}

// foreignKey is a key that signs an external issuer's tokens.
type foreignKey struct {
	kid  string
	jwk  claimSet
	alg  string
	sign func(message []byte) ([]byte, error)
}

func (w *World) foreignKey(kid string, algorithm identity.Algorithm) foreignKey {
	w.T.Helper()
	k := foreignKey{kid: kid, alg: string(algorithm)}
	if algorithm == identity.RS256 {
		private := rsaKey()
		k.sign = func(message []byte) ([]byte, error) {
			digest := sha256.Sum256(message)
			return rsa.SignPKCS1v15(nil, private, crypto.SHA256, digest[:])
		}
		k.jwk = claimSet{"kty": "RSA", "n": base64URL(private.N.Bytes()), "e": base64URL(big.NewInt(int64(private.E)).Bytes())}
	} else {
		private, err := identity.GenerateKey(algorithm)
		w.ok(err)
		k.sign, k.jwk = private.Sign, jwkOf(private.Public())
	}
	k.jwk["kid"], k.jwk["alg"] = kid, k.alg
	return k
}

// rsaKey is one for all, since making one takes long.
var rsaKey = sync.OnceValue(func() *rsa.PrivateKey {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err) // the random source is gone
	}
	return private
})

func jwkOf(id nodeservice.Identity) claimSet {
	raw := id.Bytes()
	if id.Algorithm() == identity.ES256 {
		return claimSet{"kty": "EC", "crv": "P-256", "x": base64URL(raw[1:33]), "y": base64URL(raw[33:])}
	}
	return claimSet{"kty": "OKP", "crv": "Ed25519", "x": base64URL(raw)}
}

// header and claims are those of a good token, for an hour; tests change them.
func (k foreignKey) header() claimSet {
	return claimSet{"alg": k.alg, "kid": k.kid, "typ": "at+jwt"}
}

func (w *World) foreignClaims(id nodeservice.Identity) claimSet {
	now := w.Clock.Now().Unix()
	return claimSet{"iss": foreignURL, "aud": PublicURL, "sub": "somebody", "iat": now, "exp": now + 3600, "cnf": claimSet{"jwk": jwkOf(id)}}
}

// foreignToken signs any header and claims.
func (w *World) foreignToken(k foreignKey, header, claims claimSet) string {
	w.T.Helper()
	input := w.part(header) + "." + w.part(claims)
	signature, err := k.sign([]byte(input))
	w.ok(err)
	token := input + "." + base64URL(signature)
	w.secrets.addToken(token)
	return token
}

// part spells a part of a JWT.
func (w *World) part(members claimSet) string {
	text, err := json.Marshal(members)
	w.ok(err)
	return base64URL(text)
}

func base64URL(raw []byte) string { return base64.RawURLEncoding.EncodeToString(raw) }
