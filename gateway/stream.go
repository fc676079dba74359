package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"github.com/quicproquo/node/nodeservice"
)

const (
	pingEvery    = 25 * time.Second // a proxy may drop an idle socket after 60 s
	silentFor    = 60 * time.Second // then the peer is gone
	framesPerSec = 100              // of a client
	largeFrame   = 64 << 10         // bytes; may fill the line for longer than a ping takes
)

// stream is one WebSocket and the core's Stream behind it. Three goroutines serve
// it: run pings and decides the end, read handles the client's frames, deliver
// writes events. A slow reader stops deliver, whose events the core's window
// bounds, and nothing else grows.
type stream struct {
	codec   codec
	log     *slog.Logger
	session nodeservice.Session // static after openStream; nil: refused before
	source  nodeservice.Stream  // static after openStream; nil: refused before
	conn    *websocket.Conn     // static after attach

	ctx    context.Context // of everything the stream does; not the request's
	cancel context.CancelFunc

	writing chan struct{} // capacity 1: holding it is the right to write
	heard   atomic.Int64  // Unix nanoseconds of the client's last sign of life
	end     chan ending   // capacity 1: the first reason stays
}

// ending is why a stream ends, and what the client is told.
type ending struct {
	code     websocket.StatusCode // 0: nobody is there to be told
	reason   string
	draining bool // say when to come back first
}

func newStream(c codec, log *slog.Logger) *stream {
	s := &stream{codec: c, log: log, writing: make(chan struct{}, 1), end: make(chan ending, 1)}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.alive()
	return s
}

// acceptOptions leaves out what was checked before. No compression: ciphertext
// does not shrink.
func (s *stream) acceptOptions() *websocket.AcceptOptions {
	return &websocket.AcceptOptions{
		Subprotocols:       []string{s.codec.subprotocol},
		InsecureSkipVerify: true, // checkOrigin has looked, by our own list
		CompressionMode:    websocket.CompressionDisabled,
		OnPingReceived:     func(context.Context, []byte) bool { s.alive(); return true },
		OnPongReceived:     func(context.Context, []byte) { s.alive() },
	}
}

func (s *stream) attach(conn *websocket.Conn) {
	s.conn = conn
	s.conn.SetReadLimit(maxFrame)
}

func (s *stream) alive() { s.heard.Store(time.Now().UnixNano()) }

// stop ends the stream, unless it is ending already. It never blocks.
func (s *stream) stop(e ending) {
	select {
	case s.end <- e:
	default:
	}
}

// cut ends the stream without ceremony: a context that ends during Read, and
// somebody is always reading, closes the connection. It never blocks, as CloseNow
// does while a Close waits for the peer.
func (s *stream) cut() {
	s.stop(ending{})
	s.cancel()
}

// release frees what the core holds for the stream.
func (s *stream) release() {
	s.cancel()
	if s.source != nil {
		_ = s.source.Close()
	}
	if s.session != nil {
		_ = s.session.Close()
	}
}

// refuse tells a browser why there is no stream.
func (s *stream) refuse(err error) {
	var reader sync.WaitGroup
	reader.Go(func() {
		for {
			if _, _, err := s.conn.Read(s.ctx); err != nil {
				return
			}
		}
	})
	e := endingOf(err)
	_ = s.conn.Close(e.code, e.reason)
	s.cancel()
	reader.Wait()
}

// run serves the stream until it ends, and its goroutines with it.
func (s *stream) run() {
	var others sync.WaitGroup
	others.Go(func() { s.guard(s.read) })
	others.Go(func() { s.guard(s.deliver) })
	e := s.keepAlive(&others)
	if e.draining {
		s.tryWrite(drainingOf(comeBackAfter()))
	}
	// The close frame first: a context that ends closes the connection without one.
	if e.code != 0 {
		_ = s.conn.Close(e.code, e.reason)
	}
	_ = s.conn.CloseNow()
	s.cancel()
	others.Wait()
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

// keepAlive pings until the stream ends: by a frame, since a browser's script sees
// nothing else, and by the protocol's own ping, since a script may be busy.
func (s *stream) keepAlive(others *sync.WaitGroup) ending {
	ping := time.NewTicker(pingEvery)
	defer ping.Stop()
	silence := time.NewTimer(silentFor)
	defer silence.Stop()
	for {
		select {
		case e := <-s.end:
			return e
		case <-ping.C:
			s.tryWrite(bareFrame{"ping"})
			others.Go(func() { s.protocolPing() })
		case <-silence.C:
			left := silentFor - time.Since(time.Unix(0, s.heard.Load()))
			if len(s.writing) > 0 { // the line is full, not dead: that write has a deadline
				left = pingEvery
			}
			if left <= 0 {
				return ending{closeSilent, "nothing was heard for 60 s", false}
			}
			silence.Reset(left)
		}
	}
}

// protocolPing waits for its pong, which OnPongReceived notes; so few are ever
// under way at once.
func (s *stream) protocolPing() {
	ctx, cancel := context.WithTimeout(s.ctx, silentFor)
	defer cancel()
	_ = s.conn.Ping(ctx)
}

// endingOf is the close of a stream that an error ends: "code: detail", as much of
// it as a close frame holds (RFC 6455 section 5.5).
func endingOf(err error) ending {
	e := nodeservice.AsError(err)
	reason := string(e.Code) + ": " + e.Detail
	if len(reason) > 123 {
		reason = strings.ToValidUTF8(reason[:123], "")
	}
	return ending{outcomeOf(e.Code).close, reason, false}
}
