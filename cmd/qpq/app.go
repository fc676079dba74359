package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/identity"
)

// app is what commands share: the flags of all commands, the streams, and what
// was opened and must be closed at the end.
type app struct {
	grammar *commandLine
	stdin   io.Reader
	stdout  io.Writer
	closers []func() // owned by the command's goroutine
}

func (a *app) out() output { return output{a.stdout, a.grammar.JSON} }

func (a *app) file() stateFile { return stateFile{a.grammar.State} }

// close closes backwards what was opened.
func (a *app) close() {
	for len(a.closers) > 0 {
		last := len(a.closers) - 1
		a.closers[last]()
		a.closers = a.closers[:last]
	}
}

// client decides for whom this state signs, and dials. What can be refused
// without the network is refused before it.
func (a *app) client(ctx context.Context) (*client, error) {
	via, err := parseServer(a.grammar.Server)
	if err != nil {
		return nil, usageError{err}
	}
	s, err := a.file().load()
	if err != nil {
		return nil, err
	}
	c := &client{file: a.file(), via: via}
	if c.private, err = s.private(); err != nil {
		return nil, err
	}
	c.audience, err = via.audience(a.grammar.Audience, s)
	if errors.Is(err, errNoAudience) {
		return nil, usageError{err}
	}
	if err != nil {
		return nil, err
	}
	if err := c.takeToken(s); err != nil {
		return nil, err
	}
	c.node, err = a.dial(ctx, c.private)
	a.closers = append(a.closers, c.close)
	return c, err
}

// dial opens the door that --server names. With a key, each HTTP request proves
// that we hold it (DPoP), so that a token that was copied is of no use.
func (a *app) dial(ctx context.Context, key identity.ProofKey) (nodeservice.Node, error) {
	via, err := parseServer(a.grammar.Server)
	if err != nil {
		return nil, usageError{err}
	}
	trust, err := a.trust(via)
	if err != nil {
		return nil, err
	}
	node, closeNode, err := via.dial(ctx, trust, key)
	if err != nil {
		return nil, err
	}
	a.closers = append(a.closers, closeNode)
	return node, nil
}

// trust is TLS 1.3, with the system's certificates, those of --ca, or the keys of
// --pin.
func (a *app) trust(via server) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS13}
	if len(a.grammar.Pin) > 0 {
		if !via.encrypted() {
			return nil, usageError{fmt.Errorf("--pin is for servers that speak TLS: capnps, quic and https, not %s", via.scheme)}
		}
		demandPins(config, a.grammar.Pin, a.grammar.CA != "")
	}
	if a.grammar.CA == "" {
		return config, nil
	}
	data, err := os.ReadFile(a.grammar.CA)
	if err != nil {
		return nil, err
	}
	config.RootCAs = x509.NewCertPool()
	if !config.RootCAs.AppendCertsFromPEM(data) {
		return nil, usageError{fmt.Errorf("--ca %s holds no certificate in PEM", a.grammar.CA)}
	}
	return config, nil
}
