package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/quicproquo/node/cmd/internal/buildinfo"
	"github.com/quicproquo/node/gateway"
	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/noderpc"
	"github.com/quicproquo/node/nodeservice/pebblestore"
)

// serveCommand runs a node.
type serveCommand struct{ config }

// Run serves until ctx ends, or until a part of the node fails.
func (s *serveCommand) Run(ctx context.Context, std streams) error {
	if err := s.validate(); err != nil {
		return usageError{err}
	}
	n := &node{cfg: &s.config, log: slog.New(slog.NewTextHandler(std.err, &slog.HandlerOptions{Level: s.LogLevel}))}
	slog.SetDefault(n.log) // for libraries that log by themselves, as QUIC's does
	err := n.start(ctx, std.err)
	if err == nil {
		err = n.run(ctx)
	}
	return errors.Join(err, n.close())
}

// tick is how often waiters look at the store without having had a hint.
const tick = 15 * time.Second

// node is the parts of a running qpqd, in the order in which they start.
type node struct {
	cfg *config
	log *slog.Logger

	data    *dataDir
	doors   *doors
	store   nodeservice.Store
	pebble  *pebblestore.Store // the same, if it is the embedded one; else nil
	shared  *shared            // with other nodes; nil: nothing
	service *nodeservice.Service
	gateway *gateway.Gateway
	http    *http.Server
	rpc     *noderpc.Server
	keys    tokenKeys
	ops     *http.Server

	undo []func() error // what close calls, backwards
}

// start makes all parts, and begins to listen but not yet to serve. Whatever
// the outcome, close takes back what was started.
func (n *node) start(ctx context.Context, stderr io.Writer) (err error) {
	if n.data, err = openDataDir(n.cfg.DataDir); err != nil {
		return err
	}
	n.onClose(n.data.close)
	if n.doors, err = openDoors(n.cfg, n.log); err != nil {
		return err
	}
	n.onClose(n.doors.close)
	if err := n.startService(ctx, stderr); err != nil {
		return err
	}
	n.gateway, err = gateway.New(gateway.Config{
		Node:           n.service,
		PublicURL:      n.doors.publicURL + n.doors.below,
		AllowedOrigins: n.cfg.AllowedOrigins,
		TrustedProxies: prefixes(n.cfg.TrustedProxies),
		MaxHeld:        int64(n.cfg.MaxHTTPBytes),
		Ready:          n.ready,
		MaxPayload:     int(n.cfg.MaxPayload),
		Log:            n.log,
	})
	if err != nil {
		return err
	}
	n.http = gateway.NewServer(n.gateway, n.log)
	if err := n.makeRPC(); err != nil {
		return err
	}
	n.ops = gateway.NewServer(opsHandler(onlyLocal(n.cfg.OpsListen), newNodeMetrics(n.service), newDoorMetrics(n.gateway)), n.log)
	return nil
}

// startService opens the store and puts the core over it. The listeners are
// open by then: what signs our tokens depends on the port, which is the
// system's choice for port 0.
func (n *node) startService(ctx context.Context, stderr io.Writer) error {
	audit, err := n.openAudit(stderr)
	if err != nil {
		return err
	}
	config := nodeservice.Config{
		PublicURL: n.doors.publicURL, TokenTTL: n.cfg.TokenTTL,
		Issuers: n.cfg.Issuers.policies(), RequireProof: n.cfg.RequireDPoP,
		NoSelfLogin: !bool(n.cfg.SelfLogin), NoLegacy: !bool(n.cfg.Legacy),
		Rates: n.cfg.rates(), Quotas: n.cfg.quotas(), Retention: n.cfg.retention(),
		MinFree: float64(n.cfg.MinFree), SweepEvery: n.cfg.SweepEvery, Tick: tick,
		Audit: audit, Log: n.log,
	}
	if n.cfg.Store == storeRedis {
		if err = n.openRedis(ctx); err == nil {
			config.Secret, config.Bus, config.Limiter = n.shared.secret, n.shared.bus, n.shared.limiter
			config.Revocations = revocationsEvery
		}
	} else {
		config.Secret, err = n.openPebble()
	}
	if err != nil {
		return err
	}
	config.Store, config.Keys = n.store, n.keys.signingKeys()
	if n.service, err = nodeservice.New(config); err != nil {
		return err
	}
	n.onClose(n.service.Close)
	return nil
}

