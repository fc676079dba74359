package main

import (
	"strings"
	"testing"
)

const twoIssuers = `issuers:
  - issuer: https://login.example.org
    audience: https://chat.example.org
    jwks-url: https://login.example.org/jwks.json
  - issuer: https://other.example
    audience: chat
    type: JWT
    algorithms: [EdDSA, ES256]
    max-lifetime: 90m
    jwks-file: other.json
`

func TestIssuersOfTheFilePrintAsThemselves(t *testing.T) {
	file := writeTemp(t, "config.yaml", twoIssuers)
	code, out, stderr := qpqd(t, "config", "print", "--config", file)
	if code != exitDone || !strings.Contains(out, "max-lifetime: 1h30m0s") || !strings.Contains(out, "algorithms: [EdDSA, ES256]") {
		t.Fatalf("exit %d, %s\n%s", code, stderr, out)
	}
	if _, again, stderr := qpqd(t, "config", "print", "--config", writeTemp(t, "again.yaml", out)); again != out {
		t.Errorf("%s printed first\n%s\nand then\n%s", stderr, out, again)
	}
	code, _, stderr = qpqd(t, "config", "check", "--issuers", "[{issuer: a, audience: b, jwks-file: c}]")
	if code != exitDone {
		t.Errorf("as a flag: exit %d, %s", code, stderr)
	}
}

func TestIssuersThatCheckNothingAreRefused(t *testing.T) {
	for name, text := range map[string]string{
		"misspelled":   strings.Replace(twoIssuers, "max-lifetime", "max-life-time", 1),
		"no audience":  strings.Replace(twoIssuers, "audience: chat\n", "", 1),
		"no keys":      strings.Replace(twoIssuers, "jwks-file: other.json", "", 1),
		"HMAC":         strings.Replace(twoIssuers, "ES256", "HS256", 1),
		"twice":        strings.Replace(twoIssuers, "https://other.example", "https://login.example.org", 1),
		"in the clear": strings.Replace(twoIssuers, "jwks-url: https:", "jwks-url: http:", 1),
		"not a list":   "issuers: {issuer: a}\n",
		"a text":       "issuers: a\n",
	} {
		if code, _, stderr := qpqd(t, "config", "check", "--config", writeTemp(t, "config.yaml", text)); code != exitUsage {
			t.Errorf("%s: exit %d, %q", name, code, stderr)
		}
	}
}
