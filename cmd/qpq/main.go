// Command qpq is the command line of quicproquo: one identity's view of a node,
// over its Cap'n Proto door or its HTTP gateway, which behave alike.
//
// It carries bytes and does not encrypt: what send is given is what the node
// stores and the peer receives. Encryption is the work of an MLS client, whose
// ciphertexts qpq can carry. It promises that the state file is never half
// written, that nothing is acknowledged before it was printed, and that it logs
// in only to the audience that it was configured for.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/quicproquo/node/cmd/internal/interrupt"
	"github.com/quicproquo/node/nodeservice"
)

// The exit codes.
const (
	exitDone   = 0
	exitFailed = 1 // refused or failed: the error's code is on standard error
	exitUsage  = 2
)

// commandLine is the grammar of qpq.
type commandLine struct {
	Server   string `default:"http://127.0.0.1:8420" placeholder:"URL" help:"The node's door: capnp://HOST:PORT, capnps://HOST:PORT (TLS), quic://HOST:PORT, unix:PATH, http://HOST:PORT or https://HOST:PORT."`
	State    string `default:"${state}" placeholder:"FILE" help:"Identity, token, cursors; mode 0600."`
	Audience string `placeholder:"URL" help:"The node's public URL, which logins are signed for. Default: what this state used with this server before; the origin of --server if that is HTTP; http://127.0.0.1:8420 for a native door on this machine."`
	CA       string `name:"ca" placeholder:"FILE" help:"Certificates (PEM) to trust instead of the system's."`
	Pin      []pin  `name:"pin" placeholder:"sha256:DIGEST" help:"Trust the server that has this key, whoever certified it: the SHA-256 of its certificate's public key (SubjectPublicKeyInfo, as in RFC 7469), in base64 or hex. Several may be given; with --ca the certificate must be good as well."`
	JSON     bool   `name:"json" help:"Print one JSON object a line."`

	Keygen      keygenCommand      `cmd:"" help:"Make a new identity and its state file."`
	Whoami      whoamiCommand      `cmd:"" aliases:"identity" help:"Print this state's identity: what peers send to."`
	Login       loginCommand       `cmd:"" help:"Log in. Other commands do so by themselves when they must."`
	Channels    channelsCommand    `cmd:"" help:"List the channels, with what waits in them."`
	Send        sendCommand        `cmd:"" help:"Send bytes to a peer or into a channel, as they are: qpq does not encrypt."`
	Recv        recvCommand        `cmd:"" help:"Print the messages that were not printed before."`
	Ack         ackCommand         `cmd:"" help:"Acknowledge a channel's messages up to a seq: the node deletes them."`
	Keypackages keypackagesCommand `cmd:"" help:"Upload, claim and count MLS key packages."`
	Info        infoCommand        `cmd:"" help:"Describe the node; needs no identity."`
	Version     versionCommand     `cmd:"" help:"Print the version."`
}

func main() {
	log.SetOutput(io.Discard) // where a library advises on the system's buffers for QUIC
	os.Exit(run(interrupt.Context(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run is the program without the process around it.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	exited := -1 // by --help, which kong wants to end the process
	var grammar commandLine
	a := &app{grammar: &grammar, stdin: stdin, stdout: stdout}
	parser, err := kong.New(&grammar,
		kong.Name("qpq"),
		kong.Description("The command line of quicproquo. It carries bytes and does not encrypt them: give it what an MLS client made."),
		kong.DefaultEnvars("QPQ"),
		kong.Vars{"state": defaultState()},
		kong.Writers(stdout, stderr),
		kong.Exit(func(code int) { exited = code }),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(a),
	)
	if err != nil {
		panic(err) // the grammar above is wrong: a programming error
	}
	command, err := parser.Parse(markIdentities(args))
	switch {
	case exited >= 0:
		return exited
	case err != nil:
		return usage(stderr, err)
	}
	defer a.close()
	return report(stderr, command.Run())
}

func defaultState() string {
	dir, err := os.UserConfigDir()
	if err != nil {
		return "qpq.json" // no home: beside whoever calls us
	}
	return filepath.Join(dir, "qpq", "state.json")
}

// usageError is an error in what the command was told, not in what it did.
type usageError struct{ error }

func report(stderr io.Writer, err error) int {
	var wrong usageError
	var refused *nodeservice.Error
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &wrong):
		return usage(stderr, wrong)
	case errors.As(err, &refused):
		fmt.Fprintln(stderr, "qpq:", refusal(refused))
	default:
		fmt.Fprintln(stderr, "qpq:", err)
	}
	return exitFailed
}

// refusal is the error's code and sentence, and what it carries. A cause is always our
// own side's: no name, no route, a certificate that is not trusted.
func refusal(e *nodeservice.Error) string {
	text := e.Error()
	if other := (notPinned{}); errors.As(e, &other) {
		text += ": " + other.Error()
	} else if e.Cause != nil {
		text += ": " + strings.ReplaceAll(e.Cause.Error(), "\n", "; ")
	}
	if e.Head != nil {
		text += fmt.Sprintf(" (head is %d)", *e.Head)
	}
	if e.RetryAfter > 0 {
		text += fmt.Sprintf(" (try again in %v)", e.RetryAfter)
	}
	return text
}

func usage(stderr io.Writer, err error) int {
	fmt.Fprintf(stderr, "qpq: %v (qpq --help tells more)\n", err)
	return exitUsage
}
