package gateway_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/mls"
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

// TestStreams is the same behaviours in every rendering.
func TestStreams(t *testing.T) {
	for name, behaviour := range map[string]func(*testing.T, *stage){
		"delivers and acknowledges": func(t *testing.T, s *stage) {
			alice, bob, path := s.pair()
			alice.put(path, []byte("one"))
			k := s.follow(t, bob, "/v1/stream")
			if hello := k.want("hello"); hello["identity"] != bob.id.String() || hello["ping_ms"] != 25000.0 ||
				fmt.Sprint(hello["window"]) != fmt.Sprint(map[string]any{"messages": 128.0, "bytes": float64(16 << 20)}) {
				t.Errorf("%v", hello)
			}
			if m := k.want("message"); m["seq"] != 1.0 || m["payload"] != "b25l" || "/v1/channels/"+m["channel_id"].(string) != path {
				t.Errorf("%v", m)
			}
			k.want("caught_up")
			alice.put(path, []byte("two"))
			k.want("message")
			s.ack(k, bob, path, 2)
			if a := k.want("acked"); a["through"] != 2.0 || bob.acked(path) != 2 {
				t.Errorf("%v", a)
			}
			if k.events != nil && k.events.lastID != "" {
				t.Errorf("an event of all channels has the id %q", k.events.lastID)
			}
		},
		"begins where it is told, and acknowledges nothing by that": func(t *testing.T, s *stage) {
			alice, bob, path := s.pair()
			for range 3 {
				alice.put(path, []byte("x"))
			}
			k := s.follow(t, bob, path+"/stream?after=2")
			if m := k.want("hello", "message"); m["seq"] != 3.0 || bob.acked(path) != 0 {
				t.Errorf("%v", m)
			}
			k.want("caught_up")
		},
		"tells a gap": func(t *testing.T, s *stage) {
			alice, bob, path := s.pair()
			for range 3 {
				alice.put(path, []byte("x"))
			}
			if err := bob.session().Ack(t.Context(), nodeservice.AckRequest{Channel: channelOf(t, path), Through: 3}); err != nil {
				t.Fatal(err)
			}
			k := s.follow(t, bob, path+"/stream?after=1")
			if g := k.want("hello", "gap"); g["from"] != 2.0 || g["to"] != 3.0 || g["reason"] != "acked" {
				t.Errorf("%v", g)
			}
			if k.events != nil && k.events.lastID != "3" {
				t.Errorf("after the gap the id is %q", k.events.lastID)
			}
			k.want("caught_up")
		},
		"tells all streams of an identity": func(t *testing.T, s *stage) {
			alice, bob, path := s.pair()
			all, one, other := s.follow(t, bob, "/v1/stream"), s.follow(t, bob, path+"/stream"), s.follow(t, alice, "/v1/stream")
			for _, k := range []*socket{all, one, other} {
				k.want("hello", "caught_up")
			}
			alice.put(path, []byte("x"))
			all.want("channel", "message")
			one.want("message")
			s.ack(one, bob, path, 1)
			for _, k := range []*socket{all, one} {
				if a := k.want("acked"); a["through"] != 1.0 {
					t.Errorf("%v", a)
				}
			}
			other.silent()
		},
		"tells a new channel before its first message": func(t *testing.T, s *stage) {
			carol, bob := s.bubble.client(), s.bubble.client()
			k := s.follow(t, bob, "/v1/stream")
			k.want("hello", "caught_up")
			view, _, err := carol.session().CreateChannel(t.Context(), bob.id)
			if err != nil {
				t.Fatal(err)
			}
			carol.put("/v1/channels/"+view.ID.String(), []byte("x"))
			if c := k.want("channel"); c["peer"] != carol.id.String() || c["channel_id"] != view.ID.String() {
				t.Errorf("%v", c)
			}
			k.want("message")
		},
		"tells that key packages are low": func(t *testing.T, s *stage) {
			bob, now := s.bubble.client(), time.Now()
			built, err := mls.KeyPackageTemplate{
				CipherSuite: 1, Signer: bob.key.Signer(), Credential: []byte("bob"),
				NotBefore: now.Add(-time.Hour), NotAfter: now.Add(20 * time.Hour),
			}.Build()
			if err == nil {
				_, err = bob.session().UploadKeyPackages(t.Context(), nodeservice.UploadRequest{Packages: [][]byte{built.Bytes}})
			}
			if err != nil {
				t.Fatal(err)
			}
			k := s.follow(t, bob, "/v1/stream")
			if low := k.want("hello", "key_packages_low"); low["suite"] != 1.0 || low["remaining"] != 1.0 {
				t.Errorf("%v", low)
			}
			k.want("caught_up")
		},
		"goes on with a renewed token": func(t *testing.T, s *stage) {
			bob := s.bubble.client()
			k := s.follow(t, bob, "/v1/stream")
			k.want("hello", "caught_up", "token_expiring")
			if k.conn == nil {
				k.ends(0, nodeservice.CodeTokenExpired) // events cannot: the client comes again
				return
			}
			k.send(`{"type":"auth","token":%q}`, login(t, s.core, s.bubble.client().key))
			if e := k.want("error"); e["code"] != "permission_denied" {
				t.Errorf("a token of another identity: %v", e)
			}
			k.send(`{"type":"auth","token":%q}`, login(t, s.core, bob.key))
			expires := time.Now().Add(15 * time.Minute)
			k.want("token_expiring")
			if left := time.Until(expires); left < 50*time.Second || left > 61*time.Second {
				t.Errorf("the next warning comes %v before the end", left)
			}
		},
		"holds its window": func(t *testing.T, s *stage) {
			alice, bob, path := s.pair()
			for range 130 {
				alice.put(path, []byte("x"))
			}
			one := s.follow(t, bob, path+"/stream")
			one.want("hello")
			for range 128 {
				one.want("message")
			}
			one.silent()
			s.ack(one, bob, path, 10)
			if one.want("acked")["through"] != 10.0 || one.want("message")["seq"] != 129.0 {
				t.Error("the window opened otherwise")
			}
			one.leave()
			all := s.follow(t, bob, "/v1/stream")
			all.want("hello")
			for range 128 / 4 { // the share of one channel
				all.want("message")
			}
			all.silent()
			if err := bob.session().Ack(t.Context(), nodeservice.AckRequest{Channel: channelOf(t, path), Through: 11}); err != nil {
				t.Fatal(err)
			}
			if all.want("acked")["through"] != 11.0 || all.want("message")["seq"] != 43.0 {
				t.Error("an ack by another door opens it otherwise")
			}
		},
		"delivers the largest message": func(t *testing.T, s *stage) {
			alice, bob, path := s.pair()
			payload := bytes.Repeat([]byte{0xfb}, 5<<20)
			alice.put(path, payload)
			k := s.follow(t, bob, "/v1/stream")
			if m := k.want("hello", "message"); m["payload"] != b64.EncodeToString(payload) {
				t.Errorf("%d characters came", len(m["payload"].(string)))
			}
			k.want("caught_up")
		},
		"pings": func(t *testing.T, s *stage) {
			_, bob, _ := s.pair()
			k := s.follow(t, bob, "/v1/stream")
			k.want("hello", "caught_up")
			start := time.Now()
			for i := range 8 { // over 3 minutes
				if data, err := k.read(); err != nil || string(data) != `{"type":"ping"}` {
					t.Fatalf("got %s, %v", data, err)
				}
				within(t, "a ping comes", start, time.Duration(i+1)*25*time.Second)
			}
		},
		"warns of the token's end, and ends with it": func(t *testing.T, s *stage) {
			_, bob, _ := s.pair()
			expires := bob.session().ExpiresAt().Time()
			k := s.follow(t, bob, "/v1/stream")
			k.want("hello", "caught_up", "token_expiring")
			within(t, "the warning comes", expires, -time.Minute)
			k.ends(4401, nodeservice.CodeTokenExpired)
			within(t, "the end comes", expires, 0)
		},
		"ends with a revoked token": func(t *testing.T, s *stage) {
			_, bob, _ := s.pair()
			k := s.follow(t, bob, "/v1/stream")
			k.want("hello", "caught_up")
			start := time.Now()
			if err := bob.session().Revoke(t.Context()); err != nil {
				t.Fatal(err)
			}
			k.ends(4401, nodeservice.CodeUnauthenticated)
			if took := time.Since(start); took > time.Second {
				t.Errorf("the end came after %v", took)
			}
		},
		"drains": func(t *testing.T, s *stage) {
			_, bob, path := s.pair()
			one, two := s.follow(t, bob, "/v1/stream"), s.follow(t, bob, path+"/stream")
			one.want("hello", "caught_up")
			two.want("hello", "caught_up")
			stopped := make(chan error)
			go func() { stopped <- s.gateway.Shutdown(context.Background()) }()
			for _, k := range []*socket{one, two} {
				if f := k.want("draining"); f["retry_after_ms"].(float64) < 1000 {
					t.Errorf("%v", f)
				}
				if k.conn != nil {
					k.closed(websocket.StatusServiceRestart, "")
				} else if data, err := k.read(); err != io.EOF {
					t.Errorf("after draining came %s, %v", data, err)
				}
			}
			if err := <-stopped; err != nil {
				t.Errorf("Shutdown: %v", err)
			}
		},
		"goes on where its reader left": func(t *testing.T, s *stage) {
			alice, bob, path := s.pair()
			for range 3 {
				alice.put(path, []byte("x"))
			}
			k := s.follow(t, bob, "/v1/stream")
			k.want("hello", "message")
			s.ack(k, bob, path, 1)
			for k.next()["type"] != "acked" { // the others come meanwhile
			}
			k.leave()
			if m := s.follow(t, bob, "/v1/stream").want("hello", "message"); m["seq"] != 2.0 {
				t.Errorf("%v", m)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			for _, r := range renderings {
				onStage(t, r, nil, behaviour)
			}
		})
	}
}

