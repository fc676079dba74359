package gateway_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/quicproquo/node/gateway"
	"github.com/quicproquo/node/nodeservice"
)

// A browser learns from the close code what others learn from the status.
func TestRefusedStreams(t *testing.T) {
	core := newCore(t, func(c *nodeservice.Config) { c.Quotas.Streams = 1 })
	d := newDoor(t, core, func(c *gateway.Config) { c.AllowedOrigins = []string{"https://app.example.com"} })
	alice, bob, carol, busy := d.client(), d.client(), d.client(), d.client()
	path := alice.channel(bob)
	taken := handshake{url: d.url + "/v1/stream", token: busy.token}.open(t)
	taken.want("hello")
	for _, test := range []struct {
		name, path, token, origin string
		status                    int
		close                     websocket.StatusCode
		code                      nodeservice.Code
	}{
		{"garbage for a token", "/v1/stream", "garbage", "", 401, 4401, nodeservice.CodeUnauthenticated},
		{"a stranger's channel", path + "/stream", carol.token, "", 404, 4404, nodeservice.CodeChannelNotFound},
		{"the nil channel", "/v1/channels/00000000-0000-0000-0000-000000000000/stream", bob.token, "", 404, 4404, nodeservice.CodeChannelNotFound},
		{"a channel id that is none", "/v1/channels/x/stream", bob.token, "", 400, 4400, nodeservice.CodeInvalidArgument},
		{"after beyond the head", path + "/stream?after=9", bob.token, "", 400, 4400, nodeservice.CodeInvalidArgument},
		{"after on all channels", "/v1/stream?after=1", bob.token, "", 400, 4400, nodeservice.CodeInvalidArgument},
		{"a token in the URL", "/v1/stream?token=x", bob.token, "", 400, 4400, nodeservice.CodeInvalidArgument},
		{"one stream too many", "/v1/stream", busy.token, "", 403, 4429, nodeservice.CodeQuotaExceeded},
		{"an origin not allowed", "/v1/stream", bob.token, "https://evil.example", 403, 4403, nodeservice.CodePermissionDenied},
		{"an origin of null", "/v1/stream", bob.token, "null", 403, 4403, nodeservice.CodePermissionDenied},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := handshake{url: d.url + test.path, token: test.token, header: http.Header{}}
			if test.origin != "" {
				h.header.Set("Origin", test.origin)
			}
			_, resp, err := h.dial(t)
			if err == nil || resp.StatusCode != test.status {
				t.Fatalf("with a header: %v", err)
			}
			body, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			if code := (reply{body: body}).code(t); code != test.code {
				t.Errorf("with a header: %s", body)
			}
			h.token, h.browser = "", test.token
			h.open(t).closed(test.close, string(test.code)+": ")
		})
	}
	if log := d.log.String(); strings.Contains(log, bob.token) || strings.Contains(log, b64.EncodeToString([]byte(bob.token))) {
		t.Error("the log holds a token")
	}
}

func TestHandshakesThatAreNone(t *testing.T) {
	d := newDoor(t, newCore(t, nil), nil)
	bob := d.client()
	upgrade := func(change ...string) []string {
		header := map[string]string{
			"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
			"Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==", "Sec-WebSocket-Protocol": "qpq.v1.json",
		}
		for i := 0; i < len(change); i += 2 {
			header[change[i]] = change[i+1]
		}
		var list []string
		for name, value := range header {
			if value != "" {
				list = append(list, name, value)
			}
		}
		return list
	}
	for _, test := range []struct {
		name   string
		header []string
		status int
	}{
		{"no upgrade", upgrade("Connection", "close"), 426},
		{"another upgrade", upgrade("Upgrade", "h2c"), 426},
		{"an old version", upgrade("Sec-WebSocket-Version", "8"), 426},
		{"no key", upgrade("Sec-WebSocket-Key", ""), 400},
		{"a short key", upgrade("Sec-WebSocket-Key", "AAAA"), 400},
		{"no subprotocol", upgrade("Sec-WebSocket-Protocol", ""), 400},
		{"an unknown subprotocol", upgrade("Sec-WebSocket-Protocol", "qpq.v2.json"), 400},
		{"a subprotocol in capitals", upgrade("Sec-WebSocket-Protocol", "QPQ.V1.CBOR"), 400},
		{"a token alone", upgrade("Sec-WebSocket-Protocol", tokenProtocol+"AAAA"), 400},
		{"a token twice", upgrade("Sec-WebSocket-Protocol", "qpq.v1.json, "+tokenProtocol+"AAAA"), 400},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := bob.do("GET", "/v1/stream", "", test.header...)
			checkProblem(t, r, test.status, nodeservice.CodeInvalidArgument)
			if test.status == 426 && r.header.Get("Upgrade") == "" && r.header.Get("Sec-WebSocket-Version") == "" {
				t.Error("426 does not say to what")
			}
		})
	}
	checkProblem(t, d.do("GET", "/v1/stream", nil, upgrade()...), 401, nodeservice.CodeUnauthenticated)
}

// The server chooses our subprotocol among several, and never echoes the token.
func TestTheTokenIsNotEchoed(t *testing.T) {
	d := newDoor(t, newCore(t, nil), nil)
	bob := d.client()
	h := handshake{url: d.url + "/v1/stream", browser: bob.token, protocols: []string{"other", "qpq.v1.json"}, header: http.Header{}}
	h.header.Set("Origin", strings.Replace(d.url, "http://", "https://", 1)) // the request's own host
	conn, resp, err := h.dial(t)
	if err != nil {
		t.Fatal(err)
	}
	if got := resp.Header.Values("Sec-WebSocket-Protocol"); len(got) != 1 || got[0] != "qpq.v1.json" {
		t.Errorf("the answer's subprotocols are %q", got)
	}
	if resp.Header.Get("Sec-WebSocket-Extensions") != "" {
		t.Error("compression was agreed on")
	}
	(&socket{t: t, conn: conn}).want("hello", "caught_up")
}

// brokenNode has sessions whose streams panic.
type brokenNode struct{ nodeservice.Node }

type brokenSession struct{ nodeservice.Session }

type brokenStream struct{ nodeservice.Stream }

func (n brokenNode) Authenticate(ctx context.Context, from nodeservice.Origin, token string) (nodeservice.Session, error) {
	s, err := n.Node.Authenticate(ctx, from, token)
	return brokenSession{s}, err
}

func (s brokenSession) Follow(ctx context.Context, req nodeservice.FollowRequest) (nodeservice.Stream, error) {
	st, err := s.Session.Follow(ctx, req)
	return brokenStream{st}, err
}

func (brokenStream) Next(context.Context) (nodeservice.Event, error) { panic("the secret is 42") }

func TestAStreamsPanicEndsThatStream(t *testing.T) {
	d := newDoor(t, brokenNode{newCore(t, nil)}, nil)
	bob := d.client()
	s := handshake{url: d.url + "/v1/stream", token: bob.token}.open(t)
	s.want("hello")
	s.closed(websocket.StatusInternalError, "internal: something failed inside")
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := d.gateway.Shutdown(ctx); err != nil {
		t.Errorf("the stream was not given up: %v", err)
	}
	if !strings.Contains(d.log.String(), "the secret is 42") {
		t.Error("the operator is not told")
	}
}
