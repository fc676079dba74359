package gateway_test

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/quicproquo/node/gateway"
	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/identity"
)

// proven makes a GET with a proof.
func (c *client) proven(path, proof string, header ...string) reply {
	c.door.t.Helper()
	return c.door.do("GET", path, nil, append([]string{"Authorization", "DPoP " + c.token, "DPoP", proof}, header...)...)
}

func TestProofs(t *testing.T) {
	d := newDoor(t, newCore(t, nil), nil)
	for _, algorithm := range []identity.Algorithm{identity.EdDSA, identity.ES256} {
		alice := d.client()
		key, err := identity.GenerateKey(algorithm)
		if err != nil {
			t.Fatal(err)
		}
		alice.key, alice.id, alice.token = key, key.Public(), login(t, d.core, key)
		proof := alice.prove("GET", d.url+"/v1/channels", nil)
		if r := alice.proven("/v1/channels?limit=1", proof); r.status != 200 {
			t.Fatalf("%s: got %d %s", algorithm, r.status, r.body)
		}
		r := alice.proven("/v1/channels", proof)
		checkProblem(t, r, 401, nodeservice.CodeUnauthenticated)
		wantChallenges(t, r, "Bearer", `DPoP algs="EdDSA ES256", error="invalid_dpop_proof"`)
		if r := d.do("HEAD", "/v1/channels", nil, "Authorization", "dpop "+alice.token, "DPoP", alice.prove("HEAD", d.url+"/v1/channels", nil)); r.status != 200 {
			t.Errorf("%s: HEAD, scheme in lower case: %d", algorithm, r.status)
		}
	}
}

func wantChallenges(t *testing.T, r reply, want ...string) {
	t.Helper()
	if got := r.header.Values("WWW-Authenticate"); !slices.Equal(got, want) {
		t.Errorf("the challenges are %q, want %q", got, want)
	}
}

// A proof is for the request that it came with; each part is looked at.
func TestProofsOfSomethingElse(t *testing.T) {
	d := newDoor(t, newCore(t, nil), nil)
	alice, bob := d.client(), d.client()
	const path = "/v1/channels"
	url := d.url + path
	for name, proof := range map[string]string{
		"of another method": alice.prove("POST", url, nil),
		"of another path":   alice.prove("GET", url+"/x", nil),
		"of another host":   alice.prove("GET", "http://other.example"+path, nil),
		"of another scheme": alice.prove("GET", strings.Replace(url, "http:", "https:", 1), nil),
		"of the public URL": alice.prove("GET", publicURL+path, nil),
		"of another token":  alice.prove("GET", url, func(_, claims map[string]any) { claims["ath"] = "AAAA" }),
		"of another key":    proofOf(t, bob.key, alice.token, "GET", url, nil),
		"of long ago":       alice.prove("GET", url, func(_, claims map[string]any) { claims["iat"] = 1 }),
		"without an id":     alice.prove("GET", url, func(_, claims map[string]any) { delete(claims, "jti") }),
		"of another type":   alice.prove("GET", url, func(header, _ map[string]any) { header["typ"] = "JWT" }),
		"by no algorithm":   alice.prove("GET", url, func(header, _ map[string]any) { header["alg"] = "none" }),
		"that is two":       alice.prove("GET", url, nil) + ", " + alice.prove("GET", url, nil),
		"that is a token":   alice.token,
		"that is empty":     "",
		"that is garbage":   "...",
	} {
		t.Run(name, func(t *testing.T) {
			r := alice.proven(path, proof)
			checkProblem(t, r, 401, nodeservice.CodeUnauthenticated)
			wantChallenges(t, r, "Bearer", `DPoP algs="EdDSA ES256", error="invalid_dpop_proof"`)
		})
	}
	r := d.do("GET", path, nil, "Authorization", "DPoP "+alice.token)
	checkProblem(t, r, 401, nodeservice.CodeUnauthenticated)
	wantChallenges(t, r, "Bearer", `DPoP algs="EdDSA ES256", error="invalid_dpop_proof"`)
	r = d.do("GET", path, nil, "Authorization", "DPoP garbage", "DPoP", alice.prove("GET", url, nil))
	checkProblem(t, r, 401, nodeservice.CodeUnauthenticated)
	wantChallenges(t, r, "Bearer", `DPoP algs="EdDSA ES256", error="invalid_token"`)
}

