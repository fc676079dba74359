package gatewayclient

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/coder/websocket"
	"golang.org/x/time/rate"

	"github.com/quicproquo/node/nodeservice"
)

const (
	silentFor    = 75 * time.Second // three pings; then the gateway is gone
	writeTime    = 10 * time.Second // for one of our small frames
	framesPerSec = 80               // below the 100 at which the gateway closes
	openingTime  = 75 * time.Second // for the answer to an upgrade

	// The window bounds what a gateway sends, but acknowledgements on other streams open
	// it. So a reader that does not read for long is told to follow anew.
	maxQueue      = 1 << 14  // events that wait for Next
	maxQueueBytes = 64 << 20 // bytes of their payloads
	maxFrame      = 8 << 20  // bytes: the largest payload in base64url, and what surrounds it
)

// stream is a WebSocket of the gateway. One goroutine, read, takes frames off the
// wire as they come: the gateway's window bounds how many messages that can be,
// and Ack's answer must not wait behind them.
type stream struct {
	session *session
	conn    *websocket.Conn
	pace    *rate.Limiter   // of acks
	ctx     context.Context // of the connection
	cancel  context.CancelFunc
	ready   chan struct{} // capacity 1: there may be something for Next
	turn    chan struct{} // capacity 1: an ack is unanswered
	done    chan struct{} // closed by read when it ends

	mu     sync.Mutex
	queue  []nodeservice.Event                       // guarded by mu
	queued int                                       // guarded by mu: the sum of sizeOf over queue, in bytes
	acked  map[nodeservice.ChannelID]nodeservice.Seq // guarded by mu: the highest seq of acked frames; at most maxQueue channels
	asked  *question                                 // guarded by mu: the unanswered ack
	ended  *nodeservice.Error                        // guarded by mu: why there is no more
}

// question is an ack that waits for its answer.
type question struct {
	channel nodeservice.ChannelID
	through nodeservice.Seq
	answer  chan error // capacity 1
}

// Follow implements nodeservice.Session.
func (s *session) Follow(ctx context.Context, req nodeservice.FollowRequest) (nodeservice.Stream, error) {
	if req.Window != (nodeservice.Window{}) && req.Window != nodeservice.DefaultWindow {
		return nil, invalidf("over HTTP a stream's window is %d messages or %d bytes", nodeservice.DefaultWindow.Messages, nodeservice.DefaultWindow.Bytes)
	}
	token, err := s.bearer()
	if err != nil {
		return nil, err
	}
	path, query := "/v1/stream", url.Values{}
	if !req.Channel.IsZero() {
		path = channelPath(req.Channel, "/stream")
	}
	if req.After > 0 {
		query.Set("after", strconv.FormatUint(uint64(req.After), 10))
	}
	conn, err := s.client.dial(ctx, s.client.url(path, query), token)
	if err != nil {
		return nil, err
	}
	return s.started(conn)
}

// dial opens a WebSocket, as often as it takes: to open a stream changes nothing.
func (c *Client) dial(ctx context.Context, url, token string) (conn *websocket.Conn, err error) {
	o := c.retrying(ctx, repeat{safe: true}, func(ctx context.Context) (o outcome) {
		conn, o = c.tryDial(ctx, url, token)
		return o
	})
	if o.err != nil {
		return nil, o.err
	}
	return conn, nil
}

func (c *Client) tryDial(ctx context.Context, url, token string) (*websocket.Conn, outcome) {
	header := http.Header{}
	if err := c.authorize(header, http.MethodGet, url, token); err != nil {
		return nil, outcome{err: &nodeservice.Error{Code: nodeservice.CodeInvalidArgument, Detail: "the request cannot be made", Cause: err}}
	}
	opening, cancel := context.WithTimeout(ctx, openingTime)
	defer cancel()
	conn, resp, err := websocket.Dial(opening, url, &websocket.DialOptions{
		HTTPClient:   c.http,
		HTTPHeader:   header,
		Subprotocols: []string{c.codec.subprotocol},
	})
	if resp != nil {
		c.proofs.noteNonce(resp)
	}
	switch {
	case err != nil:
		return nil, c.refusedUpgrade(ctx, resp, err)
	case conn.Subprotocol() != c.codec.subprotocol:
		_ = conn.CloseNow()
		return nil, outcome{err: nodeservice.Errorf(nodeservice.CodeInternal, "the server does not speak %s", c.codec.subprotocol)}
	}
	conn.SetReadLimit(maxFrame)
	return conn, outcome{status: resp.StatusCode}
}

