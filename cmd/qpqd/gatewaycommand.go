package main

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/alecthomas/kong"
	"golang.org/x/sync/errgroup"

	"github.com/quicproquo/node/cmd/internal/buildinfo"
	"github.com/quicproquo/node/gateway"
	"github.com/quicproquo/node/nodeservice/noderpc"
)

// gatewayCommand runs the gateway apart from its node: same routes, same answers.
// It keeps nothing and decides nothing; tokens pass through to the node.
type gatewayCommand struct {
	Config kong.ConfigFlag `help:"YAML file with any of these settings by their names, without the dashes before them." placeholder:"FILE" env:"QPQD_CONFIG"`

	Node     nodeAddress `group:"Node" required:"" placeholder:"ADDRESS" help:"The node's --trusted-rpc-listen: unix:PATH, capnps://HOST:PORT, or capnp://HOST:PORT on loopback. At another native door of the node everything works, but all clients share one address's limits, and DPoP proofs are not seen."`
	NodeCA   string      `group:"Node" name:"node-ca" placeholder:"FILE" help:"Certificates (PEM) that the node's must be signed by. Default: the system's."`
	NodeCert string      `group:"Node" placeholder:"FILE" help:"Client certificate (PEM) that the node's --trusted-rpc-ca vouches for; read again at each connection."`
	NodeKey  string      `group:"Node" placeholder:"FILE" help:"Private key (PEM) of --node-cert."`

	HTTPListen        string        `group:"Doors" default:"127.0.0.1:8420" placeholder:"HOST:PORT" help:"Where the gateway listens; port 0 takes a free one."`
	OpsListen         string        `group:"Doors" default:"127.0.0.1:9421" placeholder:"HOST:PORT" help:"Where metrics listen, and on loopback pprof; no token is asked for; empty: nowhere."`
	TLSCert           string        `group:"Doors" name:"tls-cert" placeholder:"FILE" help:"Certificate chain (PEM) of the gateway, which then speaks TLS 1.3 only; read again when it changes."`
	TLSKey            string        `group:"Doors" name:"tls-key" placeholder:"FILE" help:"Private key (PEM) of --tls-cert; read again when it changes."`
	InsecurePlaintext bool          `group:"Doors" help:"Listen, or dial the node, beyond loopback without TLS: whoever sees the network can take tokens and act for their owners."`
	PublicURL         string        `group:"Doors" name:"public-url" placeholder:"URL" help:"Origin that clients dial, and behind it, if a proxy has the gateway below a path, that path; the node's own --public-url, unless it is known under several. Default: the listener's own."`
	AllowedOrigins    []string      `group:"Doors" placeholder:"ORIGIN" help:"Origins of web pages that may use the gateway, beside --public-url and its own."`
	TrustedProxies    []network     `group:"Doors" placeholder:"CIDR" help:"Proxies whose X-Forwarded-For is believed, as networks or addresses."`
	MaxConnections    int           `group:"Doors" default:"16384" placeholder:"N" help:"HTTP connections at once, streams among them; further ones wait to be accepted."`
	MaxHTTPBytes      size          `group:"Doors" name:"max-http-bytes" default:"512MiB" placeholder:"SIZE" help:"Memory that all requests and streams may hold together, in bodies, answers and frames under way; beyond it, of the address that holds most the oldest are cut."`
	ShutdownGrace     time.Duration `group:"Doors" default:"30s" help:"How long open requests and streams may take to end at a stop."`

	Announce string     `group:"Operation" placeholder:"FILE" help:"Keep the gateway's address in this file (JSON) while it serves."`
	LogLevel slog.Level `group:"Operation" default:"info" placeholder:"LEVEL" help:"debug, info, warn or error; the log goes to standard error."`
}

// readyWithin is how long the node may take to answer a readiness probe.
const readyWithin = 5 * time.Second

