package identity

import (
	"context"
	"crypto"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// trust is what makes one issuer's tokens valid: ours or an external one's.
// Static after construction, but for its keys.
type trust struct {
	issuer      string
	audience    string
	typ         string
	algorithms  []Algorithm
	maxLifetime time.Duration // from iat to exp; 0: as the token says
	external    bool
	keys        issuerKeys
}

// issuerKeys are the keys of one issuer, and no others: SigningKeys are ours, a
// keySource holds another's.
type issuerKeys interface {
	// find returns the key of that name, or ErrToken, or ErrIssuerUnavailable. It
	// may wait for a newer set if the one at hand has no such key.
	find(ctx context.Context, name keyName, now time.Time) (verifyKey, error)

	// holds reports whether the signer's key is in the set at hand, for its
	// algorithm. It neither waits nor locks.
	holds(signer Signer) bool

	// freshen gets a newer set if the one at hand is due.
	freshen(ctx context.Context, now time.Time)
}

// keyName is what a token's header says of its key.
type keyName struct {
	kid       string
	algorithm Algorithm
}

// verifyKey is a public key: ed25519.PublicKey, *ecdsa.PublicKey (P-256) or
// *rsa.PublicKey, as its algorithm wants it.
type verifyKey struct {
	public     crypto.PublicKey
	thumbprint [32]byte // RFC 7638
}

// methods verify what external issuers, and we, may sign. Since an algorithm that
// is not here cannot be configured, there is no HMAC and no "none".
var methods = map[Algorithm]jwt.SigningMethod{
	EdDSA: jwt.SigningMethodEdDSA,
	ES256: jwt.SigningMethodES256,
	RS256: jwt.SigningMethodRS256,
	PS256: &jwt.SigningMethodRSAPSS{ // the library's own takes salts of any length
		SigningMethodRSA: jwt.SigningMethodPS256.SigningMethodRSA,
		Options:          jwt.SigningMethodPS256.Options,
	},
}

// verify checks the header (RFC 8725, sections 3.1, 3.10, 3.11) and the signature.
// The key is the one that the header names among this issuer's, for the algorithm
// that it names; nothing in a token is ever a key or leads to one.
func (t *trust) verify(ctx context.Context, c compact, now time.Time) (Signer, error) {
	name := keyName{c.header.text("kid"), Algorithm(c.header.text("alg"))}
	switch {
	case c.header.has("jwk"):
		return Signer{}, fmt.Errorf("%w: its header has a jwk", ErrToken)
	case !slices.Contains(t.algorithms, name.algorithm):
		return Signer{}, fmt.Errorf("%w: its alg is not one that its issuer may use", ErrToken)
	case !t.typed(c.header.text("typ")):
		return Signer{}, fmt.Errorf("%w: its typ is not that of its issuer's access tokens", ErrToken)
	case name.kid == "":
		return Signer{}, fmt.Errorf("%w: its header has no kid", ErrToken)
	}
	key, err := t.keys.find(ctx, name, now)
	if err != nil {
		return Signer{}, err
	}
	if methods[name.algorithm].Verify(c.input, c.signature, key.public) != nil {
		return Signer{}, fmt.Errorf("%w: its signature does not verify", ErrToken)
	}
	return Signer{KeyID: name.kid, Algorithm: name.algorithm, Thumbprint: key.thumbprint}, nil
}

// typed compares ours exactly. Others' may be spelled as media types, which know
// no case (RFC 7515, section 4.1.9; RFC 9068, section 4).
func (t *trust) typed(typ string) bool {
	if !t.external {
		return typ == t.typ
	}
	const prefix = "application/"
	if len(typ) > len(prefix) && strings.EqualFold(typ[:len(prefix)], prefix) {
		typ = typ[len(prefix):]
	}
	return strings.EqualFold(typ, t.typ)
}
