package gateway_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/quicproquo/node/gateway"
	"github.com/quicproquo/node/nodeservice"
)

// What no request can be is refused with a code and a sentence, and never with
// "internal".
func TestBadRequests(t *testing.T) {
	const maxPayload = 1 << 10
	core := newCore(t, func(c *nodeservice.Config) { c.Quotas.MaxPayload = maxPayload })
	d := newDoor(t, core, func(c *gateway.Config) { c.MaxPayload = maxPayload })
	alice, bob := d.client(), d.client()
	channel := alice.channel(bob)
	messages := channel + "/messages"
	alice.send(channel, "hello")
	me, peer := alice.id.String(), bob.id.String()
	const (
		none     = "/v1/channels/6f1b0c9e-52d5-4c0e-9f0d-0a8a5b3c2d1e"
		nilUUID  = "/v1/channels/00000000-0000-0000-0000-000000000000"
		uuidLess = "/v1/channels/6f1b0c9e52d54c0e9f0d0a8a5b3c2d1e"
	)
	claim := "/v1/identities/" + peer + "/keypackages/claim"
	mls := []string{"Content-Type", "message/mls"}
	bad := nodeservice.CodeInvalidArgument

	for _, test := range []struct {
		name, method, path, body string
		header                   []string
		status                   int
		code                     nodeservice.Code
	}{
		{"no such path", "GET", "/v1/nothing", "", nil, 404, bad},
		{"a slash too many", "GET", "/v1/channels/", "", nil, 404, bad},
		{"outside of the API", "GET", "/nothing", "", nil, 404, bad},
		{"a method that the path lacks", "PUT", "/v1/channels", "{}", nil, 405, bad},
		{"a method that nobody knows", "BREW", "/v1/channels", "", nil, 405, bad},
		{"a method on no path", "PATCH", "/v1/nothing", "", nil, 404, bad},
		{"Accept excludes JSON", "GET", "/v1/channels", "", []string{"Accept", "text/html"}, 406, bad},
		{"Accept refuses JSON by weight", "GET", "/v1/channels", "", []string{"Accept", "application/json;q=0.0"}, 406, bad},
		{"Accept wants events of what has none", "GET", "/v1/channels", "", []string{"Accept", "text/event-stream"}, 406, bad},
		{"Accept on an open route", "GET", "/v1/info", "", []string{"Accept", "image/png"}, 406, bad},
		{"a body that is not JSON", "POST", "/v1/channels", "peer=x", []string{"Content-Type", "application/x-www-form-urlencoded"}, 415, bad},
		{"a payload of another kind", "POST", messages, "x", []string{"Content-Type", "text/plain"}, 415, bad},
		{"a payload in an encoding", "POST", messages, "x", append([]string{"Content-Encoding", "gzip"}, mls...), 415, bad},
		{"a broken Content-Type", "POST", messages, "x", []string{"Content-Type", ";"}, 415, bad},

		{"an empty body", "POST", "/v1/channels", " ", nil, 400, bad},
		{"a list", "POST", "/v1/channels", `[]`, nil, 400, bad},
		{"a text", "POST", "/v1/channels", `"peer"`, nil, 400, bad},
		{"broken JSON", "POST", "/v1/channels", `{"peer":`, nil, 400, bad},
		{"a member is missing", "POST", "/v1/channels", `{}`, nil, 400, bad},
		{"an unknown member", "POST", "/v1/channels", `{"peer":"` + peer + `","x":1}`, nil, 400, bad},
		{"a member in another case", "POST", "/v1/channels", `{"Peer":"` + peer + `"}`, nil, 400, bad},
		{"a member twice", "POST", "/v1/channels", `{"peer":"` + peer + `","peer":"` + peer + `"}`, nil, 400, bad},
		{"a member twice, once escaped", "POST", "/v1/channels", `{"peer":"` + peer + `","\u0070eer":"` + peer + `"}`, nil, 400, bad},
		{"trailing data", "POST", "/v1/channels", `{"peer":"` + peer + `"} {}`, nil, 400, bad},
		{"nested too deep", "POST", "/v1/channels", `{"peer":` + strings.Repeat("[", 9) + strings.Repeat("]", 9) + `}`, nil, 400, bad},
		{"invalid UTF-8", "POST", "/v1/channels", "{\"peer\":\"\xff\"}", nil, 400, bad},
		{"null for a text", "POST", "/v1/channels", `{"peer":null}`, nil, 400, bad},
		{"a number for a text", "POST", "/v1/channels", `{"peer":1}`, nil, 400, bad},
		{"a key that is padded", "POST", "/v1/channels", `{"peer":"` + peer + `="}`, nil, 400, bad},
		{"a key in the other alphabet", "POST", "/v1/channels", `{"peer":"` + strings.Repeat("/", 43) + `"}`, nil, 400, bad},
		{"a key with bits left over", "POST", "/v1/channels", `{"peer":"` + peer[:42] + `_"}`, nil, 400, bad},
		{"a key with a line break", "POST", "/v1/channels", `{"peer":"` + peer[:20] + `\n` + peer[20:] + `"}`, nil, 400, bad},
		{"a key of small order", "POST", "/v1/channels", `{"peer":"` + strings.Repeat("A", 43) + `"}`, nil, 400, bad},
		{"oneself for a peer", "POST", "/v1/channels", `{"peer":"` + me + `"}`, nil, 400, bad},
		{"a body too large for its route", "POST", "/v1/channels", `{"peer":"` + strings.Repeat("A", 20<<10) + `"}`, nil, 413, nodeservice.CodePayloadTooLarge},

		{"a limit of 0", "GET", "/v1/channels?limit=0", "", nil, 400, bad},
		{"a limit above the largest", "GET", "/v1/channels?limit=257", "", nil, 400, bad},
		{"an empty limit", "GET", "/v1/channels?limit=", "", nil, 400, bad},
		{"a cursor that is none", "GET", "/v1/channels?cursor=AAAA", "", nil, 400, bad},
		{"an empty cursor", "GET", "/v1/channels?cursor=", "", nil, 400, bad},
		{"a peer that is no key", "GET", "/v1/channels?peer=x", "", nil, 400, bad},
		{"an unknown parameter", "GET", "/v1/channels?access_token=x", "", nil, 400, bad},
		{"a parameter twice", "GET", "/v1/channels?limit=1&limit=2", "", nil, 400, bad},
		{"a broken query", "GET", "/v1/channels?limit=%zz", "", nil, 400, bad},

		{"a channel id that is none", "GET", "/v1/channels/x", "", nil, 400, bad},
		{"a channel id without hyphens", "GET", uuidLess, "", nil, 400, bad},
		{"the nil channel", "GET", nilUUID, "", nil, 404, nodeservice.CodeChannelNotFound},
		{"nobody's channel", "GET", none, "", nil, 404, nodeservice.CodeChannelNotFound},
		{"sending to the nil channel", "POST", nilUUID + "/messages", "x", mls, 404, nodeservice.CodeChannelNotFound},
		{"fetching from the nil channel", "GET", nilUUID + "/messages", "", nil, 404, nodeservice.CodeChannelNotFound},
		{"acknowledging the nil channel", "DELETE", nilUUID + "/messages?through=1", "", nil, 404, nodeservice.CodeChannelNotFound},

		{"an empty payload", "POST", messages, "", mls, 400, bad},
		{"a payload too large", "POST", messages, strings.Repeat("x", maxPayload+1), mls, 413, nodeservice.CodePayloadTooLarge},
		{"a JSON payload too large", "POST", messages, `{"payload":"` + strings.Repeat("A", 2*maxPayload) + `"}`, nil, 413, nodeservice.CodePayloadTooLarge},
		{"a JSON payload a little too large", "POST", messages, `{"payload":"` + strings.Repeat("A", 1368) + `"}`, nil, 413, nodeservice.CodePayloadTooLarge},
		{"a JSON payload that is padded", "POST", messages, `{"payload":"AA=="}`, nil, 400, bad},
		{"an empty message id", "POST", messages, "x", append([]string{"Idempotency-Key", `""`}, mls...), 400, bad},
		{"a message id too long", "POST", messages, "x", append([]string{"Idempotency-Key", strings.Repeat("k", 65)}, mls...), 400, bad},
		{"a message id with a space", "POST", messages, "x", append([]string{"Idempotency-Key", "a b"}, mls...), 400, bad},
		{"a message id beyond ASCII", "POST", messages, "x", append([]string{"Idempotency-Key", "ä"}, mls...), 400, bad},
		{"two message ids", "POST", messages, "x", append([]string{"Idempotency-Key", "a", "Idempotency-Key", "b"}, mls...), 400, bad},
		{"a weak tag", "POST", messages, "x", append([]string{"If-Match", `W/"1"`}, mls...), 400, bad},
		{"any tag", "POST", messages, "x", append([]string{"If-Match", `*`}, mls...), 400, bad},
		{"two tags", "POST", messages, "x", append([]string{"If-Match", `"1", "2"`}, mls...), 400, bad},
		{"two tag headers", "POST", messages, "x", append([]string{"If-Match", `"1"`, "If-Match", `"1"`}, mls...), 400, bad},
		{"a tag without quotes", "POST", messages, "x", append([]string{"If-Match", `1`}, mls...), 400, bad},
		{"a tag with a zero in front", "POST", messages, "x", append([]string{"If-Match", `"01"`}, mls...), 400, bad},
		{"a tag with a sign", "POST", messages, "x", append([]string{"If-Match", `"+1"`}, mls...), 400, bad},
		{"a tag beyond 2^53", "POST", messages, "x", append([]string{"If-Match", `"9007199254740992"`}, mls...), 400, bad},
		{"a head that moved", "POST", messages, "x", append([]string{"If-Match", `"7"`}, mls...), 412, nodeservice.CodePreconditionFailed},

		{"after beyond 2^53", "GET", messages + "?after=9007199254740992", "", nil, 400, bad},
		{"after beyond the head", "GET", messages + "?after=9007199254740991", "", nil, 400, bad},
		{"a negative after", "GET", messages + "?after=-1", "", nil, 400, bad},
		{"after with a fraction", "GET", messages + "?after=1.0", "", nil, 400, bad},
		{"a fetch limit of 0", "GET", messages + "?limit=0", "", nil, 400, bad},
		{"a fetch limit above the largest", "GET", messages + "?limit=257", "", nil, 400, bad},
		{"a wait without a unit", "GET", messages + "?wait=30", "", nil, 400, bad},
		{"a wait too long", "GET", messages + "?wait=61s", "", nil, 400, bad},
		{"a negative wait", "GET", messages + "?wait=-1s", "", nil, 400, bad},
		{"an ack without through", "DELETE", messages, "", nil, 400, bad},
		{"an ack beyond the head", "DELETE", messages + "?through=8", "", nil, 400, bad},
		{"an ack that is no number", "DELETE", messages + "?through=all", "", nil, 400, bad},

		{"a parameter where none is taken", "POST", "/v1/channels?x=1", `{"peer":"` + peer + `"}`, nil, 400, bad},
		{"a parameter of an upload", "POST", "/v1/keypackages?last_resort=1", `{"key_packages":["AAAA"],"last_resort":true}`, nil, 400, bad},
		{"a parameter of a claim", "POST", claim + "?suite=1", "", nil, 400, bad},
		{"a parameter of a login", "POST", "/v1/auth/token?x", `{}`, nil, 400, bad},
		{"a parameter of info", "GET", "/v1/info?x=1", "", nil, 400, bad},
		{"a parameter of the stock", "GET", "/v1/keypackages?x=1", "", nil, 400, bad},
		{"a parameter of a revocation", "DELETE", "/v1/auth/token?token=x", "", nil, 400, bad},
		{"a parameter of one channel", "GET", channel + "?x=1", "", nil, 400, bad},
		{"a parameter of sending", "POST", messages + "?x=1", "x", mls, 400, bad},
		{"two media types", "POST", messages, "x", append([]string{"Content-Type", "text/plain"}, mls...), 415, bad},
		{"no media type", "POST", messages, "x", []string{"Content-Type", ""}, 415, bad},
		{"key packages of no kind", "POST", "/v1/keypackages", `{"key_packages":["AAAA"]}`, nil, 400, bad},
		{"no key packages", "POST", "/v1/keypackages", `{"key_packages":[],"last_resort":false}`, nil, 400, bad},
		{"key packages that are no list", "POST", "/v1/keypackages", `{"key_packages":"AAAA","last_resort":false}`, nil, 400, bad},
		{"a key package that is no text", "POST", "/v1/keypackages", `{"key_packages":[1],"last_resort":false}`, nil, 400, bad},
		{"a key package that is none", "POST", "/v1/keypackages", `{"key_packages":["AAAA"],"last_resort":false}`, nil, 400, bad},
		{"too many key packages", "POST", "/v1/keypackages", `{"key_packages":[` + strings.Repeat(`"AA",`, 100) + `"AA"],"last_resort":false}`, nil, 400, bad},
		{"last_resort that is no bool", "POST", "/v1/keypackages", `{"key_packages":["AAAA"],"last_resort":1}`, nil, 400, bad},
		{"a claim of nobody", "POST", "/v1/identities/x/keypackages/claim", `{}`, nil, 400, bad},
		{"a claim of oneself", "POST", "/v1/identities/" + me + "/keypackages/claim", `{}`, nil, 400, bad},
		{"a claim of what is not there", "POST", claim, `{}`, nil, 404, nodeservice.CodeKeyPackageNotFound},
		{"a claim without a body", "POST", claim, "", nil, 404, nodeservice.CodeKeyPackageNotFound},
		{"an empty claim id", "POST", claim, `{"claim_id":""}`, nil, 400, bad},
		{"a claim id too long", "POST", claim, `{"claim_id":"` + strings.Repeat("A", 88) + `"}`, nil, 400, bad},
		{"a suite beyond 16 bits", "POST", claim, `{"suites":[65536]}`, nil, 400, bad},
		{"a suite that is a text", "POST", claim, `{"suites":["1"]}`, nil, 400, bad},
		{"a suite in exponents", "POST", claim, `{"suites":[1e0]}`, nil, 400, bad},

		{"a challenge for nobody", "POST", "/v1/auth/challenge", `{"identity":""}`, nil, 400, bad},
		{"a login without a signature", "POST", "/v1/auth/token", `{"identity":"` + me + `","nonce":"AAAA"}`, nil, 400, bad},
		{"a login with a nonce of its own", "POST", "/v1/auth/token", `{"identity":"` + me + `","nonce":"AAAA","signature":"AAAA"}`, nil, 401, nodeservice.CodeUnauthenticated},
		{"a stream that is no upgrade", "GET", "/v1/stream", "", nil, 426, bad},
		{"two Authorization headers", "GET", "/v1/channels", "", []string{"Authorization", "Bearer x"}, 400, bad},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := alice.do(test.method, test.path, test.body, test.header...)
			checkProblem(t, r, test.status, test.code)
		})
	}
}

