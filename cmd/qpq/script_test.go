package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/quicproquo/node/cmd/internal/nodeprocess"
)

// patience is how long a script waits for another process before it fails.
const patience = 30 * time.Second

// binaries is the directory of the programs that the scripts run.
var binaries string

func TestMain(m *testing.M) { os.Exit(withBinaries(m.Run)) }

func withBinaries(run func() int) int {
	var err error
	if binaries, err = os.MkdirTemp("", "qpq-test-"); err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(binaries)
	for _, name := range []string{"qpqd", "qpq"} {
		pkg := "github.com/quicproquo/node/cmd/" + name
		if err := nodeprocess.Build(context.Background(), pkg, filepath.Join(binaries, name), raceFlag...); err != nil {
			log.Print(err)
			return 1
		}
	}
	return run()
}

// TestScripts runs the real programs, as a user would.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:   "testdata/script",
		Setup: setUp,
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"ready":  ready,
			"apart":  apart,
			"status": status,
			"jwks":   jwks,
			"exits":  exits,
			"keep":   keep,
			"mode":   mode,
			"metric": metric,
			"cert":   cert,
			"pinned": pinned,
			"hold":   hold,
			"closed": closed,
		},
		RequireUniqueNames: true,
	})
}

// setUp has every node listen on free ports, under one public name.
func setUp(env *testscript.Env) error {
	for name, value := range map[string]string{
		"PATH":             binaries + string(filepath.ListSeparator) + env.Getenv("PATH"),
		"GORACE":           "atexit_sleep_ms=0",
		"QPQD_DATA_DIR":    filepath.Join(env.WorkDir, "data"),
		"QPQD_HTTP_LISTEN": "127.0.0.1:0",
		"QPQD_RPC_LISTEN":  "127.0.0.1:0",
		"QPQD_OPS_LISTEN":  "127.0.0.1:0",
		"QPQD_PUBLIC_URL":  "http://node.test",
		"QPQD_MIN_FREE":    "0%", // of the disk that the tests run on
		"QPQD_AUDIT_FILE":  filepath.Join(env.WorkDir, "audit.log"),
		"QPQ_AUDIENCE":     "http://node.test",
	} {
		env.Setenv(name, value)
	}
	return nil
}

// ready waits until the node of $QPQD_DATA_DIR is ready, and sets HTTP, RPC, OPS and
// QUIC to its addresses, and TRUSTED to the host and port for gateways.
func ready(ts *testscript.TestScript, neg bool, args []string) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	addresses, err := nodeprocess.WaitReady(ctx, ts.Getenv("QPQD_DATA_DIR"))
	ts.Check(err)
	ts.Setenv("HTTP", addresses.HTTP)
	ts.Setenv("RPC", addresses.RPC)
	ts.Setenv("OPS", addresses.Ops)
	ts.Setenv("QUIC", addresses.QUIC)
	_, trusted, _ := strings.Cut(addresses.TrustedRPC, "://")
	ts.Setenv("TRUSTED", trusted)
}

// apart waits until the gateway that announces itself in $WORK/apart/listen.json
// is ready, and sets APART to its address.
func apart(ts *testscript.TestScript, neg bool, args []string) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	addresses, err := nodeprocess.WaitReady(ctx, ts.MkAbs("apart"))
	ts.Check(err)
	ts.Setenv("APART", addresses.HTTP)
}

// status makes a request with a bearer token, which must be answered so: status
// 200 GET $HTTP/v1/channels $TOKEN; and as a proxy would for a client's address,
// if one follows.
func status(ts *testscript.TestScript, neg bool, args []string) {
	request, err := http.NewRequest(args[1], args[2], nil)
	ts.Check(err)
	request.Header.Set("Authorization", "Bearer "+args[3])
	if len(args) > 4 {
		request.Header.Set("X-Forwarded-For", args[4])
	}
	answer, err := http.DefaultClient.Do(request)
	ts.Check(err)
	defer answer.Body.Close()
	if fmt.Sprint(answer.StatusCode) != args[0] {
		text, _ := io.ReadAll(answer.Body)
		ts.Fatalf("%s, wanted %s\n%s", answer.Status, args[0], text)
	}
}

