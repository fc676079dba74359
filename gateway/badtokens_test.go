package gateway_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/quicproquo/node/nodeservice"
)

// reworked is a JWT with its header or claims changed, and its signature kept.
func reworked(t *testing.T, token string, change func(header, claims map[string]any)) string {
	t.Helper()
	parts := strings.Split(token, ".")
	var members [2]map[string]any
	for i := range members {
		text, err := b64.DecodeString(parts[i])
		if err == nil {
			err = json.Unmarshal(text, &members[i])
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	change(members[0], members[1])
	return encodeJSON(t, members[0]) + "." + encodeJSON(t, members[1]) + "." + parts[2]
}

// Tokens that are none, or not ours, on a request and on a stream's upgrade.
func TestBadTokens(t *testing.T) {
	d := newDoor(t, newCore(t, nil), nil)
	alice := d.client()
	foreign := newDoor(t, newCore(t, nil), nil).client() // of another node with the same name
	token := alice.token
	parts := strings.Split(token, ".")
	header := func(name string, value any) string {
		return reworked(t, token, func(h, _ map[string]any) { h[name] = value })
	}
	claim := func(name string, value any) string {
		return reworked(t, token, func(_, c map[string]any) { c[name] = value })
	}
	for name, bad := range map[string]string{
		"of one part":                parts[0],
		"of two parts":               parts[0] + "." + parts[1],
		"of four parts":              token + ".AAAA",
		"of three empty parts":       "..",
		"without its signature":      parts[0] + "." + parts[1] + ".",
		"cut short":                  token[:len(token)-1],
		"with a byte more":           token + "A",
		"with padding":               token + "=",
		"with a space inside":        token[:50] + " " + token[50:],
		"twice":                      token + " " + token,
		"in quotes":                  `"` + token + `"`,
		"in the other alphabet":      strings.Repeat("+", 20) + "." + parts[1] + "." + parts[2],
		"whose header is no JSON":    "AAAA." + parts[1] + "." + parts[2],
		"whose claims are no JSON":   parts[0] + ".AAAA." + parts[2],
		"whose claims are a list":    parts[0] + "." + encodeJSON(t, []int{1}) + "." + parts[2],
		"whose claims repeat one":    parts[0] + "." + b64.EncodeToString([]byte(`{"exp":1,"exp":2}`)) + "." + parts[2],
		"whose claims are not UTF-8": parts[0] + "." + b64.EncodeToString([]byte("{\"iss\":\"\xff\"}")) + "." + parts[2],
		"of no algorithm":            header("alg", "none"),
		"of a symmetric algorithm":   header("alg", "HS256"),
		"of another type":            header("typ", "JWT"),
		"of another key":             header("kid", "x"),
		"with its own key":           header("jwk", map[string]any{"kty": "OKP"}),
		"with a URL of keys":         header("jku", "https://evil.example/keys"),
		"with what is critical":      header("crit", []string{"exp"}),
		"that lives on":              claim("exp", 4102444800),
		"for somebody else":          claim("aud", "https://other.example"),
		"of another issuer":          claim("iss", "https://other.example"),
		"of another identity":        claim("cnf", map[string]any{"jwk": map[string]any{"kty": "OKP"}}),
		"of another node":            foreign.token,
		"longer than 8 KiB":          token + strings.Repeat("A", 9<<10),
	} {
		t.Run(name, func(t *testing.T) {
			r := d.do("GET", "/v1/channels", nil, "Authorization", "Bearer "+bad)
			checkProblem(t, r, 401, nodeservice.CodeUnauthenticated)
			wantChallenges(t, r, `Bearer error="invalid_token"`, `DPoP algs="EdDSA ES256"`)
			r = d.do("GET", "/v1/stream", nil, "Authorization", "Bearer "+bad, "Accept", "text/event-stream")
			checkProblem(t, r, 401, nodeservice.CodeUnauthenticated)
		})
	}
	if strings.Contains(d.log.String(), parts[2]) {
		t.Error("the log holds a token's signature")
	}
}
