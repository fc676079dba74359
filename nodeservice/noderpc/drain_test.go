package noderpc_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/rand/v2"
	"net"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/noderpc"
)

// What a client of version 0 fetches is removed once it has it, and not before.

func TestADrainPageAfterPage(t *testing.T) {
	p := newPost(t)
	p.send(250, 0)
	p.send(10, 1<<20) // more than a page of bytes
	c := p.dial()
	for got := 0; got < 260; {
		numbers, err := c.fetch(t.Context(), 0)
		if err != nil || len(numbers) == 0 || numbers[0] != got {
			t.Fatalf("after %d messages: %v, %v", got, numbers, err)
		}
		got += len(numbers)
	}
	c.gets(0, 0, 0)
	p.store.awaitAcked(260)
	p.send(1, 0)
	c.gets(time.Minute, 260, 1)
	p.store.awaitAcked(261)
	p.stored(0)
}

// TestOneShotUse: a client that fetches and leaves finishes nothing; its Abort
// tells.
func TestOneShotUse(t *testing.T) {
	p := newPost(t)
	for i := range 10 {
		p.send(3, 0)
		c := p.dial()
		c.gets(0, 3*i, 3)
		c.leave()
		p.dial().gets(0, 0, 0)
		p.store.awaitAcked(nodeservice.Seq(3*i + 3))
	}
	p.stored(0)
}

// TestWhatConnectionsTellOfAnAnswer goes through the ways in which a connection
// may go on or end with an answer sent.
func TestWhatConnectionsTellOfAnAnswer(t *testing.T) {
	for name, c := range map[string]struct {
		with    func(*bareClient)
		arrived bool
	}{
		"read, and finished":            {func(b *bareClient) { b.read(); b.finish(1, false) }, true},
		"read, and aborted":             {func(b *bareClient) { b.read(); b.abort() }, true},
		"read, and closed":              {func(b *bareClient) { b.read(); _ = b.tcp.Close() }, true},
		"read, and closed for writing":  {func(b *bareClient) { b.read(); _ = b.tcp.CloseWrite() }, true},
		"read, and reset":               {func(b *bareClient) { b.read(); b.reset() }, false},
		"read, and a message cut short": {func(b *bareClient) { b.read(); _, _ = b.tcp.Write(header(64)); _ = b.tcp.Close() }, false},
		"read, and no sense":            {func(b *bareClient) { b.read(); _, _ = b.tcp.Write(make([]byte, 8)); _ = b.tcp.CloseWrite() }, false},
		"unread, and reset":             {func(b *bareClient) { b.begins(); b.reset() }, false},
		"unread, and killed":            {func(b *bareClient) { b.begins(); _ = b.tcp.Close() }, false},
		"unread, aborted and killed":    {func(b *bareClient) { b.begins(); b.abort(); _ = b.tcp.Close() }, false},
		"unread, and given up":          {func(b *bareClient) { b.begins(); b.finish(1, true) }, false},
		"given up, and then read":       {func(b *bareClient) { b.finish(1, true); b.finish(0, false); _ = b.tcp.CloseWrite() }, false},
		"another page, and reset":       {func(b *bareClient) { b.read(); b.fetch(2); b.read(); b.reset() }, false},
		"given up, and closed":          {func(b *bareClient) { b.begins(); b.finish(1, true); _ = b.tcp.CloseWrite() }, false},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPost(t)
			p.send(3, 1<<10)
			c.with(p.ask(p.address, nil))
			if c.arrived {
				p.store.awaitAcked(3)
				p.dial().gets(0, 0, 0)
				return
			}
			other := p.dial()
			other.gets(time.Minute, 0, 3) // as soon as the server knows
			other.leave()
			p.store.awaitAcked(3)
		})
	}
}

// TestAnAnswerThatWasNotWrittenHasNotArrived: with the peer's receive window shut
// most of the answer is still here when it says that it has no more to ask.
func TestAnAnswerThatWasNotWrittenHasNotArrived(t *testing.T) {
	p, b := unwritten(t)
	_ = b.tcp.CloseWrite()
	p.dial().gets(time.Minute, 0, 4)
}

