// Command qpqd is the server of quicproquo: a node with its Cap'n Proto door,
// its HTTP gateway and its embedded store.
//
// It is not for deciding anything: it reads a configuration, puts the parts
// together, and takes them apart again in the opposite order. It promises that
// one process at a time uses a data directory, that secrets in it are readable
// by their owner only, and that it does not listen in the clear beyond loopback
// unless it was told so.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/alecthomas/kong"

	"github.com/quicproquo/node/cmd/internal/interrupt"
)

// The exit codes.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

// commandLine is the grammar of qpqd.
type commandLine struct {
	Serve   serveCommand   `cmd:"" help:"Run a node until SIGTERM or SIGINT; a second one exits at once."`
	Gateway gatewayCommand `cmd:"" help:"Run the HTTP gateway alone, in front of a node that runs elsewhere."`
	Token   tokenCommand   `cmd:"" help:"Rotate the keys of access tokens; inspect and issue tokens."`
	Store   storeCommand   `cmd:"" help:"Verify a data directory, back it up, restore it."`
	Config  configCommand  `cmd:"" help:"Look at the configuration that serve would run with."`
	Version versionCommand `cmd:"" help:"Print the version."`
}

func main() {
	os.Exit(run(interrupt.Context(), os.Args[1:], os.Stdout, os.Stderr))
}

// run is the program without the process around it.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	exited := -1 // by --help, which kong wants to end the process
	var grammar commandLine
	parser, err := kong.New(&grammar,
		kong.Name("qpqd"),
		kong.Description("The quicproquo node: stores MLS ciphertexts until their recipients have them, and hands out key packages."),
		kong.DefaultEnvars("QPQD"),
		kong.Configuration(loadConfigFile),
		kong.Writers(stdout, stderr),
		kong.Exit(func(code int) { exited = code }),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(streams{stdout, stderr}),
	)
	if err != nil {
		panic(err) // the grammar above is wrong: a programming error
	}
	command, err := parser.Parse(args)
	switch {
	case exited >= 0:
		return exited
	case err != nil:
		return usage(stderr, err)
	}
	return report(stderr, command.Run())
}

// streams are the standard output and error of a command.
type streams struct{ out, err io.Writer }

// usageError is an error in what the command was told, not in what it did.
type usageError struct{ error }

func report(stderr io.Writer, err error) int {
	var wrong usageError
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &wrong):
		return usage(stderr, wrong)
	}
	fmt.Fprintln(stderr, "qpqd:", err)
	return exitFailed
}

func usage(stderr io.Writer, err error) int {
	fmt.Fprintf(stderr, "qpqd: %v (qpqd --help tells more)\n", err)
	return exitUsage
}
