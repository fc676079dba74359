package gateway

import (
	"net/http"
	"time"

	"github.com/quicproquo/node/nodeservice"
)

// recorder is the ResponseWriter of a request. It knows whether the answer has begun,
// and lets none begin uncounted, or without the headers of the request's limits. Its
// mutable fields are owned by the request's goroutine; cut may be called from any.
type recorder struct {
	http.ResponseWriter
	budget *nodeservice.Budget // what the request's limits have left; filled in by the core
	held   *holding            // the memory that the request holds
	count  func(status int)    // static after construction; called once
	begun  bool
}

// record gives the request its recorder, and ends what it holds.
func (g *Gateway) record(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec := &recorder{ResponseWriter: w, budget: &nodeservice.Budget{}, count: func(status int) { g.counters.answered(r, status) }}
		rec.held = g.holdings.open(clientAddress(r, g.proxies), rec.cut)
		defer rec.held.close()
		next.ServeHTTP(rec, withBudget(r, rec.budget))
	})
}

// WriteHeader implements http.ResponseWriter.
func (w *recorder) WriteHeader(status int) {
	if !w.begun {
		w.begun = true
		writeLimit(w.Header(), w.budget)
		w.count(status)
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (w *recorder) Write(p []byte) (int, error) {
	if !w.begun {
		w.WriteHeader(http.StatusOK)
	}
	return w.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController and the WebSocket upgrade through.
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// cut makes the request's reads and writes fail. Reads come last: a handler that was
// reading a body then gives itself a new deadline for writing, and can still answer.
func (w *recorder) cut() {
	line := http.NewResponseController(w.ResponseWriter)
	_ = line.SetWriteDeadline(time.Unix(1, 0))
	_ = line.SetReadDeadline(time.Unix(1, 0))
}

// holdMore counts n bytes that the request holds until it is answered.
func holdMore(w http.ResponseWriter, n int) {
	if rec, ok := w.(*recorder); ok { // as all writers are that come through record
		rec.held.add(n)
	}
}
