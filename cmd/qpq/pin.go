package main

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
)

// pin is the SHA-256 of a public key, as certificates carry it (RFC 7469, section
// 2.4): it stays when a certificate is renewed for the same key.
type pin [sha256.Size]byte

// UnmarshalText reads sha256:DIGEST, in base64 with or without padding, or in hex.
func (p *pin) UnmarshalText(text []byte) error {
	digest, ok := strings.CutPrefix(string(text), "sha256:")
	if !ok {
		return fmt.Errorf("%q is not spelled sha256:DIGEST", text)
	}
	sum, err := hex.DecodeString(digest)
	if err != nil || len(sum) != len(p) {
		sum, err = base64.RawStdEncoding.DecodeString(strings.TrimRight(digest, "="))
	}
	if err != nil || len(sum) != len(p) {
		return fmt.Errorf("%q is no SHA-256 in base64 or hex", digest)
	}
	copy(p[:], sum)
	return nil
}

// String is the pin as --pin takes it.
func (p pin) String() string { return "sha256:" + base64.StdEncoding.EncodeToString(p[:]) }

func pinOf(certificate *x509.Certificate) pin {
	return sha256.Sum256(certificate.RawSubjectPublicKeyInfo)
}

// demandPins has the handshake fail unless the server proves that it holds one of
// the keys. It need not be certified then, nor be called what we dialled: the key
// itself is the proof. With certified set, both are checked as usual, too.
func demandPins(config *tls.Config, pins []pin, certified bool) {
	config.InsecureSkipVerify = !certified
	config.VerifyConnection = func(state tls.ConnectionState) error {
		has := pinOf(state.PeerCertificates[0])
		if slices.ContainsFunc(pins, func(p pin) bool { return bytes.Equal(p[:], has[:]) }) {
			return nil
		}
		return notPinned{has}
	}
}

// notPinned is a server with another key.
type notPinned struct{ has pin }

func (e notPinned) Error() string {
	return fmt.Sprintf("the server's key is %v, which --pin does not name", e.has)
}