// Run serves until ctx ends, or until the listener fails.
func (c *gatewayCommand) Run(ctx context.Context, std streams) error {
	dialer := nodeDialer{to: c.Node, ca: c.NodeCA, cert: c.NodeCert, key: c.NodeKey}
	if err := errors.Join(c.validate(), dialer.validate(c.InsecurePlaintext)); err != nil {
		return usageError{err}
	}
	if _, err := dialer.tlsConfig(); err != nil { // tell now what every attempt would fail with
		return err
	}
	log := slog.New(slog.NewTextHandler(std.err, &slog.HandlerOptions{Level: c.LogLevel}))
	doors, err := openDoors(c.doors(), log)
	if err != nil {
		return err
	}
	node := noderpc.NewGatewayNode(noderpc.GatewayNodeConfig{Dial: dialer.dial, Log: log})
	err = c.serve(ctx, node, doors, log)
	err = errors.Join(err, doors.close(), node.Close())
	if err == nil {
		log.Info("stopped")
	}
	return err
}

// doors is the part of a node's configuration that a gateway has.
func (c *gatewayCommand) doors() *config {
	return &config{
		HTTPListen: c.HTTPListen, TLSCert: c.TLSCert, TLSKey: c.TLSKey, InsecurePlaintext: c.InsecurePlaintext,
		PublicURL: c.PublicURL, AllowedOrigins: c.AllowedOrigins, MaxConnections: c.MaxConnections,
		OpsListen: c.OpsListen, MaxHTTPBytes: c.MaxHTTPBytes,
	}
}

func (c *gatewayCommand) validate() error {
	d := c.doors()
	switch {
	case c.MaxConnections < 1:
		return errors.New("--max-connections is at least 1")
	case c.ShutdownGrace < 0 || c.ShutdownGrace > time.Hour:
		return errors.New("--shutdown-grace is from 0s to 1h")
	}
	return errors.Join(d.validateDoors(), d.validateOrigins(), d.validateMemory())
}

func (c *gatewayCommand) serve(ctx context.Context, node *noderpc.GatewayNode, doors *doors, log *slog.Logger) error {
	door, err := gateway.New(gateway.Config{
		Node:           node,
		PublicURL:      doors.publicURL + doors.below,
		AllowedOrigins: c.AllowedOrigins,
		TrustedProxies: prefixes(c.TrustedProxies),
		MaxHeld:        int64(c.MaxHTTPBytes),
		Log:            log,
		Ready: func(ctx context.Context) error {
			ctx, cancel := context.WithTimeout(ctx, readyWithin)
			defer cancel()
			_, err := node.Info(ctx)
			return err
		},
	})
	if err != nil {
		return err
	}
	withdraw, err := c.announce(doors.addresses())
	if err != nil {
		return err
	}
	server := gateway.NewServer(door, log)
	ops := gateway.NewServer(opsHandler(onlyLocal(c.OpsListen), newDoorMetrics(door), newLinkMetric(node)), log)
	parts, serving := errgroup.WithContext(ctx)
	parts.Go(func() error { return serveHTTP(server, doors.http) })
	if doors.ops != nil {
		parts.Go(func() error { return serveHTTP(ops, doors.ops) })
	}
	parts.Go(func() error { giveBackMemory(serving); return nil })
	log.Info("the gateway is serving", append(doors.attributes(), "version", buildinfo.Version())...)
	<-serving.Done() // ctx among it, or a part failed
	c.drain(door, server, log)
	_ = ops.Close() // metrics stay until the end
	return errors.Join(parts.Wait(), withdraw())
}

// drain asks clients to come back later, and cuts off those that have not finished within
// the grace.
func (c *gatewayCommand) drain(door *gateway.Gateway, server *http.Server, log *slog.Logger) {
	log.Info("stopping; a second signal exits at once", "grace", c.ShutdownGrace)
	shutDownTogether(c.ShutdownGrace, log, map[string]func(context.Context) error{
		"http": server.Shutdown, "streams": door.Shutdown,
	})
	_ = server.Close() // what Shutdown left
}

// announce writes the addresses to the file of --announce, if there is one; withdraw
// removes it.
func (c *gatewayCommand) announce(addresses map[string]string) (withdraw func() error, err error) {
	if c.Announce == "" {
		return func() error { return nil }, nil
	}
	return func() error { return ignoreMissing(os.Remove(c.Announce)) }, writeAddresses(c.Announce, addresses)
}
