// Package redistest starts real redis-server processes for tests: single servers
// and clusters, on ports of 127.0.0.1 that were free, with their files in a
// directory that goes with the test. What was started is killed at the end of
// the test, and with the test's process at the latest.
package redistest

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"syscall"
)

// TB is what starting needs of a test: a *testing.T, a *testing.B, or a check of
// rapid.
type TB interface {
	Helper()
	Cleanup(func())
	Fatalf(format string, args ...any)
}

// Durable are the flags of a server that has each write on disk before it
// answers.
func Durable() []string { return []string{"--appendonly", "yes", "--appendfsync", "always"} }

// Server is one redis-server. Its methods are for one goroutine at a time.
type Server struct {
	port  int
	dir   string
	flags []string

	running *process // of the present process; nil while it is killed
}

// process is one life of a server.
type process struct {
	cmd    *exec.Cmd
	output *output
	ended  chan struct{} // closed once the process has ended
}

// Start starts a server with flags as on redis-server's command line, and returns
// when it accepts connections. Without flags it keeps nothing on disk.
func Start(t TB, flags ...string) *Server {
	t.Helper()
	const tries = 5 // another process may take the port in between
	for range tries {
		s := &Server{port: freePort(t), dir: directory(t), flags: flags}
		if err := s.run(); err == nil {
			t.Cleanup(s.end)
			return s
		} else if !s.portTaken() {
			t.Fatalf("%v", err)
		}
	}
	t.Fatalf("redis-server found its port taken %d times", tries)
	return nil
}

// Addr is the server's host and port.
func (s *Server) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }

// URL is the server's address as clients are configured with it.
func (s *Server) URL() string { return "redis://" + s.Addr() }

// Dir is where the server keeps its files.
func (s *Server) Dir() string { return s.dir }

// Kill ends the process as a power cut would, and waits for its end.
func (s *Server) Kill(t TB) {
	t.Helper()
	s.end()
}

// Restart starts a killed server on the same port and files, and returns when it
// has loaded them and accepts connections.
func (s *Server) Restart(t TB) {
	t.Helper()
	if err := s.run(); err != nil {
		t.Fatalf("%v", err)
	}
}

// Pause stops the process where it is: it holds its connections, and answers
// nothing until Resume.
func (s *Server) Pause(t TB) {
	t.Helper()
	s.signal(t, syscall.SIGSTOP)
}

// Resume lets a paused process go on.
func (s *Server) Resume(t TB) {
	t.Helper()
	s.signal(t, syscall.SIGCONT)
}

// Await waits until the server has logged a line that contains text, in its
// present life.
func (s *Server) Await(t TB, text string) {
	t.Helper()
	if err := s.running.await(text); err != nil {
		t.Fatalf("%v", err)
	}
}

// signal goes to the process.
func (s *Server) signal(t TB, sig os.Signal) {
	t.Helper()
	if err := s.running.cmd.Process.Signal(sig); err != nil {
		t.Fatalf("signal redis-server: %v", err)
	}
}

// run starts a process, and waits until it serves.
func (s *Server) run() error {
	binary, err := exec.LookPath("redis-server")
	if err != nil {
		return fmt.Errorf("these tests need redis-server, as root on Debian: apt-get install redis-server: %w", err)
	}
	flags := append([]string{
		"--port", strconv.Itoa(s.port), "--bind", "127.0.0.1", "--dir", s.dir, "--save", "", "--daemonize", "no",
	}, s.flags...)
	p := &process{cmd: exec.Command(binary, flags...), output: newOutput(), ended: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = p.output, p.output
	p.cmd.SysProcAttr = withParent()
	if err := p.cmd.Start(); err != nil {
		return fmt.Errorf("start redis-server: %w", err)
	}
	go func() { // ends with the process, for which end waits
		defer close(p.ended)
		_ = p.cmd.Wait()
	}()
	s.running = p
	return p.await("Ready to accept connections")
}

// end kills the process, if there is one, and waits for it.
func (s *Server) end() {
	if s.running == nil {
		return
	}
	_ = s.running.cmd.Process.Kill() // fails if it has ended already
	<-s.running.ended
	s.running = nil
}

// portTaken says whether the process that did not come up found its port taken.
func (s *Server) portTaken() bool {
	return s.running != nil && s.running.output.contains("Address already in use")
}

// await waits for a line of the log, or for the end of the process.
func (p *process) await(text string) error {
	logged := p.output.await(text)
	select {
	case <-logged:
		return nil
	case <-p.ended:
		return fmt.Errorf("redis-server ended before it logged %q:\n%s", text, p.output)
	}
}

// Ports are taken from those below the ones that systems give to connections: so
// one stays free while its server is restarted.
const firstPort, endPort = 12_000, 32_000

// taken counts the ports that were tried. No process tries one twice, since a
// server that a test is about to start does not listen yet; each begins elsewhere.
var taken = func() *atomic.Int64 {
	var n atomic.Int64
	n.Store(rand.Int64N(endPort - firstPort))
	return &n
}()

// freePort is one that nobody listens on.
func freePort(t TB) int {
	t.Helper()
	for range 200 {
		port := firstPort + int(taken.Add(1)%(endPort-firstPort))
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			continue
		}
		_ = l.Close()
		return port
	}
	t.Fatalf("found no free port")
	return 0
}

// directory is a new one that is removed when the test and its servers have ended.
func directory(t TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "redistest")
	if err != nil {
		t.Fatalf("%v", err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return filepath.Clean(dir)
}
