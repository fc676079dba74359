package gatewayclient_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quicproquo/node/gateway/gatewayclient"
	"github.com/quicproquo/node/nodeservice"
)

// fault is what a proxy does with a request instead of passing it on.
type fault func(p *proxy, w http.ResponseWriter, r *http.Request)

// loseRequest cuts the connection before the gateway hears of it.
func loseRequest(*proxy, http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

// loseAnswer cuts it when the gateway has done its work.
func loseAnswer(p *proxy, _ http.ResponseWriter, r *http.Request) {
	p.next.ServeHTTP(httptest.NewRecorder(), r)
	panic(http.ErrAbortHandler)
}

// halfAnswer cuts it within the answer.
func halfAnswer(p *proxy, w http.ResponseWriter, r *http.Request) {
	whole := httptest.NewRecorder()
	p.next.ServeHTTP(whole, r)
	body := whole.Body.Bytes()
	w.Header().Set("Content-Type", whole.Header().Get("Content-Type"))
	w.Header().Set("Content-Length", strconv.Itoa(len(body)+1))
	w.WriteHeader(whole.Code)
	_, _ = w.Write(body)
	panic(http.ErrAbortHandler)
}

// cutBody cuts it while the request arrives.
func cutBody(_ *proxy, _ http.ResponseWriter, r *http.Request) {
	_, _ = io.CopyN(io.Discard, r.Body, 4096)
	panic(http.ErrAbortHandler)
}

// says answers as a proxy does that has no gateway behind it.
func says(status int, retryAfter string) fault {
	return func(_ *proxy, w http.ResponseWriter, _ *http.Request) {
		if retryAfter != "" {
			w.Header().Set("Retry-After", retryAfter)
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, "<html>")
	}
}

// saysMS answers as a gateway does.
func saysMS(status int, code nodeservice.Code, ms int) fault {
	return func(_ *proxy, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.Header().Set("Retry-After", "29")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, `{"code":"`+string(code)+`","detail":"later","retry_after_ms":`+strconv.Itoa(ms)+`}`)
	}
}

// proxy stands before a gateway and spoils what a test tells it to.
type proxy struct {
	next http.Handler

	mu     sync.Mutex
	faults []fault  // guarded by mu: for the requests that come next
	seen   []string // guarded by mu: method and path of every request
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.seen = append(p.seen, r.Method+" "+r.URL.Path)
	var spoil fault
	if len(p.faults) > 0 {
		spoil, p.faults = p.faults[0], p.faults[1:]
	}
	p.mu.Unlock()
	if spoil != nil {
		spoil(p, w, r)
		return
	}
	p.next.ServeHTTP(w, r)
}

// spoil has the next requests meet faults, and forgets what it has seen.
func (p *proxy) spoil(faults ...fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults, p.seen = faults, nil
}

// requests is how many came since spoil.
func (p *proxy) requests() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.seen)
}

// naps are the waits of a client that does not wait.
type naps struct {
	mu   sync.Mutex
	all  []time.Duration // guarded by mu
	also func(time.Duration)
}

func (n *naps) sleep(ctx context.Context, d time.Duration) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.all = append(n.all, d)
	if n.also != nil {
		n.also(d)
	}
	return ctx.Err()
}

// taken are the waits since it was last asked.
func (n *naps) taken() []time.Duration {
	n.mu.Lock()
	defer n.mu.Unlock()
	all := n.all
	n.all = nil
	return all
}

// faultyWorld is a world whose client goes through a proxy. Unless the test brings
// an HTTP client, connections serve one request each: of requests on kept ones,
// net/http repeats some by itself.
type faultyWorld struct {
	*world
	proxy *proxy
	url   string
	naps  *naps
}

func newFaultyWorld(t *testing.T, change func(*nodeservice.Config), config gatewayclient.Config) *faultyWorld {
	w := &faultyWorld{world: newWorld(t, change), naps: &naps{}}
	w.proxy = &proxy{next: w.gateway}
	server := httptest.NewServer(w.proxy)
	w.url = server.URL
	if config.HTTPClient == nil {
		config.HTTPClient = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	}
	config.BaseURL, config.Sleep = server.URL, w.naps.sleep
	direct := w.node
	var err error
	w.node, err = gatewayclient.New(config)
	must(t, err)
	t.Cleanup(func() {
		must(t, direct.Close())
		config.HTTPClient.CloseIdleConnections()
		server.Close()
	})
	return w
}

// tried demands how many requests were made since spoil.
func (w *faultyWorld) tried(want int) {
	w.t.Helper()
	if got := w.proxy.requests(); got != want {
		w.t.Errorf("%d requests, want %d: %s", got, want, strings.Join(w.proxy.seen, ", "))
	}
}
