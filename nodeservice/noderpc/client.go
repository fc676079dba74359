package noderpc

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"math"
	"net"
	"sync"
	"time"

	"capnproto.org/go/capnp/v3"
	"capnproto.org/go/capnp/v3/rpc"

	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/schema"
)

// Client is a remote Node, over one connection. It speaks version 1 of the
// schema, and does not reconnect: when the connection ends, calls in flight and
// all later ones are unavailable, and Done tells. Origins are the server's to
// know; the client ignores those that it is given, unless it serves a GatewayNode.
type Client struct {
	wire *wire
	rpc  *rpc.Conn
	node schema.NodeService // the bootstrap capability
	role role               // static after construction

	mu         sync.Mutex
	maxPayload int // guarded by mu: as info said; 0: not asked yet
}

var _ nodeservice.Node = (*Client)(nil)
var _ io.Closer = (*Client)(nil)

// role is whom a client serves: one client of the node, or those of a gateway.
type role struct {
	forwards   bool          // calls carry the Origin that they are made with
	unanswered uint32        // how many events of a stream may wait in the connection; 0: a window of them
	buffer     int           // how many events of a stream may wait here
	retryAfter time.Duration // when the node may be back; 0: nobody knows
}

// streamBuffer is how many events of a stream wait here; others wait at the
// server, or in the connection, a window of them at most.
const streamBuffer = 16

// clientFrame bounds what a client takes from its server: a full page, amply.
const clientFrame = 4 * nodeservice.MaxFetchBytes

// clientTimeouts are long: a client is patient with its server.
var clientTimeouts = timeouts{body: time.Minute, write: 30 * time.Second, end: closeGrace}

// Dial connects to a server and waits until it answers; ctx bounds that alone. The
// network is one of package net, or "quic". A nil tlsConfig means plaintext, but for
// QUIC, which is always encrypted.
func Dial(ctx context.Context, network, address string, tlsConfig *tls.Config) (*Client, error) {
	var conn net.Conn
	var err error
	switch {
	case network == "quic":
		conn, err = dialQUIC(ctx, address, tlsConfig)
	case tlsConfig == nil:
		conn, err = new(net.Dialer).DialContext(ctx, network, address)
	default:
		conn, err = (&tls.Dialer{Config: tlsConfig}).DialContext(ctx, network, address)
	}
	if err != nil {
		return nil, unreachable(err)
	}
	return NewClient(ctx, conn)
}

// NewClient is Dial over a connection that there is already. It takes over conn
// in any case.
func NewClient(ctx context.Context, conn net.Conn) (*Client, error) {
	return newClient(ctx, conn, role{buffer: streamBuffer})
}

func newClient(ctx context.Context, conn net.Conn, r role) (*Client, error) {
	w := newWire(conn, clientFrame, &meter{limit: math.MaxInt64}, clientTimeouts)
	c := &Client{wire: w, role: r}
	c.rpc = rpc.NewConn(w, &rpc.Options{Logger: quiet{slog.New(slog.DiscardHandler)}})
	c.node = schema.NodeService(c.rpc.Bootstrap(ctx))
	if err := c.resolve(ctx); err != nil {
		_ = c.Close()
		return nil, c.unreachable(err)
	}
	return c, nil
}

// resolve waits for the bootstrap capability before its first call: calls
// pipelined on one that has not been answered yet now and then fail. A refusal,
// or a connection that ends, resolves it as well, into an error.
func (c *Client) resolve(ctx context.Context) error {
	if err := c.node.Resolve(ctx); err != nil {
		return err
	}
	if !c.node.IsValid() {
		return errors.New("the peer has no bootstrap capability")
	}
	snapshot := capnp.Client(c.node).Snapshot()
	defer snapshot.Release()
	err, _ := snapshot.Brand().Value.(error)
	return err
}

// Done is closed when the connection has ended.
func (c *Client) Done() <-chan struct{} { return c.rpc.Done() }

// Close ends the connection; calls in flight fail. It may be called twice.
func (c *Client) Close() error {
	_ = c.rpc.Close() // what it can fail with is of no use any more
	return nil
}

