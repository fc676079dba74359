package gateway_test

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/quicproquo/node/nodeservice"
)

func TestAStreamDeliversAndAcknowledges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t, nil)
		alice, bob, path := b.pair()
		alice.put(path, []byte("one"))
		s := b.handshake(bob, "/v1/stream").open(t)
		if hello := s.want("hello"); hello["identity"] != bob.id.String() || hello["ping_ms"] != 25000.0 {
			t.Errorf("%v", hello)
		}
		if m := s.want("message"); m["seq"] != 1.0 || m["payload"] != "b25l" || "/v1/channels/"+m["channel_id"].(string) != path {
			t.Errorf("%v", m)
		}
		s.want("caught_up")
		alice.put(path, []byte("two"))
		if m := s.want("message"); m["seq"] != 2.0 {
			t.Errorf("%v", m)
		}

		id := channelOf(t, path)
		s.send(`{"type":"ack","channel_id":"%s","through":3}`, id)
		if e := s.want("error"); e["code"] != "invalid_argument" || bob.acked(path) != 0 {
			t.Errorf("an ack beyond what was delivered: %v, acked %d", e, bob.acked(path))
		}
		s.send(`{"type":"ack","channel_id":"%s","through":2}`, id)
		if a := s.want("acked"); a["through"] != 2.0 || bob.acked(path) != 2 {
			t.Errorf("%v, acked %d", a, bob.acked(path))
		}
		s.want("acked") // the event of the same; streams tell what is stored
		s.send(`{"type":"ack","channel_id":"%s","through":1}`, id)
		s.want("acked") // an ack is answered though it changes nothing
		s.send(`{"type":"ack","channel_id":"%s","through":1}`, nodeservice.ChannelID{})
		if e := s.want("error"); e["code"] != "channel_not_found" {
			t.Errorf("%v", e)
		}
		alice.put(path, []byte("three"))
		s.want("message")
	})
}

func TestAStreamOfOneChannelBeginsWhereItIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t, nil)
		alice, bob, path := b.pair()
		for range 3 {
			alice.put(path, []byte("x"))
		}
		s := b.handshake(bob, path+"/stream?after=2").open(t)
		if m := s.want("hello", "message"); m["seq"] != 3.0 {
			t.Errorf("%v", m)
		}
		s.want("caught_up")
	})
}

// A peer that answers nothing is gone after 60 s; one whose library answers the
// protocol's pings, or whose script answers ours, stays.
func TestPings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t, nil)
		_, bob, _ := b.pair()
		deaf := b.handshake(bob, "/v1/stream")
		deaf.onPing = func() bool { return false }
		s := deaf.open(t)
		start := time.Now()
		s.closed(4408, "")
		within(t, "a silent peer is gone", start, 60*time.Second)

		s = deaf.open(t)
		s.want("hello", "caught_up")
		start = time.Now()
		for i := range 8 { // over 3 minutes
			_, data, err := s.conn.Read(context.Background())
			if err != nil || string(data) != `{"type":"ping"}` {
				t.Fatalf("got %q, %v", data, err)
			}
			within(t, "a ping comes", start, time.Duration(i+1)*25*time.Second)
			s.send(`{"type":"pong"}`)
		}

		s = b.handshake(bob, "/v1/stream").open(t)
		s.want("hello", "caught_up")
		for range 8 {
			if _, data, err := s.conn.Read(context.Background()); err != nil || string(data) != `{"type":"ping"}` {
				t.Fatalf("got %q, %v", data, err)
			}
		}
	})
}

// A reader that stops costs the message that waits for it, until the write's
// deadline; it loses the connection, and not its place.
func TestASlowReaderLosesTheConnectionOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t, func(c *nodeservice.Config) { c.Quotas.Streams = 1 })
		alice, bob, path := b.pair()
		for range 3 {
			alice.put(path, bytes.Repeat([]byte("x"), 3<<20))
		}
		stuck := b.handshake(bob, "/v1/stream").open(t)
		stuck.want("hello")
		time.Sleep(50 * time.Second) // of the bubble's clock: 4 MiB in base64url have 74 s
		if _, _, err := b.handshake(bob, "/v1/stream").dial(t); err == nil {
			t.Error("the slow reader was cut off early")
		}
		time.Sleep(30 * time.Second)
		s := b.handshake(bob, "/v1/stream").open(t)
		s.want("hello", "message")
	})
}

func TestATokenExpiresInAStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t, nil)
		_, bob, _ := b.pair()
		expires := bob.session().ExpiresAt().Time()
		s := b.handshake(bob, "/v1/stream").open(t)
		s.want("hello", "caught_up", "token_expiring")
		within(t, "the warning comes", expires, -time.Minute)
		s.closed(4401, "token_expired: ")
		within(t, "the end comes", expires, 0)

		carol := b.client()
		carol.token = login(t, b.core, carol.key)
		other := login(t, b.core, bob.key)
		s = b.handshake(carol, "/v1/stream").open(t)
		s.want("hello", "caught_up")
		s.send(`{"type":"auth","token":%q}`, other)
		if e := s.want("error"); e["code"] != "permission_denied" {
			t.Errorf("a token of another identity: %v", e)
		}
		s.send(`{"type":"auth","token":"garbage"}`)
		if e := s.want("error"); e["code"] != "unauthenticated" {
			t.Errorf("garbage for a token: %v", e)
		}
		s.want("token_expiring")
		carol.token = login(t, b.core, carol.key)
		s.send(`{"type":"auth","token":%q}`, carol.token)
		s.want("token_expiring")
		within(t, "the renewed token's warning comes", carol.session().ExpiresAt().Time(), -time.Minute)
	})
}

func TestARevokedTokenEndsItsStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t, nil)
		_, bob, _ := b.pair()
		s := b.handshake(bob, "/v1/stream").open(t)
		s.want("hello", "caught_up")
		if err := bob.session().Revoke(context.Background()); err != nil {
			t.Fatal(err)
		}
		s.closed(4401, "unauthenticated: ")
	})
}

func TestShutdownDrainsStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t, nil)
		alice, bob, path := b.pair()
		one := b.handshake(bob, "/v1/stream").open(t)
		two := b.handshake(alice, path+"/stream").open(t)
		one.want("hello", "caught_up")
		two.want("hello", "caught_up")
		stopped := make(chan error)
		go func() { stopped <- b.gateway.Shutdown(context.Background()) }()
		for _, s := range []*socket{one, two} {
			if f := s.want("draining"); f["retry_after_ms"].(float64) < 1000 {
				t.Errorf("%v", f)
			}
			s.closed(websocket.StatusServiceRestart, "")
		}
		if err := <-stopped; err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		late := b.handshake(bob, "/v1/stream")
		_, resp, err := late.dial(t)
		if err == nil || resp.StatusCode != 503 {
			t.Errorf("a stream after Shutdown: %v", err)
		}
		late.token, late.browser = "", bob.token
		conn, _, err := late.dial(t) // the set takes nobody in any more
		if err == nil {
			if _, _, err = conn.Read(context.Background()); err == nil {
				t.Error("a browser's stream after Shutdown goes on")
			}
		}
		if err := b.gateway.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
}

// Who does not even answer the close is cut off when Shutdown's time is over.
func TestShutdownCutsOffWhoLingers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t, nil)
		_, bob, _ := b.pair()
		b.handshake(bob, "/v1/stream").open(t).want("hello")
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		start := time.Now()
		if err := b.gateway.Shutdown(ctx); err != context.DeadlineExceeded {
			t.Errorf("Shutdown: %v", err)
		}
		within(t, "Shutdown is done", start, 2*time.Second)
	})
}

func TestFramesThatEndAStream(t *testing.T) {
	for _, test := range []struct {
		name   string
		send   func(*socket)
		code   websocket.StatusCode
		reason string
	}{
		{"no JSON", func(s *socket) { s.send("hello") }, 4400, "invalid_argument: "},
		{"an unknown type", func(s *socket) { s.send(`{"type":"subscribe"}`) }, 4400, "invalid_argument: "},
		{"a type of the server's", func(s *socket) { s.send(`{"type":"ping"}`) }, 4400, "invalid_argument: "},
		{"a binary frame", func(s *socket) { _ = s.conn.Write(context.Background(), websocket.MessageBinary, []byte(`{}`)) }, 4400, "invalid_argument: "},
		{"a frame too large", func(s *socket) { // nobody reads it to its end
			_ = s.conn.Write(context.Background(), websocket.MessageText, bytes.Repeat([]byte("x"), 17<<10))
		}, websocket.StatusMessageTooBig, ""},
		{"a frame too large, in pieces", func(s *socket) { pieces(s, strings.Repeat("x", 1<<10), 17) }, websocket.StatusMessageTooBig, ""},
		{"two frames in pieces of one", func(s *socket) { pieces(s, `{"type":"pong"}`, 2) }, 4400, "invalid_argument: "},
		{"too many frames", func(s *socket) {
			for range 101 {
				s.send(`{"type":"pong"}`)
			}
		}, 4429, "rate_limited: "},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBubble(t, nil)
				_, bob, _ := b.pair()
				s := b.handshake(bob, "/v1/stream").open(t)
				s.want("hello", "caught_up")
				done := make(chan struct{})
				go func() {
					defer close(done)
					test.send(s)
				}()
				s.closed(test.code, test.reason)
				<-done
			})
		})
	}
}

// pieces sends a message in fragments (RFC 6455 section 5.4), as far as it is taken.
func pieces(s *socket, piece string, n int) {
	w, err := s.conn.Writer(context.Background(), websocket.MessageText)
	for range n {
		if err == nil {
			_, err = io.WriteString(w, piece)
		}
	}
	if err == nil {
		_ = w.Close()
	}
}

func TestFramesMayComeInPieces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t, nil)
		alice, bob, path := b.pair()
		s := b.handshake(bob, "/v1/stream").open(t)
		s.want("hello", "caught_up")
		w, err := s.conn.Writer(t.Context(), websocket.MessageText)
		for _, piece := range []string{`{"ty`, ``, `pe":"po`, `ng"}`} {
			if err == nil {
				_, err = io.WriteString(w, piece)
			}
		}
		if err == nil {
			err = w.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
		alice.put(path, []byte("x"))
		s.want("channel", "message")
	})
}

func TestAHundredFramesASecondAreFine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t, nil)
		alice, bob, path := b.pair()
		s := b.handshake(bob, "/v1/stream").open(t)
		s.want("hello", "caught_up")
		for range 500 {
			time.Sleep(10 * time.Millisecond) // of the bubble's clock
			s.send(`{"type":"pong"}`)
		}
		alice.put(path, []byte("x"))
		s.want("channel", "message")
	})
}
