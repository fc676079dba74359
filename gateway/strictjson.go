package gateway

import (
	"encoding/json"
	"strings"
	"unicode/utf8"
)

// maxDepth bounds how deep the values of a JSON text may lie in one another.
const maxDepth = 8

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
