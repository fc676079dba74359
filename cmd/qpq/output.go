package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/quicproquo/node/nodeservice"
)

// output writes results: lines for people, or one JSON object a line. JSON
// spells things as the HTTP gateway does.
type output struct {
	w    io.Writer
	json bool
}

// print writes a result, with object for --json and else the text.
func (o output) print(object any, format string, args ...any) error {
	if !o.json {
		_, err := fmt.Fprintf(o.w, format+"\n", args...)
		return err
	}
	encoder := json.NewEncoder(o.w)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(object)
}

// object is a JSON object; its members come out in the order of their names.
type object map[string]any

// readable is the payload as text, if it is text that a terminal shows as it
// is: a message from outside must not be able to move the cursor.
func readable(payload []byte) (text string, ok bool) {
	if !utf8.Valid(payload) {
		return "", false
	}
	text = string(payload)
	return text, !strings.ContainsFunc(text, func(r rune) bool {
		return !unicode.IsPrint(r) && r != '\n' && r != '\t'
	})
}

// payloadText is the payload as text, or else as base64url. Further lines are
// indented: none can be taken for another message.
func payloadText(payload []byte) string {
	if text, ok := readable(payload); ok {
		return strings.ReplaceAll(strings.TrimSuffix(text, "\n"), "\n", "\n    ")
	}
	return bytesText(payload)
}

func bytesText(data []byte) string { return base64.RawURLEncoding.EncodeToString(data) }

// timeText is RFC 3339 with milliseconds in UTC.
func timeText(t nodeservice.UnixMilli) string {
	return t.Time().Format("2006-01-02T15:04:05.000Z07:00")
}

// timeOrNull is null for no time.
func timeOrNull(t nodeservice.UnixMilli) any {
	if t == 0 {
		return nil
	}
	return timeText(t)
}
