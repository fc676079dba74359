package gateway_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"testing"

	"github.com/fxamacker/cbor/v2"
)

// fromCBOR is a frame in JSON: byte strings become base64url. What the server
// promises not to write is not read.
func fromCBOR(t testing.TB, data []byte) []byte {
	t.Helper()
	mode, err := cbor.DecOptions{
		DupMapKey: cbor.DupMapKeyEnforcedAPF, IndefLength: cbor.IndefLengthForbidden, TagsMd: cbor.TagsForbidden,
	}.DecMode()
	if err != nil {
		t.Fatal(err)
	}
	var members map[string]any
	if err := mode.Unmarshal(data, &members); err != nil {
		t.Fatalf("%x: %v", data, err)
	}
	for name, value := range members {
		if raw, ok := value.([]byte); ok {
			members[name] = b64.EncodeToString(raw)
		}
		if inner, ok := value.(map[any]any); ok {
			plain := map[string]any{}
			for k, v := range inner {
				plain[k.(string)] = v
			}
			members[name] = plain
		}
	}
	text, err := json.Marshal(members)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// toCBOR is a client's frame in CBOR.
func toCBOR(t testing.TB, text []byte) []byte {
	t.Helper()
	var members map[string]json.RawMessage
	if err := json.Unmarshal(text, &members); err != nil {
		t.Fatal(err)
	}
	plain := map[string]any{}
	for name, value := range members {
		var n uint64
		var s string
		if json.Unmarshal(value, &n) == nil {
			plain[name] = n
		} else if err := json.Unmarshal(value, &s); err == nil {
			plain[name] = s
		} else {
			t.Fatal(err)
		}
	}
	data, err := cbor.Marshal(plain)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// eventReader reads server-sent events as the HTML standard says, as far as the
// gateway uses it.
type eventReader struct {
	t      testing.TB
	body   io.ReadCloser
	lines  *bufio.Reader
	lastID string
}

// next is the data of the next event, whose name is its frame's type.
func (r *eventReader) next() ([]byte, error) {
	r.t.Helper()
	var name string
	var data []byte
	for {
		line, err := r.lines.ReadBytes('\n')
		if err != nil {
			if len(line) > 0 || data != nil {
				r.t.Errorf("an event breaks off at %q", line)
			}
			return nil, err
		}
		field, value, _ := bytes.Cut(bytes.TrimSuffix(line, []byte("\n")), []byte(": "))
		switch string(field) {
		case "event":
			name = string(value)
		case "id":
			r.lastID = string(value)
		case "data":
			if data != nil {
				r.t.Error("an event has two lines of data")
			}
			data = value
		case "":
			if !strings.HasPrefix(string(data), `{"type":"`+name+`"`) {
				r.t.Errorf("the event %q has the data %.80s", name, data)
			}
			return data, nil
		default:
			r.t.Errorf("a line of no event: %q", line)
		}
	}
}
