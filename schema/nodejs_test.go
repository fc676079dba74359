package schema_test

import (
	"os/exec"
	"path/filepath"
	"testing"
)

// TestClientInJavaScript runs a client on a runtime of Cap'n Proto that is neither
// ours nor the one in C++.
func TestClientInJavaScript(t *testing.T) {
	dir := buildPeer(t, "js")
	program, err := exec.LookPath("node")
	if err != nil {
		t.Fatal(err)
	}
	node := newPeerNode(t)
	node.run(t, newPeople(t), program, filepath.Join(dir, "peer.js"), node.plain.String())
}
