package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/quicproquo/node/cmd/internal/privatefile"
	"github.com/quicproquo/node/nodeservice/noderpc"
)

// doors are the listeners of a node or of a gateway. Static once openDoors has returned.
type doors struct {
	http listener
	rpc  listener // nil: none
	quic *udpDoor // the native door's other transport; nil: none
	gate listener // for gateways that stand apart; nil: none
	ops  listener // nil: none

	publicURL string // an origin
	below     string // the path behind it; "": none
	tls       bool
}

type listener = net.Listener

// openDoors begins to listen. Nobody is answered until the servers run.
func openDoors(c *config, log *slog.Logger) (_ *doors, err error) {
	d := &doors{tls: c.tls()}
	defer func() {
		if err != nil {
			_ = d.close()
		}
	}()
	if d.http, err = listen("--http-listen", c.HTTPListen); err != nil {
		return nil, err
	}
	if d.rpc, err = listen("--rpc-listen", c.RPCListen); err != nil {
		return nil, err
	}
	if d.gate, err = listenPrivately("--trusted-rpc-listen", c.TrustedRPCListen); err != nil {
		return nil, err
	}
	if d.ops, err = listen("--ops-listen", c.OpsListen); err != nil {
		return nil, err
	}
	d.http = limitConnections(d.http, c.MaxConnections)
	d.publicURL, d.below = c.publicURL(strconv.Itoa(d.http.Addr().(*net.TCPAddr).Port))
	if d.tls {
		return d, d.encrypt(c, log)
	}
	if !onlyLocal(c.HTTPListen) || !onlyLocal(c.RPCListen) {
		log.Warn("listening beyond loopback without TLS: tokens cross the network in the clear, unless a proxy in front does TLS")
	}
	return d, nil
}

// encrypt puts TLS 1.3 before both doors. A unix socket needs none, and has no
// name that a certificate could prove.
func (d *doors) encrypt(c *config, log *slog.Logger) error {
	certificate, err := loadCertificate(c.TLSCert, c.TLSKey, log)
	if err != nil {
		return err
	}
	d.http = tls.NewListener(d.http, certificate.config("h2", "http/1.1"))
	if d.rpc != nil && d.rpc.Addr().Network() != "unix" {
		if d.quic, err = listenUDP(c, d.rpc.Addr(), certificate); err != nil {
			return err
		}
		d.rpc = tls.NewListener(noderpc.WatchEnds(d.rpc), certificate.config())
	}
	if d.gate != nil && d.gate.Addr().Network() != "unix" {
		config := certificate.config()
		config.ClientAuth = tls.RequireAndVerifyClientCert
		if config.ClientCAs, err = readCertificates(c.TrustedRPCCA); err != nil {
			return fmt.Errorf("--trusted-rpc-ca: %w", err)
		}
		d.gate = tls.NewListener(d.gate, config)
	}
	return nil
}

func readCertificates(path string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate in PEM", path)
	}
	return pool, nil
}

// listenPrivately is listen for a unix socket that its owner alone can open, from
// its first moment on. Nothing else is under way yet that makes files.
func listenPrivately(flag, address string) (listener, error) {
	defer syscall.Umask(syscall.Umask(0o177))
	return listen(flag, address)
}

func listen(flag, address string) (listener, error) {
	if address == "" {
		return nil, nil
	}
	network := "tcp"
	if path, ok := unixPath(address); ok {
		network, address = "unix", path
		if err := removeStaleSocket(path); err != nil {
			return nil, fmt.Errorf("%s: %w", flag, err)
		}
	}
	ln, err := net.Listen(network, address)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", flag, err)
	}
	return ln, nil
}

// removeStaleSocket removes a socket that a killed process left. One that
// somebody listens on is left alone, and so is anything else.
func removeStaleSocket(path string) error {
	info, err := os.Lstat(path)
	if err != nil || info.Mode()&fs.ModeSocket == 0 {
		return nil // listening will say what is wrong, if anything is
	}
	conn, err := net.Dial("unix", path)
	if err == nil {
		return errors.Join(fmt.Errorf("another process listens on %s", path), conn.Close())
	}
	return os.Remove(path)
}

// addresses are where the doors really listen, as clients name them.
func (d *doors) addresses() map[string]string {
	all := map[string]string{"http": d.scheme("http") + "://" + d.http.Addr().String(), "public_url": d.publicURL}
	if d.rpc != nil {
		all["rpc"] = d.scheme("capnp") + "://" + d.rpc.Addr().String()
		if d.rpc.Addr().Network() == "unix" {
			all["rpc"] = "unix:" + d.rpc.Addr().String()
		}
	}
	if d.quic != nil {
		all["quic"] = "quic://" + d.quic.socket.LocalAddr().String()
	}
	if d.gate != nil {
		all["trusted_rpc"] = d.scheme("capnp") + "://" + d.gate.Addr().String()
		if d.gate.Addr().Network() == "unix" {
			all["trusted_rpc"] = "unix:" + d.gate.Addr().String()
		}
	}
	if d.ops != nil {
		all["ops"] = "http://" + d.ops.Addr().String()
	}
	return all
}

// writeAddresses writes addresses as JSON for those who wait for the file. It appears
// by a rename, so that nobody reads half of it.
func writeAddresses(path string, addresses map[string]string) error {
	data, err := json.MarshalIndent(addresses, "", "  ")
	if err != nil {
		return err
	}
	return privatefile.Replace(path, append(data, '\n'))
}

func (d *doors) scheme(plain string) string {
	if d.tls {
		return plain + "s"
	}
	return plain
}

// attributes are the addresses, as the log takes them.
func (d *doors) attributes() (attributes []any) {
	all := d.addresses()
	for _, name := range []string{"http", "rpc", "quic", "trusted_rpc", "ops", "public_url"} {
		if all[name] != "" {
			attributes = append(attributes, name, all[name])
		}
	}
	return attributes
}

// close closes the listeners; the servers may have done so before.
func (d *doors) close() (err error) {
	if d.quic != nil {
		_ = d.quic.socket.Close() // by its server, most often
	}
	for _, ln := range []listener{d.http, d.rpc, d.gate, d.ops} {
		if ln == nil {
			continue
		}
		if e := ln.Close(); e != nil && !errors.Is(e, net.ErrClosed) {
			err = errors.Join(err, e)
		}
	}
	return err
}

func serveHTTP(server *http.Server, door listener) error {
	if err := server.Serve(door); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// shutDownTogether calls the Shutdown of each door at once, and returns when all have
// returned: within the grace, at the end of which they cut off the clients that are left.
func shutDownTogether(grace time.Duration, log *slog.Logger, doors map[string]func(context.Context) error) {
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	var leaving sync.WaitGroup
	for door, shutdown := range doors {
		leaving.Go(func() {
			if err := shutdown(ctx); err != nil {
				log.Warn("clients were cut off at the end of the grace", "door", door)
			}
		})
	}
	leaving.Wait()
}
