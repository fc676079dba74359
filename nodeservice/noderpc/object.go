package noderpc

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"

	"capnproto.org/go/capnp/v3"
	"capnproto.org/go/capnp/v3/server"

	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/schema"
)

// object is one NodeService capability of a connection. Its methods, one file
// for each resource, decode their parameters, name the one method of a session
// to call, and encode what it returns; answer does the rest.
type object struct {
	conn    *connection
	bound   nodeservice.Session // nil: the bootstrap capability
	streams namedStreams
}

var _ schema.NodeService_Server = (*object)(nil)

// Shutdown implements server.Shutdowner: the peer dropped the capability, or the
// connection ended, and no call runs any more.
func (o *object) Shutdown() {
	defer o.conn.hosting.shutting.Done()
	if o.bound != nil {
		o.conn.sessions.Add(-1)
		_ = o.bound.Close()
	}
}

// request is a call, with what every method has in common already copied out of
// its parameters, which die when the method returns.
type request struct {
	call    *server.Call
	version uint16
	origin  nodeservice.Origin
	token   string
	err     error  // the parameters cannot be used
	lane    string // calls of one lane run in order; "": in any order
	inline  bool   // runs before the capability's next call begins
}

type params interface{ Version() uint16 }

func (o *object) request(call *server.Call, p params) request {
	r := request{call: call, version: p.Version()}
	r.origin = nodeservice.Origin{Address: o.conn.address, Door: "capnp", Version: r.version}
	switch p := p.(type) {
	case interface{ Auth() (schema.Auth, error) }:
		r.readAuth(o.conn.trusted, p.Auth)
	case interface{ Client() (schema.Auth, error) }:
		r.readAuth(o.conn.trusted, p.Client)
	}
	return r
}

func (r *request) readAuth(trusted bool, read func() (schema.Auth, error)) {
	auth, err := read()
	if err == nil {
		r.token, err = text(auth.AccessToken())
	}
	if err == nil && trusted {
		err = readForwarded(&r.origin, auth)
	}
	r.err = err
}

// with adds the lane and the error of decoding the method's own parameters.
func (r request) with(lane string, err error) request {
	r.lane = lane
	if r.err == nil {
		r.err = err
	}
	return r
}

// results are what every method's answer has.
type results interface {
	Message() *capnp.Message
	NewError() (schema.NodeError, error)
}

// answer runs do with the caller's session and encodes its result or its error.
func answer[R results, T any](
	ctx context.Context, o *object, r request, alloc func() (R, error),
	do func(context.Context, nodeservice.Session) (T, error), encode func(R, T) error,
) error {
	return answerAnyone(ctx, o, r, alloc, func(ctx context.Context) (out T, err error) {
		s, release, err := o.session(ctx, r)
		if err != nil {
			return out, err
		}
		defer release()
		return do(ctx, s)
	}, encode)
}

// answerAnyone is answer for methods that need no session.
func answerAnyone[R results, T any](
	ctx context.Context, o *object, r request, alloc func() (R, error),
	do func(context.Context) (T, error), encode func(R, T) error,
) error {
	out, failed := perform(ctx, o, r, do)
	if failed != nil && r.version == 0 {
		return exception(failed)
	}
	res, err := alloc()
	if err != nil {
		return err
	}
	if failed != nil {
		e, err := res.NewError()
		if err != nil {
			return err
		}
		return encodeError(e, failed)
	}
	if err := encode(res, out); err != nil {
		return err
	}
	return o.settle(res.Message())
}