// A reader that stops costs the message that waits for it until the write's
// deadline. It keeps nobody waiting, and loses the connection, but not its place.
func TestASlowReaderNeverStallsOthers(t *testing.T) {
	for _, r := range renderings {
		one := func(c *nodeservice.Config) { c.Quotas.Streams = 2 }
		onStage(t, r, one, func(t *testing.T, s *stage) {
			alice, bob, path := s.pair()
			for range 4 {
				alice.put(path, bytes.Repeat([]byte("x"), 2<<20))
			}
			stuck, brisk := s.follow(t, bob, path+"/stream"), s.follow(t, bob, path+"/stream")
			stuck.want("hello")
			brisk.want("hello", "message", "message", "message", "message")
			s.ack(brisk, bob, path, 1)
			brisk.want("caught_up", "acked")
			brisk.pinged()                                                   // after 25 s of the bubble's clock
			if resp := s.get(t, bob, "/v1/stream"); resp.StatusCode != 403 { // 2 MiB have 42 s
				t.Errorf("the slow reader was cut off early: %d", resp.StatusCode)
			}
			brisk.leave()
			time.Sleep(30 * time.Second)
			again := []*socket{s.follow(t, bob, path+"/stream"), s.follow(t, bob, path+"/stream")}
			for _, k := range again { // both places are free again
				if m := k.want("hello", "message"); m["seq"] != 2.0 {
					t.Errorf("the place is lost: seq %v", m["seq"])
				}
			}
		})
	}
}