// checkProblem demands an RFC 9457 answer.
func checkProblem(t *testing.T, r reply, status int, code nodeservice.Code) {
	t.Helper()
	var p struct {
		Type, Title, Detail string
		Status              int
		Code                nodeservice.Code
	}
	r.json(t, &p)
	if r.status != status || p.Code != code {
		t.Fatalf("got %d %s, want %d %s", r.status, r.body, status, code)
	}
	if p.Status != status || p.Title != http.StatusText(status) || p.Type != "about:blank" || p.Detail == "" {
		t.Errorf("not as RFC 9457 has it: %s", r.body)
	}
	for name, want := range map[string]string{
		"Content-Type": "application/problem+json", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff",
		"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
	} {
		if got := r.header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if r.header.Get("X-Request-Id") == "" {
		t.Error("the answer has no request id")
	}
	for _, inside := range insides {
		if strings.Contains(string(r.body), inside) {
			t.Errorf("the answer shows %q: %s", inside, r.body)
		}
	}
}

// insides are what Go and its libraries say; clients are never shown it.
var insides = []string{
	".go:", "goroutine", "runtime", "panic", "0x", "nil", "<nil>", "json:", "strconv", "unmarshal", "parsing",
	"illegal base64", "invalid character", "EOF", "http:", "net/", "mime:", "url:", "uuid:", "i/o", "chi", "context",
}

func TestProblemsCarryWhatTheCodeCarries(t *testing.T) {
	d := newDoor(t, newCore(t, nil), nil)
	alice, bob := d.client(), d.client()
	channel := alice.channel(bob)
	alice.send(channel, "1")
	var p struct{ Head *nodeservice.Seq }
	r := alice.do("POST", channel+"/messages", "2", "Content-Type", "message/mls", "If-Match", `"0"`)
	if r.json(t, &p); p.Head == nil || *p.Head != 1 {
		t.Errorf("a head that moved: %s", r.body)
	}
	p.Head = nil
	r = bob.do("DELETE", channel+"/messages?through=2", "")
	if r.json(t, &p); p.Head == nil || *p.Head != 1 {
		t.Errorf("an ack beyond the head: %s", r.body)
	}
}

func TestUnauthenticated(t *testing.T) {
	d := newDoor(t, newCore(t, nil), nil)
	for _, test := range []struct{ name, value, challenge string }{
		{"no token", "", "Bearer"},
		{"another scheme", "Basic eDp5", `Bearer error="invalid_token"`},
		{"garbage", "Bearer garbage", `Bearer error="invalid_token"`},
		{"nothing after the scheme", "Bearer", `Bearer error="invalid_token"`},
		{"longer than any token", "Bearer " + strings.Repeat("A", 9<<10), `Bearer error="invalid_token"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			var header []string
			if test.value != "" {
				header = []string{"Authorization", test.value}
			}
			// The token is judged before anything else of the request.
			r := d.do("GET", "/v1/channels/x/messages?limit=0", nil, header...)
			checkProblem(t, r, 401, nodeservice.CodeUnauthenticated)
			if got := r.header.Get("WWW-Authenticate"); got != test.challenge {
				t.Errorf("WWW-Authenticate is %q, want %q", got, test.challenge)
			}
		})
	}
}

func TestRateLimitedSaysWhenToComeBack(t *testing.T) {
	core := newCore(t, func(c *nodeservice.Config) { c.Rates.Identity = nodeservice.Rate{PerSecond: 0.25, Burst: 1} })
	alice := newDoor(t, core, nil).client()
	if r := alice.do("GET", "/v1/channels", ""); r.status != 200 {
		t.Fatalf("status %d: %s", r.status, r.body)
	}
	r := alice.do("GET", "/v1/channels", "")
	checkProblem(t, r, 429, nodeservice.CodeRateLimited)
	var p struct {
		RetryAfterMS int64 `json:"retry_after_ms"`
	}
	if r.json(t, &p); p.RetryAfterMS < 1 || p.RetryAfterMS > 4000 {
		t.Errorf("retry_after_ms is %d", p.RetryAfterMS)
	}
	if want := fmt.Sprint((p.RetryAfterMS + 999) / 1000); r.header.Get("Retry-After") != want {
		t.Errorf("Retry-After is %q, want %q", r.header.Get("Retry-After"), want)
	}
}
