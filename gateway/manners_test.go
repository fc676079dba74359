package gateway_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quicproquo/node/gateway"
	"github.com/quicproquo/node/nodeservice"
)

func TestCORS(t *testing.T) {
	d := newDoor(t, newCore(t, nil), func(c *gateway.Config) {
		c.AllowedOrigins = []string{"https://app.example.com", "http://localhost:5173", "capacitor://localhost"}
	})
	for _, test := range []struct {
		name, origin, host string
		allowed            bool
	}{
		{"listed", "https://app.example.com", "", true},
		{"listed, with the scheme's port", "https://app.example.com:443", "", true},
		{"listed, in other case", "https://App.Example.Com", "", true},
		{"listed, with a port", "http://localhost:5173", "", true},
		{"an app's own scheme", "capacitor://localhost", "", true},
		{"the public URL's", "https://node.example", "", true},
		{"the request's own host", "http://10.0.0.7:8420", "10.0.0.7:8420", true},
		{"the request's own host behind TLS", "https://10.0.0.7", "10.0.0.7:443", true},
		{"another scheme", "http://app.example.com", "", false},
		{"another port", "https://app.example.com:8443", "", false},
		{"a subdomain", "https://evil.app.example.com", "", false},
		{"a longer name", "https://app.example.com.evil.example", "", false},
		{"a name inside", "https://evil.example/https://app.example.com", "", false},
		{"with a user", "https://app.example.com@evil.example", "", false},
		{"with a path", "https://app.example.com/", "", false},
		{"null", "null", "", false},
		{"empty", "", "", false},
		{"no URL", "::", "", false},
		{"another host's port", "http://10.0.0.7:8421", "10.0.0.7:8420", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			header := []string{"Origin", test.origin}
			if test.host != "" {
				header = append(header, "Host", test.host)
			}
			r := d.do("GET", "/v1/info", nil, header...)
			want := ""
			if test.allowed {
				want = test.origin
			}
			if got := r.header.Get("Access-Control-Allow-Origin"); got != want || r.status != 200 {
				t.Errorf("allows %q (status %d), want %q", got, r.status, want)
			}
			if r.header.Get("Access-Control-Allow-Credentials") != "" || r.header.Get("Vary") != "Origin" {
				t.Errorf("credentials or caches: %v", r.header)
			}
			preflight := d.do("OPTIONS", "/v1/channels", nil, append(header, "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "authorization")...)
			if got := preflight.header.Get("Access-Control-Allow-Origin"); got != want || preflight.status != 204 {
				t.Errorf("the preflight allows %q (status %d), want %q", got, preflight.status, want)
			}
			if got := preflight.header.Get("Access-Control-Allow-Headers"); (got != "") != test.allowed {
				t.Errorf("the preflight allows headers %q", got)
			}
		})
	}
}

func TestCORSLists(t *testing.T) {
	d := newDoor(t, newCore(t, nil), nil)
	r := d.do("OPTIONS", "/v1/channels", nil, "Origin", publicURL, "Access-Control-Request-Method", "POST")
	for name, want := range map[string]string{
		"Access-Control-Allow-Methods":  "GET, HEAD, POST, OPTIONS",
		"Access-Control-Allow-Headers":  "Authorization, DPoP, Content-Type, Idempotency-Key, If-Match, Last-Event-ID",
		"Access-Control-Expose-Headers": "ETag, Location, Link, Retry-After, RateLimit, RateLimit-Policy, DPoP-Nonce, X-Request-Id",
	} {
		if got := r.header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

func TestOriginsThatAreNone(t *testing.T) {
	for _, origin := range []string{"*", "app.example.com", "https://app.example.com/", "https://*.example.com", "null", "https://"} {
		if _, err := gateway.New(gateway.Config{Node: newCore(t, nil), AllowedOrigins: []string{origin}}); err == nil {
			t.Errorf("%q is taken for an origin", origin)
		}
	}
}

func TestOptionsAndAllow(t *testing.T) {
	alice := newDoor(t, newCore(t, nil), nil).client()
	for path, allow := range map[string]string{
		"/v1/channels":              "GET, HEAD, POST, OPTIONS",
		"/v1/auth/token":            "POST, DELETE, OPTIONS",
		"/v1/channels/x/messages":   "GET, HEAD, POST, DELETE, OPTIONS",
		"/v1/channels/%2f/messages": "GET, HEAD, POST, DELETE, OPTIONS",
		"/livez":                    "GET, HEAD, OPTIONS",
	} {
		if r := alice.do("OPTIONS", path, ""); r.status != 204 || r.header.Get("Allow") != allow {
			t.Errorf("OPTIONS %s: %d, Allow %q, want %q", path, r.status, r.header.Get("Allow"), allow)
		}
		if r := alice.do("PUT", path, ""); r.status != 405 || r.header.Get("Allow") != allow {
			t.Errorf("PUT %s: %d, Allow %q, want %q", path, r.status, r.header.Get("Allow"), allow)
		}
	}
	checkProblem(t, alice.do("OPTIONS", "/v1/nothing", ""), 404, nodeservice.CodeInvalidArgument)
}

// faultyNode panics where a Node should work.
type faultyNode struct{ nodeservice.Node }

func (faultyNode) Info(context.Context) (nodeservice.Info, error) { panic("the secret is 42") }
func (faultyNode) Authenticate(context.Context, nodeservice.Origin, string) (nodeservice.Session, error) {
	return nil, errors.New("dial 10.1.2.3: the secret is 42")
}

func TestFaultsStayInside(t *testing.T) {
	d := newDoor(t, faultyNode{}, nil)
	for _, path := range []string{"/v1/info", "/v1/channels"} {
		r := d.do("GET", path, nil)
		checkProblem(t, r, 500, nodeservice.CodeInternal)
		if strings.Contains(string(r.body), "secret") {
			t.Errorf("the answer shows internals: %s", r.body)
		}
		if id := r.header.Get("X-Request-Id"); !strings.Contains(d.log.String(), id) {
			t.Errorf("the log lacks request %s", id)
		}
	}
	if !strings.Contains(d.log.String(), "the secret is 42") || !strings.Contains(d.log.String(), "manners_test.go") {
		t.Error("the operator is not told the cause and the stack")
	}
	_, panicked, _ := strings.Cut(d.log.String(), "handler panicked")
	if line, _, _ := strings.Cut(panicked, "\n"); !strings.Contains(line, "route=/v1/info ") {
		t.Errorf("the operator is not told on which route a handler panicked: %.100s", line)
	}
}

func TestRequestIDsAreAProxysToGive(t *testing.T) {
	node := newCore(t, nil)
	given := []string{"X-Request-Id", "from-the-proxy.1"}
	if id := newDoor(t, node, nil).do("GET", "/livez", nil, given...).header.Get("X-Request-Id"); id == given[1] || id == "" {
		t.Errorf("a stranger's request id came back: %q", id)
	}
	trusting := newDoor(t, node, func(c *gateway.Config) {
		c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	})
	if id := trusting.do("GET", "/livez", nil, given...).header.Get("X-Request-Id"); id != given[1] {
		t.Errorf("a proxy's request id became %q", id)
	}
	if id := trusting.do("GET", "/livez", nil, "X-Request-Id", "a b\tc").header.Get("X-Request-Id"); strings.Contains(id, " ") {
		t.Errorf("a request id that could forge a log: %q", id)
	}
}

func TestReadiness(t *testing.T) {
	var failure error
	d := newDoor(t, newCore(t, nil), func(c *gateway.Config) {
		c.Ready = func(context.Context) error { return failure }
	})
	if r := d.do("GET", "/readyz", nil); r.status != 200 {
		t.Fatalf("status %d", r.status)
	}
	failure = errors.New("10.1.2.3 is away")
	r := d.do("GET", "/readyz", nil)
	checkProblem(t, r, 503, nodeservice.CodeUnavailable)
	if strings.Contains(string(r.body), "10.1.2.3") || !strings.Contains(d.log.String(), "10.1.2.3") {
		t.Errorf("the cause is not for the client, but for the log: %s", r.body)
	}
	if r.header.Get("Retry-After") == "" {
		t.Error("unavailable comes without Retry-After")
	}
	failure = nil
	if err := d.gateway.Close(); err != nil {
		t.Fatal(err)
	}
	checkProblem(t, d.do("GET", "/readyz", nil), 503, nodeservice.CodeUnavailable)
	if r := d.do("GET", "/livez", nil); r.status != 200 {
		t.Errorf("livez: %d", r.status)
	}
}

func TestAWaitingFetchGoesHomeAtShutdown(t *testing.T) {
	waiting := make(chan struct{})
	d := newDoor(t, signalling{newCore(t, nil), waiting}, nil)
	alice, bob := d.client(), d.client()
	path := alice.channel(bob)
	answer := make(chan reply)
	go func() { answer <- bob.do("GET", path+"/messages?wait=60s", "") }()
	<-waiting
	_ = d.gateway.Close()
	checkProblem(t, <-answer, 503, nodeservice.CodeUnavailable)
}

// signalling tells when a fetch begins.
type signalling struct {
	nodeservice.Node
	fetching chan struct{}
}

type signallingSession struct {
	nodeservice.Session
	fetching chan struct{}
}

func (n signalling) Authenticate(ctx context.Context, from nodeservice.Origin, token string) (nodeservice.Session, error) {
	s, err := n.Node.Authenticate(ctx, from, token)
	return signallingSession{s, n.fetching}, err
}

func (s signallingSession) Fetch(ctx context.Context, req nodeservice.FetchRequest) (nodeservice.Page, error) {
	close(s.fetching)
	return s.Session.Fetch(ctx, req)
}

// A body that trickles has a deadline, and so has a header.
func TestSlowBodies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := newPipes()
		g, err := gateway.New(gateway.Config{Node: newCore(t, nil)})
		if err != nil {
			t.Fatal(err)
		}
		server := gateway.NewServer(g, quiet())
		served := make(chan error)
		go func() { served <- server.Serve(net) }()
		conn := net.dial()
		start := time.Now()
		go conn.Write([]byte("POST /v1/auth/challenge HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"))
		status := readStatus(t, conn)
		if status != "HTTP/1.1 503 Service Unavailable" {
			t.Errorf("got %q", status)
		}
		if waited := time.Since(start); waited > 15*time.Second {
			t.Errorf("the body had %v", waited)
		}
		if _, err := conn.Read(make([]byte, 1)); err == nil {
			t.Error("the connection goes on after a body that never came")
		}

		unread := net.dial() // a body that the handler does not even look at
		start = time.Now()
		go unread.Write([]byte("POST /v1/nothing HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"))
		if status := readStatus(t, unread); status != "HTTP/1.1 404 Not Found" {
			t.Errorf("got %q", status)
		}
		if waited := time.Since(start); waited > 15*time.Second {
			t.Errorf("the unread body had %v", waited)
		}
		if _, err := unread.Read(make([]byte, 1)); err == nil {
			t.Error("the connection goes on after a body that never came")
		}

		idle := net.dial() // says nothing at all
		start = time.Now()
		if _, err := idle.Read(make([]byte, 1)); err == nil {
			t.Error("a connection without a request gets an answer")
		}
		if waited := time.Since(start); waited != 10*time.Second {
			t.Errorf("the header had %v", waited)
		}
		_ = server.Close()
		<-served
	})
}

func readStatus(t *testing.T, conn net.Conn) string {
	t.Helper()
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Fatal(err)
	}
	return resp.Proto + " " + resp.Status
}

// Without a socket there are no deadlines; the handler serves all the same.
func TestServesARecorder(t *testing.T) {
	g, err := gateway.New(gateway.Config{Node: newCore(t, nil)})
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	r := httptest.NewRequest("POST", "/v1/auth/challenge", strings.NewReader(`{}`))
	r.Header.Set("Content-Type", "application/json")
	g.ServeHTTP(w, r)
	if w.Code != 400 {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
}
