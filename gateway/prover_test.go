package gateway_test

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"testing"
	"time"

	"github.com/quicproquo/node/nodeservice/identity"
)

// prove makes a DPoP proof (RFC 9449 section 4.2) of the client's key for its token,
// whose claims a test may change.
func (c *client) prove(method, url string, change func(header, claims map[string]any)) string {
	return proofOf(c.door.t, c.key, c.token, method, url, change)
}

func proofOf(t testing.TB, key *identity.PrivateKey, token, method, url string, change func(header, claims map[string]any)) string {
	t.Helper()
	raw := key.Public().Bytes()
	jwk := map[string]any{"kty": "OKP", "crv": "Ed25519", "x": b64.EncodeToString(raw)}
	if key.Public().Algorithm() == identity.ES256 {
		jwk = map[string]any{"kty": "EC", "crv": "P-256", "x": b64.EncodeToString(raw[1:33]), "y": b64.EncodeToString(raw[33:])}
	}
	hash := sha256.Sum256([]byte(token))
	header := map[string]any{"typ": "dpop+jwt", "alg": string(key.Public().Algorithm()), "jwk": jwk}
	claims := map[string]any{
		"jti": rand.Text(), "htm": method, "htu": url,
		"iat": time.Now().Unix(), "ath": b64.EncodeToString(hash[:]),
	}
	if change != nil {
		change(header, claims)
	}
	input := encodeJSON(t, header) + "." + encodeJSON(t, claims)
	signature, err := key.Sign([]byte(input))
	if err != nil {
		t.Fatal(err)
	}
	return input + "." + b64.EncodeToString(signature)
}

func encodeJSON(t testing.TB, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b64.EncodeToString(text)
}