// refusedUpgrade is the outcome of a handshake that failed: the gateway's answer,
// if any.
func (c *Client) refusedUpgrade(ctx context.Context, resp *http.Response, err error) outcome {
	if resp == nil || resp.Body == nil {
		return unanswered(ctx, err)
	}
	body, readErr := io.ReadAll(resp.Body) // the library kept the first KiB
	if readErr != nil {
		return unanswered(ctx, err)
	}
	return c.refused(resp, body)
}

// started runs the stream, unless the session was closed meanwhile.
func (s *session) started(conn *websocket.Conn) (nodeservice.Stream, error) {
	st := &stream{
		session: s, conn: conn, pace: rate.NewLimiter(framesPerSec, framesPerSec),
		ready: make(chan struct{}, 1), turn: make(chan struct{}, 1), done: make(chan struct{}),
		acked: map[nodeservice.ChannelID]nodeservice.Seq{},
	}
	st.ctx, st.cancel = context.WithCancel(context.Background())
	s.mu.Lock()
	closed := s.closed
	s.streams[st] = struct{}{}
	s.mu.Unlock()
	go st.read()
	if closed {
		_ = st.Close()
		_, err := s.bearer()
		return nil, err
	}
	return st, nil
}

// Next implements nodeservice.Stream.
func (st *stream) Next(ctx context.Context) (nodeservice.Event, error) {
	for {
		event, err := st.take()
		if event != nil || err != nil {
			return event, err
		}
		select {
		case <-st.ready:
		case <-st.done:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// take is the first event; or, when none is left, why there will be none.
func (st *stream) take() (nodeservice.Event, error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if len(st.queue) > 0 {
		event := st.queue[0]
		st.queue[0] = nil
		st.queued -= sizeOf(event)
		st.queue = st.queue[1:]
		return event, nil
	}
	if st.ended != nil {
		return nil, st.ended
	}
	return nil, nil
}

// Ack implements nodeservice.Stream. It returns when the gateway has said that
// the acknowledgement is stored, or why not; one at a time, and no faster than
// the gateway takes frames. When ctx ends first, it may still be stored.
func (st *stream) Ack(ctx context.Context, id nodeservice.ChannelID, through nodeservice.Seq) error {
	select {
	case st.turn <- struct{}{}: // given back by answered
	case <-st.done:
		return st.why()
	case <-ctx.Done():
		return nodeservice.AsError(ctx.Err())
	}
	if err := st.pace.Wait(ctx); err != nil {
		<-st.turn
		return interrupted(err)
	}
	q := &question{id, through, make(chan error, 1)}
	st.mu.Lock()
	st.asked = q
	st.mu.Unlock()
	st.write(map[string]any{"type": "ack", "channel_id": id.String(), "through": through})
	select {
	case err := <-q.answer:
		return err
	case <-st.done:
		return st.why()
	case <-ctx.Done():
		return nodeservice.AsError(ctx.Err())
	}
}

// why is the error that the stream ended with.
func (st *stream) why() error {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.ended
}

// renew goes on with a new token. The node has accepted it once; if it does not do so
// here, the stream ends when the old token does.
func (st *stream) renew(token string) { st.write(map[string]any{"type": "auth", "token": token}) }

// write sends a small frame. If that fails, it closes the connection, and read ends.
func (st *stream) write(frame map[string]any) {
	codec := &st.session.client.codec
	data, _ := codec.marshal(frame) // strings and numbers
	ctx, cancel := context.WithTimeout(st.ctx, writeTime)
	defer cancel()
	_ = st.conn.Write(ctx, codec.kind, data)
}

// Close implements nodeservice.Stream. What waits for Next is dropped; it comes
// again on another stream.
func (st *stream) Close() error {
	st.finish(nodeservice.Errorf(nodeservice.CodeUnavailable, "the stream was closed"))
	st.mu.Lock()
	st.queue, st.queued = nil, 0
	st.mu.Unlock()
	_ = st.conn.Close(websocket.StatusNormalClosure, "")
	<-st.done
	return nil
}
