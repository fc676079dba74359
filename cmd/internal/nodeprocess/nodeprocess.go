// Package nodeprocess runs a real qpqd as a process of its own, for the demo and
// for tests: it builds one, starts it on free ports, waits until it is ready,
// and ends it gracefully or by surprise. It is not for running a node in
// production: that is a service manager's work.
package nodeprocess

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// Addresses are where a node's doors listen, as it wrote them down.
type Addresses struct {
	HTTP      string `json:"http"`
	RPC       string `json:"rpc"`
	Ops       string `json:"ops"`
	PublicURL string `json:"public_url"`

	QUIC       string `json:"quic"`        // the native door's other transport
	TrustedRPC string `json:"trusted_rpc"` // for gateways that stand apart
}

// Process is a running qpqd.
type Process struct {
	Addresses
	cmd  *exec.Cmd
	died chan struct{} // closed when the process has ended
	err  error         // how; owned by the waiting goroutine until died is closed
}

// pollEvery is how often a starting node is asked whether it is ready.
const pollEvery = 20 * time.Millisecond

// Build compiles a program of this module, as `go build` does.
func Build(ctx context.Context, pkg, binary string, flags ...string) error {
	args := append([]string{"build", "-o", binary}, flags...)
	out, err := exec.CommandContext(ctx, "go", append(args, pkg)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("go build %s: %w\n%s", pkg, err, out)
	}
	return nil
}

// Start runs `binary serve` on free ports with its data in dataDir, and returns
// when it is ready. Flags override the choice of ports.
func Start(ctx context.Context, binary, dataDir string, stderr io.Writer, flags ...string) (*Process, error) {
	args := append([]string{"serve", "--data-dir", dataDir,
		"--http-listen", "127.0.0.1:0", "--rpc-listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0"}, flags...)
	p := &Process{cmd: exec.Command(binary, args...), died: make(chan struct{})}
	p.cmd.Stderr = stderr
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	ready, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() { // Kill and Stop wait for its end
		defer close(p.died)
		p.err = p.cmd.Wait()
		cancel() // it will never be ready
	}()
	var err error
	if p.Addresses, err = WaitReady(ready, dataDir); err != nil {
		p.Kill()
		return nil, errors.Join(err, p.err)
	}
	return p, nil
}

// WaitReady waits until the node of that data directory listens and says that
// it is ready, or ctx ends. It polls: the node is another process.
func WaitReady(ctx context.Context, dataDir string) (Addresses, error) {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		addresses, err := readAddresses(dataDir)
		if err == nil {
			err = probe(ctx, addresses)
		}
		if err == nil {
			return addresses, nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return addresses, fmt.Errorf("the node is not ready: %w", err)
		}
	}
}

func readAddresses(dataDir string) (a Addresses, err error) {
	data, err := os.ReadFile(filepath.Join(dataDir, "listen.json"))
	if err != nil {
		return a, err
	}
	return a, json.Unmarshal(data, &a)
}

// probeClient keeps no connection to a node that will be killed.
var probeClient = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

// probe asks the node's gateway in the clear. With TLS its certificate is the
// caller's affair; listening, which comes last in starting, must do.
func probe(ctx context.Context, a Addresses) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, a.HTTP+"/readyz", nil)
	if err != nil || request.URL.Scheme != "http" {
		return err
	}
	answer, err := probeClient.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("/readyz answers %s", answer.Status)
	}
	return nil
}

// Kill ends the process as a power cut would, and waits for its end.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill()
	<-p.died
}

// Stop asks the process to end (SIGTERM), and tells how it did.
func (p *Process) Stop() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	<-p.died
	return p.err
}

// Pid is the process's number, for who looks at what it uses.
func (p *Process) Pid() int { return p.cmd.Process.Pid }
