package identity

import (
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// IssuerConfig says whose tokens an Issuer mints.
type IssuerConfig struct {
	URL  string        // iss and aud of the tokens: the server's public origin
	Keys *SigningKeys  // the first one that has begun signs
	TTL  time.Duration // from iat to exp; at least a millisecond
}

// Issuer mints access tokens for identities that have logged in.
type Issuer struct{ cfg IssuerConfig } // static after construction

// NewIssuer panics on an incomplete configuration.
func NewIssuer(cfg IssuerConfig) *Issuer {
	if cfg.URL == "" || cfg.Keys == nil || cfg.TTL < time.Millisecond {
		panic("identity: an Issuer has a URL, keys, and a TTL of at least a millisecond")
	}
	return &Issuer{cfg}
}

// Mint returns a token for the identity, and what a Verifier will read in it:
// RFC 7519 claims iss, aud, iat, exp, jti, and the key as cnf.jwk (RFC 7800).
func (i *Issuer) Mint(id Key, now time.Time) (token string, t Token, err error) {
	if id.IsZero() {
		return "", Token{}, fmt.Errorf("%w: there is none to make a token for", ErrKey)
	}
	key := i.cfg.Keys.active(now)
	t = Token{
		Identity:  id,
		Issuer:    i.cfg.URL,
		ID:        newID(),
		IssuedAt:  time.UnixMilli(now.UnixMilli()).UTC(),
		ExpiresAt: time.UnixMilli(now.Add(i.cfg.TTL).UnixMilli()).UTC(),
		Signer:    key.signer,
	}
	token, err = i.sign(t, key)
	t.Hash = sha256.Sum256([]byte(token))
	return token, t, err
}

func (i *Issuer) sign(t Token, key signingKey) (string, error) {
	unsigned := jwt.NewWithClaims(jwt.SigningMethodEdDSA, jwt.MapClaims{
		"iss": t.Issuer,
		"aud": i.cfg.URL,
		"iat": numericDate(t.IssuedAt),
		"exp": numericDate(t.ExpiresAt),
		"jti": t.ID,
		"cnf": map[string]jwk{"jwk": t.Identity.jwk()},
	})
	unsigned.Header["typ"] = tokenType
	unsigned.Header["kid"] = key.signer.KeyID
	token, err := unsigned.SignedString(key.private)
	if err != nil {
		return "", fmt.Errorf("%w: it could not be signed", ErrToken)
	}
	return token, nil
}

// newID returns 128 random bits as base64url.
func newID() string {
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails
	return encodeText(id[:])
}