// jwks waits until the node publishes so many keys: jwks 2.
func jwks(ts *testscript.TestScript, neg bool, args []string) {
	deadline := time.Now().Add(patience)
	for {
		answer, err := http.Get(ts.Getenv("HTTP") + "/.well-known/jwks.json")
		ts.Check(err)
		text, err := io.ReadAll(answer.Body)
		ts.Check(errors.Join(err, answer.Body.Close()))
		if fmt.Sprint(strings.Count(string(text), `"kid"`)) == args[0] {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("not %s keys in\n%s", args[0], text)
		}
		time.Sleep(20 * time.Millisecond) // between two looks at another process
	}
}

// exits runs a program that must end with a certain code: exits 2 qpqd serve.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	var exit *exec.ExitError
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit code %d, wanted %d", got, want)
	}
}

// keep sets a variable to the last output, or to a member of it as JSON: keep
// ALICE; keep SEQ seq.
func keep(ts *testscript.TestScript, neg bool, args []string) {
	value := strings.TrimSpace(ts.ReadFile("stdout"))
	if len(args) == 2 {
		var object map[string]any
		ts.Check(json.Unmarshal([]byte(value), &object))
		value = fmt.Sprint(object[args[1]])
	}
	ts.Setenv(args[0], value)
}

// mode compares a file's permissions: mode 0600 alice.json.
func mode(ts *testscript.TestScript, neg bool, args []string) {
	info, err := os.Stat(ts.MkAbs(args[1]))
	ts.Check(err)
	if got := fmt.Sprintf("%04o", info.Mode().Perm()); got != args[0] {
		ts.Fatalf("%s has mode %s, wanted %s", args[1], got, args[0])
	}
}

// metric waits until the node's metrics have a line: metric 'name{label="x"} 2'.
func metric(ts *testscript.TestScript, neg bool, args []string) {
	deadline := time.Now().Add(patience)
	for !strings.Contains(metrics(ts), "\n"+args[0]+"\n") {
		if time.Now().After(deadline) {
			ts.Fatalf("no metric %s in\n%s", args[0], metrics(ts))
		}
		time.Sleep(20 * time.Millisecond) // between two looks at another process
	}
}

func metrics(ts *testscript.TestScript) string {
	answer, err := http.Get(ts.Getenv("OPS") + "/metrics")
	ts.Check(err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	ts.Check(err)
	return string(text)
}

// hold opens a request at the gateway that does not end before the script does.
func hold(ts *testscript.TestScript, neg bool, args []string) {
	conn, err := net.Dial("tcp", strings.TrimPrefix(ts.Getenv("HTTP"), "http://"))
	ts.Check(err)
	ts.Defer(func() { _ = conn.Close() })
	_, err = io.WriteString(conn, "POST /v1/auth/challenge HTTP/1.1\r\nHost: node.test\r\n"+
		"Content-Type: application/json\r\nContent-Length: 1000\r\nExpect: 100-continue\r\n\r\n")
	ts.Check(err)
	// The server says "go on" when the handler begins to read: it is in there.
	_, err = io.ReadFull(conn, make([]byte, len("HTTP/1.1 100 Continue")))
	ts.Check(err)
}

// closed waits until nobody listens at the gateway's address any more.
func closed(ts *testscript.TestScript, neg bool, args []string) {
	deadline := time.Now().Add(patience)
	for {
		conn, err := net.Dial("tcp", strings.TrimPrefix(ts.Getenv("HTTP"), "http://"))
		if err != nil {
			return
		}
		_ = conn.Close()
		if time.Now().After(deadline) {
			ts.Fatalf("the gateway still listens")
		}
		time.Sleep(20 * time.Millisecond) // between two looks at another process
	}
}
