package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/quicproquo/node/cmd/internal/nodeprocess"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, goleak.Cleanup(removeProgram)) }

// serve runs a node inside the test until the test ends, on free ports; then it
// must end well.
func serve(t *testing.T, flags ...string) nodeprocess.Addresses {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	return running(t, dir, append([]string{"serve", "--data-dir", dir, "--min-free", "0%", "--audit-file", dir + ".audit",
		"--http-listen=127.0.0.1:0", "--rpc-listen=127.0.0.1:0", "--ops-listen=127.0.0.1:0"}, flags...)...)
}

// running is serve for a command that announces itself in listen.json of a
// directory.
func running(t *testing.T, dir string, args ...string) nodeprocess.Addresses {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	var code int
	var log bytes.Buffer
	go func() {
		defer close(ended)
		code = run(ctx, args, io.Discard, &log)
	}()
	t.Cleanup(func() {
		stop()
		<-ended
		if code != exitDone || !strings.Contains(log.String(), "stopped") {
			t.Errorf("exit %d\n%s", code, log.String())
		}
	})
	patient, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	addresses, err := nodeprocess.WaitReady(patient, dir)
	if err != nil {
		t.Fatal(err)
	}
	return addresses
}

// get fetches a page; nothing of the connection outlives it.
func get(t *testing.T, url string, config *tls.Config) (status int, body string, err error) {
	t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: config, ForceAttemptHTTP2: true}}
	defer client.CloseIdleConnections()
	answer, err := client.Get(url)
	if err != nil {
		return 0, "", err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	return answer.StatusCode, string(text), err
}

func TestServedNodeShowsMetricsAndLeavesNothingBehind(t *testing.T) {
	addresses := serve(t)
	if addresses.PublicURL != addresses.HTTP {
		t.Errorf("public URL %s of a node at %s", addresses.PublicURL, addresses.HTTP)
	}
	for url, want := range map[string]string{
		addresses.HTTP + "/v1/info":      addresses.HTTP,
		addresses.Ops + "/metrics":       `qpqd_legacy_uses_total{version="0"} 0`,
		addresses.Ops + "/metrics#":      `qpqd_http_requests_total{method="GET",route="/readyz",status="200"} `,
		addresses.Ops + "/debug/pprof/":  "goroutine",
		addresses.HTTP + "/debug/pprof/": "invalid_argument",
		addresses.HTTP + "/metrics":      "invalid_argument",
	} {
		if _, body, err := get(t, url, nil); err != nil || !strings.Contains(body, want) {
			t.Errorf("%s: %v, no %q in %.300s", url, err, want, body)
		}
	}
}

func TestProfilesAreForLoopbackOnly(t *testing.T) {
	for local, want := range map[bool]int{true: http.StatusOK, false: http.StatusNotFound} {
		answer := httptest.NewRecorder()
		opsHandler(local).ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/debug/pprof/cmdline", nil))
		if answer.Code != want {
			t.Errorf("local %t: status %d, wanted %d", local, answer.Code, want)
		}
	}
}

func TestDoorsSpeakTLS13Only(t *testing.T) {
	certFile, keyFile := writeCertificate(t, t.TempDir(), 1)
	addresses := serve(t, "--tls-cert", certFile, "--tls-key", keyFile)
	pem, err := os.ReadFile(certFile)
	if err != nil {
		t.Fatal(err)
	}
	trusted := x509.NewCertPool()
	trusted.AppendCertsFromPEM(pem)
	for _, address := range []string{addresses.HTTP, addresses.RPC} {
		_, hostPort, _ := strings.Cut(address, "://")
		for version, works := range map[uint16]bool{tls.VersionTLS12: false, tls.VersionTLS13: true} {
			conn, err := tls.Dial("tcp", hostPort, &tls.Config{RootCAs: trusted, MinVersion: version, MaxVersion: version})
			if (err == nil) != works {
				t.Errorf("%s by %s: %v", address, tls.VersionName(version), err)
			}
			if err == nil {
				_ = conn.Close()
			}
		}
	}
	if !strings.HasPrefix(addresses.PublicURL, "https://127.0.0.1:") {
		t.Errorf("public URL %s", addresses.PublicURL)
	}
	if _, body, err := get(t, addresses.HTTP+"/readyz", &tls.Config{RootCAs: trusted}); err != nil || body != "ready\n" {
		t.Errorf("readyz: %q, %v", body, err)
	}
}
