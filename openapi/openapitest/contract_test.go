package openapitest_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/quicproquo/node/openapi/openapitest"
)

// witness is a test that writes down what it is told.
type witness struct {
	testing.TB
	said []string
}

func (w *witness) Errorf(format string, args ...any) {
	w.said = append(w.said, fmt.Sprintf(format, args...))
}

const (
	channelID = "6f1b0c9e-52d5-4c0e-9f0d-0a8a5b3c2d1e"
	receipt   = `{"seq":8,"received_at":"2026-11-23T09:16:02.007Z","duplicate":false}`
	problem   = `{"type":"about:blank","title":"Not Found","status":404,"code":"channel_not_found","detail":"there is none"}`
)

// told is one exchange, as right as it can be but for what a test changes.
type told struct {
	method, path, body string
	token, kind        string
	status             int
	header             map[string]string
	answer             string
}

func sending() told {
	return told{
		method: "POST", path: "/v1/channels/" + channelID + "/messages", body: `{"payload":"AAAA"}`,
		token: "Bearer x", kind: "application/json",
		status: 201, answer: receipt,
		header: map[string]string{"X-Request-Id": "a", "Content-Type": "application/json", "RateLimit": `"identity";r=1;t=1`},
	}
}

// findings are what the contract says of it.
func (e told) findings(t *testing.T) []string {
	t.Helper()
	w := &witness{TB: t}
	handler := openapitest.Contract(w, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		for name, value := range e.header {
			w.Header().Set(name, value)
		}
		w.WriteHeader(e.status)
		_, _ = io.WriteString(w, e.answer)
	}))
	r := httptest.NewRequest(e.method, e.path, strings.NewReader(e.body))
	if e.token != "" {
		r.Header.Set("Authorization", e.token)
	}
	r.Header.Set("Content-Type", e.kind)
	handler.ServeHTTP(httptest.NewRecorder(), r)
	return w.said
}

func TestContractTakesWhatIsRight(t *testing.T) {
	for name, change := range map[string]func(*told){
		"an answer":       func(*told) {},
		"a raw payload":   func(e *told) { e.kind, e.body = "message/mls", "\x00" },
		"a body of 1 MiB": func(e *told) { e.body = `{"payload":"` + strings.Repeat("A", 1<<20) + `"}` },
		"a refused request": func(e *told) {
			e.body, e.status, e.answer = "x", 404, problem
			e.header["Content-Type"] = "application/problem+json"
		},
		"a served HEAD": func(e *told) {
			e.method, e.path, e.body = "HEAD", "/v1/info", ""
			e.status, e.answer = 200, ""
			delete(e.header, "RateLimit")
		},
		"what clients ignore": func(e *told) { e.answer = strings.Replace(receipt, "{", `{"more":1,`, 1) },
	} {
		e := sending()
		change(&e)
		if said := e.findings(t); len(said) > 0 {
			t.Errorf("%s: %s", name, said)
		}
	}
}

// A check that notices nothing would let everything pass.
func TestContractNoticesWhatIsWrong(t *testing.T) {
	for name, change := range map[string]func(*told){
		"a path that is none":         func(e *told) { e.path = "/v1/nothing" },
		"a method that is none":       func(e *told) { e.method = "PUT" },
		"OPTIONS without Allow":       func(e *told) { e.method, e.status, e.answer = "OPTIONS", 204, "" },
		"a status that is none":       func(e *told) { e.status = 202 },
		"a member that is missing":    func(e *told) { e.answer = `{"seq":8}` },
		"a member of another type":    func(e *told) { e.answer = strings.Replace(receipt, "8", `"8"`, 1) },
		"a time without milliseconds": func(e *told) { e.answer = strings.Replace(receipt, ".007", "", 1) },
		"a member that is missing, in a charset": func(e *told) {
			e.answer, e.header["Content-Type"] = `{"seq":8}`, "application/json; charset=utf-8"
		},
		"an answer of another kind":      func(e *told) { e.header["Content-Type"] = "text/plain" },
		"an answer that is no JSON":      func(e *told) { e.answer = "{" },
		"a header that is missing":       func(e *told) { delete(e.header, "X-Request-Id") },
		"a header that is malformed":     func(e *told) { e.header["X-Request-Id"] = "a b" },
		"a header that nobody described": func(e *told) { e.header["Server"] = "x" },
		"a served request with no token": func(e *told) { e.token = "" },
		"a proof that is missing":        func(e *told) { e.token = "DPoP x" },
		"a served unknown member":        func(e *told) { e.body = `{"payload":"AAAA","x":1}` },
		"a served unknown parameter":     func(e *told) { e.path += "?x=1" },
		"a served id that is none":       func(e *told) { e.path = "/v1/channels/x/messages" },
		"a served body that is missing":  func(e *told) { e.body = "" },
		"a served body of another kind":  func(e *told) { e.kind = "text/plain" },
		"a code of another status": func(e *told) {
			e.status, e.answer = 404, strings.Replace(problem, "channel_not_found", "internal", 1)
			e.header["Content-Type"] = "application/problem+json"
		},
		"a body where none is expected": func(e *told) {
			e.method, e.path, e.body, e.status = "DELETE", "/v1/channels/"+channelID+"/messages?through=1", "", 204
		},
	} {
		e := sending()
		change(&e)
		if said := e.findings(t); len(said) != 1 || !strings.Contains(said[0], "is not as openapi.yaml says") {
			t.Errorf("%s passed: %s", name, said)
		}
	}
}
