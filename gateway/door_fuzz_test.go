package gateway_test

import (
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/quicproquo/node/gateway"
	"github.com/quicproquo/node/openapi/openapitest"
)

// FuzzHeadersAtTheDoor reads what a client says of itself: whatever it is, the
// answer is as the document says, and no fault of the server.
func FuzzHeadersAtTheDoor(f *testing.F) {
	const jwt = "eyJhbGciOiJFZERTQSJ9.e30.AAAA"
	f.Add("Bearer "+jwt, "", "node.example", "", "")
	f.Add("DPoP "+jwt, jwt, "node.example:443", "https", `"7"`)
	f.Add("dpop", "", "[::1]:80", "http, https", "W/\"7\"")
	f.Add("Bearer "+jwt, jwt, "", ",", "\"18446744073709551616\"")
	f.Add("Basic eDp5", jwt, "a:b:c", "\x00", "*")
	g, err := gateway.New(gateway.Config{Node: newCore(f, nil), PublicURL: publicURL})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = g.Close() })
	f.Fuzz(func(t *testing.T, authorization, proof, host, proto, tag string) {
		r := httptest.NewRequest("POST", "/v1/channels/6f1b0c9e-52d5-4c0e-9f0d-0a8a5b3c2d1e/messages", strings.NewReader("x"))
		r.Host = host
		for name, value := range map[string]string{
			"Authorization": authorization, "DPoP": proof, "X-Forwarded-Proto": proto, "If-Match": tag, "Idempotency-Key": tag,
		} {
			if value != "" {
				r.Header.Set(name, value)
			}
		}
		w := httptest.NewRecorder()
		openapitest.Contract(t, g).ServeHTTP(w, r)
		if w.Code != 400 && w.Code != 401 || !json.Valid(w.Body.Bytes()) {
			t.Errorf("got %d %s", w.Code, w.Body)
		}
	})
}
