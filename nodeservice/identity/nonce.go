package identity

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"time"
)

// NonceWindow is how long one DPoP nonce is given out. It is taken for at least as
// long again, and never for more than twice that.
const NonceWindow = 2 * time.Minute

const nonceLabel = "quicproquo dpop nonce v1"

// NonceSource gives out the nonces of DPoP (RFC 9449, section 9) without
// remembering them: in each window of time there is one for everybody, a MAC over
// the window's number. It limits how long a proof can have been made in advance;
// that a proof comes once is seen by its jti.
type NonceSource struct {
	key []byte // static after construction
}

// NewNonceSource derives the MAC key from the installation's secret, as
// NewChallenger does. It panics on a secret of less than 16 bytes.
func NewNonceSource(secret []byte) *NonceSource {
	return &NonceSource{key: deriveKey(secret, nonceLabel)}
}

// Issue returns the nonce of the present window: 43 characters of base64url, for
// the header DPoP-Nonce.
func (s *NonceSource) Issue(now time.Time) string { return s.at(windowOf(now)) }

// Check reports whether the nonce is that of the present or of the previous
// window, by a node with the same secret. The time it takes says nothing about
// the MAC.
func (s *NonceSource) Check(nonce string, now time.Time) bool {
	window := windowOf(now)
	return hmac.Equal([]byte(nonce), []byte(s.at(window))) || hmac.Equal([]byte(nonce), []byte(s.at(window-1)))
}

func (s *NonceSource) at(window int64) string {
	mac := hmac.New(sha256.New, s.key)
	_ = binary.Write(mac, binary.BigEndian, window) // never fails
	return encodeText(mac.Sum(nil))
}

func windowOf(now time.Time) int64 { return now.UnixMilli() / NonceWindow.Milliseconds() }
