package noderpc_test

import (
	"context"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// swallower passes on what the client sends, and what the server answers until
// it is told to swallow that.
type swallower struct {
	net.Listener
	mu        sync.Mutex
	swallows  bool // guarded by mu
	swallowed chan struct{}
	both      []net.Conn // guarded by mu
	running   sync.WaitGroup
}

func newSwallower(t *testing.T, address string) *swallower {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &swallower{Listener: ln, swallowed: make(chan struct{}, 64)}
	s.running.Go(func() {
		client, err := ln.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", address)
		if err != nil {
			_ = client.Close()
			return
		}
		s.mu.Lock()
		s.both = []net.Conn{server, client}
		s.mu.Unlock()
		s.running.Go(func() {
			_, _ = io.Copy(server, client)
			_ = server.(*net.TCPConn).CloseWrite()
		})
		_, _ = io.Copy(s.filter(client), server)
	})
	t.Cleanup(func() { _ = ln.Close(); s.reset(); s.running.Wait() })
	return s
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func (s *swallower) filter(client net.Conn) io.Writer {
	return writerFunc(func(p []byte) (int, error) {
		s.mu.Lock()
		swallows := s.swallows
		s.mu.Unlock()
		if !swallows {
			return client.Write(p)
		}
		s.swallowed <- struct{}{}
		return len(p), nil
	})
}

func (s *swallower) swallow() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.swallows = true
}

func (s *swallower) reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, conn := range s.both {
		_ = conn.(*net.TCPConn).SetLinger(0)
		_ = conn.Close()
	}
}

func TestAProxyThatSwallowsTheAnswer(t *testing.T) {
	for name, end := range map[string]func(proxy *swallower, giveUp func()){
		"and the client gives up":  func(_ *swallower, giveUp func()) { giveUp() },
		"and the connection":       func(proxy *swallower, _ func()) { proxy.reset() },
		"and the client goes away": func(proxy *swallower, giveUp func()) { giveUp(); proxy.reset() },
	} {
		t.Run(name, func(t *testing.T) {
			p := newPost(t)
			p.send(3, 0)
			proxy := newSwallower(t, p.address)
			conn, err := net.Dial("tcp", proxy.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			c := p.client(conn)
			proxy.swallow()
			ctx, giveUp := context.WithCancel(t.Context())
			fetched := make(chan error)
			go func() {
				_, err := c.fetch(ctx, 0)
				fetched <- err
			}()
			<-proxy.swallowed
			other := p.dial()
			other.gets(0, 0, 0) // it is on its way to the first, as far as anybody knows
			end(proxy, giveUp)
			if err := <-fetched; err == nil {
				t.Fatal("the fetch got an answer that was swallowed")
			}
			giveUp()
			other.gets(time.Minute, 0, 3)
			p.store.awaitAcked(3)
		})
	}
}
