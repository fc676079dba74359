package main

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/quicproquo/node/nodeservice/identity"
)

// tokensIn is a data directory with keys in it.
func tokensIn(t *testing.T) (dir string, keys *keyFile) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "data")
	keys, err := openTemp(t, dir).openKeys("", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return dir, keys
}

func TestIssuedTokensAreInspected(t *testing.T) {
	dir, _ := tokensIn(t)
	key, err := identity.GenerateKey(identity.EdDSA)
	if err != nil {
		t.Fatal(err)
	}
	who := key.Public().String()
	code, token, stderr := qpqd(t, "token", "issue", "--data-dir", dir, "--identity="+who, "--ttl", "1h")
	if code != exitDone {
		t.Fatalf("issue: exit %d, %s", code, stderr)
	}
	token = strings.TrimSpace(token)
	code, out, stderr := qpqd(t, "token", "inspect", "--data-dir", dir, token)
	var claims map[string]any
	if err := json.Unmarshal([]byte(out), &claims); err != nil || code != exitDone || claims["identity"] != who {
		t.Fatalf("inspect: exit %d, %s%s", code, stderr, out)
	}
	_, signature, _ := strings.Cut(token[strings.Index(token, ".")+1:], ".")
	if strings.Contains(out, signature) {
		t.Error("inspect shows the signature")
	}
	for _, args := range [][]string{
		{"inspect", token + "A"}, {"inspect", "--public-url", "https://elsewhere.example", token},
	} {
		if code, out, _ := qpqd(t, append([]string{"token", "--data-dir", dir}, args...)...); code != exitFailed || out != "" {
			t.Errorf("%v: exit %d, %q", args[:1], code, out)
		}
	}
	for _, args := range [][]string{
		{"issue", "--identity=x"}, {"issue"}, {"issue", "--identity=" + who, "--ttl=25h"}, {"rotate", "--lead=-1s"},
	} {
		if code, _, _ := qpqd(t, append([]string{"token", "--data-dir", dir}, args...)...); code != exitUsage {
			t.Errorf("%v: exit %d", args, code)
		}
	}
}

func TestRotatedKeysAreTakenOver(t *testing.T) {
	dir, running := tokensIn(t)
	before := running.keys.JWKS()
	if code, out, stderr := qpqd(t, "token", "rotate", "--data-dir", dir); code != exitDone || !strings.Contains(out, "a new key signs from") {
		t.Fatalf("exit %d, %s%s", code, out, stderr)
	}
	running.look(t.Context())
	after := running.keys.JWKS()
	if bytes.Count(after, []byte(`"kid"`)) != 2 || bytes.Equal(before, after) {
		t.Errorf("after a rotation the node has\n%s", after)
	}
	if info, err := os.Stat(filepath.Join(dir, keysFile)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if err := os.WriteFile(filepath.Join(dir, keysFile), []byte("spoilt"), 0o600); err != nil {
		t.Fatal(err)
	}
	running.look(t.Context())
	if !bytes.Equal(running.keys.JWKS(), after) {
		t.Error("an unusable file logged everybody out")
	}
}
