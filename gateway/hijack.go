package gateway

import (
	"bufio"
	"net"
	"net/http"
	"time"
)

// leanHijacker is a ResponseWriter whose connection, when it becomes a WebSocket's, does
// not keep the buffers of the HTTP server: two of 4 KiB, the first of which also keeps
// the whole request in memory. Thousands of streams are idle at once, and frames are
// small or huge.
type leanHijacker struct{ http.ResponseWriter }

// The sizes of an idle stream's buffers: what is larger goes around them.
const (
	readBuffer  = 512  // bytes
	writeBuffer = 1024 // bytes
)

// Hijack implements http.Hijacker.
func (l leanHijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, was, err := http.NewResponseController(l.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	r := was.Reader
	if r.Buffered() == 0 { // else the client sent frames ahead, and they are in there
		r = bufio.NewReaderSize(conn, readBuffer)
	}
	alert := alertConn{conn}
	return alert, bufio.NewReadWriter(r, bufio.NewWriterSize(alert, writeBuffer)), nil
}

// alertConn notices a peer that dies in the middle of a large frame. The frame has a
// deadline of its own, which grows with its size; here each step of it has one as well,
// so that a peer that takes nothing for silentFor is given up.
type alertConn struct{ net.Conn }

const writeStep = 64 << 10 // bytes

// Write implements net.Conn.
func (c alertConn) Write(p []byte) (written int, err error) {
	for {
		step := p[written:min(len(p), written+writeStep)]
		if err := c.SetWriteDeadline(time.Now().Add(silentFor)); err != nil {
			return written, err
		}
		n, err := c.Conn.Write(step)
		written += n
		if err != nil || written == len(p) {
			return written, err
		}
	}
}
