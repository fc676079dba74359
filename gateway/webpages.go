package gateway

import (
	"io/fs"
	"net/http"
	"path"
	"strings"
	"sync"

	"github.com/quicproquo/node/openapi"
	"github.com/quicproquo/node/web"
)

// nothingPolicy is the Content-Security-Policy of all that is not a page: a browser that
// opens an answer of the API runs nothing in it, and shows it in no frame.
const nothingPolicy = "default-src 'none'; frame-ancestors 'none'"

// pagePolicy lets a page run and load only what comes from here as a file, and
// connect only to here: "self" includes a WebSocket to the page's own origin.
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"

// demoPolicy is stricter still: the demo turns no text into HTML or script at all.
const demoPolicy = pagePolicy + "; trusted-types 'none'"

// contract is what the gateway does, for machines to read, by path.
var contract = sync.OnceValue(func() map[string]file {
	return map[string]file{
		"/openapi.json":  newFile(openapi.JSON(), "application/json"),
		"/openapi.yaml":  newFile(openapi.YAML(), "application/yaml"),
		"/asyncapi.yaml": newFile(openapi.AsyncAPI(), "application/yaml"),
	}
})

// mediaTypes are those of the files that pages are made of, by extension. Other files are
// not served. The table of package mime would differ from one system to the next.
var mediaTypes = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
	".txt":  "text/plain; charset=utf-8",
}

// pages are the files that people see, by their paths below the root.
var pages = sync.OnceValue(func() map[string]file {
	files := map[string]file{}
	err := fs.WalkDir(web.FS(), ".", func(name string, entry fs.DirEntry, err error) error {
		mediaType, known := mediaTypes[path.Ext(name)]
		if err != nil || entry.IsDir() || !known {
			return err
		}
		body, err := fs.ReadFile(web.FS(), name)
		files[name] = newFile(body, mediaType)
		return err
	})
	if err != nil { // the files are in the binary
		panic(err)
	}
	return files
})

// docs redirects to the directory that the page's files are in. The location is relative,
// for gateways that a proxy puts below a path.
func docs(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Location", "docs/")
	w.Header().Set("Content-Length", "0")
	writeEmpty(w, http.StatusMovedPermanently)
	return nil
}

// page serves a file of the pages under a policy; a directory is its index.html.
func page(policy string) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		name := strings.TrimPrefix(r.URL.Path, "/")
		if name == "" || strings.HasSuffix(name, "/") {
			name += "index.html"
		}
		f, exists := pages()[name]
		if !exists {
			return notFound(w, r)
		}
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("Referrer-Policy", "no-referrer")
		return f.serve(w, r)
	}
}
