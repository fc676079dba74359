package gatewayclient_test

import (
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/quicproquo/node/gateway/gatewayclient"
	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/identity"
)

// newProvenWorld is a node that demands proofs, and a client whose key makes them.
func newProvenWorld(t *testing.T, algorithm identity.Algorithm, config gatewayclient.Config) (*faultyWorld, *identity.PrivateKey, *movedClock) {
	key, err := identity.GenerateKey(algorithm)
	must(t, err)
	clock := &movedClock{}
	config.Key, config.Now = key, clock.now
	demanding := func(c *nodeservice.Config) { c.RequireProof, c.Now = true, clock.now }
	return newFaultyWorld(t, demanding, config), key, clock
}

func TestProofsComeWithEveryRequest(t *testing.T) {
	for _, algorithm := range []identity.Algorithm{identity.EdDSA, identity.ES256} {
		w, key, clock := newProvenWorld(t, algorithm, gatewayclient.Config{})
		login := w.login(key)
		status := func() {
			t.Helper()
			_, err := login.Session.KeyPackageStatus(w.ctx)
			must(t, err)
		}
		w.proxy.spoil()
		status()
		w.tried(2) // the first was given a nonce
		w.proxy.spoil()
		status()
		w.tried(1)

		peer, err := identity.GenerateKey(identity.EdDSA)
		must(t, err)
		view, _, err := login.Session.CreateChannel(w.ctx, peer.Public())
		must(t, err)
		w.send(login.Session, view.ID, "no retry, and yet a proof")
		_, err = login.Session.Channels(w.ctx, nodeservice.ChannelsRequest{Peer: peer.Public(), Limit: 1}) // a query is no part of htu
		must(t, err)
		s := w.follow(login.Session, nodeservice.FollowRequest{Channel: view.ID})
		next[nodeservice.CaughtUpEvent](w.world, s)

		clock.move(2*identity.NonceWindow + time.Second) // the nonce is stale
		w.proxy.spoil()
		second := w.follow(login.Session, nodeservice.FollowRequest{})
		next[nodeservice.CaughtUpEvent](w.world, second)
		w.tried(2)
		w.proxy.spoil()
		w.send(login.Session, view.ID, "again")
		w.tried(1)
		must(t, s.Close())
		must(t, second.Close())
		must(t, login.Session.Close())
	}
}

// A token alone, or with another's proofs, is of no use.
func TestStolenTokensAreOfNoUse(t *testing.T) {
	w, key, clock := newProvenWorld(t, identity.EdDSA, gatewayclient.Config{})
	token := w.login(key).Token
	thief, err := identity.GenerateKey(identity.EdDSA)
	must(t, err)
	for _, config := range []gatewayclient.Config{{}, {Key: thief, Now: clock.now}} {
		config.BaseURL, config.MaxRetries = w.url, -1
		client, err := gatewayclient.New(config)
		must(t, err)
		stolen, err := client.Authenticate(w.ctx, nodeservice.Origin{}, token)
		must(t, err)
		_, err = stolen.KeyPackageStatus(w.ctx)
		wantCode(t, err, nodeservice.CodeUnauthenticated)
		_, err = stolen.Follow(w.ctx, nodeservice.FollowRequest{})
		wantCode(t, err, nodeservice.CodeUnauthenticated)
		must(t, client.Close())
	}
}

// No repetition reuses a proof: neither ours, nor that of net/http, which on a kept
// connection sends the same bytes twice.
func TestProofsSurviveLostAnswers(t *testing.T) {
	keeping := &http.Client{Transport: &http.Transport{}}
	for name, client := range map[string]*http.Client{"a connection each": nil, "kept connections": keeping} {
		w, key, _ := newProvenWorld(t, identity.EdDSA, gatewayclient.Config{HTTPClient: client})
		session := w.login(key).Session
		peer, err := identity.GenerateKey(identity.EdDSA)
		must(t, err)
		view, _, err := session.CreateChannel(w.ctx, peer.Public())
		must(t, err)
		for i, f := range []fault{loseAnswer, loseRequest, halfAnswer, says(503, "1")} {
			w.proxy.spoil(f)
			if _, err := session.KeyPackageStatus(w.ctx); err != nil {
				t.Errorf("%s, fault %d: %v", name, i, err)
			}
			w.proxy.spoil(f)
			req := nodeservice.EnqueueRequest{Channel: view.ID, Payload: []byte("x"), MessageID: []byte{byte('a' + i)}}
			receipt, err := session.Enqueue(w.ctx, req)
			if err != nil || receipt.Seq != nodeservice.Seq(i+1) {
				t.Errorf("%s, fault %d: %+v, %v", name, i, receipt, err)
			}
		}
		must(t, session.Close())
	}
}

// A server that is never content is asked twice, and not for ever.
func TestNoncesAreTriedOnce(t *testing.T) {
	w, key, _ := newProvenWorld(t, identity.EdDSA, gatewayclient.Config{})
	session := w.login(key).Session
	never := func(_ *proxy, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("DPoP-Nonce", "another")
		w.Header().Add("WWW-Authenticate", "Bearer")
		w.Header().Add("WWW-Authenticate", `DPoP error="use_dpop_nonce"`)
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, `{"code":"unauthenticated","detail":"another nonce, please"}`)
	}
	w.proxy.spoil(never, never, never)
	_, err := session.KeyPackageStatus(w.ctx)
	if e := wantCode(t, err, nodeservice.CodeUnauthenticated); e.Nonce != "another" {
		t.Errorf("nonce %q", e.Nonce)
	}
	w.tried(2)
	w.proxy.spoil()
	_, err = session.KeyPackageStatus(w.ctx) // and then it is
	must(t, err)
}
