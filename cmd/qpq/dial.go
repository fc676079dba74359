package main

import (
	"context"
	"crypto/tls"
	"net/http"
	"time"

	"github.com/quicproquo/node/gateway/gatewayclient"
	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/identity"
	"github.com/quicproquo/node/nodeservice/noderpc"
)

// dialTimeout bounds the opening of a native connection.
const dialTimeout = 30 * time.Second

// dial opens the door; whoever called closes it.
func (s server) dial(ctx context.Context, trust *tls.Config, key identity.ProofKey) (nodeservice.Node, func(), error) {
	if s.origin != "" {
		return s.dialHTTP(trust, key)
	}
	network := "tcp"
	if s.scheme == "unix" || s.scheme == "quic" {
		network = s.scheme
	}
	if !s.encrypted() {
		trust = nil
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	client, err := noderpc.Dial(ctx, network, s.address, trust)
	if err != nil {
		return nil, nil, err
	}
	return client, func() { _ = client.Close() }, nil
}

// dialHTTP follows no redirect: our token is for this origin.
func (s server) dialHTTP(trust *tls.Config, key identity.ProofKey) (nodeservice.Node, func(), error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = trust
	client, err := gatewayclient.New(gatewayclient.Config{
		BaseURL: s.scheme + "://" + s.address,
		Key:     key,
		HTTPClient: &http.Client{
			Transport:     transport,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	})
	return client, transport.CloseIdleConnections, err
}
