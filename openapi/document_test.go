package openapi_test

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/openapi"
	"github.com/quicproquo/node/openapi/openapitest"
)

// statuses is the error table of the product: every code, and its status.
var statuses = map[nodeservice.Code]string{
	nodeservice.CodeInvalidArgument:    "400",
	nodeservice.CodeUnauthenticated:    "401",
	nodeservice.CodeTokenExpired:       "401",
	nodeservice.CodePermissionDenied:   "403",
	nodeservice.CodeQuotaExceeded:      "403",
	nodeservice.CodeChannelNotFound:    "404",
	nodeservice.CodeKeyPackageNotFound: "404",
	nodeservice.CodeMessageIDReused:    "409",
	nodeservice.CodeMailboxFull:        "409",
	nodeservice.CodePreconditionFailed: "412",
	nodeservice.CodePayloadTooLarge:    "413",
	nodeservice.CodeRateLimited:        "429",
	nodeservice.CodeUnsupportedVersion: "400",
	nodeservice.CodeUnavailable:        "503",
	nodeservice.CodeInternal:           "500",
}

// operation is one route of the document.
type operation struct {
	route string // "GET /v1/channels"
	*openapi3.Operation
}

func (o operation) pathParameters() (names []string) {
	for _, p := range o.Parameters {
		if p.Value.In == "path" {
			names = append(names, p.Value.Name)
		}
	}
	return names
}

func operations(t *testing.T) []operation {
	t.Helper()
	var all []operation
	for path, item := range openapitest.Document(t).Paths.Map() {
		for method, o := range item.Operations() {
			all = append(all, operation{method + " " + path, o})
		}
	}
	slices.SortFunc(all, func(a, b operation) int { return strings.Compare(a.route, b.route) })
	return all
}

func validate(t *testing.T, data []byte) error {
	t.Helper()
	document, err := openapi3.NewLoader().LoadFromData(data)
	if err != nil {
		return err
	}
	return document.Validate(t.Context(),
		openapi3.EnableExamplesValidation(), openapi3.EnableSchemaFormatValidation(),
		openapi3.EnableSchemaDefaultsValidation(), openapi3.EnableMultiError())
}

// What it says as JSON is another test's.
func TestDocumentIsValidWithItsExamples(t *testing.T) {
	if err := validate(t, openapi.YAML()); err != nil {
		t.Error(err)
	}
	if version := openapitest.Document(t).OpenAPI; version != "3.1.0" {
		t.Errorf("it is of version %s", version)
	}
}

// A check that notices nothing would let everything pass.
func TestValidationNoticesBadExamples(t *testing.T) {
	broken := openapi.YAML()
	said := []string{}
	for _, change := range []struct{ old, new, says string }{
		{"value: {peer: 7RD5", "value: {peer: =RD5", "operation POST: invalid example: example peer"},
		{"duplicate: true}", "duplicate: 1}", "example duplicate"},
		{"code: mailbox_full\n", "code: mailbox_flooded\n", "example mailbox_full"},
		{"status: 412\n                code", "status: 409\n                code", "example precondition_failed"},
		{"channel: {value: 6f1b", "channel: {value: zf1b", "parameter \"channelId\": invalid example: channel"},
		{"gap: null", "gap: 0", "example messages: Error at \"/gap\""},
	} {
		whole := broken
		if broken = bytes.Replace(whole, []byte(change.old), []byte(change.new), 1); bytes.Equal(whole, broken) {
			t.Errorf("there is no %q to break", change.old)
		}
		said = append(said, change.says)
	}
	err := validate(t, broken)
	if err == nil {
		t.Fatal("a broken document passed")
	}
	for _, says := range said {
		if !strings.Contains(err.Error(), says) {
			t.Errorf("nothing says %q", says)
		}
	}
}

// The library passes over the examples of headers.
func TestExamplesOfHeadersAreWhatTheirSchemasSay(t *testing.T) {
	for name, header := range openapitest.Document(t).Components.Headers {
		if len(header.Value.Examples) == 0 {
			t.Errorf("%s has no example", name)
		}
		for which, example := range header.Value.Examples {
			err := header.Value.Schema.Value.VisitJSON(example.Value.Value, openapi3.EnableJSONSchema2020())
			if err != nil {
				t.Errorf("%s, %s: %v", name, which, err)
			}
		}
	}
}

func TestRoutesAreThoseOfTheProduct(t *testing.T) {
	var routes []string
	for _, o := range operations(t) {
		routes = append(routes, o.route)
	}
	want := []string{
		"DELETE /v1/auth/token",
		"DELETE /v1/channels/{channelId}/messages",
		"GET /",
		"GET /.well-known/jwks.json",
		"GET /asyncapi.yaml",
		"GET /demo/{file}",
		"GET /docs",
		"GET /docs/",
		"GET /docs/{file}",
		"GET /livez",
		"GET /openapi.json",
		"GET /openapi.yaml",
		"GET /readyz",
		"GET /v1/channels",
		"GET /v1/channels/{channelId}",
		"GET /v1/channels/{channelId}/messages",
		"GET /v1/channels/{channelId}/stream",
		"GET /v1/info",
		"GET /v1/keypackages",
		"GET /v1/stream",
		"POST /v1/auth/challenge",
		"POST /v1/auth/token",
		"POST /v1/channels",
		"POST /v1/channels/{channelId}/messages",
		"POST /v1/identities/{identity}/keypackages/claim",
		"POST /v1/keypackages",
	}
	if !slices.Equal(routes, want) {
		t.Errorf("the routes are\n%s", strings.Join(routes, "\n"))
	}
}

