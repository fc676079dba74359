package nodetest

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"strings"
	"sync"
	"testing"
)

// secrets are what no log and no audit may contain: identities, tokens,
// nonces, signatures, payloads.
type secrets struct {
	mu   sync.Mutex
	list []secret // guarded by mu
}

type secret struct {
	what string
	raw  []byte
}

// add remembers a secret; short ones would be found by chance.
func (s *secrets) add(what string, raw []byte) {
	if len(raw) < 24 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = append(s.list, secret{what, bytes.Clone(raw)})
}

// addToken remembers a token's head, which all tokens share, and its signature.
func (s *secrets) addToken(token string) {
	s.add("token", []byte(token))
	s.add("token's signature", []byte(token[strings.LastIndex(token, ".")+1:]))
}

func (s *secrets) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.list)
}

// search fails for every secret that text contains.
func (s *secrets) search(t *testing.T, where string, text []byte) {
	for _, what := range s.in(text) {
		t.Errorf("the %s contains a %s", where, what)
	}
}

// in names the secrets that text contains, in whatever spelling.
func (s *secrets) in(text []byte) (found []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, secret := range s.list {
		for spelling, spelled := range secret.spellings() {
			if bytes.Contains(text, spelled) {
				found = append(found, secret.what+" ("+spelling+")")
			}
		}
	}
	return found
}

// spellings are the bytes as they might be written: of the first 24 only, so
// that what is cut short is found as well.
func (s secret) spellings() map[string][]byte {
	head := s.raw[:24] // a multiple of 3: base64 without a remainder
	return map[string][]byte{
		"raw":       head,
		"base64url": base64.RawURLEncoding.AppendEncode(nil, head),
		"base64":    base64.StdEncoding.AppendEncode(nil, head),
		"hex":       hex.AppendEncode(nil, head),
		"HEX":       bytes.ToUpper(hex.AppendEncode(nil, head)),
	}
}

// sink keeps what is written to it.
type sink struct {
	mu   sync.Mutex
	text bytes.Buffer // guarded by mu
}

// Write implements io.Writer.
func (s *sink) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *sink) content() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return bytes.Clone(s.text.Bytes())
}
