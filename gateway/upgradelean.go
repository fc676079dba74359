package gateway

import (
	"bufio"
	"net"
	"net/http"
	"time"
)

// lean is a ResponseWriter whose connection, once it is a WebSocket's, forgets the
// HTTP server's: its buffers of 4 KiB each, the first of which also holds the whole
// request. Thousands of streams are idle at once, and frames are small or huge.
type lean struct{ http.ResponseWriter }

// The sizes of an idle stream's buffers: what is larger goes around them.
const (
	readBuffer  = 512  // bytes
	writeBuffer = 1024 // bytes
)

// Hijack implements http.Hijacker.
func (l lean) Hijack() (net.Conn, *bufio.ReadWriter, error) {
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

// alertConn notices a peer that dies in the midst of a large frame, whose own deadline
// is by its size: who takes nothing of it for as long as one may be silent is gone.
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
