package main

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/quicproquo/node/cmd/internal/nodeprocess"
)

// programDir is where the program of the tests' processes is; "": not built.
var programDir string

var built = sync.OnceValue(func() (err error) {
	if programDir, err = os.MkdirTemp("", "qpqd"); err != nil {
		return err
	}
	return nodeprocess.Build(context.Background(), ".", filepath.Join(programDir, "qpqd"), raceFlag...)
})

// program is a qpqd for tests that kill it, built once.
func program(t *testing.T) string {
	t.Helper()
	if err := built(); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(programDir, "qpqd")
}

// removeProgram ends the tests' process, as goleak asks of its cleanup.
func removeProgram(code int) {
	if programDir != "" {
		_ = os.RemoveAll(programDir)
	}
	os.Exit(code)
}
