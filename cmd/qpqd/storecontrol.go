package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// controlSocket is where a running node takes commands of its operator. It is a
// file in the data directory, which its owner alone may enter, and not a port:
// whoever may ask for a backup reads everything, and makes the node write files
// where it says; on a port of loopback that would be every user of the machine,
// and every page that a browser on it shows.
const controlSocket = "control.sock"

// maxSocketPath is what every system takes for a socket's name.
const maxSocketPath = 103

// control serves the socket.
type control struct {
	node   *node
	server *http.Server
	cancel context.CancelFunc // of the requests under way
	served chan struct{}      // closed when the server has ended
}

// backupRequest is the body of POST /backup.
type backupRequest struct {
	To string `json:"to"` // absolute
}

// openControl begins to serve the socket, and leaves its end to close. Under the
// directory's lock, a socket that is there is nobody's.
func (n *node) openControl() error {
	path := n.data.file(controlSocket)
	if err := ignoreMissing(os.Remove(path)); err != nil {
		return err
	}
	if len(path) > maxSocketPath {
		n.log.Warn("the data directory's path is too long for a socket: qpqd store backup needs this node stopped", "path", path)
		return nil
	}
	socket, err := net.Listen("unix", path)
	if err != nil {
		return fmt.Errorf("control socket: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return errors.Join(err, socket.Close())
	}
	ctx, cancel := context.WithCancel(context.Background())
	c := &control{node: n, cancel: cancel, served: make(chan struct{})}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /backup", c.backup)
	c.server = &http.Server{
		Handler: mux, ReadHeaderTimeout: 5 * time.Second, MaxHeaderBytes: 8 << 10,
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	go func() {
		defer close(c.served)
		_ = c.server.Serve(socket) // ends with the socket, which close takes away
	}()
	n.onClose(c.close)
	return nil
}

// close breaks off what is under way, and waits for its end.
func (c *control) close() error {
	c.cancel()
	err := c.server.Shutdown(context.Background())
	<-c.served
	return err
}

func (c *control) backup(w http.ResponseWriter, r *http.Request) {
	var req backupRequest
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 16<<10))
	if err == nil {
		err = json.Unmarshal(body, &req)
	}
	if err == nil && !filepath.IsAbs(req.To) {
		err = errors.New("the backup's path is not absolute")
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	begun := time.Now()
	if err := c.node.data.backup(r.Context(), c.node.pebble, req.To); err != nil {
		c.node.log.Error("a backup failed", "to", req.To, "error", err.Error())
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	c.node.log.Info("a backup was made", "to", req.To, "took", time.Since(begun))
}

// askForBackup asks the node behind a socket; asked is false if there is none.
func askForBackup(ctx context.Context, socket, to string) (asked bool, err error) {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", socket)
	}
	conn, err := dial(ctx, "", "")
	if err != nil {
		return false, err // nobody listens: it was stopped or killed
	}
	_ = conn.Close()
	body, err := json.Marshal(backupRequest{To: to})
	if err != nil {
		return true, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://node/backup", bytes.NewReader(body))
	if err != nil {
		return true, err
	}
	client := http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}
	answer, err := client.Do(req)
	if err != nil {
		return true, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, 16<<10))
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("the node answers: %s", bytes.TrimSpace(text))
	}
	return true, err
}
