package noderpc

import (
	"time"

	"capnproto.org/go/capnp/v3/exc"

	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/schema"
)

// codes is the one table between the core's codes and the wire's.
var codes = map[nodeservice.Code]schema.NodeError_Code{
	nodeservice.CodeInvalidArgument:    schema.NodeError_Code_invalidArgument,
	nodeservice.CodeUnauthenticated:    schema.NodeError_Code_unauthenticated,
	nodeservice.CodeTokenExpired:       schema.NodeError_Code_tokenExpired,
	nodeservice.CodePermissionDenied:   schema.NodeError_Code_permissionDenied,
	nodeservice.CodeQuotaExceeded:      schema.NodeError_Code_quotaExceeded,
	nodeservice.CodeChannelNotFound:    schema.NodeError_Code_channelNotFound,
	nodeservice.CodeKeyPackageNotFound: schema.NodeError_Code_keyPackageNotFound,
	nodeservice.CodeMessageIDReused:    schema.NodeError_Code_messageIdReused,
	nodeservice.CodeMailboxFull:        schema.NodeError_Code_mailboxFull,
	nodeservice.CodePreconditionFailed: schema.NodeError_Code_preconditionFailed,
	nodeservice.CodePayloadTooLarge:    schema.NodeError_Code_payloadTooLarge,
	nodeservice.CodeRateLimited:        schema.NodeError_Code_rateLimited,
	nodeservice.CodeUnsupportedVersion: schema.NodeError_Code_unsupportedVersion,
	nodeservice.CodeUnavailable:        schema.NodeError_Code_unavailable,
	nodeservice.CodeInternal:           schema.NodeError_Code_internal,
}

// meanings is codes, read from the wire's side.
var meanings = invert(codes)

func invert(codes map[nodeservice.Code]schema.NodeError_Code) map[schema.NodeError_Code]nodeservice.Code {
	meanings := make(map[schema.NodeError_Code]nodeservice.Code, len(codes))
	for code, wire := range codes {
		meanings[wire] = code
	}
	return meanings
}

// encodeError fills the error of a result.
func encodeError(out schema.NodeError, err *nodeservice.Error) error {
	out.SetCode(codes[err.Code])
	out.SetRetryAfterMs(uint64(max(0, ceilMilli(err.RetryAfter))))
	if err.Head != nil {
		out.SetHead(uint64(*err.Head))
	}
	out.SetMinVersion(err.MinVersion)
	out.SetMaxVersion(err.MaxVersion)
	if err.Nonce != "" {
		if err := out.SetNonce(err.Nonce); err != nil {
			return err
		}
	}
	return out.SetDetail(err.Detail)
}

// decodeError is encodeError from the other side. Codes of a newer node read as
// internal. A head of 0 is told from none by the code alone: only
// precondition_failed always has one.
func decodeError(in schema.NodeError) error {
	detail, err := in.Detail()
	if err != nil {
		return badAnswer(err)
	}
	nonce, err := in.Nonce()
	if err != nil {
		return badAnswer(err)
	}
	code, known := meanings[in.Code()]
	if !known {
		code = nodeservice.CodeInternal
	}
	out := &nodeservice.Error{
		Code:       code,
		Detail:     detail,
		RetryAfter: time.Duration(min(in.RetryAfterMs(), uint64(maxRetryAfter.Milliseconds()))) * time.Millisecond,
		MinVersion: in.MinVersion(),
		MaxVersion: in.MaxVersion(),
		Nonce:      nonce,
	}
	if head := nodeservice.Seq(in.Head()); head > 0 || code == nodeservice.CodePreconditionFailed {
		out.Head = &head
	}
	return out
}

// maxRetryAfter bounds what a server may ask for.
const maxRetryAfter = 24 * time.Hour

// exception is how clients of version 0 learn of an error: they do not look at
// the error of a result. RPC knows only that a call failed or came too often.
func exception(err *nodeservice.Error) error {
	kind := exc.Failed
	switch err.Code {
	case nodeservice.CodeRateLimited, nodeservice.CodeUnavailable:
		kind = exc.Overloaded
	}
	return exc.New(kind, "", err.Error())
}

// ceilMilli never rounds a wait down to nothing.
func ceilMilli(d time.Duration) int64 {
	return int64((d + time.Millisecond - 1) / time.Millisecond)
}

// badAnswer is what a client makes of an answer that it cannot read.
func badAnswer(cause error) error {
	return &nodeservice.Error{
		Code: nodeservice.CodeInternal, Detail: "the node's answer cannot be read", Cause: cause,
	}
}
