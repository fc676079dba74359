package gatewayclient

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"time"

	"github.com/coder/websocket"

	"github.com/quicproquo/node/nodeservice"
)

// read takes frames until the connection ends.
func (st *stream) read() {
	defer close(st.done)
	defer st.cancel()
	defer st.forget()
	for {
		data, err := st.readFrame()
		if err != nil {
			st.finish(ending(err))
			return
		}
		var f serverFrame
		if err := st.session.client.codec.unmarshal(data, &f); err != nil {
			st.finish(&nodeservice.Error{Code: nodeservice.CodeInternal, Detail: "a frame of the gateway cannot be read", Cause: err})
			_ = st.conn.CloseNow()
			return
		}
		if !st.handle(f) {
			st.finish(nodeservice.Errorf(nodeservice.CodeUnavailable, "too many events wait for Next; follow anew"))
			_ = st.conn.CloseNow()
			return
		}
	}
}

// readFrame reads one frame. The gateway is gone when nothing comes for too long,
// be it between frames or within one.
func (st *stream) readFrame() ([]byte, error) {
	ctx, cancel := context.WithCancel(st.ctx)
	defer cancel()
	silence := time.AfterFunc(silentFor, cancel)
	defer silence.Stop()
	kind, frame, err := st.conn.Reader(ctx)
	if err != nil {
		return nil, err
	}
	if kind != st.session.client.codec.kind {
		_ = st.conn.CloseNow()
		return nil, errors.New("a text frame where binary ones were agreed on, or the reverse")
	}
	var data bytes.Buffer
	_, err = io.Copy(&data, progress{frame, silence})
	return data.Bytes(), err
}

// progress is a Reader that starts silence anew whenever something arrives.
type progress struct {
	io.Reader
	silence *time.Timer
}

func (p progress) Read(b []byte) (int, error) {
	n, err := p.Reader.Read(b)
	p.silence.Reset(silentFor)
	return n, err
}

// handle does what a frame asks for; false: there is no room for its event.
func (st *stream) handle(f serverFrame) bool {
	switch f.Type {
	case "ping":
		st.write(map[string]any{"type": "pong"})
		return true
	case "error":
		st.answered(said(f.Code, f.Detail), nil)
		return true
	case "acked":
		if !st.settled(nodeservice.ChannelID(f.ChannelID), f.Through) {
			return true
		}
	}
	event := f.event()
	if event == nil {
		return true // hello, or what a newer gateway may say
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	if len(st.queue) >= maxQueue || st.queued+sizeOf(event) > maxQueueBytes {
		return false
	}
	if st.ended == nil {
		st.queue = append(st.queue, event)
		st.queued += sizeOf(event)
		st.wake()
	}
	return true
}

// sizeOf is what an event holds that can be large.
func sizeOf(event nodeservice.Event) int {
	if m, ok := event.(nodeservice.MessageEvent); ok {
		return len(m.Message.Payload)
	}
	return 0
}

func (st *stream) wake() {
	select {
	case st.ready <- struct{}{}:
	default:
	}
}

// settled answers the ack that through covers. It is news only if it is higher than
// before: the answer to an ack and the event of the same acknowledgement are one event.
func (st *stream) settled(id nodeservice.ChannelID, through nodeservice.Seq) (news bool) {
	st.mu.Lock()
	if news = through > st.acked[id]; news {
		if len(st.acked) >= maxQueue {
			clear(st.acked) // what is forgotten may be told once more
		}
		st.acked[id] = through
	}
	st.mu.Unlock()
	st.answered(nil, func(q *question) bool { return q.channel == id && through >= q.through })
	return news
}

// answered gives the unanswered ack its answer, if it is the one meant, and lets
// the next one be asked.
func (st *stream) answered(err error, meant func(*question) bool) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.asked == nil || (meant != nil && !meant(st.asked)) {
		return
	}
	st.asked.answer <- err
	st.asked = nil
	<-st.turn
}

// finish says why the stream ends; the first reason stays.
func (st *stream) finish(err *nodeservice.Error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.ended == nil {
		st.ended = err
	}
}

// forget takes the stream out of its session.
func (st *stream) forget() {
	st.session.mu.Lock()
	defer st.session.mu.Unlock()
	delete(st.session.streams, st)
}

// ending is the error that the reason of a close frame spells as "code: detail". If the
// connection broke, or was closed with another reason, it is CodeUnavailable.
func ending(err error) *nodeservice.Error {
	var closed websocket.CloseError
	if !errors.As(err, &closed) {
		return &nodeservice.Error{Code: nodeservice.CodeUnavailable, Detail: "the connection to the gateway broke", Cause: err}
	}
	text, detail, _ := strings.Cut(closed.Reason, ": ")
	for _, code := range nodeservice.Codes() {
		if string(code) == text {
			told := said(code, detail)
			told.Cause = err
			return told
		}
	}
	return &nodeservice.Error{Code: nodeservice.CodeUnavailable, Detail: "the gateway closed the stream: " + said("", closed.Reason).Detail, Cause: err}
}
