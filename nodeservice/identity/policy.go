package identity

import (
	"crypto/x509"
	"fmt"
	"net"
	"net/url"
	"time"
)

const (
	defaultTokenType   = "at+jwt" // RFC 9068, section 2.1
	defaultMaxLifetime = 24 * time.Hour
)

// IssuerPolicy says which tokens of one external issuer are taken. The issuer may
// speak for every identity: what it signs, we believe.
type IssuerPolicy struct {
	Issuer      string        // iss, exactly
	Audience    string        // aud, or one in the list of aud, exactly
	Type        string        // typ, with or without "application/"; "": at+jwt
	Algorithms  []Algorithm   // of EdDSA, ES256, RS256, PS256; none: these four. A key's own alg narrows it down
	MaxLifetime time.Duration // from iat to exp; 0: 24 h

	// Where its keys are, as a JWK Set of at most 1 MiB (RFC 7517): exactly one.
	JWKSFile string // looked at again when it is used, at most once a second
	JWKSURL  string // https, or http on loopback; asked at most once a minute

	RootCAs *x509.CertPool // that JWKSURL's certificate is verified by; nil: the system's
}

// Validate says what to mend: ErrIssuers. It looks neither into the file nor at
// the URL: that is Verifier.Refresh.
func (p IssuerPolicy) Validate() error {
	switch {
	case p.Issuer == "" || p.Audience == "":
		return fmt.Errorf("%w: it has an issuer and an audience", ErrIssuers)
	case p.MaxLifetime < 0:
		return fmt.Errorf("%w: %q: the maximum lifetime is negative", ErrIssuers, p.Issuer)
	case (p.JWKSFile == "") == (p.JWKSURL == ""):
		return fmt.Errorf("%w: %q: its keys are either in a file or at a URL", ErrIssuers, p.Issuer)
	case p.JWKSURL != "" && !fetchable(p.JWKSURL):
		return fmt.Errorf("%w: %q: its JWKS URL is neither https nor on loopback, or has a user or a fragment", ErrIssuers, p.Issuer)
	}
	for _, algorithm := range p.Algorithms {
		if methods[algorithm] == nil {
			return fmt.Errorf("%w: %q: %q is none of EdDSA, ES256, RS256, PS256", ErrIssuers, p.Issuer, algorithm)
		}
	}
	return nil
}

// fetchable allows plain http only where nobody else can answer.
func fetchable(text string) bool {
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || u.User != nil || u.Fragment != "" {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	loopback := u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
	return u.Scheme == "https" || u.Scheme == "http" && loopback
}

// trust is the policy in force. It has been validated.
func (p IssuerPolicy) trust(keys issuerKeys) *trust {
	t := &trust{
		issuer:      p.Issuer,
		audience:    p.Audience,
		typ:         p.Type,
		algorithms:  p.Algorithms,
		maxLifetime: p.MaxLifetime,
		external:    true,
		keys:        keys,
	}
	if t.typ == "" {
		t.typ = defaultTokenType
	}
	if len(t.algorithms) == 0 {
		t.algorithms = []Algorithm{EdDSA, ES256, RS256, PS256}
	}
	if t.maxLifetime == 0 {
		t.maxLifetime = defaultMaxLifetime
	}
	return t
}
