package gateway

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/quicproquo/node/nodeservice"
)

// maxDepth bounds how deep the values of a JSON text may lie in one another.
const maxDepth = 8

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

// parseObject splits one JSON object in UTF-8 into its members, each once, and
// nothing after it. The values share data's bytes.
func parseObject(data []byte) (map[string]json.RawMessage, error) {
	if !utf8.Valid(data) {
		return nil, invalidf("the JSON text is not valid UTF-8")
	}
	if !json.Valid(data) {
		return nil, invalidf("this is not exactly one well-formed JSON text")
	}
	s := scanner{data: data}
	if s.space(); s.data[s.at] != '{' {
		return nil, invalidf("a JSON object is expected")
	}
	members := make(map[string]json.RawMessage, 4)
	return members, s.object(1, func(name string, value []byte) { members[name] = value })
}

// scanner walks a JSON text that is known to be well formed.
type scanner struct {
	data []byte
	at   int
}

// object walks the members of an object and refuses a name that comes twice.
func (s *scanner) object(depth int, member func(name string, value []byte)) error {
	seen := make(map[string]struct{}, 4)
	for s.open(); s.data[s.at] != '}'; s.comma() {
		var name string
		if err := json.Unmarshal(s.span(s.text), &name); err != nil {
			return invalidf("a member's name cannot be read")
		}
		if _, twice := seen[name]; twice {
			return invalidf("the member %q appears twice", shorten(name))
		}
		seen[name] = struct{}{}
		s.space()
		s.at++ // the colon
		s.space()
		start := s.at
		if err := s.value(depth); err != nil {
			return err
		}
		member(name, s.data[start:s.at])
	}
	s.at++
	return nil
}

// value walks one value that lies in depth others.
func (s *scanner) value(depth int) error {
	switch s.data[s.at] {
	case '"':
		s.text()
	case '{', '[':
		if depth == maxDepth {
			return invalidf("the JSON text is nested more than %d deep", maxDepth)
		}
		if s.data[s.at] == '{' {
			return s.object(depth+1, func(string, []byte) {})
		}
		return s.array(depth + 1)
	default: // a number or a literal
		for s.at < len(s.data) && !strings.ContainsRune(",]} \t\r\n", rune(s.data[s.at])) {
			s.at++
		}
	}
	return nil
}

func (s *scanner) array(depth int) error {
	for s.open(); s.data[s.at] != ']'; s.comma() {
		if err := s.value(depth); err != nil {
			return err
		}
	}
	s.at++
	return nil
}

// text walks a string. Bytes of a multi-byte character are never a quote.
func (s *scanner) text() {
	for s.at++; s.data[s.at] != '"'; s.at++ {
		if s.data[s.at] == '\\' {
			s.at++
		}
	}
	s.at++
}

func (s *scanner) open() {
	s.at++
	s.space()
}

func (s *scanner) comma() {
	if s.space(); s.data[s.at] == ',' {
		s.open()
	}
}

func (s *scanner) space() {
	for s.at < len(s.data) && strings.IndexByte(" \t\r\n", s.data[s.at]) >= 0 {
		s.at++
	}
}

func (s *scanner) span(walk func()) []byte {
	start := s.at
	walk()
	return s.data[start:s.at]
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
