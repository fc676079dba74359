package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// cert writes a self-signed certificate of 127.0.0.1: cert cert.pem key.pem.
func cert(ts *testscript.TestScript, neg bool, args []string) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ts.Check(err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		Subject:      pkix.Name{CommonName: "127.0.0.1"},
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	ts.Check(err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	ts.Check(err)
	for path, block := range map[string]*pem.Block{
		args[0]: {Type: "CERTIFICATE", Bytes: der},
		args[1]: {Type: "PRIVATE KEY", Bytes: private},
	} {
		ts.Check(os.WriteFile(ts.MkAbs(path), pem.EncodeToMemory(block), 0o600))
	}
}

// pinned sets PIN to what --pin takes for a certificate, and HEXPIN to the same in
// hex: pinned cert.pem.
func pinned(ts *testscript.TestScript, neg bool, args []string) {
	block, _ := pem.Decode([]byte(ts.ReadFile(args[0])))
	certificate, err := x509.ParseCertificate(block.Bytes)
	ts.Check(err)
	sum := sha256.Sum256(certificate.RawSubjectPublicKeyInfo)
	ts.Setenv("PIN", "sha256:"+base64.StdEncoding.EncodeToString(sum[:]))
	ts.Setenv("HEXPIN", "sha256:"+hex.EncodeToString(sum[:]))
}
