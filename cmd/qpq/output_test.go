package main

import "testing"

func TestPayloadsAreShownSoThatTheyCannotDeceive(t *testing.T) {
	for payload, want := range map[string]string{
		"hello":             "hello",
		"grüße, 世界":         "grüße, 世界",
		"two\nlines\tand":   "two\n    lines\tand",
		"one\n":             "one",
		"\x1b[2Jcleared":    "G1sySmNsZWFyZWQ",
		"back\rover":        "YmFjaw1vdmVy",
		"\x00":              "AA",
		"\xff\xfe":          "__4",
		"turned \u202e txt": "dHVybmVkIOKAriB0eHQ",
	} {
		if got := payloadText([]byte(payload)); got != want {
			t.Errorf("%q is shown as %q, wanted %q", payload, got, want)
		}
	}
}
