package gatewayclient

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/identity"
)

// Config is what a Client is made of; BaseURL is required.
type Config struct {
	// BaseURL is where the gateway is: "https://node.example", a path included if
	// it lies below one.
	BaseURL string

	// HTTPClient makes the requests. Its Timeout must exceed the longest wait, and
	// bounds the opening of streams. nil: one of the Client's own, without timeout
	// and following no redirects. In either case a gateway that says nothing for
	// more than two minutes is given up.
	HTTPClient *http.Client

	// MaxRetries is how often a call is repeated, if it may be repeated at all (the
	// package's documentation says which may). 0: 4; negative: never.
	MaxRetries int

	// MaxRetryWait bounds the sum of the waits between the tries of one call. If a
	// server asks for more, its refusal is returned at once, with the time that it
	// asked for. 0: 30 s.
	MaxRetryWait time.Duration

	// Key proves with every request, and every stream's upgrade, that its sender
	// holds the token's identity (DPoP, RFC 9449): an *identity.PrivateKey, or a
	// key in hardware. All sessions of the Client are then this identity's. nil: no
	// proofs, and whoever copies a token can use it.
	Key identity.ProofKey

	// Encoding of the frames of streams: JSON unless CBOR is asked for.
	Encoding Encoding

	// Now is the clock that proofs are dated by: they are refused when it is more
	// than seconds ahead of the node's, or a minute behind. nil: time.Now.
	Now func() time.Time

	// Sleep waits between tries, and ends early, with its error, when ctx ends.
	// nil: by a timer.
	Sleep func(ctx context.Context, d time.Duration) error
}

// Client is the gateway seen from a client: a nodeservice.Node. All methods may
// be called concurrently.
type Client struct {
	base url.URL      // static after construction; its path has no slash at the end
	http *http.Client // static after construction
	own  bool         // static after construction: http is ours to close

	codec     codec         // static after construction
	retries   int           // static after construction
	retryWait time.Duration // static after construction
	proofs    prover
	now       func() time.Time                           // static after construction
	sleep     func(context.Context, time.Duration) error // static after construction
}

var _ nodeservice.Node = (*Client)(nil)

