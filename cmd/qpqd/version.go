package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/quicproquo/node/nodeservice"
)

// versionCommand prints what this binary is.
type versionCommand struct{}

// Run prints one line.
func (versionCommand) Run(std streams) error {
	_, err := fmt.Fprintf(std.out, "qpqd %s, native schema %d to %d, %s\n",
		buildVersion(), nodeservice.MinVersion, nodeservice.MaxVersion, runtime.Version())
	return err
}

// buildVersion is the module's version, or the commit that was built.
func buildVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "(unknown)"
	}
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" && info.Main.Version == "(devel)" {
			return setting.Value
		}
	}
	return info.Main.Version
}
