package identity

import (
	"crypto/elliptic"
	"crypto/sha256"
	"errors"
	"math/big"
	"strings"
)

// compact is a JWS in compact serialization (RFC 7515, section 7.1), taken apart:
// nothing in it is to be believed before its signature has been verified. It has
// one spelling only, but for an ECDSA signature's twin (see name).
type compact struct {
	header    object
	claims    object
	input     string // what the signature is over
	signature []byte
}

// The sentences of parseCompact go on from "it is".
var (
	errSegments  = errors.New("not three parts of base64url without padding, joined by dots")
	errHeader    = errors.New("malformed: its header is " + errObject.Error())
	errClaims    = errors.New("malformed: its claims are " + errObject.Error())
	errForbidden = errors.New("refused for its header, which has one of jku, x5u, x5c, crit")
)

// parseCompact is for texts whose size the caller has bounded. Whatever could lead
// to another key or to another meaning is refused here (RFC 8725, section 3.10).
func parseCompact(text string) (compact, error) {
	end := strings.LastIndexByte(text, '.')
	if end < 0 {
		return compact{}, errSegments
	}
	header, claims, _ := strings.Cut(text[:end], ".")
	rawHeader, ok1 := decodeText(header)
	rawClaims, ok2 := decodeText(claims) // no dot is base64url: there are three parts
	signature, ok3 := decodeText(text[end+1:])
	if !ok1 || !ok2 || !ok3 {
		return compact{}, errSegments
	}
	c := compact{input: text[:end], signature: signature}
	var err error
	if c.header, err = parseObject(rawHeader); err != nil {
		return compact{}, errHeader
	}
	if c.header.has("jku", "x5u", "x5c", "crit") {
		return compact{}, errForbidden
	}
	if c.claims, err = parseObject(rawClaims); err != nil {
		return compact{}, errClaims
	}
	return c, nil
}

var (
	p256Order     = elliptic.P256().Params().N
	p256HalfOrder = new(big.Int).Rsh(p256Order, 1)
)

// name returns the hash that names a token whose signature is verified: SHA-256 of
// its text. To an ECDSA signature (r, s) everybody can write down the twin
// (r, n-s), and so give a revoked token another hash: of the two, it is always the
// text with the smaller s that is hashed.
func (c compact) name(algorithm Algorithm) [sha256.Size]byte {
	signature := c.signature
	if algorithm == ES256 {
		s := new(big.Int).SetBytes(signature[p256Scalar:])
		if s.Cmp(p256HalfOrder) > 0 {
			signature = append([]byte(nil), signature...)
			s.Sub(p256Order, s).FillBytes(signature[p256Scalar:])
		}
	}
	return sha256.Sum256([]byte(c.input + "." + encodeText(signature)))
}
