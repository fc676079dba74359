// Command demo is a conversation with a real node, told as it happens: Alice
// speaks Cap'n Proto, Bob HTTP and WebSocket, each logs in with a key of their
// own, and in the middle the node is killed. It ends with an error if anything
// is not as it tells, so it is a test as well. It does not encrypt: what real
// clients would send are MLS ciphertexts, which the node cannot tell apart from
// the words used here.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"github.com/quicproquo/node/cmd/internal/nodeprocess"
)

// patience bounds the whole demo.
const patience = 2 * time.Minute

// publicURL is the node's name: its ports change with each start.
const publicURL = "http://node.demo"

func main() {
	binary := flag.String("qpqd", "", "the `program` to run; default: build it from this module")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Stdout, *binary)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// run tells the whole story in a directory of its own.
func run(ctx context.Context, out io.Writer, binary string) (err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	dir, err := os.MkdirTemp("", "qpq-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if binary == "" {
		binary = filepath.Join(dir, "qpqd")
		if err := nodeprocess.Build(ctx, "github.com/quicproquo/node/cmd/qpqd", binary); err != nil {
			return err
		}
	}
	s := &story{ctx: ctx, out: out, binary: binary, dir: dir}
	defer s.end()
	defer func() {
		switch failure := recover().(type) {
		case nil:
		case unexpected:
			err = failure.error
		default:
			panic(failure)
		}
	}()
	s.tell()
	return nil
}