// The URL of a proof is the one that the client sees, whatever stands between.
func TestProofsNameTheURLThatTheClientSees(t *testing.T) {
	core := newCore(t, nil)
	plain := newDoor(t, core, nil)
	proxied := newDoor(t, core, func(c *gateway.Config) {
		c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	})
	below := newDoor(t, core, func(c *gateway.Config) { c.PublicURL = publicURL + "/chat/" })
	for _, test := range []struct {
		name, origin, host, forwarded string
		door                          *door
		status                        int
	}{
		{"the public one, behind a proxy that says nothing", publicURL, "node.example", "", plain, 200},
		{"the public one with its port", publicURL, "node.example:443", "", plain, 200},
		{"the public one in other case", "https://Node.Example:443", "NODE.example", "", plain, 200},
		{"the public one, with the path that the proxy cut off", publicURL + "/chat", "node.example", "", below, 200},
		{"the public one, without that path", publicURL, "node.example", "", below, 401},
		{"another host, where nothing was cut off", "http://other.example", "other.example", "", below, 200},
		{"plaintext to the public host", "http://node.example", "node.example", "", plain, 401},
		{"another port of the public host", "http://node.example:8080", "node.example:8080", "", plain, 200},
		{"another host", "http://other.example", "other.example", "", plain, 200},
		{"another host that a stranger calls https", "https://other.example", "other.example", "https", plain, 401},
		{"another host behind a proxy with TLS", "https://other.example", "other.example", "https", proxied, 200},
		{"what the nearest proxy says", "https://other.example", "other.example", "http, HTTPS", proxied, 200},
		{"not what a farther one says", "https://other.example", "other.example", "https, http", proxied, 401},
		{"a proxy that speaks gopher", "http://other.example", "other.example", "gopher", proxied, 200},
	} {
		t.Run(test.name, func(t *testing.T) {
			alice := test.door.client()
			header := []string{"Host", test.host}
			if test.forwarded != "" {
				header = append(header, "X-Forwarded-Proto", test.forwarded)
			}
			r := alice.proven("/v1/channels", alice.prove("GET", test.origin+"/v1/channels", nil), header...)
			if r.status != test.status {
				t.Errorf("got %d %s, want %d", r.status, r.body, test.status)
			}
		})
	}
}

func TestProofsThatAreRequiredCarryANonce(t *testing.T) {
	d := newDoor(t, newCore(t, func(c *nodeservice.Config) { c.RequireProof = true }), nil)
	alice := d.client()
	r := alice.do("GET", "/v1/channels", "")
	checkProblem(t, r, 401, nodeservice.CodeUnauthenticated)
	wantChallenges(t, r, `Bearer error="invalid_token"`, `DPoP algs="EdDSA ES256"`)

	r = alice.proven("/v1/channels", alice.prove("GET", d.url+"/v1/channels", nil))
	checkProblem(t, r, 401, nodeservice.CodeUnauthenticated)
	wantChallenges(t, r, "Bearer", `DPoP algs="EdDSA ES256", error="use_dpop_nonce"`)
	nonce := r.header.Get("DPoP-Nonce")
	if nonce == "" {
		t.Fatal("no nonce came")
	}
	withNonce := func(_, claims map[string]any) { claims["nonce"] = nonce }
	if r := alice.proven("/v1/channels", alice.prove("GET", d.url+"/v1/channels", withNonce)); r.status != 200 {
		t.Fatalf("got %d %s", r.status, r.body)
	}
	if r := d.do("GET", "/v1/info", nil); !strings.Contains(string(r.body), `"dpop","dpop-required"`) {
		t.Errorf("info: %s", r.body)
	}
	// A stream's upgrade is a request like any other.
	h := handshake{url: d.url + "/v1/stream", header: http.Header{
		"Authorization": {"DPoP " + alice.token},
		"Dpop":          {alice.prove("GET", d.url+"/v1/stream", withNonce)},
	}}
	h.open(t).want("hello")
	if _, resp, err := h.dial(t); err == nil || resp.StatusCode != 401 {
		t.Errorf("the same proof opened a second stream: %v", err)
	}
	if _, resp, err := (handshake{url: h.url, token: alice.token}).dial(t); err == nil || resp.StatusCode != 401 {
		t.Errorf("a bare token opened a stream: %v", err)
	}
	handshake{url: h.url, browser: alice.token}.open(t).closed(4401, "unauthenticated: ")
}

func TestProofsWithoutTheirScheme(t *testing.T) {
	d := newDoor(t, newCore(t, nil), nil)
	alice := d.client()
	proof := func() string { return alice.prove("GET", d.url+"/v1/channels", nil) }
	for name, header := range map[string][]string{
		"a bearer token":     {"Authorization", "Bearer " + alice.token, "DPoP", proof()},
		"no token":           {"DPoP", proof()},
		"another scheme":     {"Authorization", "Basic eDp5", "DPoP", proof()},
		"a proof twice":      {"Authorization", "DPoP " + alice.token, "DPoP", proof(), "DPoP", proof()},
		"a proof, and again": {"Authorization", "DPoP " + alice.token, "DPoP", "x", "DPoP", "x"},
	} {
		t.Run(name, func(t *testing.T) {
			checkProblem(t, d.do("GET", "/v1/channels", nil, header...), 400, nodeservice.CodeInvalidArgument)
		})
	}
}

// Over TLS the URL that a proof names begins with https.
func TestProofsOverTLS(t *testing.T) {
	core := newCore(t, nil)
	g, err := gateway.New(gateway.Config{Node: core})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewTLSServer(g)
	t.Cleanup(server.Close)
	t.Cleanup(func() { _ = g.Close() })
	alice := (&door{t: t, core: core}).client()
	for scheme, status := range map[string]int{"https": 200, "http": 401} {
		url := scheme + "://" + server.Listener.Addr().String() + "/v1/channels"
		req, err := http.NewRequestWithContext(testContext(t), "GET", server.URL+"/v1/channels", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "DPoP "+alice.token)
		req.Header.Set("DPoP", alice.prove("GET", url, nil))
		resp, err := server.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if err := resp.Body.Close(); err != nil || resp.StatusCode != status {
			t.Errorf("a proof of %s: %d, want %d", scheme, resp.StatusCode, status)
		}
	}
}
