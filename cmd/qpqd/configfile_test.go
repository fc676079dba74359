package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// qpqd runs the program and returns its exit code and what it printed.
func qpqd(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	code = run(t.Context(), args, &out, &err)
	return code, out.String(), err.String()
}

func writeTemp(t *testing.T, name, text string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestFlagsWinOverEnvironmentOverFile(t *testing.T) {
	file := writeTemp(t, "config.yaml", "queue-messages: 1\nmax-channels: 1\nmax-key-packages: 1\n")
	t.Setenv("QPQD_MAX_CHANNELS", "2")
	t.Setenv("QPQD_MAX_KEY_PACKAGES", "2")
	_, out, _ := qpqd(t, "config", "print", "--config", file, "--max-key-packages", "3")
	for _, want := range []string{"queue-messages: 1\n", "max-channels: 2\n", "max-key-packages: 3\n"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}

func TestPrintedConfigurationReadsBackAsItself(t *testing.T) {
	_, first, _ := qpqd(t, "config", "print",
		"--max-payload=64KiB", "--legacy=off", "--min-free=2.5%", "--rate-identity=0.5", "--sweep-every=90s",
		"--allowed-origins=https://a.example,https://b.example", "--trusted-proxies=10.1.2.3/8,::1", "--log-level=warn",
		"--insecure-plaintext", "--public-url=https://chat.example.org", "--http-listen=:8420")
	code, second, stderr := qpqd(t, "config", "print", "--config", writeTemp(t, "config.yaml", first))
	if code != exitDone || first != second {
		t.Errorf("exit %d %s; printed first\n%s\nand then\n%s", code, stderr, first, second)
	}
}

func TestConfigurationFileRefusesWhatIsNoSetting(t *testing.T) {
	for name, text := range map[string]string{
		"misspelled":       "max-payloads: 1\n",
		"nested":           "rate:\n  identity: 5\n",
		"map as value":     "data-dir: {a: b}\n",
		"twice":            "max-channels: 1\nmax-channels: 2\n",
		"not a map":        "- max-channels\n",
		"itself":           "config: other.yaml\n",
		"wrong unit":       "max-payload: 5 apples\n",
		"later than issue": "redis-url: redis://localhost\n",
		"too large":        strings.Repeat("# padding\n", maxConfigFile/10+1),
	} {
		code, _, stderr := qpqd(t, "config", "check", "--config", writeTemp(t, "config.yaml", text))
		if code != exitUsage || stderr == "" {
			t.Errorf("%s: exit %d, %q", name, code, stderr)
		}
	}
}
