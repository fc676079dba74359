package gateway_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quicproquo/node/gateway"
	"github.com/quicproquo/node/openapi/openapitest"
)

// wire is a gateway's server in a bubble, with the limits of time that it always has.
func wire(t *testing.T) *pipes {
	t.Helper()
	g, err := gateway.New(gateway.Config{Node: newCore(t, nil)})
	if err != nil {
		t.Fatal(err)
	}
	net, server, served := newPipes(), gateway.NewServer(openapitest.Contract(t, g), quiet()), make(chan error)
	go func() { served <- server.Serve(net) }()
	t.Cleanup(func() {
		_ = g.Close()
		_ = server.Close()
		<-served
	})
	return net
}

// talk writes bytes and reads until the server hangs up, which it must; the answer is
// nil if it did so without one.
func talk(t *testing.T, net *pipes, send string) (answer *http.Response, body string) {
	t.Helper()
	conn := net.dial()
	var writing sync.WaitGroup
	defer writing.Wait()
	defer conn.Close()
	// The server may answer and hang up before it has read all of it.
	writing.Go(func() { _, _ = io.WriteString(conn, send) })
	if err := conn.SetReadDeadline(time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	reader := bufio.NewReader(conn)
	method, _, _ := strings.Cut(send, " ")
	answer, err := http.ReadResponse(reader, &http.Request{Method: method})
	if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal("the connection stays open")
	}
	if err != nil {
		return nil, ""
	}
	data, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, reader); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the connection stays open")
	}
	return answer, string(data)
}

// upgradeByHand asks for a WebSocket, without a token.
const upgradeByHand = "GET /v1/stream HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
	"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: qpq.v1.json\r\n\r\n"

const post = "POST /v1/auth/challenge HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"

// What the server cannot even read ends the connection, with the answer that fits.
func TestBadBytesOnASocket(t *testing.T) {
	for name, test := range map[string]struct {
		send   string
		status int // 0: no answer
	}{
		"nothing":                      {"", 0},
		"half a line":                  {"GET /v1/in", 400},
		"half a header":                {"GET /v1/info HTTP/1.1\r\nHost: x\r\nX-", 400},
		"no HTTP":                      {"hello\r\n\r\n", 400},
		"the greeting of TLS":          {"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00\r\n\r\n", 400},
		"no host":                      {"GET /v1/info HTTP/1.1\r\n\r\n", 400},
		"two hosts":                    {"GET /v1/info HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400},
		"a header that is none":        {"GET /v1/info HTTP/1.1\r\nHost: x\r\nX Y: z\r\n\r\n", 400},
		"a header with a control byte": {"GET /v1/info HTTP/1.1\r\nHost: x\r\nX: \x00\r\n\r\n", 400},
		"another version":              {"GET /v1/info HTTP/3.0\r\nHost: x\r\n\r\n", 505},
		"a header too large":           {"GET /v1/info HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 40<<10) + "\r\n\r\n", 431},
		"too many headers":             {"GET /v1/info HTTP/1.1\r\nHost: x\r\n" + strings.Repeat("X: y\r\n", 10_000) + "\r\n", 431},
		"two lengths":                  {post + "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}", 400},
		"a negative length":            {post + "Content-Length: -2\r\n\r\n{}", 400},
		"an encoding that is unknown":  {post + "Transfer-Encoding: gzip\r\n\r\n{}", 501},
		"chunks that are none":         {post + "Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n", 400},
		"a chunk that does not come":   {post + "Transfer-Encoding: chunked\r\n\r\n5\r\n{", 503},
		"a body that does not come":    {post + "Content-Length: 9\r\n\r\n{", 503},
		"no body that comes":           {post + "Content-Length: 9\r\n\r\n", 503},
		"a tunnel":                     {"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\nConnection: close\r\n\r\n", 404},
		"the path of no host":          {"GET http://evil.example/v1/nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 404},
		"the server as a whole":        {"OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 200},
		"an upgrade by HTTP/1.0":       {strings.Replace(upgradeByHand, "1.1", "1.0", 1), 426},
		"an upgrade by HEAD":           {strings.Replace(upgradeByHand, "GET", "HEAD", 1), 426},
		"an upgrade to HTTP/2":         {"GET /v1/nothing HTTP/1.1\r\nHost: x\r\nConnection: close, Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n", 404},
		"an unread body":               {"POST /nothing HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{", 404},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, body := talk(t, wire(t), test.send)
				switch {
				case r == nil && test.status != 0:
					t.Errorf("no answer, want %d", test.status)
				case r != nil && r.StatusCode != test.status:
					t.Errorf("got %s %s, want %d", r.Status, body, test.status)
				case strings.Contains(body, "goroutine") || strings.Contains(body, ".go"):
					t.Errorf("the answer shows the inside: %s", body)
				}
			})
		})
	}
}

// A body that ends before its length is told so, if anybody still listens.
func TestATruncatedBody(t *testing.T) {
	conn, err := net.Dial("tcp", strings.TrimPrefix(newDoor(t, newCore(t, nil), nil).url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, post+"Content-Length: 9\r\n\r\n{"); err != nil {
		t.Fatal(err)
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if status := readStatus(t, conn); status != "HTTP/1.1 400 Bad Request" {
		t.Errorf("got %s", status)
	}
}
