package nodeservice

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Code is one of the closed set of error codes, the same on every door.
type Code string

// The codes. Doors map them to their own statuses, each in one table.
const (
	CodeInvalidArgument    Code = "invalid_argument"
	CodeUnauthenticated    Code = "unauthenticated"
	CodeTokenExpired       Code = "token_expired"
	CodePermissionDenied   Code = "permission_denied"
	CodeQuotaExceeded      Code = "quota_exceeded"
	CodeChannelNotFound    Code = "channel_not_found"
	CodeKeyPackageNotFound Code = "key_package_not_found"
	CodeMessageIDReused    Code = "message_id_reused"
	CodeMailboxFull        Code = "mailbox_full"
	CodePreconditionFailed Code = "precondition_failed"
	CodePayloadTooLarge    Code = "payload_too_large"
	CodeRateLimited        Code = "rate_limited"
	CodeUnsupportedVersion Code = "unsupported_version"
	CodeUnavailable        Code = "unavailable"
	CodeInternal           Code = "internal"
)

// Codes lists every code once, for tables and tests that range over all.
func Codes() []Code {
	return []Code{
		CodeInvalidArgument, CodeUnauthenticated, CodeTokenExpired, CodePermissionDenied,
		CodeQuotaExceeded, CodeChannelNotFound, CodeKeyPackageNotFound, CodeMessageIDReused,
		CodeMailboxFull, CodePreconditionFailed, CodePayloadTooLarge, CodeRateLimited,
		CodeUnsupportedVersion, CodeUnavailable, CodeInternal,
	}
}

// Error is the one error type that leaves the core and its clients.
type Error struct {
	Code   Code
	Detail string // one sentence, safe for clients, that says what to mend

	RetryAfter time.Duration // with rate_limited, and unavailable where known; 0: unknown
	Head       *Seq          // with precondition_failed, and an `after` or `through` above head
	MinVersion uint16        // with unsupported_version
	MaxVersion uint16        // with unsupported_version

	Nonce string // with unauthenticated: repeat the request with this nonce in its DPoP proof

	Cause error // for operators; never shown to clients
}

// Error is the code and the detail; the cause stays inside.
func (e *Error) Error() string { return string(e.Code) + ": " + e.Detail }

// Unwrap gives operators the cause.
func (e *Error) Unwrap() error { return e.Cause }

// Errorf makes an Error whose detail is safe for clients.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Detail: fmt.Sprintf(format, args...)}
}

// CodeOf is the code of err: "" for nil, internal for an error not ours.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	return AsError(err).Code
}

// AsError finds the Error in err's chain. What is not ours is unavailable when
// the caller's context ended, and else internal; its text stays inside.
func AsError(err error) *Error {
	var e *Error
	switch {
	case errors.As(err, &e):
		return e
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return &Error{Code: CodeUnavailable, Detail: "the request was cancelled or ran out of time", Cause: err}
	}
	return &Error{Code: CodeInternal, Detail: "something failed inside the node; the request may be tried again", Cause: err}
}
