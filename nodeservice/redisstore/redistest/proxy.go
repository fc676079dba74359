package redistest

import (
	"io"
	"net"
	"sync"
)

// Proxy stands between clients and a server, and lets things go wrong on the way.
type Proxy struct {
	listener net.Listener
	to       string
	running  sync.WaitGroup

	mu    sync.Mutex
	conns map[net.Conn]struct{} // guarded by mu: both ends of each connection
	left  int                   // guarded by mu: answers that still come through, then connections end instead; negative: all do
	ended bool                  // guarded by mu
}

// StartProxy passes everything to a server until it is told otherwise.
func StartProxy(t TB, server *Server) *Proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("%v", err)
	}
	p := &Proxy{listener: listener, to: server.Addr(), conns: map[net.Conn]struct{}{}, left: -1}
	p.running.Go(p.accept)
	t.Cleanup(p.end)
	return p
}

// URL is the proxy's address as clients are configured with it.
func (p *Proxy) URL() string { return "redis://" + p.listener.Addr().String() }

// CutAnswers lets what clients ask reach the server and, after so many answers,
// ends their connections instead of handing over what it answers: they cannot
// know what it did.
func (p *Proxy) CutAnswers(after int) { p.let(after) }

// Mend lets answers through again.
func (p *Proxy) Mend() { p.let(-1) }

func (p *Proxy) let(answers int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.left = answers
}

// passes says whether another answer comes through.
func (p *Proxy) passes() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.left > 0 {
		p.left--
		return true
	}
	return p.left < 0
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.to)
		if err != nil {
			_ = client.Close()
			continue
		}
		if !p.keep(client, server) {
			return
		}
		shut := sync.OnceFunc(func() { p.shut(client, server) })
		p.running.Go(func() { defer shut(); _, _ = io.Copy(server, client) })
		p.running.Go(func() { defer shut(); p.answer(client, server) })
	}
}

// answer hands over what the server says, as long as it may.
func (p *Proxy) answer(client, server net.Conn) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := server.Read(buffer)
		if err != nil || !p.passes() {
			return
		}
		if _, err := client.Write(buffer[:n]); err != nil {
			return
		}
	}
}

// keep takes note of a connection, unless the proxy has ended.
func (p *Proxy) keep(conns ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		if p.ended {
			_ = c.Close()
		}
		p.conns[c] = struct{}{}
	}
	return !p.ended
}

func (p *Proxy) shut(conns ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		_ = c.Close()
		delete(p.conns, c)
	}
}

func (p *Proxy) end() {
	_ = p.listener.Close()
	p.mu.Lock()
	p.ended = true
	for c := range p.conns {
		_ = c.Close()
	}
	p.mu.Unlock()
	p.running.Wait()
}
