package main

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// certificateCheck is how often the files are looked at, at most.
const certificateCheck = time.Second

// certificate is the server's certificate, read again when its files change, so
// that renewing one needs no restart. It is asked at each handshake.
type certificate struct {
	certFile, keyFile string
	log               *slog.Logger
	now               func() time.Time

	mu      sync.Mutex
	current *tls.Certificate // guarded by mu
	stamp   [2]fileStamp     // guarded by mu: of the files that current, or the last attempt, came from
	checked time.Time        // guarded by mu
}

// fileStamp changes when a file is replaced or rewritten.
type fileStamp struct {
	modified time.Time
	size     int64
}

// loadCertificate reads the files for the first time.
func loadCertificate(certFile, keyFile string, log *slog.Logger) (*certificate, error) {
	c := &certificate{certFile: certFile, keyFile: keyFile, log: log, now: time.Now}
	c.stamp, c.checked = c.stamps(), c.now()
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, fmt.Errorf("--tls-cert, --tls-key: %w", err)
	}
	c.current = &pair
	return c, nil
}

// config is for a listener that speaks the given protocols (ALPN).
func (c *certificate) config(protocols ...string) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		NextProtos: protocols,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return c.latest(), nil
		},
	}
}

// latest is the files' certificate. While they are unusable, as between the
// writing of the one and of the other, it is the last that was usable.
func (c *certificate) latest() *tls.Certificate {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := c.now(); now.Sub(c.checked) >= certificateCheck {
		c.checked = now
		c.reload()
	}
	return c.current
}

// reload reads the files if they changed; the caller holds mu.
func (c *certificate) reload() {
	stamp := c.stamps() // before reading: what changes meanwhile is read next time
	if stamp == c.stamp {
		return
	}
	c.stamp = stamp
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		c.log.Warn("the TLS certificate changed and cannot be used, going on with the one before", "err", err)
		return
	}
	c.current = &pair
	c.log.Info("TLS certificate read again")
}

func (c *certificate) stamps() [2]fileStamp {
	return [2]fileStamp{stampOf(c.certFile), stampOf(c.keyFile)}
}

// stampOf is the zero stamp for a file that is not there.
func stampOf(path string) fileStamp {
	info, err := os.Stat(path)
	if err != nil {
		return fileStamp{}
	}
	return fileStamp{info.ModTime(), info.Size()}
}
