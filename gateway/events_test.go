package gateway_test

import (
	"io"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/quicproquo/node/nodeservice"
)

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