// makeRPC makes the server of the native door, for all of its transports.
func (n *node) makeRPC() error {
	config := noderpc.ServerConfig{
		Node: n.service, MaxPayload: int(n.cfg.MaxPayload), Log: n.log,
		Limits: noderpc.Limits{TotalBytes: int64(n.cfg.MaxNativeBytes)},
	}
	if n.doors.quic != nil {
		var err error
		if config.QUICSecret, err = n.data.quicSecret(); err != nil {
			return err
		}
	}
	n.rpc = noderpc.NewServer(config)
	return nil
}

// openPebble opens the store of the data directory, and the secrets beside it.
func (n *node) openPebble() (secret []byte, err error) {
	if secret, err = n.data.secret(); err != nil {
		return nil, err
	}
	if n.keys, err = n.data.openKeys(n.cfg.TokenKeys, n.log); err != nil {
		return nil, err
	}
	if n.pebble, err = pebblestore.Open(n.data.file(storeDir), pebblestore.Options{Log: n.log}); err != nil {
		return nil, err
	}
	n.store = n.pebble
	n.onClose(n.store.Close)
	return secret, n.openControl()
}

// openAudit appends to the audit file, or writes to standard error.
func (n *node) openAudit(stderr io.Writer) (io.Writer, error) {
	if n.cfg.AuditFile == "" {
		return stderr, nil
	}
	file, err := os.OpenFile(n.cfg.AuditFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("--audit-file: %w", err)
	}
	n.onClose(func() error { return errors.Join(file.Sync(), file.Close()) })
	return file, nil
}

// run serves until ctx ends or a part fails, and then ends the clients' connections.
func (n *node) run(ctx context.Context) error {
	parts, serving := errgroup.WithContext(context.WithoutCancel(ctx))
	serving, stop := context.WithCancel(serving)
	defer stop()
	parts.Go(func() error { return n.service.Run(serving) })
	parts.Go(func() error { giveBackMemory(serving); return nil })
	parts.Go(func() error { watchKeys(serving, n.keys); return nil })
	parts.Go(func() error { return serveHTTP(n.http, n.doors.http) })
	if n.doors.rpc != nil {
		parts.Go(func() error { return n.rpc.Serve(context.WithoutCancel(ctx), n.doors.rpc) })
	}
	if n.doors.quic != nil {
		parts.Go(func() error {
			return n.rpc.ServeQUIC(context.WithoutCancel(ctx), n.doors.quic.socket, n.doors.quic.tls)
		})
	}
	if n.doors.gate != nil {
		parts.Go(func() error { return n.rpc.ServeTrusted(context.WithoutCancel(ctx), n.doors.gate) })
	}
	if n.doors.ops != nil {
		parts.Go(func() error { return serveHTTP(n.ops, n.doors.ops) })
	}
	err := n.data.announce(n.doors.addresses())
	if err == nil {
		n.log.Info("the node is serving", append(n.doors.attributes(), "durability", n.store.Durability(), "version", buildinfo.Version())...)
		select {
		case <-ctx.Done():
			n.log.Info("stopping; a second signal exits at once", "grace", n.cfg.ShutdownGrace)
		case <-serving.Done(): // a part failed
		}
	}
	n.drain()
	stop()
	return errors.Join(err, parts.Wait())
}

// drain turns readiness off, asks clients to come back later, and cuts off those that
// have not finished within the grace. Both doors do so at once; metrics stay until the
// end.
func (n *node) drain() {
	n.service.Drain()
	shutDownTogether(n.cfg.ShutdownGrace, n.log, map[string]func(context.Context) error{
		"http": n.http.Shutdown, "streams": n.gateway.Shutdown, "rpc": n.rpc.Shutdown,
	})
	_ = n.http.Close() // what Shutdown left
	_ = n.ops.Close()
}

func (n *node) onClose(undo func() error) { n.undo = append(n.undo, undo) }

// close takes back what start did, in the opposite order.
func (n *node) close() (err error) {
	for i := len(n.undo) - 1; i >= 0; i-- {
		err = errors.Join(err, n.undo[i]())
	}
	n.undo = nil
	if err == nil && n.service != nil {
		n.log.Info("stopped")
	}
	return err
}

func prefixes(networks []network) (all []netip.Prefix) {
	for _, n := range networks {
		all = append(all, netip.Prefix(n))
	}
	return all
}
