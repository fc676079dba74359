package identity

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"time"
)

// ChallengeLifetime is how long a nonce can be used.
const ChallengeLifetime = 60 * time.Second

const (
	nonceRandom = 16
	nonceExpiry = nonceRandom + 8           // Unix milliseconds, big endian
	nonceSize   = nonceExpiry + sha256.Size // the MAC

	challengeLabel = "quicproquo challenge v1"
	minimumSecret  = 16
)

// Challenger issues and checks login nonces without remembering them:
//
//	random(16) expiry(8) MAC(32), the MAC over random, expiry and the identity
//
// so that strangers who ask can neither fill memory nor invalidate another's
// nonce. That a nonce logs in once is for the caller, who spends it.
type Challenger struct {
	key []byte // static after construction
}

// NewChallenger derives the MAC key from the installation's secret, which all
// nodes share and may use for other things as well. It panics on a secret of less
// than 16 bytes.
func NewChallenger(secret []byte) *Challenger {
	return &Challenger{key: deriveKey(secret, challengeLabel)}
}

// deriveKey makes a MAC key for one use out of the installation's secret.
func deriveKey(secret []byte, label string) []byte {
	if len(secret) < minimumSecret {
		panic("identity: an installation's secret has at least 16 bytes")
	}
	derive := hmac.New(sha256.New, secret)
	derive.Write([]byte(label))
	return derive.Sum(nil)
}

// Issue returns a fresh nonce for one identity, and when it expires: in UTC, with
// the millisecond that the nonce itself carries.
func (c *Challenger) Issue(id Key, now time.Time) (nonce []byte, expires time.Time) {
	expires = time.UnixMilli(now.Add(ChallengeLifetime).UnixMilli()).UTC()
	nonce = make([]byte, nonceRandom, nonceSize)
	_, _ = rand.Read(nonce) // never fails
	nonce = binary.BigEndian.AppendUint64(nonce, uint64(expires.UnixMilli()))
	return c.appendMAC(nonce, nonce, id), expires
}

// Check tells whether the nonce was issued to this identity, by a node with the
// same secret, and is still good: ErrChallenge or ErrChallengeExpired otherwise.
// At its expiry it is expired. The time it takes says nothing about the MAC.
func (c *Challenger) Check(id Key, nonce []byte, now time.Time) (expires time.Time, err error) {
	if len(nonce) != nonceSize {
		return time.Time{}, fmt.Errorf("%w: a nonce has %d bytes", ErrChallenge, nonceSize)
	}
	want := c.appendMAC(nil, nonce[:nonceExpiry], id)
	if !hmac.Equal(want, nonce[nonceExpiry:]) {
		return time.Time{}, fmt.Errorf("%w: ask for one, and send it unchanged", ErrChallenge)
	}
	expires = time.UnixMilli(int64(binary.BigEndian.Uint64(nonce[nonceRandom:]))).UTC()
	if !now.Before(expires) {
		return time.Time{}, fmt.Errorf("%w: ask for another", ErrChallengeExpired)
	}
	return expires, nil
}

func (c *Challenger) appendMAC(to, head []byte, id Key) []byte {
	mac := hmac.New(sha256.New, c.key)
	mac.Write(head)
	mac.Write([]byte(id.raw))
	return mac.Sum(to)
}
