package node_test

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
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
	dir, err := filepath.Abs(filepath.Join("bin", name))
	if err != nil {
		t.Fatal(err)
	}
	sources, err := filepath.Glob("schema/testdata/" + name + "/*")
	if err != nil || len(sources) == 0 {
		t.Fatal(sources, err)
	}
	for _, source := range sources { // so that go test knows what its result depends on
		if _, err := os.ReadFile(source); err != nil {
			t.Fatal(err)
		}
	}
	started := time.Now()
	out, err := exec.CommandContext(t.Context(), "make", "-j2", "-C", "schema/testdata/"+name, "BUILD="+dir).CombinedOutput()
	if err != nil {
		t.Fatalf("building the clients (which needs capnp, g++ and libcapnp-dev, or npm): %v\n%s", err, out)
	}
	t.Logf("built in %v", time.Since(started).Round(time.Millisecond))
	return dir
}

// run runs a client to its end, and answers what it asks.
func (n *peerNode) run(t *testing.T, who people, program string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	var failure strings.Builder
	cmd.Stderr = &failure
	questions, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	answers, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(questions)
	for lines.Scan() {
		question, asked := strings.CutPrefix(lines.Text(), "? ")
		if !asked {
			t.Log(lines.Text())
			continue
		}
		if _, err := fmt.Fprintf(answers, "%x\n", n.answer(t, who, strings.Fields(question))); err != nil {
			t.Errorf("answering %q: %v", question, err)
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, failure.String())
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
