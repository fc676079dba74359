package identity

import (
	"fmt"
	"slices"
	"time"
)

// maxTokenID bounds jti, in bytes; ours has 22. Nothing is kept by it.
const maxTokenID = 64

// judge reads the claims of a token whose signature is verified, and holds them
// against what is expected here and now (RFC 7519, section 4.1; RFC 8725, sections
// 3.8 and 3.9). Claims that it does not know are ignored, as RFC 7519 asks.
func (t *trust) judge(claims object, now time.Time) (Token, error) {
	token := Token{Issuer: t.issuer, External: t.external, ID: claims.text("jti")}
	switch {
	case claims.text("iss") != t.issuer:
		return Token{}, fmt.Errorf("%w: its iss is not the one whose key signed it", ErrToken)
	case !t.meant(claims):
		return Token{}, fmt.Errorf("%w: its aud is not this server", ErrToken)
	case len(token.ID) > maxTokenID, token.ID == "" && (!t.external || claims.has("jti")):
		return Token{}, fmt.Errorf("%w: its jti is not a string of 1 to %d bytes", ErrToken, maxTokenID)
	}
	var err error
	if token.IssuedAt, token.ExpiresAt, err = claims.times(now); err != nil {
		return Token{}, err
	}
	if t.maxLifetime > 0 && token.ExpiresAt.Sub(token.IssuedAt) > t.maxLifetime {
		return Token{}, fmt.Errorf("%w: from its iat to its exp it lasts longer than its issuer may let it", ErrToken)
	}
	if token.Identity, err = t.confirmationKey(claims); err != nil {
		return Token{}, err
	}
	if err := token.expired(now); err != nil {
		return Token{}, err
	}
	return token, nil
}

// meant reports whether the token is for us. Ours have one audience; of another
// issuer's we may be one among several.
func (t *trust) meant(claims object) bool {
	if claims.text("aud") == t.audience {
		return true
	}
	return t.external && slices.Contains(claims.texts("aud"), t.audience)
}

// times reads iat and exp, which must be there, and checks that neither iat nor
// nbf lies ahead by more than the leeway. Expiry is not judged here.
func (o object) times(now time.Time) (issued, expires time.Time, err error) {
	issued, hasIssued := o.time("iat")
	start, hasStart := o.time("nbf")
	expires, hasExpires := o.time("exp")
	ahead := now.Add(clockLeeway)
	switch {
	case !hasIssued, !hasExpires, !hasStart && o.has("nbf"):
		err = fmt.Errorf("%w: its iat, exp or nbf is not a number of seconds with at most three decimals", ErrToken)
	case issued.After(ahead):
		err = fmt.Errorf("%w: its iat lies in the future", ErrToken)
	case start.After(ahead):
		err = fmt.Errorf("%w: its nbf lies in the future", ErrToken)
	}
	return issued, expires, err
}

// confirmationKey reads cnf.jwk, the one way in which a token names a key here
// (RFC 7800, section 3.2). Other issuers may describe the key besides.
func (t *trust) confirmationKey(claims object) (Key, error) {
	cnf := claims.object("cnf")
	if !cnf.only("jwk") {
		return Key{}, fmt.Errorf("%w: its cnf is not an object with the one member jwk", ErrToken)
	}
	parse := parseJWK
	if t.external {
		parse = parseDescribedJWK
	}
	key, err := parse(cnf.object("jwk"))
	if err != nil {
		return Key{}, fmt.Errorf("%w: its cnf.jwk is %s", ErrToken, err)
	}
	return key, nil
}
