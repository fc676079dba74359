package noderpc

import (
	"context"
	"errors"

	"capnproto.org/go/capnp/v3"
	"capnproto.org/go/capnp/v3/exc"

	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/schema"
)

// answered are the results of every method.
type answered interface {
	HasError() bool
	Error() (schema.NodeError, error)
}

// invoke makes one call and reads its answer, whose memory is not valid after invoke.
func invoke[P any, R answered, F interface{ Struct() (R, error) }, T any](
	ctx context.Context, c *Client, node schema.NodeService,
	method func(schema.NodeService, context.Context, func(P) error) (F, capnp.ReleaseFunc),
	place func(P) error, read func(R) (T, error),
) (out T, err error) {
	if err := ctx.Err(); err != nil {
		return out, nodeservice.AsError(err)
	}
	future, release := method(node, ctx, place)
	defer release()
	res, err := future.Struct()
	if err != nil {
		return out, c.failed(ctx, err)
	}
	if res.HasError() {
		e, err := res.Error()
		if err != nil {
			return out, badAnswer(err)
		}
		return out, decodeError(e)
	}
	if out, err = read(res); err != nil {
		return out, badAnswer(err)
	}
	return out, nil
}

// failed makes an *Error of what the RPC runtime reports: it knows four kinds of
// exceptions, and none when it is the connection that failed.
func (c *Client) failed(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return nodeservice.AsError(ctx.Err())
	case c.wire.broken.Load():
		return c.unreachable(err)
	}
	switch exc.TypeOf(err) {
	case exc.Unimplemented:
		return &nodeservice.Error{
			Code:   nodeservice.CodeUnsupportedVersion,
			Detail: "the node does not know this method: it is older than the client", Cause: err,
		}
	case exc.Disconnected, exc.Overloaded:
		return c.unreachable(err)
	}
	return nodeservice.AsError(err)
}

func (c *Client) unreachable(cause error) error {
	err := unreachable(cause)
	err.RetryAfter = c.role.retryAfter
	return err
}

func unreachable(cause error) *nodeservice.Error {
	if errors.Is(cause, context.Canceled) || errors.Is(cause, context.DeadlineExceeded) {
		return nodeservice.AsError(cause)
	}
	return &nodeservice.Error{
		Code:   nodeservice.CodeUnavailable,
		Detail: "the node cannot be reached, or the connection to it ended", Cause: cause,
	}
}
