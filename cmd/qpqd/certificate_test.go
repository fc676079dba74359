package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// writeCertificate puts a self-signed certificate with a serial number there.
func writeCertificate(t *testing.T, dir string, serial int64) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "node"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore:   time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for path, block := range map[string]*pem.Block{
		certFile: {Type: "CERTIFICATE", Bytes: cert}, keyFile: {Type: "PRIVATE KEY", Bytes: private},
	} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certFile, keyFile
}

func TestCertificateIsReadAgainWhenItsFilesChange(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile := writeCertificate(t, dir, 1)
	c, err := loadCertificate(certFile, keyFile, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	var elapsed time.Duration // the clock of c
	start := time.Now()
	c.now = func() time.Time { return start.Add(elapsed) }
	serial := func() int64 {
		elapsed += certificateCheck + time.Second
		return c.latest().Leaf.SerialNumber.Int64()
	}

	if got := serial(); got != 1 {
		t.Errorf("unchanged files gave certificate %d", got)
	}
	stampDifferently(t, dir, 1, func() { writeCertificate(t, dir, 2) })
	if got := serial(); got != 2 {
		t.Errorf("changed files gave certificate %d", got)
	}
	stampDifferently(t, dir, 2, func() { _ = os.WriteFile(keyFile, []byte("half written"), 0o600) })
	if got := serial(); got != 2 {
		t.Errorf("unusable files gave certificate %d", got)
	}
	stampDifferently(t, dir, 3, func() { writeCertificate(t, dir, 3) })
	if got := serial(); got != 3 {
		t.Errorf("mended files gave certificate %d", got)
	}
}

// stampDifferently makes the change seen on file systems with coarse times too.
func stampDifferently(t *testing.T, dir string, minutes int, change func()) {
	t.Helper()
	change()
	for _, name := range []string{"cert.pem", "key.pem"} {
		at := time.Now().Add(time.Duration(minutes) * time.Minute)
		if err := os.Chtimes(filepath.Join(dir, name), at, at); err != nil {
			t.Fatal(err)
		}
	}
}

func TestMissingCertificateIsRefused(t *testing.T) {
	if _, err := loadCertificate("no-such-file", "no-such-file", slog.New(slog.DiscardHandler)); err == nil {
		t.Error("accepted")
	}
}
