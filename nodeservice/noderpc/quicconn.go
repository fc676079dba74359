package noderpc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"syscall"

	"github.com/quic-go/quic-go"
)

// quicConn is one stream as a net.Conn, with what users of a TCP connection rely on: Close
// may be called at any time, and io.EOF means that the peer has ended its direction
// tidily and still reads.
type quicConn struct {
	*quic.Stream
	conn *quic.Conn
	left func() // hears that the stream is closed; may be called twice

	writing sync.Mutex // held by Write, and by Close once it may finish the stream
	closing sync.Once
}

// Read implements net.Conn.
func (c *quicConn) Read(p []byte) (int, error) {
	n, err := c.Stream.Read(p)
	switch {
	case err == nil || errors.Is(err, os.ErrDeadlineExceeded):
	case err != io.EOF:
		err = reset(err)
	default:
		var stopped *quic.StreamError
		if errors.As(context.Cause(c.Context()), &stopped) && stopped.Remote {
			err = reset(stopped) // the peer reads no more: what is under way does not arrive
		}
	}
	return n, err
}

// reset is the error by which a TCP connection reports an untidy end.
func reset(cause error) error {
	return &net.OpError{Op: "read", Net: "quic", Err: fmt.Errorf("%w: %w", syscall.ECONNRESET, cause)}
}

// Write implements net.Conn.
func (c *quicConn) Write(p []byte) (int, error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	return c.Stream.Write(p)
}

// Close implements net.Conn. What was written is still delivered, unless a write is
// under way: that one ends, and the stream with it.
func (c *quicConn) Close() error {
	c.closing.Do(func() {
		c.finish()
		c.CancelRead(quicStopped)
		c.left()
	})
	return nil
}

func (c *quicConn) finish() {
	if !c.writing.TryLock() {
		c.CancelWrite(quicStopped)
		return
	}
	defer c.writing.Unlock()
	_ = c.Stream.Close() // fails if the peer ended it before
}

// LocalAddr implements net.Conn.
func (c *quicConn) LocalAddr() net.Addr { return c.conn.LocalAddr() }

// RemoteAddr implements net.Conn.
func (c *quicConn) RemoteAddr() net.Addr { return c.conn.RemoteAddr() }
