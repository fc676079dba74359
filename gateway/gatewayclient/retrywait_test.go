package gatewayclient_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quicproquo/node/gateway/gatewayclient"
	"github.com/quicproquo/node/nodeservice"
)

func TestTheServersTimeIsWaited(t *testing.T) {
	noon := time.Date(2026, 11, 5, 12, 0, 0, 0, time.UTC)
	w := newFaultyWorld(t, nil, gatewayclient.Config{Now: func() time.Time { return noon }})
	alice, _, _ := w.join()
	for name, c := range map[string]struct {
		faults []fault
		waits  []time.Duration
		left   time.Duration // what the refusal asks for; 0: it is answered in the end
	}{
		"seconds":         {[]fault{says(429, "7"), says(503, "2")}, []time.Duration{7 * time.Second, 2 * time.Second}, 0},
		"milliseconds":    {[]fault{saysMS(429, nodeservice.CodeRateLimited, 1234)}, []time.Duration{1234 * time.Millisecond}, 0},
		"a date":          {[]fault{says(503, "Thu, 05 Nov 2026 12:00:09 GMT")}, []time.Duration{9 * time.Second}, 0},
		"all there is":    {[]fault{says(503, "30")}, []time.Duration{30 * time.Second}, 0},
		"too long":        {[]fault{says(503, "31")}, nil, 31 * time.Second},
		"too long in all": {[]fault{says(503, "20"), says(503, "11")}, []time.Duration{20 * time.Second}, 11 * time.Second},
		"for ever":        {[]fault{says(429, "2147483647")}, nil, 2147483647 * time.Second},
	} {
		w.proxy.spoil(c.faults...)
		_, err := alice.KeyPackageStatus(w.ctx)
		if waits := w.naps.taken(); !slices.Equal(waits, c.waits) {
			t.Errorf("%s: waited %v, want %v", name, waits, c.waits)
		}
		if c.left == 0 {
			must(t, err)
		} else if e := wantCode(t, err, nodeservice.CodeUnavailable); e.RetryAfter != c.left {
			t.Errorf("%s: retry after %v, want %v", name, e.RetryAfter, c.left)
		}
	}
}

func TestBackingOff(t *testing.T) {
	w := newFaultyWorld(t, nil, gatewayclient.Config{MaxRetries: 6})
	alice, _, _ := w.join()
	away := slices.Repeat([]fault{says(503, "soon")}, 9)
	for range 5 {
		w.proxy.spoil(away...)
		_, err := alice.KeyPackageStatus(w.ctx)
		wantCode(t, err, nodeservice.CodeUnavailable)
		w.tried(7)
		bound := 100 * time.Millisecond
		for i, wait := range w.naps.taken() {
			if wait <= 0 || wait > bound {
				t.Errorf("wait %d is %v, want at most %v", i, wait, bound)
			}
			bound *= 2
		}
	}
	for _, status := range []int{400, 401, 403, 404, 409, 500, 501} {
		w.proxy.spoil(says(status, "1"))
		if _, err := alice.KeyPackageStatus(w.ctx); err == nil {
			t.Errorf("%d is taken for an answer", status)
		}
		w.tried(1)
	}
	never, err := gatewayclient.New(gatewayclient.Config{BaseURL: "http://127.0.0.1:1", MaxRetries: -1, Sleep: w.naps.sleep})
	must(t, err)
	_, err = never.Info(w.ctx)
	wantCode(t, err, nodeservice.CodeUnavailable)
	must(t, never.Close())
	if waits := w.naps.taken(); len(waits) != 0 {
		t.Errorf("waited %v", waits)
	}
}

// A client that does as it is told gets through a real node's limits.
func TestLimitsAreWaitedOut(t *testing.T) {
	clock := &movedClock{}
	w := newFaultyWorld(t, func(c *nodeservice.Config) {
		c.Rates.Identity, c.Now = nodeservice.Rate{PerSecond: 0.1, Burst: 2}, clock.now
	}, gatewayclient.Config{Now: clock.now})
	w.naps.also = clock.move
	alice, bob, id := w.pair()
	for i := range 10 {
		_, err := alice.Enqueue(w.ctx, nodeservice.EnqueueRequest{Channel: id, Payload: []byte("x"), MessageID: []byte{byte('a' + i)}})
		must(t, err)
	}
	if waits := w.naps.taken(); len(waits) < 5 || len(waits) > 10 {
		t.Errorf("waited %d times: %v", len(waits), waits)
	}
	page, err := bob.Fetch(w.ctx, nodeservice.FetchRequest{Channel: id})
	must(t, err)
	if len(page.Messages) != 10 {
		t.Errorf("%d messages, want 10", len(page.Messages))
	}
}

// movedClock goes with the wall's, but for what a test moves it by.
type movedClock struct {
	mu    sync.Mutex
	moved time.Duration // guarded by mu
}

func (c *movedClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.moved)
}

func (c *movedClock) move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.moved += d
}

// roundTrip answers without a network, so that time can be a test's own.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestTheContextWins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		away := roundTrip(func(*http.Request) (*http.Response, error) {
			tries++
			return &http.Response{StatusCode: 503, Header: http.Header{"Retry-After": {"20"}}, Body: io.NopCloser(strings.NewReader(""))}, nil
		})
		node, err := gatewayclient.New(gatewayclient.Config{BaseURL: "http://node.example", HTTPClient: &http.Client{Transport: away}})
		must(t, err)
		began := time.Now()

		cancelled, cancel := context.WithCancel(t.Context())
		time.AfterFunc(3*time.Second, cancel)
		_, err = node.Info(cancelled)
		if wantCode(t, err, nodeservice.CodeUnavailable); !errors.Is(err, context.Canceled) || time.Since(began) != 3*time.Second || tries != 1 {
			t.Errorf("cancelled: %v after %v and %d tries", errors.Unwrap(err), time.Since(began), tries)
		}

		// A wait that the deadline would end is not begun.
		short, cancel := context.WithTimeout(t.Context(), 19*time.Second)
		defer cancel()
		began = time.Now()
		_, err = node.Info(short)
		if e := wantCode(t, err, nodeservice.CodeUnavailable); e.RetryAfter != 20*time.Second || time.Since(began) != 0 || tries != 2 {
			t.Errorf("deadline: retry after %v, after %v and %d tries", e.RetryAfter, time.Since(began), tries)
		}

		began = time.Now()
		_, err = node.Info(t.Context())
		if wantCode(t, err, nodeservice.CodeUnavailable); time.Since(began) != 20*time.Second || tries != 4 {
			t.Errorf("no deadline: after %v and %d tries", time.Since(began), tries)
		}
	})
}
