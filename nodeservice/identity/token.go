package identity

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"
)

// tokenType is the typ of our tokens (RFC 8725, section 3.11): nothing else that
// one of our keys may ever sign can be taken for one.
const tokenType = "qpq-at+jwt"

// Token is what a verified token says. Whoever presents the token is taken for
// Identity: it is a bearer token (RFC 6750), unless a proof is asked for besides
// (CheckProof).
type Token struct {
	Identity  Key       // cnf.jwk (RFC 7800, section 3.2)
	Issuer    string    // iss
	External  bool      // the issuer is another, whose clock is not ours
	ID        string    // jti, 128 random bits in ours; others' may have none
	IssuedAt  time.Time // iat, to the millisecond, UTC
	ExpiresAt time.Time // exp, to the millisecond, UTC; at this time it is expired
	Hash      [32]byte  // SHA-256 of the token's bytes; names it, since it has one spelling (of ECDSA twins, the one with the smaller s)
	Signer    Signer    // whose signature it was: see Verifier.StillTrusted
}

// Signer names the key that signed a token, within the set of its issuer.
type Signer struct {
	KeyID      string    // kid
	Algorithm  Algorithm // alg
	Thumbprint [32]byte  // of the key (RFC 7638): a kid can be used again
}

// IssuedFrom is the earliest that the token can have been issued by our clock. Ours
// are by that clock; another issuer's may be as far ahead as iat may be.
func (t Token) IssuedFrom() time.Time {
	if t.External {
		return t.IssuedAt.Add(-clockLeeway)
	}
	return t.IssuedAt
}

// LogValue keeps tokens out of logs.
func (t Token) LogValue() slog.Value { return slog.StringValue("[token]") }

// expired is ErrTokenExpired from ExpiresAt on; there is no leeway.
func (t Token) expired(now time.Time) error {
	if now.Before(t.ExpiresAt) {
		return nil
	}
	return fmt.Errorf("%w: log in again", ErrTokenExpired)
}

// numericDate spells a time as RFC 7519 does (section 2: seconds since 1970, which
// may have a fraction), with three digits for the milliseconds: tokens minted
// within one second must stay distinguishable, for a login that voids the earlier.
func numericDate(t time.Time) json.Number {
	ms := t.UnixMilli()
	return json.Number(fmt.Sprintf("%d.%03d", ms/1000, ms%1000))
}

// parseNumericDate reads seconds with at most three digits after the point,
// exactly: by way of a float64, times would wander to the millisecond before. No
// number is no time, not 1970.
func parseNumericDate(number json.RawMessage) (time.Time, bool) {
	whole, fraction, _ := strings.Cut(string(number), ".")
	if whole == "" || len(whole) > 11 || len(fraction) > 3 { // to the year 5138
		return time.Time{}, false
	}
	ms, err := strconv.ParseUint(whole+(fraction + "000")[:3], 10, 64)
	return time.UnixMilli(int64(ms)).UTC(), err == nil
}
