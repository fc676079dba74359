package gateway

import (
	"bufio"
	"net"
	"net/http"
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
	return conn, bufio.NewReadWriter(r, bufio.NewWriterSize(conn, writeBuffer)), nil
}
