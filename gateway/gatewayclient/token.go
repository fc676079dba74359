package gatewayclient

import (
	"encoding/json"
	"math"
	"strings"

	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/identity"
)

// claims are what a token says about itself, unverified: a client reads its own.
type claims struct {
	identity nodeservice.Identity
	expires  nodeservice.UnixMilli
}

// readClaims reads exp and cnf.jwk (RFC 7519 section 4.1.4, RFC 7800 section 3.2).
func readClaims(token string) (claims, error) {
	refused := nodeservice.Errorf(nodeservice.CodeUnauthenticated, "the token is not a JWT that names an identity and an expiry")
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return claims{}, refused
	}
	payload, err := rawURL.DecodeString(parts[1])
	if err != nil {
		return claims{}, refused
	}
	var body struct {
		Exp float64 `json:"exp"`
		Cnf struct {
			JWK struct {
				Kty, Crv, X, Y string
			} `json:"jwk"`
		} `json:"cnf"`
	}
	if json.Unmarshal(payload, &body) != nil || body.Exp <= 0 || body.Exp > 1<<38 {
		return claims{}, refused
	}
	key := body.Cnf.JWK
	raw, errX := rawURL.DecodeString(key.X)
	y, errY := rawURL.DecodeString(key.Y)
	if key.Kty == "EC" {
		raw = append(append([]byte{4}, raw...), y...)
	}
	id, err := identity.ParseKey(raw)
	if err != nil || errX != nil || errY != nil {
		return claims{}, refused
	}
	return claims{id, nodeservice.UnixMilli(math.Round(body.Exp * 1000))}, nil
}
