package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
)

// nodeAddress is where a node's native door is: unix:PATH, capnp://HOST:PORT or
// capnps://HOST:PORT.
type nodeAddress struct {
	network, address string
	secure           bool // TLS
}

func (a *nodeAddress) UnmarshalText(text []byte) error {
	if path, ok := unixPath(string(text)); ok && path != "" {
		*a = nodeAddress{network: "unix", address: path}
		return nil
	}
	u, err := url.Parse(string(text))
	if err != nil || u.Scheme != "capnp" && u.Scheme != "capnps" || u.Port() == "" || u.Host != string(text)[len(u.Scheme)+3:] {
		return fmt.Errorf("%q is neither unix:PATH nor capnp://HOST:PORT nor capnps://HOST:PORT", text)
	}
	*a = nodeAddress{network: "tcp", address: u.Host, secure: u.Scheme == "capnps"}
	return nil
}

// nodeDialer opens connections to a node.
type nodeDialer struct {
	to            nodeAddress
	ca, cert, key string // PEM files; empty: the system's CAs, and no client certificate
}

// validate keeps tokens off networks where they could be read.
func (d nodeDialer) validate(insecure bool) error {
	switch {
	case d.to.network == "":
		return errors.New("--node is missing")
	case (d.cert == "") != (d.key == ""):
		return errors.New("--node-cert and --node-key come together")
	case !d.to.secure && d.ca+d.cert != "":
		return errors.New("--node-ca and --node-cert are for capnps://HOST:PORT")
	case d.to.network == "tcp" && !d.to.secure && !onlyLocal(d.to.address) && !insecure:
		return errors.New("--node is beyond loopback: name it capnps://HOST:PORT, or give --insecure-plaintext")
	}
	return nil
}

// dial reads the certificates anew, so that renewing them needs no restart.
func (d nodeDialer) dial(ctx context.Context) (net.Conn, error) {
	if !d.to.secure {
		return new(net.Dialer).DialContext(ctx, d.to.network, d.to.address)
	}
	config, err := d.tlsConfig()
	if err != nil {
		return nil, err
	}
	return (&tls.Dialer{Config: config}).DialContext(ctx, d.to.network, d.to.address)
}

func (d nodeDialer) tlsConfig() (_ *tls.Config, err error) {
	config := &tls.Config{MinVersion: tls.VersionTLS13}
	if d.ca != "" {
		if config.RootCAs, err = readCertificates(d.ca); err != nil {
			return nil, fmt.Errorf("--node-ca: %w", err)
		}
	}
	if d.cert != "" {
		pair, err := tls.LoadX509KeyPair(d.cert, d.key)
		if err != nil {
			return nil, fmt.Errorf("--node-cert, --node-key: %w", err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}
