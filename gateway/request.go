package gateway

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/identity"
)

// smallBody bounds the bodies that carry no payload and no key packages.
const smallBody = 16 << 10

// readJSON reads a bounded body that is one JSON object.
func (g *Gateway) readJSON(w http.ResponseWriter, r *http.Request, limit int, fields ...field) error {
	if _, err := query(r); err != nil {
		return err
	}
	if mediaType(r) != "application/json" {
		return unsupportedMedia(w, "application/json")
	}
	body, err := g.readBody(w, r, limit)
	if err != nil {
		return err
	}
	return decodeObject(body, fields...)
}

// mediaType is the request's Content-Type; "" if there is none, more than one, or
// one that an encoding hides.
func mediaType(r *http.Request) string {
	if r.Header.Get("Content-Encoding") != "" || len(r.Header.Values("Content-Type")) > 1 {
		return ""
	}
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		return ""
	}
	return kind
}

func unsupportedMedia(w http.ResponseWriter, wanted string) error {
	w.Header().Set("Accept", wanted)
	return unmatchedf(http.StatusUnsupportedMediaType, "the body must be %s, without a Content-Encoding", wanted)
}

// readBody reads at most limit bytes, and takes memory only as bytes arrive. The
// whole body has a deadline: a trickle must not hold the connection.
func (g *Gateway) readBody(w http.ResponseWriter, r *http.Request, limit int) ([]byte, error) {
	if r.ContentLength > int64(limit) {
		return nil, tooLarge(limit)
	}
	// Not every ResponseWriter has deadlines; the server's do.
	deadline := http.NewResponseController(w)
	_ = deadline.SetReadDeadline(time.Now().Add(g.patience + lineTime(limit)))
	var body bytes.Buffer
	body.Grow(int(min(max(r.ContentLength, 0), 64<<10)) + bytes.MinRead)
	_, err := body.ReadFrom(&arriving{Reader: http.MaxBytesReader(w, r.Body, int64(limit)), w: w})
	var over *http.MaxBytesError
	switch {
	case err == nil:
		// A deadline that passes later would cancel the request. After an error it stays,
		// for the server, which reads the rest in order to use the connection again.
		_ = deadline.SetReadDeadline(time.Time{})
		return body.Bytes(), nil
	case errors.As(err, &over):
		return nil, tooLarge(limit)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, &nodeservice.Error{Code: nodeservice.CodeUnavailable, Detail: "the body did not arrive in time", Cause: err}
	case errors.Is(err, io.ErrUnexpectedEOF):
		return nil, invalidf("the body ended before its announced length")
	}
	return nil, &nodeservice.Error{Code: nodeservice.CodeInvalidArgument, Detail: "the body could not be read", Cause: err}
}

func tooLarge(limit int) error {
	return nodeservice.Errorf(nodeservice.CodePayloadTooLarge, "the body has more than the %d bytes that this route takes", limit)
}

// limitBodies gives every body a deadline, the unread ones too: the server reads
// those to their end after the answer, and would wait for a body that never comes.
func (g *Gateway) limitBodies(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength != 0 {
			_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(g.patience))
		}
		next.ServeHTTP(w, r)
	})
}

// query reads the URL's parameters, each known and at most once.
func query(r *http.Request, known ...string) (url.Values, error) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, invalidf("the URL's query is malformed")
	}
	for name, all := range values {
		if !slices.Contains(known, name) {
			return nil, invalidf("the query parameter %q is unknown here", shorten(name))
		}
		if len(all) > 1 {
			return nil, invalidf("the query parameter %q appears twice", name)
		}
	}
	return values, nil
}

// seqParam reads a query parameter that is a seq; absent is 0.
func seqParam(values url.Values, name string) (nodeservice.Seq, error) {
	if !values.Has(name) {
		return 0, nil
	}
	seq, err := parseSeq(values.Get(name))
	if err != nil {
		return 0, invalidf("%s: %s", name, nodeservice.AsError(err).Detail)
	}
	return seq, nil
}

// limitParam reads limit, 1 to most; absent is 0, the core's default.
func limitParam(values url.Values, most int) (int, error) {
	if !values.Has("limit") {
		return 0, nil
	}
	limit, err := parseUint(values.Get("limit"), uint64(most))
	if err != nil || limit == 0 {
		return 0, invalidf("limit: a whole number from 1 to %d is expected", most)
	}
	return int(limit), nil
}

// pathChannel reads the {channelId} of the path. The nil UUID names no channel.
func pathChannel(r *http.Request) (nodeservice.ChannelID, error) {
	return parseChannel(chi.URLParam(r, "channelId"))
}

func parseChannel(text string) (nodeservice.ChannelID, error) {
	id, err := nodeservice.ParseChannelID(text)
	if err != nil {
		return id, invalidf("a channel id is a UUID in its canonical form of 36 characters")
	}
	if id.IsZero() {
		return id, nodeservice.Errorf(nodeservice.CodeChannelNotFound, "there is no such channel, or you are not a member of it")
	}
	return id, nil
}

func parseIdentity(text string) (nodeservice.Identity, error) {
	id, err := identity.ParseKeyText(text)
	if err != nil {
		return id, &nodeservice.Error{Code: nodeservice.CodeInvalidArgument, Detail: err.Error(), Cause: err}
	}
	return id, nil
}

func identityField(to *nodeservice.Identity) func(json.RawMessage) error {
	return func(value json.RawMessage) (err error) {
		var text string
		if err := textField(&text)(value); err != nil {
			return err
		}
		*to, err = parseIdentity(text)
		return err
	}
}

// acceptable says whether the request's Accept admits an answer of ours.
func acceptable(r *http.Request) error {
	all := r.Header.Values("Accept")
	if len(all) == 0 {
		return nil
	}
	for part := range strings.SplitSeq(strings.Join(all, ","), ",") {
		kind, params, err := mime.ParseMediaType(part)
		if err != nil || refuses(params) {
			continue
		}
		switch kind {
		case "*/*", "application/*", "application/json", "application/problem+json":
			return nil
		}
	}
	return unmatchedf(http.StatusNotAcceptable, "this route answers in application/json; Accept excludes it")
}

// refuses says whether a media range of an Accept header has the weight 0: the client
// does not want it (RFC 9110 section 12.4.2).
func refuses(params map[string]string) bool {
	q := params["q"]
	return q != "" && strings.Trim(q, "0.") == ""
}
