package openapitest

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
)

// everywhere are the headers that any answer may have: those of HTTP itself, and
// those that the document's introduction describes.
var everywhere = []string{
	"Access-Control-Allow-Origin", "Access-Control-Expose-Headers", "Cache-Control", "Content-Length",
	"Content-Security-Policy", "Content-Type", "Date", "Sec-Websocket-Accept", "Vary", "X-Content-Type-Options",
}

// checkAnswer adds to the library's checks headers and bodies that nobody documented,
// and bodies that are not as they should be.
func (c contract) checkAnswer(e *exchange, input *openapi3filter.RequestValidationInput, response *openapi3.ResponseRef) error {
	if response == nil || response.Value == nil {
		return fmt.Errorf("the operation has no answer %d", e.status)
	}
	for name := range e.header {
		documented := slices.Contains(everywhere, name)
		for other := range response.Value.Headers {
			documented = documented || http.CanonicalHeaderKey(other) == name
		}
		if !documented {
			return fmt.Errorf("the header %s is none of this answer's", name)
		}
	}
	kind := e.header.Get("Content-Type")
	media := response.Value.Content.Get(kind)
	switch {
	case len(response.Value.Content) == 0 && len(e.got.data) > 0 && e.status != http.StatusSwitchingProtocols:
		return fmt.Errorf("a body is not expected")
	case len(response.Value.Content) > 0 && media == nil:
		return fmt.Errorf("the media type %q is none of this answer's", kind)
	case media != nil && e.request.Method != http.MethodHead && !e.got.cut:
		if err := c.bodies.check(kind, media, e.got.data); err != nil {
			return err
		}
	}
	input.Options.ExcludeResponseBody = true
	return openapi3filter.ValidateResponse(e.request.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: input, Status: e.status, Header: joined(e.header), Options: input.Options,
	})
}

// joined makes one line of each header (RFC 9110 section 5.3): the library looks at
// the first one only.
func joined(h http.Header) http.Header {
	lines := http.Header{}
	for name, values := range h {
		lines[name] = []string{strings.Join(values, ", ")}
	}
	return lines
}

// kept is the beginning of a body.
type kept struct {
	data []byte
	cut  bool // there was more
}

func (k *kept) add(p []byte) {
	room := min(len(p), maxBody-len(k.data))
	k.data = append(k.data, p[:room]...)
	k.cut = k.cut || room < len(p)
}

func (k *kept) shortened() string { return string(k.data[:min(len(k.data), 1000)]) }

// tap keeps what is read of a request's body.
type tap struct {
	io.ReadCloser
	kept *kept
}

func (t tap) Read(p []byte) (int, error) {
	n, err := t.ReadCloser.Read(p)
	t.kept.add(p[:n])
	return n, err
}

// recorder keeps what is answered.
type recorder struct {
	http.ResponseWriter
	got    *kept
	status int         // 0: not begun
	header http.Header // as it was when the answer began
}

func (w *recorder) WriteHeader(status int) {
	if w.status == 0 {
		w.status, w.header = status, w.Header().Clone()
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *recorder) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	w.got.add(p)
	return w.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController and the WebSocket upgrade through.
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }
