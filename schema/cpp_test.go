package schema_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// doors are how clients reach a node: an address, and the certificate to trust.
func (n *peerNode) doors() map[string][]string {
	return map[string][]string{
		"TCP":           {n.plain.String(), "-"},
		"a unix socket": {"unix:" + n.socket, "-"},
		"TLS":           {n.tls.String(), n.certificate},
	}
}

// TestClientsInCpp runs clients that share no line of code with us.
func TestClientsInCpp(t *testing.T) {
	programs := buildPeer(t, "cpp")
	node := newPeerNode(t)
	for name, door := range node.doors() {
		t.Run("version 1 over "+name, func(t *testing.T) {
			t.Parallel()
			node.run(t, newPeople(t), filepath.Join(programs, "v1"), door...)
		})
		t.Run("version 0 over "+name, func(t *testing.T) {
			t.Parallel()
			node.run(t, newPeople(t), filepath.Join(programs, "v0"), append(door, "converse")...)
		})
		for mode, messages := range map[string]int{"drain": 600, "once": 20} {
			t.Run("version 0 over "+name+" leaves nothing behind: "+mode, func(t *testing.T) {
				t.Parallel()
				who := newPeople(t)
				node.fill(t, who, messages)
				node.run(t, who, filepath.Join(programs, "v0"), append(door, mode)...)
				node.waitEmpty(t, who)
			})
		}
	}
}

// TestWhatAClientInCppNeverReadIsNotLost kills one whose answer has been written to
// it: another gets what it carried.
func TestWhatAClientInCppNeverReadIsNotLost(t *testing.T) {
	program := filepath.Join(buildPeer(t, "cpp"), "v0")
	const messages, size = 20, 500
	for _, name := range []string{"TCP", "a unix socket", "TLS"} {
		t.Run(name, func(t *testing.T) {
			node, who := newPeerNode(t), newPeople(t)
			door := node.doors()[name]
			node.fill(t, who, messages)
			hung := startPeer(t, program, append(door, "unread")...)
			for range 2 { // its key and its token
				if !hung.lines.Scan() {
					t.Fatal(hung.failure.String())
				}
				node.reply(t, hung, who, strings.TrimPrefix(hung.lines.Text(), "? "))
			}
			node.waitWritten(t, messages*size)
			if err := hung.cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = hung.cmd.Wait() // says that it was killed
			for got := ""; got != fmt.Sprint("drained ", messages); {
				if got = node.run(t, who, program, append(door, "drain")...); got != "drained 0" && got != fmt.Sprint("drained ", messages) {
					t.Fatalf("another client %s", got)
				}
			}
			node.waitEmpty(t, who)
		})
	}
}
