package gateway

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strconv"
	"strings"

	"github.com/quicproquo/node/nodeservice"
)

// field is a member that an object may or must have.
type field struct {
	name     string
	required bool
	set      func(value json.RawMessage) error
}

func must(name string, set func(json.RawMessage) error) field { return field{name, true, set} }
func may(name string, set func(json.RawMessage) error) field  { return field{name, false, set} }

// decodeObject reads one JSON object into fields. encoding/json alone would take
// "PAYLOAD" for "payload", let the last of two members win, and mend bad UTF-8:
// two readers could then see two different requests.
func decodeObject(data []byte, fields ...field) error {
	values, err := parseObject(data)
	if err != nil {
		return err
	}
	return setFields(values, fields)
}

func setFields(values map[string]json.RawMessage, fields []field) error {
	known := 0
	for _, f := range fields {
		value, ok := values[f.name]
		if !ok {
			if f.required {
				return invalidf("the member %q is missing", f.name)
			}
			continue
		}
		known++
		if err := f.set(value); err != nil {
			return invalidf("%s: %s", f.name, nodeservice.AsError(err).Detail)
		}
	}
	if known == len(values) {
		return nil
	}
	for _, f := range fields {
		delete(values, f.name)
	}
	for name := range values {
		return invalidf("the member %q is unknown here (names are case-sensitive)", shorten(name))
	}
	return nil
}

// elements splits a JSON array.
func elements(value json.RawMessage) ([]json.RawMessage, error) {
	var list []json.RawMessage
	if value[0] != '[' || json.Unmarshal(value, &list) != nil {
		return nil, invalidf("a list is expected")
	}
	return list, nil
}

func textField(to *string) func(json.RawMessage) error {
	return func(value json.RawMessage) error {
		if value[0] != '"' || json.Unmarshal(value, to) != nil {
			return invalidf("a string is expected")
		}
		return nil
	}
}

func boolField(to *bool) func(json.RawMessage) error {
	return func(value json.RawMessage) error {
		*to = string(value) == "true"
		if !*to && string(value) != "false" {
			return invalidf("true or false is expected")
		}
		return nil
	}
}

func bytesField(to *[]byte) func(json.RawMessage) error {
	return func(value json.RawMessage) (err error) {
		if value[0] == '"' && bytes.IndexByte(value, '\\') < 0 {
			*to, err = decodeBytes(value[1 : len(value)-1])
			return err
		}
		var text string
		if err := textField(&text)(value); err != nil {
			return err
		}
		*to, err = decodeBytes([]byte(text))
		return err
	}
}

func seqField(to *nodeservice.Seq) func(json.RawMessage) error {
	return func(value json.RawMessage) (err error) {
		*to, err = parseSeq(string(value))
		return err
	}
}

// strictBase64 refuses padding, and bits left over in the last character.
var strictBase64 = base64.RawURLEncoding.Strict()

// decodeBytes reads the one canonical spelling. Go's decoder skips line breaks,
// even a strict one: two texts would then name one value.
func decodeBytes(text []byte) ([]byte, error) {
	raw := make([]byte, strictBase64.DecodedLen(len(text)))
	n, err := strictBase64.Decode(raw, text)
	if err != nil || strictBase64.EncodedLen(n) != len(text) {
		return nil, invalidf("canonical base64url without padding is expected")
	}
	return raw, nil
}

// parseSeq reads a decimal integer that every JSON reader keeps exact.
func parseSeq(text string) (nodeservice.Seq, error) {
	n, err := parseUint(text, uint64(nodeservice.MaxSeq))
	return nodeservice.Seq(n), err
}

func parseUint(text string, most uint64) (uint64, error) {
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil || n > most || text[0] == '+' || (text[0] == '0' && text != "0") {
		return 0, invalidf("a whole number from 0 to %d in plain digits is expected", most)
	}
	return n, nil
}

// shorten keeps what a client sent from filling an answer or a log.
func shorten(text string) string {
	if len(text) > 40 {
		return strings.ToValidUTF8(text[:40], "") + "..."
	}
	return text
}
