package identity_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/quicproquo/node/nodeservice/identity"
)

const audience = "https://node.example"

func TestLogin(t *testing.T) {
	for _, algorithm := range algorithms {
		private, stranger := newKey(t, algorithm), newKey(t, algorithm)
		id := private.Public()
		nonce := bytes.Repeat([]byte{7}, 56)
		signature, err := private.Sign(identity.LoginMessage(audience, id, nonce))
		if err != nil {
			t.Fatal(err)
		}
		if err := identity.CheckLogin(audience, id, nonce, signature); err != nil {
			t.Errorf("%s: %v", algorithm, err)
		}
		for what, err := range map[string]error{
			"audience": identity.CheckLogin("https://evil.example", id, nonce, signature),
			"identity": identity.CheckLogin(audience, stranger.Public(), nonce, signature),
			"no one":   identity.CheckLogin(audience, identity.Key{}, nonce, signature),
			"nonce":    identity.CheckLogin(audience, id, append(nonce[:55:55], 8), signature),
			"cut":      identity.CheckLogin(audience, id, nonce, signature[:63]),
		} {
			if !errors.Is(err, identity.ErrSignature) {
				t.Errorf("%s: another %s: %v", algorithm, what, err)
			}
		}
	}
}

func TestLoginMessageIsGolden(t *testing.T) {
	id, err := identity.ParseKeyText(testPublic)
	if err != nil {
		t.Fatal(err)
	}
	const want = "71756963" + "70726f71" + "756f206c" + "6f67696e" + "207631" + // quicproquo login v1
		"00" + "68747470733a2f2f6e6f64652e6578616d706c65" + // https://node.example
		"00" + "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a" +
		"0102030405"
	if got := hex.EncodeToString(identity.LoginMessage(audience, id, []byte{1, 2, 3, 4, 5})); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// What a client signs to log in must be nothing that its key also signs elsewhere.
func TestLoginMessageBeginsNothingElse(t *testing.T) {
	message := identity.LoginMessage("", identity.Key{}, nil)
	if bytes.HasPrefix(vector(message), []byte("MLS 1.0 ")) {
		t.Error("it begins an MLS SignContent (RFC 9420, section 5.1.2)")
	}
	const jws = base64url + "."
	if strings.Trim(string(message[:19]), jws) == "" {
		t.Error("it begins a JWS signing input (RFC 7515, section 5.1)")
	}
	if bytes.HasPrefix(message, bytes.Repeat([]byte(" "), 64)) || message[0] == ' ' {
		t.Error("it begins a TLS 1.3 CertificateVerify (RFC 8446, section 4.4.3)")
	}
	// The audience cannot change any of this: it comes after the prefix.
	if want := []byte("quicproquo login v1\x00"); !bytes.HasPrefix(message, want) {
		t.Errorf("it begins with %q", message)
	}
}

// vector returns what a reader of an MLS vector (RFC 9420, section 2.1.2) would see
// after its length, as far as message goes. A varint has 1, 2 or 4 bytes.
func vector(message []byte) []byte {
	if message[0]>>6 == 3 {
		return nil // no valid length
	}
	return message[1<<(message[0]>>6):]
}

func TestChallenge(t *testing.T) {
	now := time.Date(2026, 11, 5, 12, 0, 0, 123_456_789, time.UTC)
	challenger := identity.NewChallenger(secret)
	for _, algorithm := range algorithms {
		id := newKey(t, algorithm).Public()
		nonce, expires := challenger.Issue(id, now)
		if want := now.Truncate(time.Millisecond).Add(60 * time.Second); len(nonce) != 56 || !expires.Equal(want) {
			t.Fatalf("%d bytes, expires %v", len(nonce), expires)
		}
		got, err := identity.NewChallenger(secret).Check(id, nonce, now) // on another node
		if err != nil || got != expires {
			t.Errorf("Check = %v, %v; want %v", got, err, expires)
		}
		if _, err := challenger.Check(id, nonce, expires.Add(-1)); err != nil {
			t.Errorf("a nanosecond early: %v", err)
		}
		if _, err := challenger.Check(id, nonce, expires); !errors.Is(err, identity.ErrChallengeExpired) {
			t.Errorf("at its expiry: %v", err)
		}
		other, _ := challenger.Issue(id, now)
		if bytes.Equal(other, nonce) {
			t.Error("two nonces are the same")
		}
	}
}

// Nodes of different builds check one another's nonces.
func TestChallengeIsGolden(t *testing.T) {
	nonce := unhex(t, "62740ebef8324e42ff3c11bd8457e992"+"000001a1ab957060"+
		"1cfe6798fd0bc08a3c2ef50b9b2148b0e0c2cefe35128e95aab3db2f9cd11ac7")
	id, err := identity.ParseKeyText(testPublic)
	if err != nil {
		t.Fatal(err)
	}
	issued := time.Date(2026, 11, 5, 12, 0, 0, 0, time.UTC)
	expires, err := identity.NewChallenger(secret).Check(id, nonce, issued)
	if err != nil || !expires.Equal(issued.Add(time.Minute)) {
		t.Errorf("expires %v, %v", expires, err)
	}
}

func TestChallengeOfAnotherIsRefused(t *testing.T) {
	now := time.Date(2026, 11, 5, 12, 0, 0, 0, time.UTC)
	challenger := identity.NewChallenger(secret)
	id := newKey(t, identity.EdDSA).Public()
	nonce, expires := challenger.Issue(id, now)
	refused := func(what string, c *identity.Challenger, id identity.Key, nonce []byte) {
		t.Helper()
		// Long after, too: only its owner learns that a nonce has expired.
		for _, at := range []time.Time{now, expires.Add(time.Hour)} {
			if _, err := c.Check(id, nonce, at); !errors.Is(err, identity.ErrChallenge) {
				t.Errorf("%s: %v", what, err)
			}
		}
	}
	refused("another identity", challenger, newKey(t, identity.EdDSA).Public(), nonce)
	refused("no identity", challenger, identity.Key{}, nonce)
	refused("another secret", identity.NewChallenger([]byte("another secret, as long")), id, nonce)
	refused("nothing", challenger, id, nil)
	refused("cut", challenger, id, nonce[:55])
	refused("longer", challenger, id, append(bytes.Clone(nonce), 0))
	for i := range nonce {
		changed := bytes.Clone(nonce)
		changed[i] ^= 1
		refused("changed", challenger, id, changed)
	}
}

func TestChallengerRefusesAShortSecret(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a secret of 15 bytes is taken")
		}
	}()
	identity.NewChallenger(secret[:15])
}

var secret = []byte("an installation's secret, shared")
