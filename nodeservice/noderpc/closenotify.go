package noderpc

import (
	"io"
	"net"
	"sync/atomic"
)

// WatchEnds is for the listener below a TLS one. When a connection ends, crypto/tls does
// not say whether the peer announced that by a close_notify (RFC 8446 section 6.1) or the
// connection was broken off; with this listener below it, the server can tell. Without
// it, an end over TLS shows nothing: what a client fetched that leaves without an Abort
// is delivered to it again.
func WatchEnds(ln net.Listener) net.Listener { return endsListener{ln} }

type endsListener struct{ net.Listener }

// Accept implements net.Listener.
func (l endsListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &endsConn{Conn: conn}, nil
}

// endsConn knows whether its stream has ended.
type endsConn struct {
	net.Conn
	ended atomic.Bool
}

// Read implements net.Conn.
func (c *endsConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err == io.EOF {
		c.ended.Store(true)
	}
	return n, err
}

// announced says whether the end of a stream was the peer's own: a close_notify
// is read before the end of the connection below is.
func announced(conn net.Conn) bool {
	over, isOver := conn.(interface{ NetConn() net.Conn })
	if !isOver {
		return true
	}
	below, watched := over.NetConn().(*endsConn)
	return watched && !below.ended.Load()
}
