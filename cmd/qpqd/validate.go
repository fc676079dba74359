package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/quicproquo/node/nodeservice/redisstore"
)

const (
	maxTokenTTL      = 24 * time.Hour
	leastNativeBytes = 64 << 20 // bytes: several of the largest pages
	leastHTTPBytes   = 64 << 20 // bytes: likewise
)

// validate checks the whole configuration, and tells the first fault in a sentence
// that names its flags. It touches no file: what cannot be opened fails at start.
func (c *config) validate() error {
	for _, check := range []func() error{
		c.validateDoors, c.validateOrigins, c.validateIssuers, c.validateStore,
		c.validateMemory, c.validateNumbers, c.validateTimes,
	} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func (c *config) validateDoors() error {
	for _, l := range []struct {
		flag, address string
		optional      bool
	}{
		{"--http-listen", c.HTTPListen, false},
		{"--rpc-listen", c.RPCListen, true},
		{"--trusted-rpc-listen", c.TrustedRPCListen, true},
		{"--ops-listen", c.OpsListen, true},
	} {
		if l.address == "" && l.optional {
			continue
		}
		if path, ok := unixPath(l.address); ok && strings.HasSuffix(l.flag, "rpc-listen") && path != "" {
			continue
		}
		_, port, err := net.SplitHostPort(l.address)
		if err == nil {
			_, err = strconv.ParseUint(port, 10, 16)
		}
		if err != nil {
			return fmt.Errorf("%s: %q is not HOST:PORT", l.flag, l.address)
		}
	}
	if (c.TLSCert == "") != (c.TLSKey == "") {
		return errors.New("--tls-cert and --tls-key come together")
	}
	if _, socket := unixPath(c.TrustedRPCListen); (c.TrustedRPCListen != "" && !socket) != (c.TrustedRPCCA != "") {
		return errors.New("--trusted-rpc-listen HOST:PORT and --trusted-rpc-ca come together; unix:PATH needs none")
	}
	if c.TrustedRPCCA != "" && !c.tls() {
		return errors.New("--trusted-rpc-ca needs --tls-cert and --tls-key: gateways are told from others by their client certificates, over TLS")
	}
	return c.validateReach()
}

// validateReach keeps a node from being reachable in the clear, or under a name
// that it does not know, unless the operator said so.
func (c *config) validateReach() error {
	for _, l := range []struct{ flag, address string }{
		{"--http-listen", c.HTTPListen}, {"--rpc-listen", c.RPCListen},
	} {
		switch {
		case onlyLocal(l.address):
		case c.PublicURL == "":
			return fmt.Errorf("%s %s is beyond loopback: --public-url must say what clients dial", l.flag, l.address)
		case !c.tls() && !c.InsecurePlaintext:
			return fmt.Errorf("%s %s is beyond loopback: give --tls-cert and --tls-key, or --insecure-plaintext behind a proxy that does TLS", l.flag, l.address)
		}
	}
	return nil
}

func (c *config) validateOrigins() error {
	if c.PublicURL != "" {
		if err := checkPublicURL(c.PublicURL); err != nil {
			return fmt.Errorf("--public-url: %w", err)
		}
	}
	for _, origin := range c.AllowedOrigins {
		if err := checkOrigin(origin); err != nil {
			return fmt.Errorf("--allowed-origins: %w", err)
		}
	}
	return nil
}

// validateIssuers opens no file and no URL: an issuer that cannot be reached now may be
// reached later.
func (c *config) validateIssuers() error {
	own, _ := splitPublicURL(c.PublicURL)
	seen := map[string]bool{}
	for _, p := range c.Issuers.policies() {
		if err := p.Validate(); err != nil {
			return fmt.Errorf("--issuers: %w", err)
		}
		if seen[p.Issuer] || p.Issuer == own {
			return fmt.Errorf("--issuers: %q is listed twice, or is this node itself", p.Issuer)
		}
		seen[p.Issuer] = true
	}
	return nil
}

// validateStore reads URLs, and connects to none.
func (c *config) validateStore() error {
	if c.Store != storeRedis {
		if c.RedisURL != "" || c.RedisLimitsURL != "" || c.SharedLimits || c.Durability != asConfigured {
			return errors.New("--redis-url, --redis-limits-url, --shared-limits and --durability are for --store redis")
		}
		return nil
	}
	switch {
	case c.RedisURL == "":
		return errors.New("--store redis needs --redis-url")
	case c.PublicURL == "":
		return errors.New("--store redis needs --public-url: nodes take each other's tokens, which name it")
	}
	for flag, u := range map[string]secretURL{"--redis-url": c.RedisURL, "--redis-limits-url": c.RedisLimitsURL} {
		if u == "" {
			continue
		}
		client, err := redisstore.Connect(string(u))
		if err != nil {
			return fmt.Errorf("%s: %w", flag, err)
		}
		_ = client.Close() // it was not used
	}
	return nil
}

func (c *config) validateMemory() error {
	if c.MaxHTTPBytes < leastHTTPBytes {
		return errors.New("--max-http-bytes is at least 64MiB: one client may ask for some of the largest pages at once")
	}
	return nil
}

func (c *config) validateNumbers() error {
	switch {
	case c.MaxPayload < 1 || c.MaxPayload > 5<<20:
		return errors.New("--max-payload is from 1 byte to 5MiB")
	case c.QueueBytes < c.MaxPayload:
		return errors.New("--queue-bytes is at least --max-payload, or no message of that size could be sent")
	case c.MaxConnections < 1:
		return errors.New("--max-connections is at least 1")
	case c.MaxNativeBytes < leastNativeBytes:
		return errors.New("--max-native-bytes is at least 64MiB: one client may ask for some of the largest pages at once")
	case c.QueueMessages < 1, c.MaxChannels < 1, c.MaxKeyPackages < 1:
		return errors.New("--queue-messages, --max-channels and --max-key-packages are at least 1")
	case c.DataDir == "":
		return errors.New("--data-dir is empty")
	}
	return nil
}

func (c *config) validateTimes() error {
	for _, d := range []struct {
		flag            string
		value, min, max time.Duration
	}{
		{"--token-ttl", c.TokenTTL, time.Second, maxTokenTTL},
		{"--shutdown-grace", c.ShutdownGrace, 0, time.Hour},
		{"--retention-messages", c.RetentionMessages, time.Second, 10 * 365 * 24 * time.Hour},
		{"--retention-key-packages", c.RetentionKeyPackages, time.Second, 90 * 24 * time.Hour},
		{"--retention-last-resort", c.RetentionLastResort, time.Second, 90 * 24 * time.Hour},
		{"--sweep-every", c.SweepEvery, 10 * time.Millisecond, 24 * time.Hour},
	} {
		if d.value < d.min || d.value > d.max {
			return fmt.Errorf("%s %v is not from %v to %v", d.flag, d.value, d.min, d.max)
		}
	}
	return nil
}

// checkPublicURL takes an origin, and a path behind it that is spelled in one way.
func checkPublicURL(text string) error {
	origin, below := splitPublicURL(text)
	if err := checkOrigin(origin); err != nil {
		return err
	}
	u, err := url.Parse(text)
	if err != nil || u.RawQuery != "" || u.ForceQuery || strings.Contains(text, "#") || u.EscapedPath() != u.Path {
		return fmt.Errorf("%q has more in it than an origin and a path of plain characters", text)
	}
	if canonical := strings.TrimSuffix(path.Clean(below), "/"); below != "" && below != canonical {
		return fmt.Errorf("%q has more than one spelling: write %s", text, origin+canonical)
	}
	return nil
}

// splitPublicURL parts the origin, which clients sign for, from the path below which
// a proxy has the gateway.
func splitPublicURL(text string) (origin, below string) {
	_, rest, _ := strings.Cut(text, "://")
	if i := strings.IndexByte(rest, '/'); i >= 0 {
		below = rest[i:]
	}
	return strings.TrimSuffix(text, below), below
}

// checkOrigin wants the one spelling that browsers send as Origin (RFC 6454,
// section 6.2), since clients sign it byte for byte.
func checkOrigin(text string) error {
	u, err := url.Parse(text)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" {
		return fmt.Errorf("%q is not an origin such as https://chat.example.org", text)
	}
	canonical := u.Scheme + "://" + strings.ToLower(u.Host)
	canonical = strings.TrimSuffix(canonical, map[string]string{"http": ":80", "https": ":443"}[u.Scheme])
	if text != canonical {
		return fmt.Errorf("%q is not spelled as an origin: write %s", text, canonical)
	}
	return nil
}

// onlyLocal says whether nobody beyond this machine can reach the listener. A name other
// than localhost is not looked up, since what it means may change.
func onlyLocal(listen string) bool {
	if _, ok := unixPath(listen); ok || listen == "" {
		return true
	}
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return false
	}
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.Unmap().IsLoopback()
}

func unixPath(listen string) (path string, ok bool) { return strings.CutPrefix(listen, "unix:") }

// withPort replaces the port of HOST:PORT.
func withPort(address, port string) string {
	host, _, _ := net.SplitHostPort(address)
	return net.JoinHostPort(host, port)
}
