package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/quicproquo/node/nodeservice"
)

const eventStream = "text/event-stream"

// events is a stream rendered as server-sent events (in the HTML standard): each
// frame is one event, named by its type, with the JSON of a WebSocket as its data.
// The request's own goroutine writes them, one at a time, so that a slow reader
// costs the one that waits for it; the window opens by DELETE .../messages. The
// client can say nothing here: that it is gone, a write finds out.
type events struct {
	*stream
	w        http.ResponseWriter
	line     *http.ResponseController
	numbered bool // events have an id, the seq: on the stream of one channel; set by resume
}

// asksForEvents says whether Accept names text/event-stream; a range such as text/* does
// not. A request that also asks for an upgrade gets that.
func asksForEvents(r *http.Request) bool {
	if hasToken(r.Header, "Upgrade", "websocket") {
		return false
	}
	for part := range strings.SplitSeq(strings.Join(r.Header.Values("Accept"), ","), ",") {
		kind, params, err := mime.ParseMediaType(part)
		if err == nil && kind == eventStream && !refuses(params) {
			return true
		}
	}
	return false
}

// streamEvents answers with events until the stream ends.
func (g *Gateway) streamEvents(w http.ResponseWriter, r *http.Request, request requestReader) error {
	if r.ContentLength != 0 {
		return invalidf("a request for a stream has no body")
	}
	token, err := accessToken(r)
	if err != nil {
		return err
	}
	e := &events{stream: g.newStream(r.Context(), w, r), w: w, line: http.NewResponseController(w)}
	e.abort = func() { _ = e.line.SetWriteDeadline(time.Unix(1, 0)) }
	if err := g.openStream(e.stream, r, token, e.resume(r, request)); err != nil {
		e.release()
		return err
	}
	if !g.streams.enter(e.stream) {
		e.release()
		return shuttingDown()
	}
	defer g.streams.leave(e.stream)
	h := w.Header()
	h.Set("Content-Type", eventStream)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // a proxy that buffers answers would buffer this one for ever
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		e.run()
	}
	return nil
}

// resume lets Last-Event-ID go before after: a client that comes back repeats the
// URL that it began with. On the stream of all channels it means nothing.
func (e *events) resume(r *http.Request, request requestReader) requestReader {
	return func() (nodeservice.FollowRequest, error) {
		req, err := request()
		last := r.Header.Values("Last-Event-ID")
		e.numbered = !req.Channel.IsZero()
		switch {
		case err != nil || !e.numbered || len(last) == 0:
			return req, err
		case len(last) > 1:
			return req, invalidf("the Last-Event-ID header appears twice")
		}
		if req.After, err = parseSeq(last[0]); err != nil {
			return req, invalidf("Last-Event-ID: %s", nodeservice.AsError(err).Detail)
		}
		return req, nil
	}
}

// run writes events until the stream ends, and then why.
func (e *events) run() {
	e.guard(e.deliver)
	switch last := e.ending(); {
	case last.draining:
		e.write(0, drainingOf(comeBackAfter()))
	case last.err != nil:
		e.write(0, errorOf(last.err))
	}
	// For what net/http still has to write: the client may no longer read.
	_ = e.line.SetWriteDeadline(time.Now().Add(patience))
}

func (e *events) deliver() {
	if !e.write(0, helloOf(e.session.Identity(), time.Now())) {
		return
	}
	for e.deliverUntilPing() && e.write(0, bareFrame{"ping"}) {
	}
}

// deliverUntilPing writes the core's events until it is time for a ping: a proxy
// may drop an idle connection, and a client may take silence for its end.
func (e *events) deliverUntilPing() bool {
	ctx, cancel := context.WithTimeout(e.open, pingEvery)
	defer cancel()
	for {
		event, err := e.source.Next(ctx)
		switch {
		case err == nil:
			if frame := frameOf(event); frame != nil && !e.write(e.idOf(event), frame) {
				return false
			}
		case e.open.Err() != nil:
			return false
		case ctx.Err() != nil:
			return true
		default:
			e.stop(endingOf(err))
			return false
		}
	}
}

// idOf is where a client that saw the event goes on; 0: where it was.
func (e *events) idOf(event nodeservice.Event) nodeservice.Seq {
	if !e.numbered {
		return 0
	}
	switch event := event.(type) {
	case nodeservice.MessageEvent:
		return event.Message.Seq
	case nodeservice.GapEvent:
		return event.Gap.To
	}
	return 0
}

// write sends one event within its deadline, and ends the stream if it cannot.
func (e *events) write(id nodeservice.Seq, frame serverFrame) bool {
	data, done, err := e.render(frame, json.Marshal) // has no line breaks
	defer done()
	if err != nil {
		e.stop(endingOf(err))
		return false
	}
	head := fmt.Appendf(nil, "event: %s\n", frame.kind())
	if id > 0 {
		head = fmt.Appendf(head, "id: %d\n", id)
	}
	deadline := time.Now().Add(transferTime(len(data)))
	for _, part := range [][]byte{append(head, "data: "...), data, []byte("\n\n")} {
		if !e.send(part, deadline) {
			return false
		}
	}
	if err := e.line.Flush(); err != nil {
		e.stop(ending{})
		return false
	}
	// HTTP/2 resets a stream whose deadline passes, also when nothing is on its way.
	_ = e.line.SetWriteDeadline(time.Time{})
	return true
}

// send writes a part of an event in steps, as alertConn does.
func (e *events) send(part []byte, deadline time.Time) bool {
	for step := range slices.Chunk(part, writeStep) {
		soon := time.Now().Add(silentFor)
		if deadline.Before(soon) {
			soon = deadline
		}
		// Not every ResponseWriter has deadlines; the server's do.
		_ = e.line.SetWriteDeadline(soon)
		if e.ctx.Err() != nil { // it was cut, and the line above has replaced cut's deadline
			return false
		}
		if _, err := e.w.Write(step); err != nil {
			e.stop(ending{}) // it reads too slowly, or not at all: the connection is gone
			return false
		}
	}
	return true
}