// New makes a Client; nothing is sent yet.
func New(c Config) (*Client, error) {
	base, err := url.Parse(c.BaseURL)
	if err != nil || base.Host == "" || (base.Scheme != "http" && base.Scheme != "https") {
		return nil, errors.New("gatewayclient: BaseURL is not an http or https URL")
	}
	codec, known := codecs[c.Encoding]
	if !known {
		return nil, errors.New("gatewayclient: Encoding is neither JSON nor CBOR")
	}
	base.Path = strings.TrimRight(base.Path, "/")
	base.RawPath, base.RawQuery, base.Fragment = "", "", ""
	client := &Client{
		base: *base, http: c.HTTPClient, codec: codec, proofs: prover{key: c.Key},
		retries:   max(0, cmp.Or(c.MaxRetries, defaultRetries)),
		retryWait: cmp.Or(c.MaxRetryWait, defaultRetryWait),
		now:       c.Now, sleep: c.Sleep,
	}
	if client.now == nil {
		client.now = time.Now
	}
	if client.sleep == nil {
		client.sleep = sleepFor
	}
	if client.http == nil {
		client.own = true
		transport := http.DefaultTransport.(*http.Transport).Clone()
		transport.DisableCompression = true // ciphertext does not shrink
		transport.MaxResponseHeaderBytes = maxHeader
		client.http = &http.Client{
			Transport:     transport,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
	}
	return client, nil
}

// Close drops idle connections, if the HTTP client is the Client's own.
func (c *Client) Close() error {
	if c.own {
		c.http.CloseIdleConnections()
	}
	return nil
}

// Challenge implements nodeservice.Node.
func (c *Client) Challenge(ctx context.Context, _ nodeservice.Origin, id nodeservice.Identity) (nodeservice.Challenge, error) {
	var answer struct {
		Nonce     octets  `json:"nonce"`
		Audience  string  `json:"audience"`
		ExpiresAt instant `json:"expires_at"`
	}
	call := request{method: http.MethodPost, path: "/v1/auth/challenge", repeat: repeat{safe: true}}
	err := c.do(ctx, call.json(map[string]any{"identity": id.String()}), &answer)
	return nodeservice.Challenge{Nonce: answer.Nonce, Audience: answer.Audience, ExpiresAt: answer.ExpiresAt.milli()}, err
}

// Login implements nodeservice.Node. It is never repeated: a nonce logs in once,
// and the token of a login whose answer was lost would be nobody's.
func (c *Client) Login(ctx context.Context, _ nodeservice.Origin, req nodeservice.LoginRequest) (nodeservice.Login, error) {
	var answer struct {
		AccessToken string `json:"access_token"`
		ExpiresIn   int64  `json:"expires_in"`
	}
	call := request{method: http.MethodPost, path: "/v1/auth/token"}
	err := c.do(ctx, call.json(map[string]any{
		"identity": req.Identity.String(), "nonce": octets(req.Nonce), "signature": octets(req.Signature),
		"revoke_older": req.RevokeOlder,
	}), &answer)
	if err != nil {
		return nodeservice.Login{}, err
	}
	says := claims{identity: req.Identity, expires: nodeservice.Milli(time.Now()).Add(time.Duration(answer.ExpiresIn) * time.Second)}
	if exact, err := readClaims(answer.AccessToken); err == nil && exact.identity == req.Identity {
		says = exact
	}
	s := newSession(c, answer.AccessToken, says)
	return nodeservice.Login{Token: answer.AccessToken, ExpiresAt: says.expires, Session: s}, nil
}

// Authenticate implements nodeservice.Node. It asks nobody: a token that says
// whose it is opens a session, and the first call tells whether the node agrees.
func (c *Client) Authenticate(_ context.Context, _ nodeservice.Origin, token string) (nodeservice.Session, error) {
	says, err := readClaims(token)
	if err != nil {
		return nil, err
	}
	return newSession(c, token, says), nil
}

// Info implements nodeservice.Node.
func (c *Client) Info(ctx context.Context) (nodeservice.Info, error) {
	var answer struct {
		MinVersion   uint16   `json:"min_version"`
		MaxVersion   uint16   `json:"max_version"`
		Capabilities []string `json:"capabilities"`
		Audience     string   `json:"audience"`
		Durability   string   `json:"durability"`
		ServerTime   instant  `json:"server_time"`
		Legacy       bool     `json:"legacy"`
		Limits       struct {
			MaxPayload    int   `json:"max_payload"`
			MaxFetch      int   `json:"max_fetch"`
			MaxFetchBytes int   `json:"max_fetch_bytes"`
			MaxWaitMS     int64 `json:"max_wait_ms"`
		} `json:"limits"`
	}
	if err := c.do(ctx, get("/v1/info", nil), &answer); err != nil {
		return nodeservice.Info{}, err
	}
	keys := get("/.well-known/jwks.json", nil)
	keys.accept = "application/jwk-set+json"
	jwks, err := c.send(ctx, keys)
	if err != nil {
		return nodeservice.Info{}, err
	}
	return nodeservice.Info{
		MinVersion: answer.MinVersion, MaxVersion: answer.MaxVersion, Capabilities: answer.Capabilities,
		Audience: answer.Audience, Durability: answer.Durability, ServerTime: answer.ServerTime.milli(),
		MaxPayload: answer.Limits.MaxPayload, MaxFetch: answer.Limits.MaxFetch, MaxFetchBytes: answer.Limits.MaxFetchBytes,
		MaxWait: time.Duration(answer.Limits.MaxWaitMS) * time.Millisecond, Legacy: answer.Legacy, JWKS: jwks,
	}, nil
}