func TestOperationsAreDescribed(t *testing.T) {
	var tags []string
	for _, tag := range openapitest.Document(t).Tags {
		tags = append(tags, tag.Name)
	}
	seen := map[string]string{}
	for _, o := range operations(t) {
		if other, twice := seen[o.OperationID]; twice || o.OperationID == "" {
			t.Errorf("%s and %s have the operationId %q", o.route, other, o.OperationID)
		}
		seen[o.OperationID] = o.route
		if n := strings.Count(o.route, "{"); n != len(o.pathParameters()) {
			t.Errorf("%s: it describes %v of its %d path parameters itself, where renderers look for them", o.route, o.pathParameters(), n)
		}
		if len(o.Tags) != 1 || !slices.Contains(tags, o.Tags[0]) || o.Summary == "" {
			t.Errorf("%s: one tag and a summary are expected", o.route)
		}
		if examples(o) == 0 {
			t.Errorf("%s has no example", o.route)
		}
	}
}

// examples counts those of a request and of its answers that are no errors.
func examples(o operation) int {
	count := 0
	add := func(content openapi3.Content) {
		for _, media := range content {
			count += len(media.Examples)
		}
	}
	if o.RequestBody != nil {
		add(o.RequestBody.Value.Content)
	}
	for status, response := range o.Responses.Map() {
		if status >= "400" {
			continue
		}
		add(response.Value.Content)
		for _, header := range response.Value.Headers {
			count += len(header.Value.Examples)
		}
		if len(response.Value.Content) == 0 {
			count++ // an answer without a body is its own example
		}
	}
	return count
}

func TestOperationsHaveTheirErrors(t *testing.T) {
	for _, o := range operations(t) {
		want := []string{"500"}
		if o.Security == nil || !slices.ContainsFunc(*o.Security, func(r openapi3.SecurityRequirement) bool { return len(r) == 0 }) {
			want = append(want, "400", "401", "429", "503")
		}
		if o.RequestBody != nil {
			want = append(want, "400", "406", "413", "415", "429", "503")
		}
		if strings.Contains(o.route, "{channelId}") {
			want = append(want, "404")
		}
		if strings.HasSuffix(o.route, "/stream") {
			want = append(want, "101", "200", "403", "426")
		}
		for _, status := range want {
			if o.Responses.Value(status) == nil {
				t.Errorf("%s lacks its %s", o.route, status)
			}
		}
	}
}

func TestErrorsAreProblems(t *testing.T) {
	for _, o := range operations(t) {
		for status, response := range o.Responses.Map() {
			if status < "400" {
				continue
			}
			media := response.Value.Content["application/problem+json"]
			if len(response.Value.Content) != 1 || media == nil || len(media.Examples) == 0 {
				t.Errorf("%s: its %s is no problem with examples", o.route, status)
			}
			if retry := response.Value.Headers["Retry-After"]; (status == "429" || status == "503") && retry == nil {
				t.Errorf("%s: its %s has no Retry-After", o.route, status)
			}
		}
	}
}

func TestEveryCodeHasAnExampleUnderItsStatus(t *testing.T) {
	shown := map[string]bool{} // "409 mailbox_full"
	for _, o := range operations(t) {
		for status, response := range o.Responses.Map() {
			if media := response.Value.Content["application/problem+json"]; media != nil {
				for _, example := range media.Examples {
					code, _ := example.Value.Value.(map[string]any)["code"].(string)
					shown[status+" "+code] = true
				}
			}
		}
	}
	for _, code := range nodeservice.Codes() {
		if !shown[statuses[code]+" "+string(code)] {
			t.Errorf("no operation shows %s with status %s", code, statuses[code])
		}
	}
	unmatched := []string{"404 invalid_argument", "406 invalid_argument", "415 invalid_argument", "426 invalid_argument"}
	for pair := range shown {
		status, code, _ := strings.Cut(pair, " ")
		if statuses[nodeservice.Code(code)] != status && !slices.Contains(unmatched, pair) {
			t.Errorf("%s is shown with status %s", code, status)
		}
	}
}

func TestCodesAreTheClosedSet(t *testing.T) {
	var documented []nodeservice.Code
	for _, code := range openapitest.Document(t).Components.Schemas["Code"].Value.Enum {
		documented = append(documented, nodeservice.Code(code.(string)))
	}
	if !slices.Equal(documented, nodeservice.Codes()) {
		t.Errorf("the document has %v", documented)
	}
	if got := len(slices.Collect(maps.Keys(statuses))); got != len(nodeservice.Codes()) {
		t.Errorf("this test knows %d codes", got)
	}
}

// What is written once is used; what a client meets outside of any operation is
// used by the gateway's tests.
func TestComponentsAreUsed(t *testing.T) {
	c := openapitest.Document(t).Components
	elsewhere := []string{"responses/MethodNotAllowed"}
	var all []string
	for kind, names := range map[string][]string{
		"schemas": slices.Collect(maps.Keys(c.Schemas)), "headers": slices.Collect(maps.Keys(c.Headers)),
		"parameters": slices.Collect(maps.Keys(c.Parameters)), "responses": slices.Collect(maps.Keys(c.Responses)),
		"examples": slices.Collect(maps.Keys(c.Examples)),
	} {
		for _, name := range names {
			all = append(all, kind+"/"+name)
		}
	}
	for _, name := range all {
		reference := []byte(`"#/components/` + name + `"`)
		if !bytes.Contains(openapi.YAML(), reference) && !slices.Contains(elsewhere, name) {
			t.Errorf("nothing refers to %s", name)
		}
	}
}
