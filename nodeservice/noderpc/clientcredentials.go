package noderpc

import (
	"context"
	"time"

	"capnproto.org/go/capnp/v3"

	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/schema"
)

// credentials are what a call on the bootstrap capability brings.
type credentials struct {
	token   string
	from    nodeservice.Origin
	refused func() // called when the node must be asked about the token before it is used again
}

// payWithin bounds the end of a session without a call.
const payWithin = 5 * time.Second

// told calls refused if the token is why a call failed. A call that failed only for want
// of a nonce does not count.
func (c *credentials) told(err error) {
	switch e := nodeservice.AsError(err); {
	case err == nil || e.Nonce != "":
	case e.Code == nodeservice.CodeUnauthenticated, e.Code == nodeservice.CodeTokenExpired:
		c.refused()
	}
}

// ask is invoke on the session's capability, unless the session is closed.
func ask[P any, R answered, F interface{ Struct() (R, error) }, T any](
	ctx context.Context, s *clientSession,
	method func(schema.NodeService, context.Context, func(P) error) (F, capnp.ReleaseFunc),
	place func(P) error, read func(R) (T, error),
) (out T, err error) {
	node, with, err := s.take()
	if err != nil {
		return out, err
	}
	if with == nil {
		out, err = invoke(ctx, s.client, node, method, place, read)
		if err == nil && s.worked != nil {
			s.worked()
		}
		return out, err
	}
	out, err = invoke(ctx, s.client, node, method, func(p P) error {
		if err := place(p); err != nil {
			return err
		}
		authorized := any(p).(interface{ NewAuth() (schema.Auth, error) }) // as all methods of a session
		return s.client.setAuth(authorized.NewAuth, with.from, with.token)
	}, read)
	with.told(err)
	return out, err
}

// pay is for a session with credentials that ends without a call, since the
// request was malformed: it costs what any costs, its proof serves once, and its
// token is looked at before the next request is.
func (s *clientSession) pay(with *credentials) {
	ctx, cancel := context.WithTimeout(context.Background(), payWithin)
	defer cancel()
	if bound, err := s.client.authenticate(ctx, with.from, with.token); err == nil {
		_ = bound.Close()
	}
	with.refused()
}

// take is what a call needs. A DPoP proof goes with the first one only: it
// serves once, and so such a session serves one call.
func (s *clientSession) take() (schema.NodeService, *credentials, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return schema.NodeService{}, nil, errSessionClosed
	}
	with := s.with
	s.called = true
	if with != nil && with.from.Proof != nil {
		later := *with
		later.from.Proof = nil
		s.with = &later
	}
	return s.node, with, nil
}

// bind makes a session with credentials one with a capability of its own, which
// streams and renewals need.
func (s *clientSession) bind(ctx context.Context) error {
	_, with, err := s.take()
	if err != nil || with == nil {
		return err
	}
	bound, err := s.client.authenticate(ctx, with.from, with.token)
	if err != nil {
		with.told(err)
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.with == nil { // or another bound it first
		_ = bound.Close()
		return nil
	}
	s.node.Release()
	s.node, s.with = bound.node, nil
	s.expiresAt.Store(bound.expiresAt.Load())
	return nil
}
