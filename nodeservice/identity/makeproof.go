package identity

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/url"
	"time"
)

// ProofKey is a private key, wherever it is kept: a *PrivateKey, or one in
// hardware that signs and never leaves it.
type ProofKey interface {
	Public() Key

	// Sign signs message so that Public().Verify accepts it: for P-256 the
	// SHA-256 of message is signed, and given as raw r and s.
	Sign(message []byte) ([]byte, error)
}

// MakeProof makes a DPoP proof (RFC 9449, section 4.2) for one request: of
// target, Method and URL are needed, Token is that of a request that has one, and
// Key and Nonces are not looked at. The nonce is the server's latest DPoP-Nonce;
// "": it gave none. A proof serves once: every request, repeated ones included,
// has its own.
func MakeProof(key ProofKey, target ProofTarget, nonce string, now time.Time) (string, error) {
	u, err := url.Parse(target.URL)
	if err != nil || u.Host == "" || target.Method == "" {
		return "", fmt.Errorf("%w: it is made for a method and an absolute URL", ErrProof)
	}
	u.User, u.RawQuery, u.ForceQuery, u.Fragment, u.RawFragment = nil, "", false, "", ""
	header := struct {
		Type      string    `json:"typ"`
		Algorithm Algorithm `json:"alg"`
		Key       jwk       `json:"jwk"`
	}{proofType, key.Public().Algorithm(), key.Public().jwk()}
	claims := struct {
		ID     string `json:"jti"`
		Method string `json:"htm"`
		URL    string `json:"htu"`
		Issued int64  `json:"iat"` // whole seconds: not every server reads others
		Hash   string `json:"ath,omitempty"`
		Nonce  string `json:"nonce,omitempty"`
	}{ID: newID(), Method: target.Method, URL: u.String(), Issued: now.Unix(), Nonce: nonce}
	if target.Token != "" {
		hash := sha256.Sum256([]byte(target.Token))
		claims.Hash = encodeText(hash[:])
	}
	input := encodeJSON(header) + "." + encodeJSON(claims)
	signature, err := key.Sign([]byte(input))
	if err != nil {
		return "", fmt.Errorf("%w: it could not be signed", ErrProof)
	}
	return input + "." + encodeText(signature), nil
}

// encodeJSON spells a part of a compact JWS; strings and numbers cannot fail.
func encodeJSON(part any) string {
	text, _ := json.Marshal(part)
	return encodeText(text)
}
