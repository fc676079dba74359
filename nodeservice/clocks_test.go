package nodeservice_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/identity"
	"github.com/quicproquo/node/nodeservice/mls"
	"github.com/quicproquo/node/nodeservice/storetest/model"
)

// apart are two nodes of one store: by the clock of the first it is ten seconds
// later than by that of the second, as when each is as far as it may be from their
// Redis. What one of them forgets, the other still takes.
type apart struct {
	t             *testing.T
	now           time.Time // of the middle
	store         nodeservice.Store
	ahead, behind *nodeservice.Service
	keys          *identity.SigningKeys
	key           *identity.PrivateKey // of one user
}

func newApart(t *testing.T) *apart {
	t.Helper()
	keys, err := identity.GenerateSigningKeys()
	if err != nil {
		t.Fatal(err)
	}
	key, err := identity.GenerateKey(identity.EdDSA)
	if err != nil {
		t.Fatal(err)
	}
	w := &apart{t: t, now: time.Now().Truncate(time.Second), store: model.New(), keys: keys, key: key}
	w.ahead, w.behind = w.node(5*time.Second), w.node(-5*time.Second)
	return w
}

// node starts a node whose clock is off.
func (w *apart) node(off time.Duration) *nodeservice.Service {
	return newService(w.t, func(cfg *nodeservice.Config) {
		cfg.Store, cfg.Keys, cfg.Now = w.store, w.keys, func() time.Time { return w.now.Add(off) }
	})
}

// later moves both clocks, and has the one that is ahead sweep.
func (w *apart) later(d time.Duration) {
	w.t.Helper()
	w.now = w.now.Add(d)
	if err := w.ahead.Sweep(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

// aroundTheEnd tries something at the node that is behind, from before it ends
// until long after it can have been good anywhere.
func (w *apart) aroundTheEnd(lasts time.Duration, try func() error) {
	w.t.Helper()
	w.later(lasts - 15*time.Second)
	for range 45 {
		w.later(time.Second)
		if err := try(); err == nil {
			w.t.Fatalf("taken a second time, as the clocks have moved to %v", w.now)
		}
	}
}

func TestANodeWhoseClockIsBehindTakesNoNonceTwice(t *testing.T) {
	w := newApart(t)
	challenge, err := w.ahead.Challenge(t.Context(), nodeservice.Origin{}, w.key.Public())
	if err != nil {
		t.Fatal(err)
	}
	signature, err := w.key.Sign(identity.LoginMessage(audience, w.key.Public(), challenge.Nonce))
	if err != nil {
		t.Fatal(err)
	}
	once := func() error {
		_, err := w.behind.Login(t.Context(), nodeservice.Origin{}, nodeservice.LoginRequest{
			Identity: w.key.Public(), Nonce: challenge.Nonce, Signature: signature,
		})
		return err
	}
	if err := once(); err != nil {
		t.Fatal(err)
	}
	w.aroundTheEnd(identity.ChallengeLifetime, once)
}

func TestANodeWhoseClockIsBehindTakesNoProofTwice(t *testing.T) {
	w := newApart(t)
	token := w.mint(time.Hour)
	target := identity.ProofTarget{Method: "GET", URL: audience + "/v1/channels", Token: token}
	jwt, err := identity.MakeProof(w.key, target, "", w.now)
	if err != nil {
		t.Fatal(err)
	}
	once := func() error {
		proof := &nodeservice.Proof{JWT: jwt, Method: target.Method, URL: target.URL}
		_, err := w.behind.Authenticate(t.Context(), nodeservice.Origin{Proof: proof}, token)
		return err
	}
	if err := once(); err != nil {
		t.Fatal(err)
	}
	w.aroundTheEnd(identity.ProofLifetime, once)
}

// TestANodeWhoseClockIsBehindTakesNoRevokedToken, not even one that has just
// started, and so knows of revocations what the store does.
func TestANodeWhoseClockIsBehindTakesNoRevokedToken(t *testing.T) {
	w := newApart(t)
	token := w.mint(time.Minute)
	session, err := w.ahead.Authenticate(t.Context(), nodeservice.Origin{}, token)
	if err != nil {
		t.Fatal(err)
	}
	if err := session.Revoke(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.aroundTheEnd(time.Minute, func() error {
		_, err := w.node(-5*time.Second).Authenticate(t.Context(), nodeservice.Origin{}, token)
		return err
	})
}

// TestAKeyPackageThatWasHandedOutIsRefusedAsLongAsAnyNodeWouldTakeIt: also in the
// minutes after its end in which uploads are taken for the sake of slow clocks.
func TestAKeyPackageThatWasHandedOutIsRefusedAsLongAsAnyNodeWouldTakeIt(t *testing.T) {
	w := newApart(t)
	data := keyPackageOf(t, w.key, w.now, 20*time.Minute)
	owner, err := w.behind.Authenticate(t.Context(), nodeservice.Origin{}, w.mint(24*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	lastResort := false
	upload := func() error {
		_, err := owner.UploadKeyPackages(t.Context(), nodeservice.UploadRequest{Packages: [][]byte{data}, LastResort: lastResort})
		lastResort = !lastResort
		return err
	}
	if err := upload(); err != nil {
		t.Fatal(err)
	}
	claimer := login(t, w.ahead)
	claimed, err := claimer.ClaimKeyPackage(t.Context(), nodeservice.ClaimRequest{Owner: w.key.Public()})
	if err != nil || !bytes.Equal(claimed.Data, data) {
		t.Fatal(err)
	}
	w.aroundTheEnd(20*time.Minute, upload)
	w.aroundTheEnd(mls.LifetimeSkew-30*time.Second, upload)
}

// mint makes a token of the identity by the clock of the node that is behind.
func (w *apart) mint(ttl time.Duration) string {
	w.t.Helper()
	issuer := identity.NewIssuer(identity.IssuerConfig{URL: audience, Keys: w.keys, TTL: ttl})
	token, _, err := issuer.Mint(w.key.Public(), w.now.Add(-5*time.Second))
	if err != nil {
		w.t.Fatal(err)
	}
	return token
}

// keyPackageOf makes a key package that is good for a while.
func keyPackageOf(t *testing.T, key *identity.PrivateKey, now time.Time, lasts time.Duration) []byte {
	t.Helper()
	kp, err := mls.KeyPackageTemplate{
		CipherSuite: mls.MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519,
		Signer:      key.Signer(),
		NotBefore:   now, NotAfter: now.Add(lasts),
	}.Build()
	if err != nil {
		t.Fatal(err)
	}
	return kp.Bytes
}