// perform is the way to every operation: version, order, bounds, then do. A
// panic in it fails this call alone.
func perform[T any](
	ctx context.Context, o *object, r request, do func(context.Context) (T, error),
) (out T, failed *nodeservice.Error) {
	defer func() {
		if p := recover(); p != nil {
			failed = o.panicked(p)
		}
	}()
	if r.version > nodeservice.MaxVersion {
		return out, unsupported(r.version)
	}
	if o.conn.wire.guard.inFlight() > o.conn.limits.Calls {
		return out, nodeservice.Errorf(nodeservice.CodeQuotaExceeded,
			"more than %d calls are in flight on this connection", o.conn.limits.Calls)
	}
	if r.err != nil {
		return out, nodeservice.AsError(r.err)
	}
	if o.conn.server.isDraining() {
		return out, shuttingDown()
	}
	if r.lane != "" && !o.conn.trusted { // calls of a gateway are those of many clients, and need no order
		turn, leave := o.conn.lanes.enter(r.lane)
		defer leave()
		r.call.Go()
		turn()
	} else if !r.inline {
		r.call.Go()
	}
	err := ctx.Err()
	if err == nil {
		out, err = do(ctx)
	}
	if err != nil {
		return out, o.reported(r, err)
	}
	return out, nil
}

// session is who calls: the capability's own session, or the token's.
func (o *object) session(ctx context.Context, r request) (nodeservice.Session, func(), error) {
	switch {
	case r.token == "" && o.bound == nil:
		return nil, nil, nodeservice.Errorf(nodeservice.CodeUnauthenticated,
			"this method needs an access token in auth, or a capability from login or authenticate")
	case r.token == "":
		return o.bound, func() {}, nil
	}
	s, err := o.conn.server.node.Authenticate(ctx, r.origin, r.token)
	if err != nil {
		return nil, nil, err
	}
	o.conn.wire.meter.leaveStrangers()
	release := func() { _ = s.Close() }
	if o.bound != nil && s.Identity() != o.bound.Identity() {
		release()
		return nil, nil, nodeservice.Errorf(nodeservice.CodePermissionDenied,
			"auth is of another identity than this capability is bound to")
	}
	return s, release, nil
}

// reported logs what operators must know of, and returns the error to send.
func (o *object) reported(r request, err error) *nodeservice.Error {
	if o.conn.server.isDraining() && errors.Is(err, context.Canceled) {
		return shuttingDown()
	}
	failed := nodeservice.AsError(err)
	if failed.Code == nodeservice.CodeInternal {
		o.conn.server.log.Error("call failed", "door", "capnp", "version", r.version, "err", err, "cause", failed.Cause)
	}
	return failed
}

// settle charges the connection for the answer, until the peer has finished with it. A
// connection whose peer takes its answers too slowly is cut.
func (o *object) settle(msg *capnp.Message) error {
	arena, ok := msg.Arena.(*meteredArena)
	if !ok {
		return nil
	}
	if err := arena.settle(msg); err != nil {
		o.conn.wire.cut()
		return err
	}
	return nil
}

// recovering is the net under every method: whatever panics outside of perform
// (in a getter, in encoding) fails the call with an exception.
func (o *object) recovering(
	m capnp.Method, impl func(context.Context, *server.Call) error,
) func(context.Context, *server.Call) error {
	return func(ctx context.Context, call *server.Call) (err error) {
		defer func() {
			if p := recover(); p != nil {
				err = exception(o.panicked(fmt.Sprintf("%s: %v", m.MethodName, p)))
			}
		}()
		return impl(ctx, call)
	}
}

func (o *object) panicked(p any) *nodeservice.Error {
	o.conn.server.log.Error("a call panicked", "door", "capnp", "panic", p, "stack", string(debug.Stack()))
	return nodeservice.AsError(fmt.Errorf("panic: %v", p))
}

func shuttingDown() *nodeservice.Error {
	e := nodeservice.Errorf(nodeservice.CodeUnavailable, "the node is shutting down; connect again in a moment")
	e.RetryAfter = drainRetry
	return e
}

func unsupported(version uint16) *nodeservice.Error {
	e := nodeservice.Errorf(nodeservice.CodeUnsupportedVersion,
		"version %d is newer than this node, which speaks %d to %d",
		version, nodeservice.MinVersion, nodeservice.MaxVersion)
	e.MinVersion, e.MaxVersion = nodeservice.MinVersion, nodeservice.MaxVersion
	return e
}
