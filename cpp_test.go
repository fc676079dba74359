package node_test

import (
	"path/filepath"
	"testing"
)

// TestClientsInCpp runs clients that share no line of code with us.
func TestClientsInCpp(t *testing.T) {
	programs := buildPeer(t, "cpp")
	node := newPeerNode(t)
	doors := map[string][]string{
		"over TCP":           {node.plain.String(), "-"},
		"over a unix socket": {"unix:" + node.socket, "-"},
		"over TLS":           {node.tls.String(), node.certificate},
	}
	for name, door := range doors {
		t.Run("version 1 "+name, func(t *testing.T) {
			t.Parallel()
			node.run(t, newPeople(t), filepath.Join(programs, "v1"), door...)
		})
		t.Run("version 0 "+name, func(t *testing.T) {
			t.Parallel()
			node.run(t, newPeople(t), filepath.Join(programs, "v0"), append(door, "converse")...)
		})
		for _, mode := range []string{"drain", "once"} {
			t.Run("version 0 "+name+" leaves nothing behind: "+mode, func(t *testing.T) {
				t.Parallel()
				who := newPeople(t)
				node.fill(t, who, map[string]int{"drain": 600, "once": 20}[mode])
				node.run(t, who, filepath.Join(programs, "v0"), append(door, mode)...)
				node.waitEmpty(t, who)
			})
		}
	}
}
