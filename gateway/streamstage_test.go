package gateway_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"

	"github.com/coder/websocket"

	"github.com/quicproquo/node/nodeservice"
)

// rendering is one of the ways to read a stream.
type rendering struct {
	name     string
	protocol string // subprotocol; "": events
	http2    bool
}

var renderings = []rendering{
	{"ws-json", "qpq.v1.json", false},
	{"ws-cbor", "qpq.v1.cbor", false},
	{"sse", "", false},
	{"sse over HTTP/2", "", true},
}

// stage is a bubble in which streams are read in one rendering.
type stage struct {
	*bubble
	rendering
	client *http.Client // one connection over HTTP/2, one a request otherwise
}

func onStage(t *testing.T, r rendering, change func(*nodeservice.Config), play func(*testing.T, *stage)) {
	t.Run(r.name, func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := &stage{newBubble(t, change), r, nil}
			s.client = s.net.client()
			if r.http2 {
				transport := &http.Transport{
					Protocols:   new(http.Protocols),
					DialContext: func(context.Context, string, string) (net.Conn, error) { return s.net.dial(), nil },
				}
				transport.Protocols.SetUnencryptedHTTP2(true)
				s.client = &http.Client{Transport: transport}
				t.Cleanup(transport.CloseIdleConnections)
			}
			play(t, s)
		})
	})
}

// follow opens a stream.
func (s *stage) follow(t *testing.T, c *client, path string, header ...string) *socket {
	t.Helper()
	if s.protocol != "" {
		h := s.handshake(c, path)
		h.protocols = []string{s.protocol}
		socket := h.open(t)
		socket.once = true
		return socket
	}
	resp := s.get(t, c, path, header...)
	if resp.StatusCode != 200 {
		body, _ := io.ReadAll(resp.Body)
		t.Fatalf("status %d: %s", resp.StatusCode, body)
	}
	return &socket{t: t, events: &eventReader{t: t, body: resp.Body, lines: bufio.NewReader(resp.Body)}}
}

func (s *stage) get(t *testing.T, c *client, path string, header ...string) *http.Response {
	t.Helper()
	req, err := http.NewRequest("GET", s.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	req.Header.Set("Accept", "text/event-stream")
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := s.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = resp.Body.Close() })
	return resp
}

// ack acknowledges as the client of such a stream does.
func (s *stage) ack(k *socket, c *client, path string, through nodeservice.Seq) {
	k.t.Helper()
	if k.conn != nil {
		k.send(`{"type":"ack","channel_id":%q,"through":%d}`, channelOf(k.t, path), through)
		return
	}
	req, err := http.NewRequest("DELETE", fmt.Sprintf("%s%s/messages?through=%d", s.url, path, through), nil)
	if err != nil {
		k.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	resp, err := s.client.Do(req)
	if err != nil || resp.StatusCode != 204 {
		k.t.Fatalf("ack: %v, %v", resp, err)
	}
	_ = resp.Body.Close()
}

// leave ends the stream as a client does.
func (s *socket) leave() {
	if s.events != nil {
		_ = s.events.body.Close()
		return
	}
	_ = s.conn.CloseNow()
}

// ends demands that the stream ends for an error: by a close code, or by a last
// event; frames before that are passed over.
func (s *socket) ends(close websocket.StatusCode, code nodeservice.Code) {
	s.t.Helper()
	if s.conn != nil {
		s.closed(close, string(code)+": ")
		return
	}
	for f := s.next(); ; f = s.next() {
		if f["type"] == "error" {
			if f["code"] != string(code) || f["detail"] == "" {
				s.t.Errorf("got %v, want %s", f, code)
			}
			break
		}
	}
	if data, err := s.read(); err != io.EOF {
		s.t.Errorf("after the last event came %s, %v", data, err)
	}
}

// pinged demands a ping next.
func (s *socket) pinged() {
	s.t.Helper()
	for {
		data, err := s.read()
		if err == nil && s.once && string(data) == s.acked {
			continue
		}
		if err != nil || string(data) != `{"type":"ping"}` {
			s.t.Fatalf("got %.200s, %v, want silence", data, err)
		}
		return
	}
}

// silent demands that nothing comes for 25 s at least.
func (s *socket) silent() {
	s.t.Helper()
	s.pinged()
	s.pinged()
}
