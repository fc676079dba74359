package noderpc_test

import (
	"bufio"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/quicproquo/node/nodeservice"
)

// bareQUIC is a bareClient on the one stream of a QUIC connection.
type bareQUIC struct {
	*bareClient
	stream *quic.Stream
	quic   *quic.Conn
}

func (p *post) askQUIC(t *testing.T, srv *quicServer) *bareQUIC {
	t.Helper()
	conn := srv.raw(t)
	stream, err := conn.OpenStreamSync(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b := &bareClient{post: p, conn: streamConn{stream, conn}, in: bufio.NewReader(stream)}
	s := &script{t: t}
	s.bootstrap(0)
	b.write(s)
	b.read()
	b.fetch(1)
	return &bareQUIC{b, stream, conn}
}

// TestWhatStreamsTellOfAnAnswer: over QUIC, too, an answer has arrived when the
// stream ends tidily behind it, and has not when the client wanted no more of it or
// took the whole connection down.
func TestWhatStreamsTellOfAnAnswer(t *testing.T) {
	for name, c := range map[string]struct {
		with    func(*bareQUIC)
		arrived bool
	}{
		"read, and finished":           {func(b *bareQUIC) { b.read(); b.finish(1, false) }, true},
		"read, and ended":              {func(b *bareQUIC) { b.read(); _ = b.stream.Close() }, true},
		"read, aborted and ended":      {func(b *bareQUIC) { b.read(); b.abort(); _ = b.stream.Close() }, true},
		"read, and reset":              {func(b *bareQUIC) { b.read(); b.stream.CancelWrite(0) }, false},
		"read, and the connection cut": {func(b *bareQUIC) { b.read(); _ = b.quic.CloseWithError(0, "") }, false},
		"unread, stopped and ended":    {func(b *bareQUIC) { b.begins(); b.stream.CancelRead(0); _ = b.stream.Close() }, false},
		"unread, aborted and cut":      {func(b *bareQUIC) { b.begins(); b.abort(); _ = b.quic.CloseWithError(0, "") }, false},
		"unread, and the connection cut": {func(b *bareQUIC) {
			b.begins()
			_ = b.quic.CloseWithError(0, "")
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPost(t)
			p.send(3, 1<<10)
			c.with(p.askQUIC(t, openQUIC(t, p.server)))
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

// TestOurClientLeavesQUICTidily: what it fetched before it closed has arrived.
func TestOurClientLeavesQUICTidily(t *testing.T) {
	p := newPost(t)
	srv := openQUIC(t, p.server)
	for range 5 {
		p.send(3, 1<<10)
		c := srv.dial(t)
		session, err := c.Authenticate(t.Context(), nodeservice.Origin{}, p.token)
		if err != nil {
			t.Fatal(err)
		}
		page, err := session.Fetch(t.Context(), nodeservice.FetchRequest{Legacy: true, Drain: true})
		if err != nil || len(page.Messages) != 3 {
			t.Fatal(page.Messages, err)
		}
		c.Close()
		p.store.awaitAcked(nodeservice.Seq(p.sent))
	}
}
