package gatewayclient

import (
	"encoding/json"

	"github.com/coder/websocket"
	"github.com/fxamacker/cbor/v2"
)

// Encoding is how the frames of streams are written.
type Encoding int

const (
	// JSON is text frames, the subprotocol qpq.v1.json.
	JSON Encoding = iota
	// CBOR is binary frames, qpq.v1.cbor: payloads travel as they are, a quarter
	// shorter than in JSON.
	CBOR
)

// codec is an Encoding as a stream uses it.
type codec struct {
	subprotocol string
	kind        websocket.MessageType
	marshal     func(any) ([]byte, error)
	unmarshal   func([]byte, any) error
}

var codecs = map[Encoding]codec{
	JSON: {"qpq.v1.json", websocket.MessageText, json.Marshal, json.Unmarshal},
	CBOR: {"qpq.v1.cbor", websocket.MessageBinary, cbor.Marshal, cborDecoding.Unmarshal},
}

// cborDecoding reads frames by their names in JSON: ids and times are text in both
// encodings, and what we do not know is passed over.
var cborDecoding = func() cbor.DecMode {
	mode, err := cbor.DecOptions{
		DupMapKey:       cbor.DupMapKeyEnforcedAPF,
		IndefLength:     cbor.IndefLengthForbidden,
		TagsMd:          cbor.TagsForbidden,
		TextUnmarshaler: cbor.TextUnmarshalerTextString,
		MaxNestedLevels: 16,
	}.DecMode()
	if err != nil { // the options above are all there are
		panic(err)
	}
	return mode
}()

// UnmarshalCBOR implements cbor.Unmarshaler: without it the library would take the
// time's own binary form, or a number.
func (i *instant) UnmarshalCBOR(data []byte) error {
	var text string
	if err := cborDecoding.Unmarshal(data, &text); err != nil {
		return err
	}
	return i.UnmarshalText([]byte(text))
}
