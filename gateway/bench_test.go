package gateway_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/quicproquo/node/gateway"
	"github.com/quicproquo/node/nodeservice"
)

// nullWriter is a ResponseWriter that costs nothing.
type nullWriter struct {
	header http.Header
	status int
}

func (w *nullWriter) Header() http.Header         { return w.header }
func (w *nullWriter) WriteHeader(status int)      { w.status = status }
func (w *nullWriter) Write(p []byte) (int, error) { return len(p), nil }

// fixedNode answers at once, so that what is measured is the door alone.
type fixedNode struct {
	nodeservice.Node
	session fixedSession
}

type fixedSession struct {
	nodeservice.Session
	page nodeservice.Page
}

func (n *fixedNode) Authenticate(context.Context, nodeservice.Origin, string) (nodeservice.Session, error) {
	return &n.session, nil
}

func (s *fixedSession) Enqueue(context.Context, nodeservice.EnqueueRequest) (nodeservice.Receipt, error) {
	return nodeservice.Receipt{Seq: 1, ReceivedAt: 1}, nil
}

func (s *fixedSession) Fetch(context.Context, nodeservice.FetchRequest) (nodeservice.Page, error) {
	return s.page, nil
}

func (s *fixedSession) Close() error { return nil }

func benchmark(b *testing.B, page nodeservice.Page, method, kind string, payload []byte, status int) {
	g, err := gateway.New(gateway.Config{Node: &fixedNode{session: fixedSession{page: page}}})
	if err != nil {
		b.Fatal(err)
	}
	body := bytes.NewReader(payload)
	r := httptest.NewRequest(method, "/v1/channels/6f1b0c9e-52d5-4c0e-9f0d-0a8a5b3c2d1e/messages", body)
	r.Header.Set("Authorization", "Bearer x")
	if kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	b.ReportAllocs()
	for b.Loop() {
		body.Reset(payload)
		r.Body = io.NopCloser(body)
		w := &nullWriter{header: http.Header{}}
		if g.ServeHTTP(w, r); w.status != status {
			b.Fatalf("status %d", w.status)
		}
	}
}

func BenchmarkPostMessage(b *testing.B) {
	payload := bytes.Repeat([]byte("x"), 1<<10)
	b.Run("raw", func(b *testing.B) { benchmark(b, nodeservice.Page{}, "POST", "message/mls", payload, 201) })
	text := []byte(`{"payload":"` + b64.EncodeToString(payload) + `"}`)
	b.Run("json", func(b *testing.B) { benchmark(b, nodeservice.Page{}, "POST", "application/json", text, 201) })
}

func BenchmarkGetMessages(b *testing.B) {
	for _, size := range []struct {
		name       string
		n, payload int
	}{{"one", 1, 1 << 10}, {"page", 256, 1 << 10}, {"large", 1, 5 << 20}} {
		page := nodeservice.Page{}
		for i := range size.n {
			page.Messages = append(page.Messages, nodeservice.Message{Seq: nodeservice.Seq(i + 1), ReceivedAt: 1, Payload: bytes.Repeat([]byte("x"), size.payload)})
		}
		b.Run(size.name, func(b *testing.B) { benchmark(b, page, "GET", "", nil, 200) })
	}
}
