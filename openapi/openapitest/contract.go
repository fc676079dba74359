package openapitest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"

	"github.com/quicproquo/node/openapi"
)

// maxBody bounds what of a body is kept to be looked at. Of an exchange with a
// longer one all but that body is checked.
const maxBody = 256 << 10 // bytes

// contract holds exchanges against the document. Static after construction.
type contract struct {
	next     http.Handler
	document *openapi3.T
	bodies   *bodies
	report   func(format string, args ...any)
}

// load reads the document once for all tests of a binary; nobody changes it. It is
// given to the library as one of OpenAPI 3.0: of one of 3.1 it would compile the
// schema of each header and parameter each time, and theirs mean the same in both.
var load = sync.OnceValues(func() (*bodies, error) {
	document, err := openapi3.NewLoader().LoadFromData(openapi.YAML())
	if err != nil {
		return nil, err
	}
	document.OpenAPI = "3.0.4"
	return &bodies{document: document}, nil
})

// Contract is a handler that does what next does, and fails the test where an
// exchange is not as the OpenAPI document says: a request that was served must be
// one of the document, and every answer, its headers and its body too. What is in
// no path of the document must be refused. Streams are checked up to their 101.
func Contract(t testing.TB, next http.Handler) http.Handler {
	t.Helper()
	bodies, err := load()
	if err != nil {
		t.Fatalf("reading openapi.yaml: %v", err)
	}
	var mu sync.Mutex
	over := false // guarded by mu: a test that has ended takes no more reports
	t.Cleanup(func() {
		mu.Lock()
		defer mu.Unlock()
		over = true
	})
	return contract{next, bodies.document, bodies, func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		if !over {
			t.Errorf(format, args...)
		}
	}}
}

// ServeHTTP implements http.Handler.
func (c contract) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e := exchange{request: r.Clone(context.WithoutCancel(r.Context()))}
	if r.Body != nil {
		r.Body = tap{r.Body, &e.sent}
	}
	answer := &recorder{ResponseWriter: w, got: &e.got}
	c.next.ServeHTTP(answer, r)
	e.status, e.header = answer.status, answer.header
	if e.header == nil { // an answer of nothing at all
		e.status, e.header = http.StatusOK, w.Header().Clone()
	}
	if err := c.check(&e); err != nil {
		c.report("%s %s, answered with %d, is not as openapi.yaml says: %v\n%s",
			r.Method, r.URL.EscapedPath(), e.status, err, e.got.shortened())
	}
}

// exchange is one request and its answer.
type exchange struct {
	request *http.Request
	sent    kept
	status  int
	header  http.Header
	got     kept
}

func (c contract) check(e *exchange) error {
	path, params := match(c.document, e.request.URL.EscapedPath())
	if path == "" {
		return c.checkRefusal(e, http.StatusNotFound, "NoSuchPath")
	}
	item := c.document.Paths.Value(path)
	method := e.request.Method
	if method == http.MethodOptions {
		return checkOptions(e, item)
	}
	if method == http.MethodHead {
		method = http.MethodGet
	}
	operation := item.GetOperation(method)
	if operation == nil {
		return c.checkRefusal(e, http.StatusMethodNotAllowed, "MethodNotAllowed")
	}
	input := &openapi3filter.RequestValidationInput{
		Request: e.request, PathParams: params, QueryParams: e.request.URL.Query(),
		Route:   &routers.Route{Spec: c.document, Path: path, PathItem: item, Method: method, Operation: operation},
		Options: &openapi3filter.Options{IncludeResponseStatus: true, AuthenticationFunc: presents, SkipSettingDefaults: true},
	}
	// Browsers cannot read a refusal of an upgrade: they are told by a close code.
	refusable := e.status == http.StatusSwitchingProtocols && carriesToken(e.request.Header)
	if e.status < 400 && !refusable {
		if err := c.checkRequest(e, input); err != nil {
			return fmt.Errorf("a request that was served: %w", err)
		}
	}
	return c.checkAnswer(e, input, operation.Responses.Value(fmt.Sprint(e.status)))
}

