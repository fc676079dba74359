package gateway_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/quicproquo/node/gateway"
	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/openapi/openapitest"
)

const tokenProtocol = "base64url.bearer.authorization.qpq."

// handshake is how a test opens a stream.
type handshake struct {
	http      *http.Client
	url       string
	token     string // in Authorization
	browser   string // token in a subprotocol
	protocols []string
	header    http.Header
	onPing    func() bool
}

func (h handshake) dial(t testing.TB) (*websocket.Conn, *http.Response, error) {
	t.Helper()
	header := http.Header{}
	if h.header != nil {
		header = h.header.Clone()
	}
	if h.token != "" {
		header.Set("Authorization", "Bearer "+h.token)
	}
	protocols := h.protocols
	if protocols == nil {
		protocols = []string{"qpq.v1.json"}
	}
	if h.browser != "" {
		protocols = append(protocols, tokenProtocol+b64.EncodeToString([]byte(h.browser)))
	}
	options := &websocket.DialOptions{HTTPClient: h.http, HTTPHeader: header, Subprotocols: protocols}
	if h.onPing != nil {
		options.OnPingReceived = func(context.Context, []byte) bool { return h.onPing() }
	}
	conn, resp, err := websocket.Dial(testContext(t), h.url, options)
	if conn != nil {
		t.Cleanup(func() { _ = conn.CloseNow() }) // may be closed already
		conn.SetReadLimit(64 << 20)
	}
	return conn, resp, err
}

// socket is an open stream as a test reads it, in whichever rendering.
type socket struct {
	t      testing.TB
	conn   *websocket.Conn // nil: events
	events *eventReader    // nil: a WebSocket
	once   bool            // pass over an acked that repeats the one before: what acks by frame is told twice
	acked  string          // the latest
}

func (h handshake) open(t testing.TB) *socket {
	t.Helper()
	conn, _, err := h.dial(t)
	if err != nil {
		t.Fatal(err)
	}
	return &socket{t: t, conn: conn}
}

type frame map[string]any

// schemas are those of all frames, read once.
var schemas struct {
	once   sync.Once
	frames openapitest.Frames
}

// read is the next frame in JSON, found to be as the contract says.
func (s *socket) read() ([]byte, error) {
	s.t.Helper()
	var data []byte
	var err error
	switch {
	case s.events != nil:
		data, err = s.events.next()
	case s.conn.Subprotocol() == "qpq.v1.cbor":
		if _, data, err = s.conn.Read(context.Background()); err == nil {
			data = fromCBOR(s.t, data)
		}
	default:
		_, data, err = s.conn.Read(context.Background())
	}
	if err != nil || len(data) > 1<<20 { // a pattern takes its time
		return data, err
	}
	schemas.once.Do(func() { schemas.frames = openapitest.LoadFrames(s.t) })
	if err := schemas.frames.Check(data); err != nil {
		s.t.Fatalf("%s: %v", data, err)
	}
	return data, nil
}

// next is the next frame; pings are passed over.
func (s *socket) next() frame {
	s.t.Helper()
	for {
		data, err := s.read()
		if err != nil {
			s.t.Fatal(err)
		}
		var f frame
		if err := json.Unmarshal(data, &f); err != nil {
			s.t.Fatal(err)
		}
		if f["type"] == "acked" {
			repeated := s.once && s.acked == string(data)
			if s.acked = string(data); repeated {
				continue
			}
		}
		if f["type"] != "ping" {
			return f
		}
	}
}

// want demands the types of the next frames, and returns the last.
func (s *socket) want(types ...string) (f frame) {
	s.t.Helper()
	for _, kind := range types {
		if f = s.next(); f["type"] != kind {
			s.t.Fatalf("got %.300s, want %s", fmt.Sprint(f), kind)
		}
	}
	return f
}

func (s *socket) send(format string, args ...any) {
	s.t.Helper()
	kind, data := websocket.MessageText, fmt.Appendf(nil, format, args...)
	if s.conn.Subprotocol() == "qpq.v1.cbor" {
		kind, data = websocket.MessageBinary, toCBOR(s.t, data)
	}
	if err := s.conn.Write(context.Background(), kind, data); err != nil {
		s.t.Fatal(err)
	}
}

// closed demands how the stream ends; frames before that are passed over.
func (s *socket) closed(code websocket.StatusCode, reason string) {
	s.t.Helper()
	for {
		_, err := s.read()
		if err == nil {
			continue
		}
		var e websocket.CloseError
		if !errors.As(err, &e) || e.Code != code || !strings.HasPrefix(e.Reason, reason) {
			s.t.Fatalf("got %v, want %d %q", err, code, reason)
		}
		return
	}
}

// bubble is a gateway in a network of pipes, where time is not real.
type bubble struct {
	*door
	net *pipes
}

// newBubble must be called in a synctest bubble.
func newBubble(t *testing.T, change func(*nodeservice.Config)) *bubble {
	return bubbleOf(t, gateway.Config{Node: newCore(t, change), Log: quiet()})
}

func bubbleOf(t *testing.T, c gateway.Config) *bubble {
	g, err := gateway.New(c)
	if err != nil {
		t.Fatal(err)
	}
	b := &bubble{&door{t: t, core: c.Node, gateway: g, url: "http://node"}, newPipes()}
	server := gateway.NewServer(g, quiet())
	server.Protocols = new(http.Protocols)
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetUnencryptedHTTP2(true) // as over TLS, where a client asks for it
	served := make(chan error)
	go func() { served <- server.Serve(b.net) }()
	t.Cleanup(func() {
		_ = g.Close()
		_ = server.Close()
		<-served
	})
	return b
}

func (b *bubble) handshake(c *client, path string) handshake {
	return handshake{http: b.net.client(), url: b.url + path, token: c.token}
}

// pair is two clients of the core and the path of their channel.
func (b *bubble) pair() (alice, bob *client, path string) {
	b.t.Helper()
	alice, bob = b.client(), b.client()
	view, _, err := alice.session().CreateChannel(context.Background(), bob.id)
	if err != nil {
		b.t.Fatal(err)
	}
	return alice, bob, "/v1/channels/" + view.ID.String()
}

// session goes straight to the core.
func (c *client) session() nodeservice.Session {
	c.door.t.Helper()
	s, err := c.door.core.Authenticate(context.Background(), nodeservice.Origin{}, c.token)
	if err != nil {
		c.door.t.Fatal(err)
	}
	return s
}

// put stores a payload straight in the core.
func (c *client) put(path string, payload []byte) {
	c.door.t.Helper()
	_, err := c.session().Enqueue(context.Background(), nodeservice.EnqueueRequest{Channel: channelOf(c.door.t, path), Payload: payload})
	if err != nil {
		c.door.t.Fatal(err)
	}
}

// acked is what is stored of the client's acknowledgements.
func (c *client) acked(path string) nodeservice.Seq {
	c.door.t.Helper()
	view, err := c.session().Channel(context.Background(), channelOf(c.door.t, path))
	if err != nil {
		c.door.t.Fatal(err)
	}
	return view.Acked
}

func channelOf(t testing.TB, path string) nodeservice.ChannelID {
	t.Helper()
	id, err := nodeservice.ParseChannelID(strings.TrimPrefix(path, "/v1/channels/"))
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// within says that something took its time, of the bubble's clock.
func within(t *testing.T, what string, start time.Time, want time.Duration) {
	t.Helper()
	if took := time.Since(start); took != want {
		t.Errorf("%s after %v, want %v", what, took, want)
	}
}