// TestNobodyHasAnAnswerThatWasNotWritten, whatever its Finish says: some peers say
// the same of answers that they gave up.
func TestNobodyHasAnAnswerThatWasNotWritten(t *testing.T) {
	for _, gaveUp := range []bool{false, true} {
		p, b := unwritten(t)
		b.finish(1, gaveUp)
		p.dial().gets(time.Minute, 0, 4)
		b.reset()
	}
}

// unwritten is a client to whom an answer is sent that fits into no buffer on its
// way, and which reads nothing of it but its beginning.
func unwritten(t *testing.T) (*post, *bareClient) {
	t.Helper()
	p := newPost(t)
	p.send(4, 256<<10)
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error)
	go func() { served <- p.server.Serve(t.Context(), smallBuffers{tcp}) }()
	t.Cleanup(func() {
		_ = tcp.Close()
		<-served
	})
	b := p.askWith(tcp.Addr().String(), nil, func(tcp *net.TCPConn) { _ = tcp.SetReadBuffer(4 << 10) })
	b.begins()
	return p, b
}

// smallBuffers accepts connections of which the kernel takes little to send.
type smallBuffers struct{ net.Listener }

func (l smallBuffers) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err == nil {
		err = conn.(*net.TCPConn).SetWriteBuffer(4 << 10)
	}
	return conn, err
}

// TestWhoNeverKeepsIsNotBelieved: a peer whose Finishes all say the same may say
// it of answers that it has. It is not given them again, or it would never end.
func TestWhoNeverKeepsIsNotBelieved(t *testing.T) {
	p := newPost(t)
	p.send(2, 0)
	b := p.ask(p.address, nil)
	if n := b.read(); n != 2 {
		t.Fatalf("%d messages", n)
	}
	b.finish(1, true)
	b.fetch(1)
	if n := b.read(); n != 0 {
		t.Fatalf("%d messages again", n)
	}
	other := p.dial()
	other.gets(time.Minute, 0, 2)
	b.finish(1, false) // knows the difference after all
	other.leave()
	p.store.awaitAcked(2)
	p.send(2, 0)
	b.fetch(1)
	b.begins()
	if _, err := io.ReadFull(b.in, make([]byte, 15)); err != nil { // of the answer, whose rest stays
		t.Fatal(err)
	}
	b.finish(1, true)
	b.fetch(2)
	b.sees("000002", 2) // with the second answer
	s := p.dial()
	s.gets(0, 0, 0) // b has them, again
	b.reset()
	s.gets(time.Minute, 2, 2)
}

// TestCancelsAtRandom: what a cancelled fetch was to return comes with another,
// on the same connection, once and in order.
func TestCancelsAtRandom(t *testing.T) {
	const messages, cancels = 300, 300
	p := newPost(t)
	p.send(1, 0)
	c := p.dial()
	c.gets(0, 0, 1)
	p.store.awaitAcked(1) // so the server has heard that this peer tells the two apart
	var sending errgroup.Group
	sending.Go(func() error {
		for range messages - 1 {
			p.send(1, 0)
		}
		return nil
	})
	got := []int{0}
	cancelled := 0
	for cancelled < cancels || len(got) < messages {
		ctx, cancel := context.WithCancel(t.Context())
		if cancelled < cancels {
			ctx, cancel = context.WithTimeout(t.Context(), rand.N(400*time.Microsecond))
		}
		numbers, err := c.fetch(ctx, 200*time.Millisecond)
		cancel()
		if err != nil {
			cancelled++
		}
		got = append(got, numbers...)
	}
	if err := sending.Wait(); err != nil {
		t.Fatal(err)
	}
	for i, n := range got {
		if n != i {
			t.Fatalf("message %d comes at place %d of %d", n, i, len(got))
		}
	}
	p.store.awaitAcked(messages)
	p.stored(0)
}

