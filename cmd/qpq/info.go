package main

import (
	"context"
	"runtime"
	"strings"

	"github.com/quicproquo/node/cmd/internal/buildinfo"
	"github.com/quicproquo/node/nodeservice"
)

// infoCommand describes the node.
type infoCommand struct{}

// Run needs no state file: it asks without a token.
func (*infoCommand) Run(ctx context.Context, a *app) error {
	node, err := a.dial(ctx, nil)
	if err != nil {
		return err
	}
	i, err := node.Info(ctx)
	if err != nil {
		return err
	}
	return a.out().print(
		object{"min_version": i.MinVersion, "max_version": i.MaxVersion, "capabilities": i.Capabilities, "audience": i.Audience,
			"durability": i.Durability, "server_time": timeText(i.ServerTime), "max_payload": i.MaxPayload, "max_fetch": i.MaxFetch,
			"max_fetch_bytes": i.MaxFetchBytes, "max_wait_ms": i.MaxWait.Milliseconds(), "legacy": i.Legacy},
		"audience      %s\nversions      %d to %d\ncapabilities  %s\ndurability    %s\nserver time   %s\nmax payload   %d bytes\nlegacy        %t",
		i.Audience, i.MinVersion, i.MaxVersion, strings.Join(i.Capabilities, " "), i.Durability, timeText(i.ServerTime), i.MaxPayload, i.Legacy)
}

// versionCommand prints what this binary is.
type versionCommand struct{}

// Run asks no node.
func (*versionCommand) Run(a *app) error {
	version := buildinfo.Version()
	return a.out().print(
		object{"version": version, "min_version": nodeservice.MinVersion, "max_version": nodeservice.MaxVersion, "go": runtime.Version()},
		"qpq %s, native schema %d to %d, %s", version, nodeservice.MinVersion, nodeservice.MaxVersion, runtime.Version())
}
