package gateway_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
)

// pipes is a listener and a network in memory, for tests whose time is not real.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
	close sync.Once
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), done: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, io.EOF
	}
}

func (p *pipes) Close() error {
	p.close.Do(func() { close(p.done) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }

func (p *pipes) dial() net.Conn { return p.dialFrom("") }

// dialFrom dials as a client of that address; "": of none.
func (p *pipes) dialFrom(address string) net.Conn {
	client, server := net.Pipe()
	if address != "" {
		server = addressed{server, &net.TCPAddr{IP: net.ParseIP(address), Port: 1}}
	}
	p.conns <- server
	return client
}

// addressed is a connection of somebody who has an address.
type addressed struct {
	net.Conn
	remote net.Addr
}

func (a addressed) RemoteAddr() net.Addr { return a.remote }

// client dials through the pipes.
func (p *pipes) client() *http.Client {
	return &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext:       func(context.Context, string, string) (net.Conn, error) { return p.dial(), nil },
	}}
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }
