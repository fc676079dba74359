package noderpc

import (
	"context"

	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/schema"
)

// Challenge, login, authenticate, renew, revoke, info: what comes before a
// session, and what changes one.

// Challenge implements schema.NodeService_Server.
func (o *object) Challenge(ctx context.Context, call schema.NodeService_challenge) error {
	args := call.Args()
	id, err := someKey(args.IdentityKey())
	r := o.request(call.Call, args).with("", err)
	return answerAnyone(ctx, o, r, call.AllocResults,
		func(ctx context.Context) (nodeservice.Challenge, error) {
			return o.conn.server.node.Challenge(ctx, r.origin, id)
		},
		func(res schema.NodeService_challenge_Results, c nodeservice.Challenge) error {
			res.SetExpiresAt(int64(c.ExpiresAt))
			if err := res.SetAudience(c.Audience); err != nil {
				return err
			}
			return res.SetNonce(c.Nonce)
		})
}

// login is a core login with its capability.
type login struct {
	nodeservice.Login
	capability schema.NodeService
}

// Login implements schema.NodeService_Server.
func (o *object) Login(ctx context.Context, call schema.NodeService_login) error {
	args := call.Args()
	req, err := decodeLogin(args)
	r := o.request(call.Call, args).with("", err)
	return answerAnyone(ctx, o, r, call.AllocResults,
		func(ctx context.Context) (login, error) {
			l, err := o.conn.server.node.Login(ctx, r.origin, req)
			if err != nil {
				return login{}, err
			}
			o.conn.wire.meter.leaveStrangers()
			capability, err := o.conn.bind(l.Session)
			return login{l, capability}, err
		},
		func(res schema.NodeService_login_Results, l login) error {
			res.SetExpiresAt(int64(l.ExpiresAt))
			if err := res.SetSession(l.capability); err != nil { // takes the reference over
				return err
			}
			return res.SetAccessToken([]byte(l.Token))
		})
}

func decodeLogin(args schema.NodeService_login_Params) (req nodeservice.LoginRequest, err error) {
	req.RevokeOlder = args.RevokeOlder()
	if req.Identity, err = someKey(args.IdentityKey()); err != nil {
		return req, err
	}
	if req.Nonce, err = data(args.Nonce()); err != nil {
		return req, err
	}
	req.Signature, err = data(args.Signature())
	return req, err
}

// opened is a session with its capability.
type opened struct {
	nodeservice.Session
	capability schema.NodeService
}

// Authenticate implements schema.NodeService_Server.
func (o *object) Authenticate(ctx context.Context, call schema.NodeService_authenticate) error {
	r := o.request(call.Call, call.Args())
	return answerAnyone(ctx, o, r, call.AllocResults,
		func(ctx context.Context) (opened, error) {
			s, err := o.conn.server.node.Authenticate(ctx, r.origin, r.token)
			if err != nil {
				return opened{}, err
			}
			o.conn.wire.meter.leaveStrangers()
			capability, err := o.conn.bind(s)
			return opened{s, capability}, err
		},
		func(res schema.NodeService_authenticate_Results, s opened) error {
			res.SetExpiresAt(int64(s.ExpiresAt()))
			if err := res.SetSession(s.capability); err != nil { // takes the reference over
				return err
			}
			return res.SetIdentityKey([]byte(s.Identity().Raw()))
		})
}

// Renew implements schema.NodeService_Server. It runs before the next call on the
// capability, which therefore has the new token.
func (o *object) Renew(ctx context.Context, call schema.NodeService_renew) error {
	r := o.request(call.Call, call.Args())
	r.inline = true
	return answerAnyone(ctx, o, r, call.AllocResults,
		func(ctx context.Context) (nodeservice.UnixMilli, error) {
			if o.bound == nil {
				return 0, invalid("renew is for a capability that login or authenticate returned")
			}
			return o.bound.Renew(ctx, r.token)
		},
		func(res schema.NodeService_renew_Results, expiresAt nodeservice.UnixMilli) error {
			res.SetExpiresAt(int64(expiresAt))
			return nil
		})
}

// Revoke implements schema.NodeService_Server.
func (o *object) Revoke(ctx context.Context, call schema.NodeService_revoke) error {
	r := o.request(call.Call, call.Args())
	r.inline = o.bound != nil
	return answer(ctx, o, r, call.AllocResults, asNothing(nodeservice.Session.Revoke),
		encodeNothing[schema.NodeService_revoke_Results])
}

// Info implements schema.NodeService_Server.
func (o *object) Info(ctx context.Context, call schema.NodeService_info) error {
	r := o.request(call.Call, call.Args())
	r.inline = true
	return answerAnyone(ctx, o, r, call.AllocResults, o.conn.server.node.Info,
		func(res schema.NodeService_info_Results, info nodeservice.Info) error {
			out, err := res.NewInfo()
			if err != nil {
				return err
			}
			return encodeInfo(out, info)
		})
}

// nothing is the result of methods that return only an error.
type nothing struct{}

func asNothing(
	do func(nodeservice.Session, context.Context) error,
) func(context.Context, nodeservice.Session) (nothing, error) {
	return func(ctx context.Context, s nodeservice.Session) (nothing, error) {
		return nothing{}, do(s, ctx)
	}
}

func encodeNothing[R any](R, nothing) error { return nil }