// A peer that dies in the midst of the largest message is gone after 60 s, though a
// slow one would have longer for it.
func TestAPeerThatDiesWhileItIsWrittenTo(t *testing.T) {
	for _, r := range renderings {
		one := func(c *nodeservice.Config) { c.Quotas.Streams = 1 }
		onStage(t, r, one, func(t *testing.T, s *stage) {
			alice, bob, path := s.pair()
			for range 2 {
				alice.put(path, bytes.Repeat([]byte("x"), 5<<20))
			}
			s.follow(t, bob, path+"/stream").want("hello")
			time.Sleep(61 * time.Second) // of the bubble's clock: 5 MiB have 90 s
			s.follow(t, bob, path+"/stream").want("hello", "message")
		})
	}
}

// Who does not read is cut off when Shutdown's time is over, in any rendering.
func TestShutdownCutsOffWhoDoesNotRead(t *testing.T) {
	for _, r := range renderings {
		onStage(t, r, nil, func(t *testing.T, s *stage) {
			alice, bob, path := s.pair()
			for range 3 {
				alice.put(path, bytes.Repeat([]byte("x"), 5<<20))
			}
			s.follow(t, bob, path+"/stream").want("hello")
			synctest.Wait() // the line is full
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			start := time.Now()
			if err := s.gateway.Shutdown(ctx); err != context.DeadlineExceeded {
				t.Errorf("Shutdown: %v", err)
			}
			within(t, "Shutdown is done", start, 2*time.Second)
		})
	}
}

