package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/coder/websocket"

	"github.com/quicproquo/node/nodeservice"
)

const (
	pingEvery = 25 * time.Second // a proxy may drop an idle connection after 60 s
	silentFor = 60 * time.Second // then the peer is gone
)

// stream is what both renderings of the core's Stream have in common: a socket
// (WebSocket) and events (SSE) embed it. Whoever finds a reason for its end stops
// it; its rendering then says goodbye in its own way, and releases it.
type stream struct {
	log     *slog.Logger
	session nodeservice.Session // static after openStream; nil: refused before
	source  nodeservice.Stream  // static after openStream; nil: refused before

	ctx    context.Context // of everything the stream does
	cancel context.CancelFunc

	open context.Context // of waiting for events; its cause is the ending
	end  context.CancelCauseFunc

	abort func()   // static once the stream set has the stream: ends a write that blocks
	held  *holding // static after construction: what the frame that is under way holds

	encoders chan struct{} // the Gateway's; static after construction
}

// newStream makes a stream for a request's client; it ends with ctx.
func (g *Gateway) newStream(ctx context.Context, w http.ResponseWriter, r *http.Request) *stream {
	s := &stream{log: g.log.With("request", w.Header().Get("X-Request-Id")), abort: func() {}}
	s.encoders = g.encoders
	s.held = g.holdings.open(clientAddress(r, g.proxies), s.cut)
	s.ctx, s.cancel = context.WithCancel(ctx)
	s.open, s.end = context.WithCancelCause(s.ctx)
	return s
}

// ending is why a stream ends, and what the client is told.
type ending struct {
	code     websocket.StatusCode // 0: nobody is there to be told
	reason   string
	err      error // what a stream of events says instead of the code; nil: nothing
	draining bool  // say when to come back first
}

// Error implements error, for context.Cause.
func (e ending) Error() string { return e.reason }

// stop ends the stream, unless it is ending already: the first reason stays. It
// never blocks.
func (s *stream) stop(e ending) { s.end(e) }

// ending is the reason that stop was given; the zero ending if the connection broke.
func (s *stream) ending() (e ending) {
	errors.As(context.Cause(s.open), &e)
	return e
}

// cut ends the stream without telling the client why. It never blocks.
func (s *stream) cut() {
	s.stop(ending{})
	s.cancel()
	s.abort()
}

// render encodes a frame. A large one, and its event, count as held until the caller
// calls done. Only a few large ones are encoded at once, since that takes several times
// their size.
func (s *stream) render(frame serverFrame, encode func(any) ([]byte, error)) (data []byte, done func(), err error) {
	m, ok := frame.(messageFrame)
	if !ok || len(m.Payload) < heldUnseen {
		data, err = encode(frame)
		return data, func() {}, err
	}
	size := len(m.Payload) * 7 / 3 // the payload, and in base64 once more
	s.held.add(size)
	select {
	case s.encoders <- struct{}{}:
		data, err = encode(frame)
		<-s.encoders
	case <-s.ctx.Done():
		err = s.ctx.Err()
	}
	return data, func() { s.held.add(-size) }, err
}

// release frees what the core holds for the stream.
func (s *stream) release() {
	s.cancel()
	s.held.close()
	if s.source != nil {
		_ = s.source.Close()
	}
	if s.session != nil {
		_ = s.session.Close()
	}
}

// guard ends the stream, instead of the process, if its goroutine panics.
func (s *stream) guard(do func()) {
	defer func() {
		if v := recover(); v != nil {
			s.log.Error("stream panicked", "panic", v, "stack", string(debug.Stack()))
			s.stop(endingOf(fmt.Errorf("panic: %v", v)))
		}
	}()
	do()
}

// endingOf is the close of a stream that an error ends: "code: detail", as much of
// it as a close frame holds (RFC 6455 section 5.5).
func endingOf(err error) ending {
	e := nodeservice.AsError(err)
	reason := string(e.Code) + ": " + e.Detail
	if len(reason) > 123 {
		reason = strings.ToValidUTF8(reason[:123], "")
	}
	return ending{code: outcomeOf(e.Code).close, reason: reason, err: e}
}

// restarting is the ending of all streams of a node that shuts down.
var restarting = ending{code: websocket.StatusServiceRestart, reason: "the node restarts", draining: true}
