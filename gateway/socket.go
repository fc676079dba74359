package gateway

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
	"golang.org/x/time/rate"
)

const (
	framesPerSec   = 100      // of a client
	repliesWaiting = 16       // with so many, the client's next frame is not read yet
	largeFrame     = 64 << 10 // bytes: from this size on, a frame may keep pings waiting
)

// socket is a stream rendered as a WebSocket. Three goroutines serve it: read handles
// the client's frames, deliver writes events, run writes pings and replies and decides
// the end. A slow reader stops deliver, whose events the core's window bounds, and
// nothing else grows.
type socket struct {
	*stream
	codec codec
	conn  *websocket.Conn // static after attach

	writing chan struct{}    // capacity 1: holding it is the right to write
	replies chan serverFrame // from read to run, so that a full line does not stop the reading
	heard   atomic.Int64     // Unix nanoseconds of the client's last sign of life
	pace    *rate.Limiter    // of the client's frames, the protocol's own among them
}

func newSocket(s *stream, c codec) *socket {
	k := &socket{
		stream: s, codec: c, writing: make(chan struct{}, 1), replies: make(chan serverFrame, repliesWaiting),
		pace: rate.NewLimiter(framesPerSec, framesPerSec),
	}
	k.alive()
	return k
}

// acceptOptions switches off the library's check of the Origin, since checkOrigin comes
// before, and compression, since ciphertext does not shrink.
func (s *socket) acceptOptions() *websocket.AcceptOptions {
	return &websocket.AcceptOptions{
		Subprotocols:       []string{s.codec.subprotocol},
		InsecureSkipVerify: true,
		CompressionMode:    websocket.CompressionDisabled,
		OnPingReceived:     func(context.Context, []byte) bool { return s.sign() },
		OnPongReceived:     func(context.Context, []byte) { s.sign() },
	}
}

func (s *socket) attach(conn *websocket.Conn) {
	s.conn = conn
	s.conn.SetReadLimit(maxFrame)
}

func (s *socket) alive() { s.heard.Store(time.Now().UnixNano()) }

// sign notes a frame of the client, and ends the stream of one that floods: a ping
// costs an answer as any frame does.
func (s *socket) sign() bool {
	s.alive()
	if s.pace.Allow() {
		return true
	}
	s.stop(ending{code: closeLimits, reason: fmt.Sprintf("rate_limited: more than %d frames a second", framesPerSec)})
	return false
}

// refuse tells a browser why there is no stream.
func (s *socket) refuse(err error) {
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
func (s *socket) run() {
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
	// Somebody is always reading: that context's end closes the connection too.
	_ = s.conn.CloseNow()
	s.cancel()
	others.Wait()
}

// keepAlive pings until the stream ends: by a frame, since a browser's script sees
// nothing else, and by the protocol's own ping, since a script may be busy.
func (s *socket) keepAlive(others *sync.WaitGroup) ending {
	ping := time.NewTicker(pingEvery)
	defer ping.Stop()
	silence := time.NewTimer(silentFor)
	defer silence.Stop()
	for {
		select {
		case <-s.open.Done():
			return s.ending()
		case reply := <-s.replies:
			s.write(reply)
		case <-ping.C:
			s.tryWrite(bareFrame{"ping"})
			others.Go(func() { s.protocolPing() })
		case <-silence.C:
			left := silentFor - time.Since(time.Unix(0, s.heard.Load()))
			if len(s.writing) > 0 { // the line is full, not dead: that write has a deadline
				left = pingEvery
			}
			if left <= 0 {
				s.stop(ending{code: closeSilent, reason: "nothing was heard for 60 s"})
				return s.ending()
			}
			silence.Reset(left)
		}
	}
}

// protocolPing waits for its pong, which OnPongReceived notes; so few are ever
// under way at once.
func (s *socket) protocolPing() {
	ctx, cancel := context.WithTimeout(s.ctx, silentFor)
	defer cancel()
	_ = s.conn.Ping(ctx)
}
