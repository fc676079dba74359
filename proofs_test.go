package node_test

import (
	"context"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/quicproquo/node/gateway/gatewayclient"
	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/identity"
)

// presenting is the core itself, told of each token that a proof came with it, as
// a door tells that carries them.
type presenting struct {
	nodeservice.Node
	proof func(method, url string) string
}

// Authenticate implements nodeservice.Node.
func (p presenting) Authenticate(ctx context.Context, from nodeservice.Origin, token string) (nodeservice.Session, error) {
	const method, url = http.MethodGet, "https://node.example/direct"
	from.Proof = &nodeservice.Proof{JWT: p.proof(method, url), Method: method, URL: url}
	return p.Node.Authenticate(ctx, from, token)
}

// proving is the core itself, shown with each token that its bearer holds key.
type proving struct {
	nodeservice.Node
	key *identity.PrivateKey
}

// Authenticate implements nodeservice.Node. It repeats with the nonce it is given.
func (p proving) Authenticate(ctx context.Context, from nodeservice.Origin, token string) (nodeservice.Session, error) {
	with := func(nonce string) presenting {
		return presenting{p.Node, func(method, url string) string {
			target := identity.ProofTarget{Method: method, URL: url, Token: token}
			proof, _ := identity.MakeProof(p.key, target, nonce, time.Now()) // failing, it is none
			return proof
		}}
	}
	session, err := with("").Authenticate(ctx, from, token)
	if err != nil && nodeservice.AsError(err).Nonce != "" {
		return with(nodeservice.AsError(err).Nonce).Authenticate(ctx, from, token)
	}
	return session, err
}

// presentingHTTP puts a proof beside the bearer token of every request.
func presentingHTTP(t *testing.T, proof func(method, url string) string) *http.Client {
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		if token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
			r = r.Clone(r.Context())
			r.Header.Set("Authorization", "DPoP "+token)
			r.Header.Set("DPoP", proof(r.Method, r.URL.String()))
		}
		return transport.RoundTrip(r)
	})}
}

type roundTrip func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// dialHTTP is a client of the gateway on the listener, which tries nothing again:
// behaviours look at refusals.
func dialHTTP(t *testing.T, on net.Listener, config gatewayclient.Config) nodeservice.Node {
	config.BaseURL, config.MaxRetries = "http://"+on.Addr().String(), -1
	client, err := gatewayclient.New(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closing(t, client) })
	return client
}
