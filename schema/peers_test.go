package schema_test

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/quicproquo/node/nodeservice/identity"
	"github.com/quicproquo/node/nodeservice/mls"
)

// buildPeer makes the clients of schema/testdata/<name> as far as they have changed
// since they were last made, beside our own binaries, and returns where they are.
func buildPeer(t *testing.T, name string) string {
	t.Helper()
	dir, err := filepath.Abs(filepath.Join("..", "bin", name))
	if err != nil {
		t.Fatal(err)
	}
	sources, err := filepath.Glob("testdata/" + name + "/*")
	if err != nil || len(sources) == 0 {
		t.Fatal(sources, err)
	}
	for _, source := range sources { // so that go test knows what its result depends on
		if _, err := os.ReadFile(source); err != nil {
			t.Fatal(err)
		}
	}
	started := time.Now()
	out, err := exec.CommandContext(t.Context(), "make", "-j2", "-C", "testdata/"+name, "BUILD="+dir).CombinedOutput()
	if err != nil {
		t.Fatalf("building the clients (which needs capnp, g++ and libcapnp-dev, or npm): %v\n%s", err, out)
	}
	t.Logf("built in %v", time.Since(started).Round(time.Millisecond))
	return dir
}

// peer is a client that runs.
type peer struct {
	cmd     *exec.Cmd
	lines   *bufio.Scanner // of what it asks and says
	answers io.Writer
	failure bytes.Buffer
}

func startPeer(t *testing.T, program string, args ...string) *peer {
	t.Helper()
	p := &peer{cmd: exec.CommandContext(t.Context(), program, args...)}
	p.cmd.Stderr = &p.failure
	questions, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if p.answers, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	p.lines = bufio.NewScanner(questions)
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return p
}

// run runs a client to its end, answers what it asks, and returns the last that it
// said.
func (n *peerNode) run(t *testing.T, who people, program string, args ...string) (last string) {
	t.Helper()
	p := startPeer(t, program, args...)
	for p.lines.Scan() {
		question, asked := strings.CutPrefix(p.lines.Text(), "? ")
		if asked {
			n.reply(t, p, who, question)
		} else {
			last = p.lines.Text()
			t.Log(last)
		}
	}
	if err := p.cmd.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, p.failure.String())
	}
	return last
}

func (n *peerNode) reply(t *testing.T, p *peer, who people, question string) {
	t.Helper()
	if _, err := fmt.Fprintf(p.answers, "%x\n", n.answer(t, who, strings.Fields(question))); err != nil {
		t.Errorf("answering %q: %v", question, err)
	}
}

// answer is what a client asks for: "sign alice 00ff".
func (n *peerNode) answer(t *testing.T, who people, question []string) []byte {
	t.Helper()
	var of string
	var argument []byte
	if len(question) > 1 {
		of = question[1]
	}
	argument, err := hex.DecodeString(question[len(question)-1])
	switch question[0] {
	case "audience":
		return []byte(peerAudience)
	case "identity":
		return who[of].Public().Bytes()
	case "token":
		return []byte(n.token(t, who[of]))
	case "sign":
		if err == nil {
			argument, err = who[of].Sign(argument)
		}
	case "sha256":
		sum := sha256.Sum256(argument)
		argument = sum[:]
	case "keypackage":
		var built *mls.BuiltKeyPackage
		if built, err = newKeyPackage(who[of]); err == nil {
			argument = built.Bytes
		}
	default:
		err = fmt.Errorf("nobody knows")
	}
	if err != nil {
		t.Errorf("%q: %v", question, err)
	}
	return argument
}

func newKeyPackage(of *identity.PrivateKey) (*mls.BuiltKeyPackage, error) {
	return mls.KeyPackageTemplate{
		CipherSuite: mls.MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519, Signer: of.Signer(), Credential: []byte("a client"),
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}.Build()
}