// match finds the path of the document, and the parameters in it. Where one with a
// parameter and one without fit, none of ours do.
func match(document *openapi3.T, path string) (found string, params map[string]string) {
	parts := strings.Split(path, "/")
	for pattern := range document.Paths.Map() {
		if params, ok := fit(strings.Split(pattern, "/"), parts); ok {
			return pattern, params
		}
	}
	return "", nil
}

func fit(pattern, parts []string) (params map[string]string, ok bool) {
	if len(pattern) != len(parts) {
		return nil, false
	}
	params = map[string]string{}
	for i, want := range pattern {
		if name, variable := strings.CutPrefix(want, "{"); variable && parts[i] != "" {
			params[strings.TrimSuffix(name, "}")] = parts[i]
		} else if want != parts[i] {
			return nil, false
		}
	}
	return params, true
}

// checkRefusal is for what the document has no operation for.
func (c contract) checkRefusal(e *exchange, status int, response string) error {
	if e.status != status {
		return fmt.Errorf("no operation of the document, so %d is expected", status)
	}
	input := &openapi3filter.RequestValidationInput{
		Request: e.request, Options: &openapi3filter.Options{IncludeResponseStatus: true},
		Route: &routers.Route{Spec: c.document, Operation: &openapi3.Operation{
			Responses: openapi3.NewResponses(openapi3.WithStatus(status, c.document.Components.Responses[response])),
		}},
	}
	return c.checkAnswer(e, input, c.document.Components.Responses[response])
}

// checkOptions looks at what the document says of OPTIONS in words.
func checkOptions(e *exchange, item *openapi3.PathItem) error {
	want := []string{http.MethodOptions}
	for method := range item.Operations() {
		if want = append(want, method); method == http.MethodGet {
			want = append(want, http.MethodHead)
		}
	}
	got := strings.Split(e.header.Get("Allow"), ", ")
	slices.Sort(got)
	if slices.Sort(want); e.status != http.StatusNoContent || !slices.Equal(got, want) {
		return fmt.Errorf("header Allow is %v, want %v", got, want)
	}
	return nil
}

// checkRequest adds to the library's checks parameters that nobody knows, and bodies.
func (c contract) checkRequest(e *exchange, input *openapi3filter.RequestValidationInput) error {
	for name := range input.QueryParams {
		if strings.HasPrefix(input.Route.Path, "/v1/") && input.Route.Operation.Parameters.GetByInAndName(openapi3.ParameterInQuery, name) == nil {
			return fmt.Errorf("the query parameter %q is none of the document", name)
		}
	}
	if err := c.checkSent(e, input.Route.Operation.RequestBody); err != nil {
		return err
	}
	e.request.Body, input.Options.ExcludeRequestBody = http.NoBody, true // it reads the body even so
	return openapi3filter.ValidateRequest(context.Background(), input)
}

func (c contract) checkSent(e *exchange, documented *openapi3.RequestBodyRef) error {
	if documented == nil {
		return nil
	}
	if len(e.sent.data) == 0 {
		if documented.Value.Required {
			return errors.New("a body is required")
		}
		return nil
	}
	kind := e.request.Header.Get("Content-Type")
	media := documented.Value.Content.Get(kind)
	if media == nil {
		return fmt.Errorf("the media type %q is none of this request's", kind)
	}
	if e.sent.cut {
		return nil
	}
	return c.bodies.check(kind, media, e.sent.data)
}

// presents says whether a request carries what a security scheme asks for; whether
// it is any good is the node's affair.
func presents(_ context.Context, input *openapi3filter.AuthenticationInput) error {
	h := input.RequestValidationInput.Request.Header
	scheme, _, _ := strings.Cut(h.Get("Authorization"), " ")
	carries := map[string]bool{
		"bearer":         strings.EqualFold(scheme, "Bearer"),
		"dpop":           strings.EqualFold(scheme, "DPoP"),
		"dpopProof":      h.Get("DPoP") != "",
		"webSocketToken": carriesToken(h),
	}
	if !carries[input.SecuritySchemeName] {
		return errors.New("it carries none")
	}
	return nil
}

// carriesToken is for the one place where browsers can put a token in an upgrade.
func carriesToken(h http.Header) bool {
	return strings.Contains(strings.Join(h.Values("Sec-WebSocket-Protocol"), ","), "base64url.bearer.authorization.qpq.")
}
