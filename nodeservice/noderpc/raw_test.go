package noderpc_test

import (
	"context"
	"net"
	"strings"
	"testing"

	"capnproto.org/go/capnp/v3/rpc"
	"capnproto.org/go/capnp/v3/rpc/transport"

	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/noderpc"
	"github.com/quicproquo/node/schema"
)

var noLimits noderpc.Limits // the defaults, which tests do not reach

// rawClient speaks the schema through the library's own transport, as a client
// does that is not ours.
type rawClient struct {
	t    testing.TB
	conn *rpc.Conn
	node schema.NodeService
}

func rawDial(t testing.TB, address string) *rawClient {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	c := &rawClient{t: t, conn: rpc.NewConn(transport.NewStream(conn), nil)}
	t.Cleanup(func() { c.conn.Close() })
	c.node = schema.NodeService(c.conn.Bootstrap(t.Context()))
	if err := c.node.Resolve(t.Context()); err != nil {
		t.Fatal(err)
	}
	return c
}

func withToken(newAuth func() (schema.Auth, error), token string) error {
	auth, err := newAuth()
	if err != nil {
		return err
	}
	return auth.SetAccessToken([]byte(token))
}

// authenticate pipelines on the answer: the session is used before it is there.
func (c *rawClient) authenticate(id nodeservice.Identity) *rawSession {
	future, release := c.node.Authenticate(c.t.Context(), func(p schema.NodeService_authenticate_Params) error {
		p.SetVersion(1)
		return withToken(p.NewAuth, tokenOf(id))
	})
	c.t.Cleanup(release)
	return &rawSession{c.t, future.Session()}
}

type rawSession struct {
	t    testing.TB
	node schema.NodeService
}

// enqueue makes the call; what it returns waits for the answer.
func (s *rawSession) enqueue(id nodeservice.ChannelID, payload []byte) func() error {
	future, release := s.node.Enqueue(context.WithoutCancel(s.t.Context()), func(p schema.NodeService_enqueue_Params) error {
		p.SetVersion(1)
		if err := p.SetChannelId(id[:]); err != nil {
			return err
		}
		return p.SetPayload(payload)
	})
	return func() error {
		defer release()
		res, err := future.Struct()
		if err != nil {
			return err
		}
		return resultError(res)
	}
}

// resultError is the error of a result of version 1.
func resultError(res interface {
	HasError() bool
	Error() (schema.NodeError, error)
}) error {
	if !res.HasError() {
		return nil
	}
	e, err := res.Error()
	if err != nil {
		return err
	}
	detail, err := e.Detail()
	if err != nil {
		return err
	}
	return nodeservice.Errorf(nodeservice.Code(e.Code().String()), "%s", detail)
}

func containsAll(s string, parts ...string) bool {
	for _, part := range parts {
		if !strings.Contains(s, part) {
			return false
		}
	}
	return true
}
