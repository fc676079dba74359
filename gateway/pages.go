package gateway

import (
	"io/fs"
	"net/http"
	"path"
	"sync"

	"github.com/go-chi/chi/v5"

	"github.com/quicproquo/node/openapi"
	"github.com/quicproquo/node/web"
)

// pagePolicy lets a page run and load only what comes from here as a file.
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"

// contract is what the gateway does, for machines to read, by path.
var contract = sync.OnceValue(func() map[string]file {
	return map[string]file{
		"/openapi.json":  newFile(openapi.JSON(), "application/json"),
		"/openapi.yaml":  newFile(openapi.YAML(), "application/yaml"),
		"/asyncapi.yaml": newFile(openapi.AsyncAPI(), "application/yaml"),
	}
})

// mediaTypes are of the files that pages are made of. Others are not served: the
// system's own table differs from one to the next.
var mediaTypes = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
	".txt":  "text/plain; charset=utf-8",
}

// reference is the contract for people to read: the files of /docs/, by name.
var reference = sync.OnceValue(func() map[string]file {
	files := map[string]file{}
	entries, err := fs.ReadDir(web.FS(), "docs")
	for _, entry := range entries {
		var body []byte
		if body, err = fs.ReadFile(web.FS(), "docs/"+entry.Name()); err != nil {
			break
		}
		if mediaType, known := mediaTypes[path.Ext(entry.Name())]; known {
			files[entry.Name()] = newFile(body, mediaType)
		}
	}
	if err != nil { // the files are in the binary
		panic(err)
	}
	return files
})

// docs leads to the directory whose files the page names. The way is a relative
// one, for gateways that a proxy puts below a path.
func docs(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Location", "docs/")
	w.Header().Set("Content-Length", "0")
	w.WriteHeader(http.StatusMovedPermanently)
	return nil
}

// docsFile serves a file of the reference; the directory itself is its page.
func docsFile(w http.ResponseWriter, r *http.Request) error {
	name := chi.URLParam(r, "file")
	if name == "" {
		name = "index.html"
	}
	f, exists := reference()[name]
	if !exists {
		return notFound(w, r)
	}
	h := w.Header()
	h.Set("Content-Security-Policy", pagePolicy)
	h.Set("Referrer-Policy", "no-referrer")
	return f.serve(w, r)
}
