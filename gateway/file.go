package gateway

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strings"
)

// file is something that comes with the binary, and is served as it is. Static
// after construction.
type file struct {
	body      []byte
	mediaType string
	tag       string // changes when body does
}

func newFile(body []byte, mediaType string) file {
	hash := sha256.Sum256(body)
	return file{body, mediaType, `"` + base64.RawURLEncoding.EncodeToString(hash[:16]) + `"`}
}

// serve answers with the file, or with 304 for whoever has it. Caches may keep it,
// and ask each time: another binary has another.
func (f file) serve(w http.ResponseWriter, r *http.Request) error {
	h := w.Header()
	h.Set("Cache-Control", "no-cache")
	h.Set("ETag", f.tag)
	if f.isHeld(r.Header.Values("If-None-Match")) {
		writeEmpty(w, http.StatusNotModified)
		return nil
	}
	writeBody(w, http.StatusOK, f.mediaType, f.body)
	return nil
}

// isHeld says whether an If-None-Match names the file; the comparison is the weak
// one (RFC 9110 section 13.1.2).
func (f file) isHeld(all []string) bool {
	for part := range strings.SplitSeq(strings.Join(all, ","), ",") {
		part = strings.TrimSpace(part)
		if part == "*" || strings.TrimPrefix(part, "W/") == f.tag {
			return true
		}
	}
	return false
}
