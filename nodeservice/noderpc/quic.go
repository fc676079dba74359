package noderpc

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/quic-go/quic-go"
)

// QUIC (RFC 9000) is a second transport beside TLS over TCP: one bidirectional
// stream that the client opens is one connection of Cap'n Proto, and the QUIC
// connection under it goes along when the client changes networks.

// quicProtocol is what both sides name in the handshake (ALPN, RFC 7301).
const quicProtocol = "quicproquo/1"

const (
	quicStreams   = 16               // open at once on one QUIC connection
	quicIdle      = time.Minute      // without a packet from the peer, after which it is gone
	quicKeepAlive = 20 * time.Second // keeps paths through address translation open
	retryFrom     = 64               // handshakes under way; at so many, addresses are validated first

	// Flow control windows, in bytes: what a peer may send that nobody has read yet.
	// They grow as its messages are read, so a peer that leaves a hole in its stream
	// holds no more than the first ones.
	firstStreamWindow     = 64 << 10
	largestStreamWindow   = 1 << 20
	firstConnectionWindow = 128 << 10
	largestQUICWindow     = 2 << 20
)

// The codes with which QUIC connections and streams end.
const (
	quicDone    quic.ApplicationErrorCode = 0 // there is nothing more to say
	quicStopped quic.StreamErrorCode      = 0 // this direction of the stream is not wanted any more
)

// ServeQUIC is Serve for QUIC connections, which come in through a UDP socket; it
// closes the socket. The limits are those of connections over TCP: each stream
// counts as a connection, and each QUIC connection is counted once more, by the same
// limits. It returns when ctx has ended, the socket has failed or the server shuts
// down, and once the connections that there were have ended: Shutdown and Close end
// them.
//
// A client is charged under the address that its connection began from, also after
// it has moved to another network.
func (s *Server) ServeQUIC(ctx context.Context, socket net.PacketConn, config *tls.Config) error {
	ln, err := listenQUIC(socket, config, s.limits, s.quicSecret)
	if err != nil {
		_ = socket.Close()
		return err
	}
	err = s.serve(ctx, ln, false)
	ln.wait()
	return err
}

// quicListener makes a connection of every stream.
type quicListener struct {
	transport *quic.Transport
	listener  *quic.Listener
	door      *quicDoor
	idle      time.Duration // that a QUIC connection may be without a stream
	streams   chan net.Conn

	accepting context.Context // ended by Close, and by accept when it fails; its cause says why
	stop      context.CancelCauseFunc
	running   sync.WaitGroup // accept, and what it started
}

func listenQUIC(socket net.PacketConn, config *tls.Config, l Limits, secret []byte) (*quicListener, error) {
	config = config.Clone()
	config.NextProtos = []string{quicProtocol}
	q := &quicListener{
		door:    &quicDoor{limits: l, perHost: make(map[hostKey]int)},
		idle:    l.FirstMessage,
		streams: make(chan net.Conn),
	}
	q.transport = &quic.Transport{Conn: socket, VerifySourceAddress: q.door.suspects, ConnContext: q.door.admit}
	err := setKeys(q.transport, secret)
	if err != nil {
		return nil, err
	}
	q.accepting, q.stop = context.WithCancelCause(context.Background())
	q.listener, err = q.transport.Listen(config, &quic.Config{
		HandshakeIdleTimeout:           l.FirstMessage / 2, // and twice that for the whole handshake
		MaxIdleTimeout:                 quicIdle,
		KeepAlivePeriod:                quicKeepAlive,
		InitialStreamReceiveWindow:     firstStreamWindow,
		MaxStreamReceiveWindow:         largestStreamWindow,
		InitialConnectionReceiveWindow: firstConnectionWindow,
		MaxConnectionReceiveWindow:     largestQUICWindow,
		MaxIncomingStreams:             quicStreams,
		MaxIncomingUniStreams:          -1,
	})
	if err != nil {
		q.stop(err)
		return nil, err
	}
	q.running.Go(q.accept)
	return q, nil
}

// Accept implements net.Listener.
func (q *quicListener) Accept() (net.Conn, error) {
	select {
	case conn := <-q.streams:
		return conn, nil
	case <-q.accepting.Done():
		return nil, context.Cause(q.accepting)
	}
}

// Close implements net.Listener: it accepts nothing more, and leaves what was
// accepted alone. wait waits for that.
func (q *quicListener) Close() error {
	q.stop(net.ErrClosed)
	return q.listener.Close()
}

// Addr implements net.Listener.
func (q *quicListener) Addr() net.Addr { return q.listener.Addr() }

// wait returns when everything has ended, and the socket is closed.
func (q *quicListener) wait() {
	q.running.Wait()
	_ = q.transport.Close()
	_ = q.transport.Conn.Close()
}

// accept takes connections until Close, or until the socket fails: then nobody could
// come any more, and Accept says so instead of waiting for ever.
func (q *quicListener) accept() {
	for {
		conn, err := q.listener.Accept(q.accepting)
		if err != nil {
			q.stop(fmt.Errorf("%w: %w", net.ErrClosed, err))
			return
		}
		q.door.shaken(conn)
		p := &quicPeer{conn: conn, listener: q}
		p.idle = time.AfterFunc(q.idle, p.end)
		q.running.Go(p.run)
	}
}

// quicPeer is a QUIC connection.
type quicPeer struct {
	conn     *quic.Conn
	listener *quicListener
	streams  sync.WaitGroup // that are open; Add by run alone

	idle *time.Timer // runs while no stream is open, and then ends the connection; reset under mu

	mu   sync.Mutex
	open int // guarded by mu: streams
}

// run hands streams on until the connection ends, or nothing more is accepted. Then it
// gives what was sent last the time to arrive.
func (p *quicPeer) run() {
	defer p.end()
	defer p.idle.Stop()
	for {
		stream, err := p.conn.AcceptStream(p.listener.accepting)
		if err != nil {
			break
		}
		conn := &quicConn{Stream: stream, conn: p.conn, left: p.enter()}
		select {
		case p.listener.streams <- conn:
		case <-p.listener.accepting.Done():
			_ = conn.Close()
		}
	}
	p.streams.Wait()
	pause(p.conn.Context(), nil, closeGrace)
}

func (p *quicPeer) end() { _ = p.conn.CloseWithError(quicDone, "") }

// enter counts a stream in; what it returns counts it out, once.
func (p *quicPeer) enter() (leave func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open++
	p.idle.Stop()
	p.streams.Add(1)
	return sync.OnceFunc(func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.open--; p.open == 0 {
			p.idle.Reset(p.listener.idle)
		}
		p.streams.Done()
	})
}