// TestConnectionsDrainTogether: some of them cancel, some die, and a client that
// keeps reads beside them; each message comes to somebody, and twice only if
// whoever had it could not say so.
func TestConnectionsDrainTogether(t *testing.T) {
	const messages = 600
	p := newPost(t)
	var mu sync.Mutex
	seen := make([]int, messages)
	all := make(chan struct{})
	note := func(numbers []int) {
		mu.Lock()
		defer mu.Unlock()
		for _, n := range numbers {
			seen[n]++
		}
		if !slices.Contains(seen, 0) {
			select {
			case <-all:
			default:
				close(all)
			}
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	var group errgroup.Group
	for range 3 {
		c := p.dial()
		group.Go(func() error {
			for ctx.Err() == nil {
				numbers, err := c.fetch(ctx, time.Minute)
				if err != nil && ctx.Err() == nil {
					return err
				}
				note(numbers)
			}
			return nil
		})
	}
	group.Go(func() error { // has answers that it never reads
		for ctx.Err() == nil {
			p.ask(p.address, nil).reset()
		}
		return nil
	})
	keeper := dial(t, p.address)
	reader, err := keeper.Authenticate(t.Context(), nodeservice.Origin{}, p.token)
	if err != nil {
		t.Fatal(err)
	}
	group.Go(func() error {
		for ctx.Err() == nil {
			if _, err := reader.Fetch(ctx, nodeservice.FetchRequest{Legacy: true}); err != nil && ctx.Err() == nil {
				return err
			}
		}
		return nil
	})
	p.send(messages, 0)
	<-all
	cancel()
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	for n, times := range seen {
		if times != 1 { // those who died had nothing; the three stayed
			t.Errorf("message %d came %d times", n, times)
		}
	}
}

func TestADrainOverTLS(t *testing.T) {
	certified := httptest.NewTLSServer(nil) // for its certificate
	defer certified.Close()
	trusted := x509.NewCertPool()
	trusted.AddCert(certified.Certificate())
	for name, c := range map[string]struct {
		end     func(*bareClient)
		arrived bool
	}{
		"with a close_notify":        {func(b *bareClient) { b.read(); _ = b.conn.Close() }, true},
		"without a close_notify":     {func(b *bareClient) { b.read(); _ = b.tcp.Close() }, false},
		"with an Abort, and no more": {func(b *bareClient) { b.read(); b.abort(); _ = b.tcp.Close() }, true},
		"with a Finish":              {func(b *bareClient) { b.read(); b.finish(1, false); _ = b.tcp.Close() }, true},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPost(t)
			srv := noderpc.NewServer(noderpc.ServerConfig{Node: p.node})
			tcp, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			ln := tls.NewListener(noderpc.WatchEnds(tcp), &tls.Config{
				Certificates: certified.TLS.Certificates, MinVersion: tls.VersionTLS13})
			served := make(chan error)
			go func() { served <- srv.Serve(t.Context(), ln) }()
			p.send(3, 0)
			c.end(p.ask(ln.Addr().String(), &tls.Config{RootCAs: trusted, ServerName: "example.com"}))
			if c.arrived {
				p.store.awaitAcked(3)
			} else {
				p.dial().gets(time.Minute, 0, 3)
			}
			srv.Close()
			if err := <-served; err != nil {
				t.Fatal(err)
			}
		})
	}
}

// TestOurOwnCloseTellsNothing: the server goes before the client has said
// anything.
func TestOurOwnCloseTellsNothing(t *testing.T) {
	p := newPost(t)
	p.send(3, 0)
	b := p.ask(p.address, nil)
	b.read()
	if err := p.server.Close(); err != nil {
		t.Fatal(err)
	}
	p.stored(3)
}

// TestASlowStoreWhileItSettles: drains go on meanwhile, nothing comes twice, and
// the connection's end waits.
func TestASlowStoreWhileItSettles(t *testing.T) {
	p := newPost(t)
	p.send(2, 0)
	p.store.hold(true)
	c := p.dial()
	c.gets(0, 0, 2)
	p.store.awaitBegun(1) // its Finish has come
	p.send(2, 0)
	c.gets(0, 2, 2)
	other := p.dial()
	other.gets(0, 0, 0)
	c.leave()
	p.store.hold(false)
	p.store.awaitAcked(4)
	other.gets(0, 0, 0)
	p.stored(0)
}
