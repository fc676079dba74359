package redistest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
)

// MasterName is what Sentinel calls its master.
const MasterName = "qpq"

// Sentinel is a master with a replica, and one sentinel, which makes the replica
// the master when it has not heard of the other for two seconds: longer than a
// busy machine lets a server that is alive be silent.
type Sentinel struct {
	Master, Replica *Server

	port     int
	watching *process
}

// StartSentinel starts the three of them, with flags for both servers as Start
// takes them, and returns when the sentinel knows both.
func StartSentinel(t TB, flags ...string) *Sentinel {
	t.Helper()
	s := &Sentinel{Master: Start(t, flags...)}
	s.Replica = StartReplica(t, s.Master, flags...)
	s.port = freePort(t)
	// A sentinel writes its configuration, and so wants it as a file.
	file := filepath.Join(directory(t), "sentinel.conf")
	text := fmt.Sprintf("port %[1]d\nbind 127.0.0.1\nsentinel monitor %[2]s 127.0.0.1 %[3]d 1\n"+
		"sentinel down-after-milliseconds %[2]s 2000\nsentinel failover-timeout %[2]s 10000\n", s.port, MasterName, s.Master.port)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatalf("%v", err)
	}
	if err := s.watch(file); err != nil {
		t.Fatalf("%v", err)
	}
	t.Cleanup(s.end)
	if err := s.watching.await("+slave slave"); err != nil {
		t.Fatalf("%v", err)
	}
	return s
}

func (s *Sentinel) watch(file string) error {
	p := &process{cmd: exec.Command("redis-server", file, "--sentinel"), output: newOutput(), ended: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = p.output, p.output
	p.cmd.SysProcAttr = withParent()
	if err := p.cmd.Start(); err != nil {
		return fmt.Errorf("start a sentinel: %w", err)
	}
	go func() { // ends with the process, for which end waits
		defer close(p.ended)
		_ = p.cmd.Wait()
	}()
	s.watching = p
	return nil
}

func (s *Sentinel) end() {
	_ = s.watching.cmd.Process.Kill() // fails if it has ended already
	<-s.watching.ended
}

// URL asks the sentinel for its master.
func (s *Sentinel) URL() string {
	return fmt.Sprintf("redis://127.0.0.1:%d?master_name=%s", s.port, MasterName)
}

// AwaitFailover waits until the replica is the master.
func (s *Sentinel) AwaitFailover(t TB) {
	t.Helper()
	if err := s.watching.await("+switch-master"); err != nil {
		t.Fatalf("%v", err)
	}
}

// StartReplica starts a replica of a server, and returns when it has all of it.
func StartReplica(t TB, master *Server, flags ...string) *Server {
	t.Helper()
	r := Start(t, append([]string{"--replicaof", "127.0.0.1 " + strconv.Itoa(master.port)}, flags...)...)
	r.Await(t, "MASTER <-> REPLICA sync: Finished with success")
	return r
}
