package identity

import (
	"fmt"
	"time"
)

// maxTokenID bounds jti, in bytes; ours has 22.
const maxTokenID = 64

// judge reads the claims of a token whose signature is verified, and holds them
// against what is expected here and now (RFC 7519, section 4.1; RFC 8725, sections
// 3.8 and 3.9). Claims that it does not know are ignored, as RFC 7519 asks.
func (v *Verifier) judge(payload []byte, now time.Time) (Token, error) {
	claims, err := parseObject(payload)
	if err != nil {
		return Token{}, fmt.Errorf("%w: its claims are %s", ErrToken, err)
	}
	t := Token{Issuer: v.cfg.Issuer, ID: claims.text("jti")}
	switch {
	case claims.text("iss") != v.cfg.Issuer:
		return Token{}, fmt.Errorf("%w: its iss is not this server", ErrToken)
	case claims.text("aud") != v.cfg.Audience:
		return Token{}, fmt.Errorf("%w: its aud is not this server", ErrToken)
	case t.ID == "" || len(t.ID) > maxTokenID:
		return Token{}, fmt.Errorf("%w: its jti is not a string of 1 to %d bytes", ErrToken, maxTokenID)
	}
	if t.IssuedAt, t.ExpiresAt, err = claims.times(now); err != nil {
		return Token{}, err
	}
	if t.Identity, err = claims.confirmationKey(); err != nil {
		return Token{}, err
	}
	if err := t.expired(now); err != nil {
		return Token{}, err
	}
	return t, nil
}

// times reads iat and exp, which must be there, and checks that neither iat nor
// nbf lies ahead by more than the leeway. Expiry is not judged here.
func (o object) times(now time.Time) (issued, expires time.Time, err error) {
	ahead := now.Add(clockLeeway)
	if issued, err = o.time("iat"); err != nil {
		return issued, expires, err
	}
	if issued.After(ahead) {
		return issued, expires, fmt.Errorf("%w: its iat lies in the future", ErrToken)
	}
	if o.has("nbf") {
		start, err := o.time("nbf")
		if err != nil {
			return issued, expires, err
		}
		if start.After(ahead) {
			return issued, expires, fmt.Errorf("%w: its nbf lies in the future", ErrToken)
		}
	}
	expires, err = o.time("exp")
	return issued, expires, err
}

func (o object) time(name string) (time.Time, error) {
	at, ok := parseNumericDate(o[name])
	if !ok {
		return time.Time{}, fmt.Errorf("%w: its %s is not a number of seconds with at most three decimals", ErrToken, name)
	}
	return at, nil
}

// confirmationKey reads cnf.jwk, the one way in which our tokens name a key
// (RFC 7800, section 3.2).
func (o object) confirmationKey() (Key, error) {
	cnf := o.object("cnf")
	if !cnf.only("jwk") {
		return Key{}, fmt.Errorf("%w: its cnf is not an object with the one member jwk", ErrToken)
	}
	key, err := parseJWK(cnf.object("jwk"))
	if err != nil {
		return Key{}, fmt.Errorf("%w: its cnf.jwk is %s", ErrToken, err)
	}
	return key, nil
}
