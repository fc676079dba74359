package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/quicproquo/node/cmd/internal/nodeprocess"
)

// runGateway runs a gateway apart from its node, configured by a file.
func runGateway(t *testing.T, file string) nodeprocess.Addresses {
	t.Helper()
	dir := t.TempDir()
	file += "\nhttp-listen: 127.0.0.1:0\nops-listen: 127.0.0.1:0\nannounce: " + filepath.Join(dir, "listen.json") + "\n"
	return running(t, dir, "gateway", "--config", writeTemp(t, "gateway.yaml", file))
}

func TestAGatewayApartIsConfiguredByAFileAndWatched(t *testing.T) {
	short, err := os.MkdirTemp("", "qpq") // t.TempDir is too long for the name of a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(short) })
	socket := filepath.Join(short, "s")
	serve(t, "--trusted-rpc-listen=unix:"+socket)
	apart := runGateway(t, "node: unix:"+socket+"\nallowed-origins: [https://app.example]")
	if status, _, err := get(t, apart.HTTP+"/v1/channels", nil); err != nil || status != http.StatusUnauthorized {
		t.Errorf("status %d, %v", status, err)
	}
	if status, _, err := get(t, apart.HTTP+"/surprise/4711", nil); err != nil || status != http.StatusNotFound {
		t.Errorf("status %d, %v", status, err)
	}
	_, metrics, err := get(t, apart.Ops+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`qpqd_http_requests_total{method="GET",route="/v1/channels",status="401"} 1`,
		`qpqd_http_requests_total{method="GET",route="other",status="404"} 1`,
		"qpqd_http_streams 0", "qpqd_node_connected 1", "go_goroutines ", "process_resident_memory_bytes ",
	} {
		if !strings.Contains(metrics, "\n"+want) {
			t.Errorf("no %s in\n%s", want, metrics)
		}
	}
	for path, want := range map[string]int{"/livez": 404, "/debug/pprof/cmdline": 200} {
		if status, _, err := get(t, apart.Ops+path, nil); err != nil || status != want {
			t.Errorf("%s of the operators' listener: %d, %v", path, status, err)
		}
	}
	for _, path := range []string{"/livez", "/readyz"} {
		if status, _, err := get(t, apart.HTTP+path, nil); err != nil || status != http.StatusOK {
			t.Errorf("%s: %d, %v", path, status, err)
		}
	}
}

// The settings of one command are not another's: what would do nothing is refused.
func TestAGatewaysFileRefusesWhatIsNoSettingOfAGateway(t *testing.T) {
	for name, text := range map[string]string{
		"a node's":     "node: unix:/s\ndata-dir: x\n",
		"misspelled":   "node: unix:/s\nallowed-origin: [https://a.example]\n",
		"itself":       "node: unix:/s\nconfig: other.yaml\n",
		"no room":      "node: unix:/s\nmax-http-bytes: 1MiB\n",
		"no node":      "log-level: info\n",
		"another kind": "node: unix:/s\nmax-connections: many\n",
	} {
		code, _, stderr := qpqd(t, "gateway", "--config", writeTemp(t, "gateway.yaml", text))
		if code != exitUsage || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%s: exit %d, %q", name, code, stderr)
		}
	}
	code, _, stderr := qpqd(t, "config", "check", "--config", writeTemp(t, "qpqd.yaml", "node: unix:/s\n"))
	if code != exitUsage || !strings.Contains(stderr, `"node"`) {
		t.Errorf("a gateway's setting for a node: exit %d, %q", code, stderr)
	}
}
