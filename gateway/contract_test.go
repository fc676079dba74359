package gateway_test

import (
	"crypto/sha256"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/go-chi/chi/v5"

	"github.com/quicproquo/node/gateway"
	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/openapi"
	"github.com/quicproquo/node/openapi/openapitest"
)

// What the gateway routes is what the document has, and the other way round.
func TestRoutesAreThoseOfTheDocument(t *testing.T) {
	g, err := gateway.New(gateway.Config{Node: newCore(t, nil)})
	if err != nil {
		t.Fatal(err)
	}
	var routed, documented []string
	err = chi.Walk(g.Routes(), func(method, route string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
		routed = append(routed, method+" "+route)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for path, item := range openapitest.Document(t).Paths.Map() {
		for method := range item.Operations() {
			documented = append(documented, method+" "+path)
		}
	}
	slices.Sort(routed)
	slices.Sort(documented)
	for _, route := range routed {
		if !slices.Contains(documented, route) {
			t.Errorf("%s is not in the document", route)
		}
	}
	for _, route := range documented {
		if !slices.Contains(routed, route) {
			t.Errorf("%s is not routed", route)
		}
	}
	if len(routed) != len(slices.Compact(routed)) {
		t.Errorf("a route is there twice: %v", routed)
	}
}

// HEAD is answered as GET is, without the body, on every route that is no stream.
func TestHeadOnEveryRoute(t *testing.T) {
	alice := newDoor(t, newCore(t, nil), nil).client()
	for path, item := range openapitest.Document(t).Paths.Map() {
		if item.Get == nil || strings.HasSuffix(path, "/stream") {
			continue
		}
		get, head := alice.do("GET", fill.Replace(path), ""), alice.do("HEAD", fill.Replace(path), "")
		if head.status != get.status || len(head.body) > 0 {
			t.Errorf("HEAD %s: %d with %d bytes, GET: %d", path, head.status, len(head.body), get.status)
		}
		for _, name := range []string{"Content-Type", "Content-Length", "ETag", "Location", "Cache-Control"} {
			if head.header.Get(name) != get.header.Get(name) {
				t.Errorf("HEAD %s: %s is %q, GET: %q", path, name, head.header.Get(name), get.header.Get(name))
			}
		}
	}
}

func TestTheContractIsServed(t *testing.T) {
	d := newDoor(t, newCore(t, func(c *nodeservice.Config) {
		c.Rates.Address = nodeservice.Rate{PerSecond: 1e-6, Burst: 1} // these routes are free
	}), nil)
	for path, want := range map[string]struct {
		mediaType string
		body      []byte
	}{
		"/openapi.json":  {"application/json", openapi.JSON()},
		"/openapi.yaml":  {"application/yaml", openapi.YAML()},
		"/asyncapi.yaml": {"application/yaml", openapi.AsyncAPI()},
	} {
		r := d.do("GET", path, nil)
		if r.status != 200 || r.header.Get("Content-Type") != want.mediaType || sha256.Sum256(r.body) != sha256.Sum256(want.body) {
			t.Errorf("%s: %d %v", path, r.status, r.header)
		}
		wantHeld(t, d, path, r.header.Get("ETag"))
	}
}

// wantHeld demands that whoever has a file is told so, and nobody else.
func wantHeld(t *testing.T, d *door, path, tag string) {
	t.Helper()
	for match, status := range map[string]int{
		tag: 304, "W/" + tag: 304, `"x", ` + tag: 304, "*": 304, `"x"`: 200, "": 200, strings.Trim(tag, `"`): 200,
	} {
		for _, method := range []string{"GET", "HEAD"} {
			r := d.do(method, path, nil, "If-None-Match", match)
			if r.status != status || r.header.Get("ETag") != tag || (status == 304 || method == "HEAD") && len(r.body) > 0 {
				t.Errorf("%s %s, If-None-Match %s: %d with %d bytes, want %d", method, path, match, r.status, len(r.body), status)
			}
		}
	}
}