func TestEventsGoOnAfterTheLastOne(t *testing.T) {
	onStage(t, renderings[2], nil, func(t *testing.T, s *stage) {
		alice, bob, path := s.pair()
		for range 4 {
			alice.put(path, []byte("x"))
		}
		k := s.follow(t, bob, path+"/stream?after=1", "Last-Event-ID", "2")
		if m := k.want("hello", "message"); m["seq"] != 3.0 || k.events.lastID != "3" {
			t.Errorf("%v, and the id %q", m, k.events.lastID)
		}
		k = s.follow(t, bob, "/v1/stream", "Last-Event-ID", "2")
		if m := k.want("hello", "message"); m["seq"] != 1.0 {
			t.Errorf("Last-Event-ID on all channels was honoured: %v", m)
		}
		s.follow(t, bob, "/v1/stream", "Last-Event-ID", "garbage").want("hello")
		for _, last := range []string{"", "x", "-1", "+1", "01", "1.0", "1e2", " 1 2", "9007199254740992", "5"} {
			resp := s.get(t, bob, path+"/stream", "Last-Event-ID", last)
			body, _ := io.ReadAll(resp.Body)
			checkProblem(t, reply{resp.StatusCode, resp.Header, body}, 400, nodeservice.CodeInvalidArgument)
		}
		resp := s.get(t, bob, path+"/stream?after=x", "Last-Event-ID", "1")
		if resp.StatusCode != 400 {
			t.Errorf("a malformed after: status %d", resp.StatusCode)
		}
	})
}

func TestWhoAsksForEvents(t *testing.T) {
	onStage(t, renderings[2], nil, func(t *testing.T, s *stage) {
		_, bob, path := s.pair()
		for accept, status := range map[string]int{
			"text/event-stream":                              200,
			"Text/Event-Stream;charset=utf-8":                200,
			"application/json;q=0.9, text/event-stream;q=.1": 200,
			"text/event-stream;q=0":                          426,
			"text/event-stream;q=0.000, */*":                 426,
			"*/*":                                            426,
			"text/*":                                         426,
			"application/json":                               426,
			"text/event-streams":                             426,
			"text/event-stream;;":                            426,
			"":                                               426,
		} {
			for _, where := range []string{"/v1/stream", path + "/stream"} {
				resp := s.get(t, bob, where, "Accept", accept)
				if resp.StatusCode != status {
					t.Errorf("%s, Accept %q: status %d, want %d", where, accept, resp.StatusCode, status)
				}
				h := resp.Header
				if status == 200 && (h.Get("Content-Type") != "text/event-stream" || h.Get("Cache-Control") != "no-store" || h.Get("X-Accel-Buffering") != "no") {
					t.Errorf("the header is %v", h)
				}
				_ = resp.Body.Close()
				synctest.Wait() // its place is given back
			}
		}
	})
}

