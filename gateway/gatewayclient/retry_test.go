package gatewayclient_test

import (
	"bytes"
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/quicproquo/node/gateway/gatewayclient"
	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/identity"
	"github.com/quicproquo/node/nodeservice/mls"
)

var lossy = map[string]fault{
	"request lost": loseRequest, "answer lost": loseAnswer, "half an answer": halfAnswer,
	"429": says(429, "1"), "502": says(502, ""), "503": says(503, "1"), "504": says(504, ""),
}

// Whatever happens to the first tries of a message with an id, it is stored once.
func TestMessagesWithAnIDAreStoredOnce(t *testing.T) {
	w := newFaultyWorld(t, nil, gatewayclient.Config{})
	alice, bob, id := w.pair()
	payload := bytes.Repeat([]byte("payload"), 100_000)
	faults := maps.Clone(lossy)
	faults["body cut"] = cutBody
	var seq nodeservice.Seq
	for name, f := range faults {
		w.proxy.spoil(f, f)
		req := nodeservice.EnqueueRequest{Channel: id, Payload: payload, MessageID: []byte(strings.ReplaceAll(name, " ", "-"))}
		receipt, err := alice.Enqueue(w.ctx, req)
		must(t, err)
		w.tried(3)
		if seq++; receipt.Seq != seq {
			t.Errorf("%s: seq %d, want %d", name, receipt.Seq, seq)
		}
	}
	page, err := bob.Fetch(w.ctx, nodeservice.FetchRequest{Channel: id})
	must(t, err)
	if len(page.Messages) != len(faults) {
		t.Errorf("%d messages, want %d", len(page.Messages), len(faults))
	}
	for _, m := range page.Messages {
		if !bytes.Equal(m.Payload, payload) {
			t.Errorf("seq %d has another payload", m.Seq)
		}
	}
}

func TestWhatMayBeRepeatedIs(t *testing.T) {
	w := newFaultyWorld(t, nil, gatewayclient.Config{})
	alice, bob, id := w.pair()
	carol, login, key := w.join()
	claimID := []byte("claim")
	one := keyPackages(t, key, 2)
	_, err := carol.UploadKeyPackages(w.ctx, nodeservice.UploadRequest{Packages: one[1:]})
	must(t, err)
	w.send(bob, id, "x")
	calls := map[string]func() error{
		"info":      func() error { _, err := w.node.Info(w.ctx); return err },
		"challenge": func() error { _, err := w.node.Challenge(w.ctx, nodeservice.Origin{}, key.Public()); return err },
		"create":    func() error { _, _, err := alice.CreateChannel(w.ctx, carol.Identity()); return err },
		"channels":  func() error { _, err := alice.Channels(w.ctx, nodeservice.ChannelsRequest{}); return err },
		"channel":   func() error { _, err := alice.Channel(w.ctx, id); return err },
		"fetch":     func() error { _, err := alice.Fetch(w.ctx, nodeservice.FetchRequest{Channel: id}); return err },
		"ack": func() error {
			return alice.Ack(w.ctx, nodeservice.AckRequest{Channel: id, Through: 1})
		},
		"upload": func() error {
			_, err := carol.UploadKeyPackages(w.ctx, nodeservice.UploadRequest{Packages: one[:1]})
			return err
		},
		"status": func() error { _, err := carol.KeyPackageStatus(w.ctx); return err },
		"claim": func() error {
			_, err := alice.ClaimKeyPackage(w.ctx, nodeservice.ClaimRequest{Owner: carol.Identity(), ClaimID: claimID})
			return err
		},
		"follow": func() error {
			s, err := alice.Follow(w.ctx, nodeservice.FollowRequest{})
			if err == nil {
				err = s.Close()
			}
			return err
		},
	}
	for name, call := range calls {
		for what, f := range lossy {
			if name == "follow" && (what == "answer lost" || what == "half an answer") {
				continue // of an upgrade, there is none without a connection
			}
			w.proxy.spoil(f, f)
			if err := call(); err != nil {
				t.Errorf("%s, %s: %v (%v)", name, what, err, errors.Unwrap(err))
			}
			if got := w.proxy.requests(); got < 3 {
				t.Errorf("%s, %s: %d requests, want 3 or more", name, what, got)
			}
		}
	}
	stock, err := carol.KeyPackageStatus(w.ctx)
	must(t, err)
	if len(stock) != 1 || stock[0].OneTime != 1 {
		t.Errorf("%+v; want one of two packages claimed, once", stock)
	}

	// Revoked by a try whose answer was lost, a token is revoked.
	w.proxy.spoil(loseAnswer)
	must(t, carol.Revoke(w.ctx))
	w.tried(2)
	after, err := w.node.Authenticate(w.ctx, nodeservice.Origin{}, login.Token)
	must(t, err)
	_, err = after.KeyPackageStatus(w.ctx)
	wantCode(t, err, nodeservice.CodeUnauthenticated)
	wantCode(t, after.Revoke(w.ctx), nodeservice.CodeUnauthenticated)
}

func keyPackages(t *testing.T, key *identity.PrivateKey, n int) (packages [][]byte) {
	now := time.Now()
	for range n {
		built, err := mls.KeyPackageTemplate{
			CipherSuite: 2, Signer: key.Signer(), Credential: []byte("x"), NotBefore: now.Add(-time.Hour), NotAfter: now.Add(9 * time.Hour),
		}.Build()
		must(t, err)
		packages = append(packages, built.Bytes)
	}
	return packages
}

// What would take effect twice is tried once, even if that try was refused.
func TestWhatMayNotBeRepeatedIsNot(t *testing.T) {
	w := newFaultyWorld(t, nil, gatewayclient.Config{})
	alice, bob, id := w.pair()
	_, _, key := w.join()
	challenge, err := w.node.Challenge(w.ctx, nodeservice.Origin{}, key.Public())
	must(t, err)
	calls := map[string]func() error{
		"send": func() error {
			_, err := alice.Enqueue(w.ctx, nodeservice.EnqueueRequest{Channel: id, Payload: []byte("once")})
			return err
		},
		"claim": func() error {
			_, err := alice.ClaimKeyPackage(w.ctx, nodeservice.ClaimRequest{Owner: bob.Identity()})
			return err
		},
		"login": func() error {
			_, err := w.node.Login(w.ctx, nodeservice.Origin{}, nodeservice.LoginRequest{Identity: key.Public(), Nonce: challenge.Nonce})
			return err
		},
	}
	for name, call := range calls {
		for what, f := range lossy {
			w.proxy.spoil(f)
			if err := call(); nodeservice.CodeOf(err) != nodeservice.CodeUnavailable {
				t.Errorf("%s, %s: %v", name, what, err)
			}
			w.tried(1)
		}
	}
	page, err := bob.Fetch(w.ctx, nodeservice.FetchRequest{Channel: id})
	must(t, err)
	if len(page.Messages) != 2 { // of the tries whose answer was lost, whole or in half
		t.Errorf("%d messages, want 2", len(page.Messages))
	}
	if waits := w.naps.taken(); len(waits) != 0 {
		t.Errorf("waited %v", waits)
	}
}
