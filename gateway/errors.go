package gateway

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/coder/websocket"

	"github.com/quicproquo/node/nodeservice"
)

// The close codes that are ours (RFC 6455 section 7.4.2 leaves 4000-4999 to us).
const (
	closeBadFrame websocket.StatusCode = 4400
	closeToken    websocket.StatusCode = 4401
	closePolicy   websocket.StatusCode = 4403
	closeChannel  websocket.StatusCode = 4404
	closeSilent   websocket.StatusCode = 4408
	closeLimits   websocket.StatusCode = 4429
)

// outcome is what a code becomes on this door.
type outcome struct {
	status int                  // of an HTTP answer
	close  websocket.StatusCode // of a stream that ends with it
}

// outcomes is the only table of its kind.
var outcomes = map[nodeservice.Code]outcome{
	nodeservice.CodeInvalidArgument:    {http.StatusBadRequest, closeBadFrame},
	nodeservice.CodeUnauthenticated:    {http.StatusUnauthorized, closeToken},
	nodeservice.CodeTokenExpired:       {http.StatusUnauthorized, closeToken},
	nodeservice.CodePermissionDenied:   {http.StatusForbidden, closePolicy},
	nodeservice.CodeQuotaExceeded:      {http.StatusForbidden, closeLimits},
	nodeservice.CodeChannelNotFound:    {http.StatusNotFound, closeChannel},
	nodeservice.CodeKeyPackageNotFound: {http.StatusNotFound, websocket.StatusPolicyViolation},
	nodeservice.CodeMessageIDReused:    {http.StatusConflict, websocket.StatusPolicyViolation},
	nodeservice.CodeMailboxFull:        {http.StatusConflict, closeLimits},
	nodeservice.CodePreconditionFailed: {http.StatusPreconditionFailed, websocket.StatusPolicyViolation},
	nodeservice.CodePayloadTooLarge:    {http.StatusRequestEntityTooLarge, websocket.StatusMessageTooBig},
	nodeservice.CodeRateLimited:        {http.StatusTooManyRequests, closeLimits},
	nodeservice.CodeUnsupportedVersion: {http.StatusBadRequest, closeBadFrame},
	nodeservice.CodeUnavailable:        {http.StatusServiceUnavailable, websocket.StatusServiceRestart},
	nodeservice.CodeInternal:           {http.StatusInternalServerError, websocket.StatusInternalError},
}

// outcomeOf is total: a code that is not in the table is a fault of ours.
func outcomeOf(code nodeservice.Code) outcome {
	if o, ok := outcomes[code]; ok {
		return o
	}
	return outcomes[nodeservice.CodeInternal]
}

// unmatched is the error of a request that matches no operation: invalid_argument
// with a status of its own (404, 405, 406, 415 or 426).
type unmatched struct {
	status int
	err    *nodeservice.Error
}

func (u unmatched) Error() string { return u.err.Error() }
func (u unmatched) Unwrap() error { return u.err }

func unmatchedf(status int, format string, args ...any) error {
	return unmatched{status, nodeservice.Errorf(nodeservice.CodeInvalidArgument, format, args...)}
}

func invalidf(format string, args ...any) error {
	return nodeservice.Errorf(nodeservice.CodeInvalidArgument, format, args...)
}

// problem is an error as RFC 9457 has it: application/problem+json.
type problem struct {
	Type         string           `json:"type"`
	Title        string           `json:"title"`
	Status       int              `json:"status"`
	Code         nodeservice.Code `json:"code"`
	Detail       string           `json:"detail"`
	Head         *nodeservice.Seq `json:"head,omitempty"`
	RetryAfterMS int64            `json:"retry_after_ms,omitempty"`
	MinVersion   *uint16          `json:"min_version,omitempty"`
	MaxVersion   *uint16          `json:"max_version,omitempty"`
}

func problemOf(err error) problem {
	e := nodeservice.AsError(err)
	p := problem{Type: "about:blank", Status: outcomeOf(e.Code).status, Code: e.Code, Detail: e.Detail, Head: e.Head}
	if u := (unmatched{}); errors.As(err, &u) {
		p.Status = u.status
	}
	if e.RetryAfter > 0 {
		p.RetryAfterMS = max(1, e.RetryAfter.Milliseconds())
	}
	if e.Code == nodeservice.CodeUnsupportedVersion {
		p.MinVersion, p.MaxVersion = &e.MinVersion, &e.MaxVersion
	}
	p.Title = http.StatusText(p.Status)
	return p
}

// fail answers with a problem. What the operator must know is logged, and not told.
func (g *Gateway) fail(w http.ResponseWriter, r *http.Request, err error) {
	p := problemOf(err)
	g.logFailure(w, r, p, err)
	h := w.Header()
	h.Del("ETag")
	h.Set("Cache-Control", "no-store")
	switch p.Status {
	case http.StatusUnauthorized:
		writeChallenges(h, r, err)
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		h.Set("Retry-After", retryAfterSeconds(p.RetryAfterMS))
	}
	body, err := json.Marshal(p)
	if err != nil { // strings and numbers only
		panic(err)
	}
	writeBody(w, p.Status, "application/problem+json", body)
}

func (g *Gateway) logFailure(w http.ResponseWriter, r *http.Request, p problem, err error) {
	if r.Context().Err() != nil {
		return // the client went away; nobody waits for this answer
	}
	level := slog.LevelDebug
	switch p.Code {
	case nodeservice.CodeInternal:
		level = slog.LevelError
	case nodeservice.CodeUnavailable:
		level = slog.LevelWarn
	}
	g.log.Log(r.Context(), level, "request failed", "request", w.Header().Get("X-Request-Id"),
		"method", r.Method, "route", r.Pattern, "code", p.Code, "detail", p.Detail, "cause", errors.Unwrap(nodeservice.AsError(err)))
}

// retryAfterSeconds rounds up (RFC 9110 section 10.2.3 has whole seconds); where
// no time is known, a second is a civil one.
func retryAfterSeconds(ms int64) string {
	return strconv.FormatInt(max(1, seconds(time.Duration(ms)*time.Millisecond)), 10)
}
