package main

import (
	"fmt"
	"runtime"

	"github.com/quicproquo/node/cmd/internal/buildinfo"
	"github.com/quicproquo/node/nodeservice"
)

// versionCommand prints what this binary is.
type versionCommand struct{}

// Run prints one line.
func (versionCommand) Run(std streams) error {
	_, err := fmt.Fprintf(std.out, "qpqd %s, native schema %d to %d, %s\n",
		buildinfo.Version(), nodeservice.MinVersion, nodeservice.MaxVersion, runtime.Version())
	return err
}
