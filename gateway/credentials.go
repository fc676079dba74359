package gateway

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/identity"
)

// scheme is how the Authorization header presents a token. Names of schemes are
// case-insensitive (RFC 9110 section 11.1).
type scheme int

const (
	schemeNone   scheme = iota // no header, or a scheme that is none of ours
	schemeBearer               // RFC 6750 section 2.1
	schemeDPoP                 // RFC 9449 section 7.1
)

func authorization(r *http.Request) (scheme, string) {
	name, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	switch {
	case strings.EqualFold(name, "Bearer"):
		return schemeBearer, strings.TrimSpace(token)
	case strings.EqualFold(name, "DPoP"):
		return schemeDPoP, strings.TrimSpace(token)
	}
	return schemeNone, ""
}

// accessToken is the token of the Authorization header; "" if there is none, which
// the core refuses and counts as it does any failure.
func accessToken(r *http.Request) (string, error) {
	if len(r.Header.Values("Authorization")) > 1 {
		return "", invalidf("the Authorization header appears twice")
	}
	_, token := authorization(r)
	return token, nil
}

// proof is the DPoP proof of the request (RFC 9449 section 4.3); nil where a bearer
// token comes alone. A proof without the scheme that goes with it is refused rather
// than ignored: its sender believes that the token is worth nothing without it. A
// proof that the scheme promises and that did not come is for the core to refuse,
// and to count, as it does one that is empty.
func (g *Gateway) proof(r *http.Request) (*nodeservice.Proof, error) {
	proofs := r.Header.Values("DPoP")
	switch presented, _ := authorization(r); {
	case len(proofs) > 1:
		return nil, invalidf("the DPoP header appears twice")
	case presented == schemeDPoP:
		return &nodeservice.Proof{JWT: r.Header.Get("DPoP"), Method: r.Method, URL: g.target(r)}, nil
	case len(proofs) == 1:
		return nil, invalidf("a DPoP proof goes with the header \"Authorization: DPoP <access token>\"")
	}
	return nil, nil
}

// target is the URL of the request as its client sees it, which a proof names. The
// public URL's origin is what clients were told; where one came by another name it
// is that name, and the scheme is that of the connection, or what a trusted proxy
// says of its own. A client is then protected from relays only as far as it trusts
// the name that it dialled: the token's audience is what ties it to this node.
func (g *Gateway) target(r *http.Request) string {
	if g.isPublic(r) {
		return normalOrigin(&g.public) + g.below + r.URL.EscapedPath()
	}
	return g.clientScheme(r) + "://" + r.Host + r.URL.EscapedPath()
}

// isPublic says whether the client dialled the public URL.
func (g *Gateway) isPublic(r *http.Request) bool {
	own := url.URL{Scheme: g.public.Scheme, Host: r.Host}
	return g.public.Host != "" && normalOrigin(&own) == normalOrigin(&g.public)
}

// clientPath is a path of ours as the request's client sees it.
func (g *Gateway) clientPath(r *http.Request, path string) string {
	if g.isPublic(r) {
		return g.below + path
	}
	return path
}

// clientScheme is what the client speaks: of X-Forwarded-Proto only what the
// nearest proxy wrote is believed, and only of one that is trusted.
func (g *Gateway) clientScheme(r *http.Request) string {
	if isTrusted(parseAddress(r.RemoteAddr), g.proxies) {
		said := headerTokens(r.Header, "X-Forwarded-Proto")
		switch nearest := strings.ToLower(said[len(said)-1]); nearest {
		case "http", "https":
			return nearest
		}
	}
	if r.TLS != nil {
		return "https"
	}
	return "http"
}

// writeChallenges tells a client of a 401 what would be taken (RFC 6750 section 3,
// RFC 9449 section 7.1): the error stands with the scheme that was tried.
func writeChallenges(h http.Header, r *http.Request, err error) {
	const dpop = `DPoP algs="EdDSA ES256"`
	bearer, proven := "Bearer", dpop
	presented, _ := authorization(r)
	nonce := nodeservice.AsError(err).Nonce
	switch {
	case nonce != "":
		h.Set("DPoP-Nonce", nonce)
		proven += `, error="use_dpop_nonce"`
	case presented == schemeDPoP && errors.Is(err, identity.ErrProof):
		proven += `, error="invalid_dpop_proof"`
	case presented == schemeDPoP:
		proven += `, error="invalid_token"`
	case r.Header.Get("Authorization") != "":
		bearer += ` error="invalid_token"`
	}
	h.Add("WWW-Authenticate", bearer)
	h.Add("WWW-Authenticate", proven)
}
