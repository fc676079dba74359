package gateway_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/quicproquo/node/gateway"
	"github.com/quicproquo/node/openapi/openapitest"
)

// impatient is a gateway on a real socket, whose limits of time are small.
func impatient(t *testing.T) net.Addr {
	g, err := gateway.New(gateway.Config{Node: newCore(t, nil), Patience: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(nil)
	server.Config = gateway.NewServer(openapitest.Contract(t, g), quiet())
	server.Config.ReadHeaderTimeout = 50 * time.Millisecond
	server.Config.IdleTimeout = 50 * time.Millisecond
	server.Start()
	t.Cleanup(func() {
		_ = g.Close()
		server.Close()
	})
	return server.Listener.Addr()
}

// talk sends bytes and reads until the server hangs up, which it must; the answer
// is nil if it did so without one.
func talk(t *testing.T, addr net.Addr, send string) (answer *http.Response, body string) {
	t.Helper()
	conn, err := net.Dial("tcp", addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	// The server may hang up before it has read all of it.
	_, _ = io.WriteString(conn, send)
	reader := bufio.NewReader(conn)
	answer, err = http.ReadResponse(reader, nil)
	if err != nil {
		return nil, ""
	}
	data, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, reader); err != nil && strings.Contains(err.Error(), "timeout") {
		t.Error("the connection stays open")
	}
	return answer, string(data)
}

const post = "POST /v1/auth/challenge HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"

// What the server cannot even read ends the connection, with the answer that fits.
func TestBadBytesOnASocket(t *testing.T) {
	addr := impatient(t)
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
		"an unread body":               {"POST /nothing HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{", 404},
	} {
		t.Run(name, func(t *testing.T) {
			r, body := talk(t, addr, test.send)
			switch {
			case r == nil && test.status != 0:
				t.Errorf("no answer, want %d", test.status)
			case r != nil && r.StatusCode != test.status:
				t.Errorf("got %s %s, want %d", r.Status, body, test.status)
			case strings.Contains(body, "goroutine") || strings.Contains(body, ".go"):
				t.Errorf("the answer shows the inside: %s", body)
			}
		})
	}
}

// A body that ends before its length is told so, if anybody still listens.
func TestATruncatedBody(t *testing.T) {
	conn, err := net.Dial("tcp", impatient(t).String())
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
