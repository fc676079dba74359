package gateway

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"regexp"
	"runtime/debug"
	"strings"

	"github.com/go-chi/chi/v5"

	"github.com/quicproquo/node/nodeservice"
)

// recoverPanics turns a handler's panic into a 500 that says nothing of it. An
// answer that had begun is cut off, so that nobody takes it for a whole one.
func (g *Gateway) recoverPanics(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec := w.(*recorder) // record comes before
		defer func() {
			v := recover()
			switch v {
			case nil:
				return
			case http.ErrAbortHandler:
				panic(v)
			}
			g.log.Error("handler panicked", "request", w.Header().Get("X-Request-Id"), "method", r.Method,
				"route", r.Pattern, "panic", v, "stack", string(debug.Stack()))
			if rec.begun {
				panic(http.ErrAbortHandler)
			}
			g.fail(rec, r, fmt.Errorf("panic: %v", v))
		}()
		next.ServeHTTP(w, r)
	})
}

var requestIDs = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// requestID names the request in its answer and in the log: by the name that a
// trusted proxy gave it, else by a random one.
func (g *Gateway) requestID(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := r.Header.Get("X-Request-Id")
		if !requestIDs.MatchString(id) || !isTrusted(parseAddress(r.RemoteAddr), g.proxies) {
			id = rand.Text()
		}
		w.Header().Set("X-Request-Id", id)
		next.ServeHTTP(w, r)
	})
}

// strictHeaders gives every answer what browsers must know of it. Routes whose answers
// may be kept in caches, or are pages, set their own.
func strictHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cache-Control", "no-store")
		h.Set("Content-Security-Policy", nothingPolicy)
		next.ServeHTTP(w, r)
	})
}

const (
	allowedHeaders = "Authorization, DPoP, Content-Type, Idempotency-Key, If-Match, Last-Event-ID"
	exposedHeaders = "ETag, Location, Link, Retry-After, RateLimit, RateLimit-Policy, DPoP-Nonce, X-Request-Id"
)

// crossOrigin lets pages of allowed origins read answers (CORS, in the Fetch
// standard), but never with credentials: there are no cookies, and tokens go in headers.
func (g *Gateway) crossOrigin(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Add("Vary", "Origin")
		if origin, allowed := g.origins.allow(r); allowed && origin != "" {
			h.Set("Access-Control-Allow-Origin", origin)
			h.Set("Access-Control-Expose-Headers", exposedHeaders)
		}
		next.ServeHTTP(w, r)
	})
}

// options answers OPTIONS, preflights included, for every route there is.
func (g *Gateway) options(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		allow := ""
		if r.Method == http.MethodOptions {
			allow = g.allowedMethods(r)
		}
		if allow == "" {
			next.ServeHTTP(w, r)
			return
		}
		h := w.Header()
		h.Set("Allow", allow)
		if h.Get("Access-Control-Allow-Origin") != "" && r.Header.Get("Access-Control-Request-Method") != "" {
			h.Set("Access-Control-Allow-Methods", allow)
			h.Set("Access-Control-Allow-Headers", allowedHeaders)
			h.Set("Access-Control-Max-Age", "600")
		}
		writeEmpty(w, http.StatusNoContent)
	})
}

// allowedMethods lists the methods that the request's path takes; "" for none.
func (g *Gateway) allowedMethods(r *http.Request) string {
	path := r.URL.EscapedPath()
	var methods []string
	for _, m := range []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodDelete} {
		asked := m
		if m == http.MethodHead {
			asked = http.MethodGet
		}
		if g.router.Match(chi.NewRouteContext(), asked, path) {
			methods = append(methods, m)
		}
	}
	if methods == nil {
		return ""
	}
	return strings.Join(append(methods, http.MethodOptions), ", ")
}

func notFound(http.ResponseWriter, *http.Request) error {
	return unmatchedf(http.StatusNotFound, "there is no such path")
}

func (g *Gateway) methodNotAllowed(w http.ResponseWriter, r *http.Request) error {
	allow := g.allowedMethods(r)
	if allow == "" { // a method that chi does not know, on a path that does not exist
		return notFound(w, r)
	}
	w.Header().Set("Allow", allow)
	return unmatchedf(http.StatusMethodNotAllowed, "this path takes %s", allow)
}

// checkOrigin refuses upgrades from pages of origins that are not allowed: a
// WebSocket knows no CORS, so the server must look itself.
func (g *Gateway) checkOrigin(r *http.Request) error {
	if _, allowed := g.origins.allow(r); !allowed {
		return nodeservice.Errorf(nodeservice.CodePermissionDenied, "pages of this origin may not open a stream; the operator can allow it")
	}
	return nil
}