func TestRefusedEvents(t *testing.T) {
	d := newDoor(t, newCore(t, func(c *nodeservice.Config) { c.Quotas.Streams = 1 }), nil)
	alice, bob, carol, busy := d.client(), d.client(), d.client(), d.client()
	path := alice.channel(bob)
	handshake{url: d.url + "/v1/stream", token: busy.token}.open(t).want("hello")
	for _, test := range []struct {
		name, path, token string
		status            int
		code              nodeservice.Code
	}{
		{"no token", "/v1/stream", "", 401, nodeservice.CodeUnauthenticated},
		{"garbage for a token", "/v1/stream", "garbage", 401, nodeservice.CodeUnauthenticated},
		{"a token in the URL", "/v1/stream?access_token=x", bob.token, 400, nodeservice.CodeInvalidArgument},
		{"a stranger's channel", path + "/stream", carol.token, 404, nodeservice.CodeChannelNotFound},
		{"after beyond the head", path + "/stream?after=9", bob.token, 400, nodeservice.CodeInvalidArgument},
		{"after on all channels", "/v1/stream?after=1", bob.token, 400, nodeservice.CodeInvalidArgument},
		{"one stream too many", "/v1/stream", busy.token, 403, nodeservice.CodeQuotaExceeded},
	} {
		t.Run(test.name, func(t *testing.T) {
			header := []string{"Accept", "text/event-stream", "Sec-WebSocket-Protocol", tokenProtocol + b64.EncodeToString([]byte(bob.token))}
			if test.token != "" {
				header = append(header, "Authorization", "Bearer "+test.token)
			}
			checkProblem(t, d.do("GET", test.path, nil, header...), test.status, test.code)
		})
	}
	checkProblem(t, bob.do("GET", "/v1/stream", "{}", "Accept", "text/event-stream"), 400, nodeservice.CodeInvalidArgument)
	for range 2 { // which takes no place
		if r := bob.do("HEAD", "/v1/stream", "", "Accept", "text/event-stream"); r.status != 200 || len(r.body) > 0 {
			t.Errorf("HEAD: status %d", r.status)
		}
	}
	if err := d.gateway.Close(); err != nil {
		t.Fatal(err)
	}
	r := bob.do("GET", "/v1/stream", "", "Accept", "text/event-stream")
	checkProblem(t, r, 503, nodeservice.CodeUnavailable)
}

func TestAPanicInAStreamOfEvents(t *testing.T) {
	d := newDoor(t, brokenNode{newCore(t, nil)}, nil)
	r := d.client().do("GET", "/v1/stream", "", "Accept", "text/event-stream")
	if _, last, _ := strings.Cut(string(r.body), "event: error\n"); !strings.HasPrefix(last, `data: {"type":"error","code":"internal",`) || strings.Contains(last, "42") {
		t.Errorf("%s", r.body)
	}
	if !strings.Contains(d.log.String(), "the secret is 42") {
		t.Error("the operator is not told")
	}
}

// The client's order decides, as long as we know what it names.
func TestTheFirstKnownSubprotocolIsTaken(t *testing.T) {
	d := newDoor(t, newCore(t, nil), nil)
	bob := d.client()
	for want, offered := range map[string][]string{
		"qpq.v1.cbor": {"qpq.v9.cbor", "qpq.v1.cbor", "qpq.v1.json"},
		"qpq.v1.json": {"qpq.v1.json", "qpq.v1.cbor"},
	} {
		s := handshake{url: d.url + "/v1/stream", token: bob.token, protocols: offered}.open(t)
		if got := s.conn.Subprotocol(); got != want {
			t.Errorf("%q of %q", got, offered)
		}
		s.want("hello", "caught_up")
	}
}
