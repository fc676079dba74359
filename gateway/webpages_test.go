package gateway_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/quicproquo/node/nodeservice"
)

func TestThePagesAreServed(t *testing.T) {
	d := newDoor(t, newCore(t, nil), nil)
	if r := d.do("GET", "/docs", nil); r.status != 301 || r.header.Get("Location") != "docs/" {
		t.Errorf("/docs: %d to %q", r.status, r.header.Get("Location"))
	}
	for path, mediaType := range map[string]string{
		"/":                            "text/html; charset=utf-8",
		"/demo/chat.js":                "text/javascript; charset=utf-8",
		"/demo/style.css":              "text/css; charset=utf-8",
		"/demo/icon.svg":               "image/svg+xml",
		"/demo/licences.txt":           "text/plain; charset=utf-8",
		"/docs/":                       "text/html; charset=utf-8",
		"/docs/index.html":             "text/html; charset=utf-8",
		"/docs/page.js":                "text/javascript; charset=utf-8",
		"/docs/page.css":               "text/css; charset=utf-8",
		"/docs/icon.svg":               "image/svg+xml",
		"/docs/swagger-ui-bundle.js":   "text/javascript; charset=utf-8",
		"/docs/swagger-ui.LICENSE.txt": "text/plain; charset=utf-8",
	} {
		r := d.do("GET", path, nil)
		if r.status != 200 || r.header.Get("Content-Type") != mediaType || len(r.body) == 0 {
			t.Errorf("%s: %d %s, %d bytes", path, r.status, r.header.Get("Content-Type"), len(r.body))
		}
		policy := r.header.Get("Content-Security-Policy")
		if !strings.HasPrefix(policy, "default-src 'none'; ") || strings.Contains(policy, "unsafe") || r.header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s is served under %q", path, policy)
		}
		if isDemo := !strings.HasPrefix(path, "/docs"); isDemo != strings.HasSuffix(policy, "; trusted-types 'none'") {
			t.Errorf("%s is served under %q", path, policy)
		}
	}
}

// What a page names is there, and whoever has a page is told so.
func TestPagesAreWhole(t *testing.T) {
	d := newDoor(t, newCore(t, nil), nil)
	for _, path := range []string{"/", "/docs/"} {
		page := d.do("GET", path, nil, "Accept", "text/html")
		wantHeld(t, d, path, page.header.Get("ETag"))
		names := regexp.MustCompile(`(?:src|href)="(?:\./)?([^"]+\.(?:js|css|svg))"`).FindAllSubmatch(page.body, -1)
		if len(names) < 3 {
			t.Errorf("%s names only %d files", path, len(names))
		}
		for _, name := range names {
			if r := d.do("HEAD", path+string(name[1]), nil); r.status != 200 {
				t.Errorf("%s wants %s: %d", path, name[1], r.status)
			}
		}
	}
}

func TestNothingButThePagesIsServed(t *testing.T) {
	d := newDoor(t, newCore(t, nil), nil)
	for _, path := range []string{
		"/docs/nothing.js", "/docs/..", "/docs/%2e%2e", "/docs/..%2findex.html", "/docs/%2fetc%2fpasswd", "/docs/x/y", "/docs/INDEX.html",
		"/index.html", "/demo", "/demo/", "/demo/nothing.js", "/demo/..", "/demo/%2e%2e", "/demo/..%2findex.html", "/demo/x/y", "//", "/%2f",
	} {
		checkProblem(t, d.do("GET", path, nil), 404, nodeservice.CodeInvalidArgument)
	}
}
