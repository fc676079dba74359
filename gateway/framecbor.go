package gateway

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/fxamacker/cbor/v2"

	"github.com/quicproquo/node/nodeservice"
)

// cborEncoding writes frames in CBOR (RFC 8949) by their names in JSON: members in
// the order of the structs, definite lengths, no tags, bytes as byte strings.
var cborEncoding = func() cbor.EncMode {
	mode, err := cbor.EncOptions{IndefLength: cbor.IndefLengthForbidden, TagsMd: cbor.TagsForbidden}.EncMode()
	if err != nil { // the options above are all there are
		panic(err)
	}
	return mode
}()

// MarshalCBOR implements cbor.Marshaler: times are text in both encodings.
func (t timestamp) MarshalCBOR() ([]byte, error) {
	text, err := t.MarshalText()
	if err != nil {
		return nil, err
	}
	return cborEncoding.Marshal(string(text))
}

// maxMembers bounds a map of a client's: no frame has that many members.
const maxMembers = 16

// cborDecoding takes less than the library would by default: what two readers could read
// in two ways is refused, and so is what we never need.
var cborDecoding = func() cbor.DecMode {
	mode, err := cbor.DecOptions{
		DupMapKey:        cbor.DupMapKeyEnforcedAPF,
		IndefLength:      cbor.IndefLengthForbidden,
		TagsMd:           cbor.TagsForbidden,
		UTF8:             cbor.UTF8RejectInvalid,
		MaxNestedLevels:  maxDepth,
		MaxMapPairs:      maxMembers,
		MaxArrayElements: maxMembers,
	}.DecMode()
	if err != nil {
		panic(err)
	}
	return mode
}()

var cborNotation = notation{cborMembers, cborText, cborSeq}

// The major types of CBOR (RFC 8949 section 3.1), in the first three bits.
const (
	cborUnsigned = 0
	cborString   = 3
	cborMap      = 5
)

// isMajor says whether an item is of a major type: the library alone would take
// null for an empty map or string, and 1.0 for 1.
func isMajor(item []byte, major byte) bool { return len(item) > 0 && item[0]>>5 == major }

// cborMembers splits one CBOR map into its members, each once, and nothing after it.
func cborMembers(data []byte) (map[string]json.RawMessage, error) {
	var members map[string]cbor.RawMessage
	err := cborDecoding.Unmarshal(data, &members)
	if twice := (*cbor.DupMapKeyError)(nil); errors.As(err, &twice) {
		return nil, invalidf("the member %q appears twice", shorten(fmt.Sprint(twice.Key)))
	}
	if err != nil || !isMajor(data, cborMap) {
		return nil, invalidf("a frame is one CBOR map and nothing after it: at most %d members, text for keys, "+
			"definite lengths, no tags, valid UTF-8, nested at most %d deep", maxMembers, maxDepth)
	}
	values := make(map[string]json.RawMessage, len(members))
	for name, value := range members {
		values[name] = json.RawMessage(value)
	}
	return values, nil
}

func cborText(to *string) func(json.RawMessage) error {
	return func(value json.RawMessage) error {
		if !isMajor(value, cborString) || cborDecoding.Unmarshal(value, to) != nil {
			return invalidf("a text string in valid UTF-8 is expected")
		}
		return nil
	}
}

func cborSeq(to *nodeservice.Seq) func(json.RawMessage) error {
	return func(value json.RawMessage) error {
		var n uint64
		if !isMajor(value, cborUnsigned) || cborDecoding.Unmarshal(value, &n) != nil || n > uint64(nodeservice.MaxSeq) {
			return invalidf("an unsigned integer from 0 to %d is expected", nodeservice.MaxSeq)
		}
		*to = nodeservice.Seq(n)
		return nil
	}
}
