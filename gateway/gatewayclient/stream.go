package gatewayclient

import (
	"context"
	"encoding/json"
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
	subprotocol  = "qpq.v1.json"
	silentFor    = 75 * time.Second // three pings; then the gateway is gone
	writeTime    = 10 * time.Second // for one of our small frames
	framesPerSec = 80               // below the 100 at which the gateway closes
	maxQueue     = 1 << 14          // events that wait for Next
)

// stream is a WebSocket of the gateway. One goroutine, read, takes frames off the
// wire as they come: the gateway's window bounds how many messages that can be,
// and Ack's answer must not wait behind them.
type stream struct {
	session *session
	conn    *websocket.Conn
	pace    *rate.Limiter
	ctx     context.Context // of the connection
	cancel  context.CancelFunc
	ready   chan struct{} // capacity 1: there may be something for Next
	turn    chan struct{} // capacity 1: an ack is unanswered
	done    chan struct{} // closed by read when it ends

	mu    sync.Mutex
	queue []nodeservice.Event                       // guarded by mu
	acked map[nodeservice.ChannelID]nodeservice.Seq // guarded by mu: what acked frames told
	asked *question                                 // guarded by mu: the unanswered ack
	ended *nodeservice.Error                        // guarded by mu: why there is no more
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
	conn, resp, err := websocket.Dial(ctx, s.client.url(path, query), &websocket.DialOptions{
		HTTPClient:   s.client.http,
		HTTPHeader:   http.Header{"Authorization": {"Bearer " + token}},
		Subprotocols: []string{subprotocol},
	})
	if err != nil {
		return nil, refusal(ctx, resp, err)
	}
	if conn.Subprotocol() != subprotocol {
		_ = conn.CloseNow()
		return nil, nodeservice.Errorf(nodeservice.CodeInternal, "the server does not speak %s", subprotocol)
	}
	conn.SetReadLimit(maxAnswer)
	return s.started(conn)
}

// refusal is the error of a handshake that failed: the gateway's answer, if any.
func refusal(ctx context.Context, resp *http.Response, err error) error {
	if resp == nil || resp.Body == nil {
		return unreachable(ctx, err)
	}
	body, readErr := io.ReadAll(resp.Body) // the library kept the first KiB
	if readErr != nil {
		return unreachable(ctx, err)
	}
	return problemOf(resp, body)
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
		return unreachable(ctx, err)
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

// renew goes on with a new token. The node has accepted it once; should it not do
// so here, the stream ends with the old one.
func (st *stream) renew(token string) { st.write(map[string]any{"type": "auth", "token": token}) }

// write sends a small frame. Failing, it has closed the connection, which read sees.
func (st *stream) write(frame map[string]any) {
	data, _ := json.Marshal(frame) // strings and numbers
	ctx, cancel := context.WithTimeout(st.ctx, writeTime)
	defer cancel()
	_ = st.conn.Write(ctx, websocket.MessageText, data)
}

// Close implements nodeservice.Stream. What waits for Next is dropped; it comes
// again on another stream.
func (st *stream) Close() error {
	st.finish(nodeservice.Errorf(nodeservice.CodeUnavailable, "the stream was closed"))
	st.mu.Lock()
	st.queue = nil
	st.mu.Unlock()
	_ = st.conn.Close(websocket.StatusNormalClosure, "")
	<-st.done
	return nil
}
