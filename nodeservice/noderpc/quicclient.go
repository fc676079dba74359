package noderpc

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"sync"
	"time"

	"github.com/quic-go/quic-go"
)

// quicClientConn is the one stream of a QUIC connection of a client's own.
type quicClientConn struct {
	quicConn
	transport *quic.Transport

	mu     sync.Mutex
	closed bool // guarded by mu: Close has set the last read deadline
}

// dialQUIC opens a QUIC connection with one stream. Its socket is bound to no address of
// this machine: when networks come and go, the system sends by one that is there, and the
// connection goes on.
func dialQUIC(ctx context.Context, address string, config *tls.Config) (_ net.Conn, err error) {
	remote, host, err := resolveUDP(ctx, address)
	if err != nil {
		return nil, err
	}
	socket, err := net.ListenUDP("udp", nil)
	if err != nil {
		return nil, err
	}
	c := &quicClientConn{transport: &quic.Transport{Conn: socket}}
	defer func() {
		if err != nil {
			c.end()
		}
	}()
	if config = config.Clone(); config == nil {
		config = &tls.Config{MinVersion: tls.VersionTLS13}
	}
	config.NextProtos = []string{quicProtocol}
	if config.ServerName == "" {
		config.ServerName = host
	}
	c.conn, err = c.transport.Dial(ctx, remote, config, &quic.Config{
		MaxIdleTimeout: quicIdle, KeepAlivePeriod: quicKeepAlive, MaxIncomingStreams: -1, MaxIncomingUniStreams: -1,
	})
	if err != nil {
		return nil, err
	}
	c.Stream, err = c.conn.OpenStreamSync(ctx)
	return c, err
}

// resolveUDP looks a host up as any dialling does; nothing is sent to it.
func resolveUDP(ctx context.Context, address string) (remote net.Addr, host string, err error) {
	host, _, err = net.SplitHostPort(address)
	if err != nil {
		return nil, "", err
	}
	probe, err := new(net.Dialer).DialContext(ctx, "udp", address)
	if err != nil {
		return nil, "", err
	}
	return probe.RemoteAddr(), host, probe.Close()
}

// Close implements net.Conn. What is still under way is lost when a QUIC connection ends:
// so it waits first, for a second at most, until the server has ended the stream as well.
func (c *quicClientConn) Close() error {
	c.closing.Do(func() {
		c.finish()
		c.lastDeadline(time.Now().Add(closeGrace))
		_, _ = io.Copy(io.Discard, c.Stream) // most often until the server ends the stream
		c.end()
	})
	return nil
}

func (c *quicClientConn) end() {
	if c.conn != nil {
		_ = c.conn.CloseWithError(quicDone, "")
	}
	_ = c.transport.Close()
	_ = c.transport.Conn.Close()
}

// SetReadDeadline implements net.Conn.
func (c *quicClientConn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return net.ErrClosed
	}
	return c.Stream.SetReadDeadline(t)
}

func (c *quicClientConn) lastDeadline(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	_ = c.Stream.SetReadDeadline(t) // never fails
}
