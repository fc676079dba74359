package gateway_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/openapi/openapitest"
)

// fill puts something into a path's parameters.
var fill = strings.NewReplacer(
	"{channelId}", "6f1b0c9e-52d5-4c0e-9f0d-0a8a5b3c2d1e",
	"{identity}", "7RD5LrM58FbU9ja-FbxVzyh9eQWiIXMqXQVCGPs4BUg",
	"{file}", "page.css")

// Every path of the document refuses the methods that it lacks, and says which it
// has; and every operation that wants a token refuses to go without.
func TestBadMethodsAndMissingTokensOnEveryRoute(t *testing.T) {
	alice := newDoor(t, newCore(t, nil), nil).client()
	for path, item := range openapitest.Document(t).Paths.Map() {
		for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "get"} {
			operation := item.GetOperation(method)
			if operation == nil {
				t.Run(method+" "+path, func(t *testing.T) {
					r := alice.do(method, fill.Replace(path), "")
					checkProblem(t, r, 405, nodeservice.CodeInvalidArgument)
					if allow := r.header.Get("Allow"); !strings.HasSuffix(allow, "OPTIONS") || slices.Contains(strings.Split(allow, ", "), method) {
						t.Errorf("Allow is %q", allow)
					}
				})
			} else if operation.Security == nil {
				t.Run("without a token "+method+" "+path, func(t *testing.T) {
					r := alice.door.do(method, fill.Replace(path), nil)
					checkProblem(t, r, 401, nodeservice.CodeUnauthenticated)
					wantChallenges(t, r, "Bearer", `DPoP algs="EdDSA ES256"`)
				})
			}
		}
	}
}

// Every route that takes JSON takes it strictly.
func TestBadBodiesOnEveryRoute(t *testing.T) {
	alice := newDoor(t, newCore(t, nil), nil).client()
	me := alice.id.String()
	bad := nodeservice.CodeInvalidArgument
	for path, member := range map[string]string{
		"/v1/auth/challenge": `"identity":"` + me + `"`,
		"/v1/auth/token":     `"identity":"` + me + `","nonce":"AAAA","signature":"AAAA"`,
		"/v1/channels":       `"peer":"` + me + `"`,
		"/v1/keypackages":    `"key_packages":["AAAA"],"last_resort":false`,
		"/v1/channels/6f1b0c9e-52d5-4c0e-9f0d-0a8a5b3c2d1e/messages":                   `"payload":"AAAA"`,
		"/v1/identities/7RD5LrM58FbU9ja-FbxVzyh9eQWiIXMqXQVCGPs4BUg/keypackages/claim": `"claim_id":"AAAA"`,
	} {
		first, _, _ := strings.Cut(member, ",")
		name, _, _ := strings.Cut(first, ":")
		for _, test := range []struct {
			name, body string
			header     []string
			status     int
			code       nodeservice.Code
			says       string
		}{
			{"another kind", "{" + member + "}", []string{"Content-Type", "text/html"}, 415, bad, ""},
			{"an encoding", "{" + member + "}", []string{"Content-Type", "application/json", "Content-Encoding", "br"}, 415, bad, ""},
			{"another answer wanted", "{" + member + "}", []string{"Accept", "text/html"}, 406, bad, ""},
			{"cut off", "{" + member, nil, 400, bad, "JSON"},
			{"more behind it", "{" + member + "}x", nil, 400, bad, "JSON"},
			{"a comment", "{" + member + "/* */}", nil, 400, bad, "JSON"},
			{"a mark of byte order", "\ufeff{" + member + "}", nil, 400, bad, "JSON"},
			{"UTF-16", "\xff\xfe{\x00}\x00", nil, 400, bad, "UTF-8"},
			{"a list", "[{" + member + "}]", nil, 400, bad, "object"},
			{"null", "null", nil, 400, bad, "object"},
			{"a member that is unknown", "{" + member + `,"surprise":1}`, nil, 400, bad, `"surprise"`},
			{"a member twice", "{" + member + "," + first + "}", nil, 400, bad, name},
			{"a member of another type", "{" + strings.Replace(member, first, name+":{}", 1) + "}", nil, 400, bad, strings.Trim(name, `"`)},
			{"a member that is null", "{" + strings.Replace(member, first, name+":null", 1) + "}", nil, 400, bad, strings.Trim(name, `"`)},
			{"a member that is no base64url", "{" + strings.Replace(member, first, name+`:"A+/="`, 1) + "}", nil, 400, bad, strings.Trim(name, `"`)},
			{"too deep", "{" + member + `,"x":` + strings.Repeat("[", 200) + strings.Repeat("]", 200) + "}", nil, 400, bad, "deep"},
			{"too large", "{" + member + `,"x":"` + strings.Repeat("x", 8<<20) + `"}`, []string{"Expect", "100-continue"}, 413, nodeservice.CodePayloadTooLarge, "bytes"},
		} {
			t.Run(path+" "+test.name, func(t *testing.T) {
				r := alice.do(http.MethodPost, path, test.body, test.header...)
				checkProblem(t, r, test.status, test.code)
				var p struct{ Detail string }
				if r.json(t, &p); !strings.Contains(p.Detail, test.says) {
					t.Errorf("it is not told what to mend, %s: %s", test.says, p.Detail)
				}
			})
		}
	}
}