// Challenge implements nodeservice.Node.
func (c *Client) Challenge(
	ctx context.Context, from nodeservice.Origin, id nodeservice.Identity,
) (nodeservice.Challenge, error) {
	return invoke(ctx, c, c.node, schema.NodeService.Challenge,
		func(p schema.NodeService_challenge_Params) error {
			p.SetVersion(schema.Version)
			if err := c.forward(p.NewClient, from); err != nil {
				return err
			}
			return p.SetIdentityKey([]byte(id.Raw()))
		},
		func(res schema.NodeService_challenge_Results) (out nodeservice.Challenge, err error) {
			out.ExpiresAt = nodeservice.UnixMilli(res.ExpiresAt())
			if out.Audience, err = res.Audience(); err != nil {
				return out, err
			}
			out.Nonce, err = data(res.Nonce())
			return out, err
		})
}

// Login implements nodeservice.Node.
func (c *Client) Login(
	ctx context.Context, from nodeservice.Origin, req nodeservice.LoginRequest,
) (nodeservice.Login, error) {
	return invoke(ctx, c, c.node, schema.NodeService.Login,
		func(p schema.NodeService_login_Params) error {
			p.SetVersion(schema.Version)
			p.SetRevokeOlder(req.RevokeOlder)
			if err := c.forward(p.NewClient, from); err != nil {
				return err
			}
			if err := p.SetIdentityKey([]byte(req.Identity.Raw())); err != nil {
				return err
			}
			if err := p.SetNonce(req.Nonce); err != nil {
				return err
			}
			return p.SetSignature(req.Signature)
		},
		func(res schema.NodeService_login_Results) (out nodeservice.Login, err error) {
			token, err := res.AccessToken()
			if err != nil {
				return out, err
			}
			out.Token = string(token)
			out.ExpiresAt = nodeservice.UnixMilli(res.ExpiresAt())
			out.Session, err = c.newSession(res.Session(), req.Identity, out.ExpiresAt)
			return out, err
		})
}

// Authenticate implements nodeservice.Node.
func (c *Client) Authenticate(
	ctx context.Context, from nodeservice.Origin, token string,
) (nodeservice.Session, error) {
	s, err := c.authenticate(ctx, from, token)
	if err != nil {
		return nil, err // and no typed nil
	}
	return s, nil
}

func (c *Client) authenticate(
	ctx context.Context, from nodeservice.Origin, token string,
) (*clientSession, error) {
	return invoke(ctx, c, c.node, schema.NodeService.Authenticate,
		func(p schema.NodeService_authenticate_Params) error {
			p.SetVersion(schema.Version)
			return c.setAuth(p.NewAuth, from, token)
		},
		func(res schema.NodeService_authenticate_Results) (*clientSession, error) {
			id, err := someKey(res.IdentityKey())
			if err != nil {
				return nil, err
			}
			return c.newSession(res.Session(), id, nodeservice.UnixMilli(res.ExpiresAt()))
		})
}

func (c *Client) setAuth(newAuth func() (schema.Auth, error), from nodeservice.Origin, token string) error {
	auth, err := newAuth()
	if err != nil {
		return err
	}
	if c.role.forwards {
		if err := placeOrigin(auth, from); err != nil {
			return err
		}
	}
	return auth.SetAccessToken([]byte(token))
}

// forward is setAuth where there is no token yet.
func (c *Client) forward(newAuth func() (schema.Auth, error), from nodeservice.Origin) error {
	if !c.role.forwards {
		return nil
	}
	auth, err := newAuth()
	if err != nil {
		return err
	}
	return placeOrigin(auth, from)
}

// Info implements nodeservice.Node.
func (c *Client) Info(ctx context.Context) (nodeservice.Info, error) {
	return invoke(ctx, c, c.node, schema.NodeService.Info,
		func(p schema.NodeService_info_Params) error {
			p.SetVersion(schema.Version)
			return nil
		},
		func(res schema.NodeService_info_Results) (nodeservice.Info, error) {
			info, err := res.Info()
			if err != nil {
				return nodeservice.Info{}, err
			}
			return decodeInfo(info)
		})
}

// payloadLimit is the node's own, asked once.
func (c *Client) payloadLimit(ctx context.Context) (int, error) {
	c.mu.Lock()
	limit := c.maxPayload
	c.mu.Unlock()
	if limit > 0 {
		return limit, nil
	}
	info, err := c.Info(ctx)
	if err != nil {
		return 0, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.maxPayload = info.MaxPayload
	return info.MaxPayload, nil
}
