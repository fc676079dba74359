package gateway

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/quicproquo/node/nodeservice"
)

// octets are bytes as this door spells them: base64url without padding in JSON.
type octets []byte

// MarshalText implements encoding.TextMarshaler. A MarshalJSON would do the same
// several times slower, since encoding/json parses what it gets from one.
func (o octets) MarshalText() ([]byte, error) {
	return base64.RawURLEncoding.AppendEncode(nil, o), nil
}

// timestamp is an instant as this door spells it: RFC 3339 in UTC with exactly
// three digits of a second.
type timestamp nodeservice.UnixMilli

const timeLayout = "2006-01-02T15:04:05.000Z"

// MarshalText implements encoding.TextMarshaler.
func (t timestamp) MarshalText() ([]byte, error) {
	return nodeservice.UnixMilli(t).Time().AppendFormat(nil, timeLayout), nil
}

// timestampOrNull is nil, which JSON spells null, for 0.
func timestampOrNull(m nodeservice.UnixMilli) *timestamp {
	if m == 0 {
		return nil
	}
	t := timestamp(m)
	return &t
}

// writeJSON answers with v.
func writeJSON(w http.ResponseWriter, status int, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	writeBody(w, status, "application/json", body)
	return nil
}

// The network may take patience for a body or an answer, and besides what its size takes
// on a line that carries slowest.
const (
	patience = 10 * time.Second
	slowest  = 64 << 10 // bytes/s
)

// transferTime is how long n bytes may take to cross the network.
func transferTime(n int) time.Duration { return patience + lineTime(n) }

// lineTime is what n bytes take on a slow line.
func lineTime(n int) time.Duration { return time.Duration(n) * time.Second / slowest }

// writeEmpty answers without a body.
func writeEmpty(w http.ResponseWriter, status int) {
	giveTime(w, 0)
	w.WriteHeader(status)
}

// giveTime sets the deadline for writing an answer of n bytes: a peer that takes longer
// to read it loses the connection.
func giveTime(w http.ResponseWriter, n int) {
	// Not every ResponseWriter has deadlines; the server's do.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(transferTime(n)))
}

// writeBody answers with a body.
func writeBody(w http.ResponseWriter, status int, mediaType string, body []byte) {
	giveTime(w, len(body))
	holdMore(w, len(body)) // after giveTime, which would undo a cut
	h := w.Header()
	h.Set("Content-Type", mediaType)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // the peer that cannot be written to cannot be told
}
