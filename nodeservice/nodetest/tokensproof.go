package nodetest

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/identity"
)

func demanding(cfg *nodeservice.Config) { cfg.RequireProof = true }

// Proofs of possession (RFC 9449): what they are held against, and where a node
// may demand them.
var proofs = []Behaviour{
	{Name: "a client that proves its key converses on a node that demands it", Needs: Proofs, Config: demanding, Run: proven},
	{Name: "a client may prove its key on a node that does not demand it", Needs: Proofs, Run: proven},
	{Name: "a proof is taken once", Needs: Proofs, Run: proofOnce},
	{Name: "a proof that is not for this request and token is refused", Needs: Proofs, Run: proofsRefused},
	{Name: "a token that promises a proof and brings none is refused", Needs: Proofs, Run: proofMissing},
	{Name: "a proof is made with a nonce of the node, if it demands proofs", Needs: Proofs, Config: demanding, Run: proofNonce},
	{Name: "a refused proof costs its address ten requests, and one that wants a nonce nothing more", Needs: Proofs, Config: func(cfg *nodeservice.Config) {
		demanding(cfg)
		cfg.Rates.Address = nodeservice.Per(40, 40*time.Hour)
		cfg.Rates.FailureCost = 10
	}, Run: proofCosts},
	{Name: "a node that demands proofs says so, and refuses a token alone", Config: demanding, Run: bearerRefused},
	{Name: "a node that demands proofs takes a connection's login for one", Needs: Held, Config: demanding, Run: loginProves},
	{Name: "a malformed request costs as much as any", Needs: HTTP, Config: func(cfg *nodeservice.Config) {
		longSessions(cfg)
		cfg.Rates.Identity = nodeservice.Per(20, 20*time.Hour)
	}, Run: malformedCosts},
}

// prover is a new identity whose client proves with every request that it holds
// its key. It goes on with its token: a login's own session may need no proofs.
func (w *World) prover(algorithm identity.Algorithm) *Actor {
	w.T.Helper()
	a := w.newcomer(nil, algorithm)
	a.Node = w.served.Prove(w.T, a.Key)
	token := a.login(false).Token
	session, err := a.Node.Authenticate(w.Ctx, origin, token)
	w.ok(err)
	a.hold(nodeservice.Login{Token: token, Session: session})
	return a
}

func proven(w *World) {
	for _, algorithm := range []identity.Algorithm{identity.EdDSA, identity.ES256} {
		alice, bob := w.prover(algorithm), w.prover(identity.EdDSA)
		f := bob.followed()
		id := alice.channel(bob)
		_, payload := alice.send(id)
		next[nodeservice.ChannelEvent](f)
		f.message(id, 1, payload)
		again, err := bob.Node.Authenticate(w.Ctx, origin, bob.Token)
		w.ok(err)
		bob.hold(nodeservice.Login{Token: bob.Token, Session: again})
		w.holds(bob.unread(id), payload)
		f.ack(id, 1)
		w.ok(bob.Session.Revoke(w.Ctx))
		w.refused(f.end(), nodeservice.CodeUnauthenticated)
	}
}

// presented tries a token by a client that presents what proof gives it.
func (w *World) presented(token string, proof func(method, url string) string) error {
	w.T.Helper()
	node := w.served.Present(w.T, proof)
	session, err := node.Authenticate(w.Ctx, origin, token)
	if err != nil {
		return err
	}
	defer session.Close()
	_, err = session.KeyPackageStatus(w.Ctx)
	return err
}

// prove is a proof by key, dated now but for late.
func (w *World) prove(key *identity.PrivateKey, token, nonce string, late time.Duration) func(method, url string) string {
	return func(method, url string) string {
		target := identity.ProofTarget{Method: method, URL: url, Token: token}
		proof, err := identity.MakeProof(key, target, nonce, w.Clock.Now().Add(-late))
		if err != nil {
			w.T.Errorf("making a proof: %v", err)
		}
		w.secrets.addToken(proof)
		return proof
	}
}

func (w *World) keyWithToken() (*identity.PrivateKey, string) {
	w.T.Helper()
	key, err := identity.GenerateKey(identity.EdDSA)
	w.ok(err)
	return key, w.Mint(key.Public(), w.Clock.Now(), time.Hour)
}

func proofOnce(w *World) {
	key, token := w.keyWithToken()
	made := w.prove(key, token, "", 0)
	var proof string
	keeping := func(method, url string) string {
		if proof == "" {
			proof = made(method, url)
		}
		return proof
	}
	w.ok(w.presented(token, keeping))
	w.refused(w.presented(token, keeping), nodeservice.CodeUnauthenticated)
	w.ok(w.presented(token, made))

	var raced string
	w.ok(w.presented(token, func(method, url string) string {
		raced = made(method, url)
		return made(method, url) // another: this one is to be raced for
	}))
	taken := 0
	for _, o := range all(10, func(int) (struct{}, error) {
		return struct{}{}, w.presented(token, func(string, string) string { return raced })
	}) {
		if o.err == nil {
			taken++
			continue
		}
		w.refused(o.err, nodeservice.CodeUnauthenticated)
	}
	equal(w, "times that one proof was taken", taken, 1)
}

func proofsRefused(w *World) {
	key, token := w.keyWithToken()
	other, otherToken := w.keyWithToken()
	good := w.prove(key, token, "", 0)
	for what, proof := range map[string]func(method, url string) string{
		"by another key":         w.prove(other, token, "", 0),
		"for another token":      w.prove(key, otherToken, "", 0),
		"of a minute ago":        w.prove(key, token, "", 61*time.Second),
		"from the future":        w.prove(key, token, "", -10*time.Second),
		"for another method":     func(_, url string) string { return good("DELETE", url) },
		"for another path":       func(method, url string) string { return good(method, url+"x") },
		"for another host":       func(method, _ string) string { return good(method, "https://elsewhere.example/v1/keypackages") },
		"that is a token":        func(string, string) string { return token },
		"with another signature": func(method, url string) string { p := good(method, url); return p[:len(p)-4] + "AAAA" },
	} {
		if err := w.presented(token, proof); nodeservice.CodeOf(err) != nodeservice.CodeUnauthenticated {
			w.T.Errorf("a proof %s: %v, want unauthenticated", what, err)
		}
	}
	w.ok(w.presented(token, good))
}

// proofMissing: whoever says that a proof comes along does not fall back on the
// token alone.
func proofMissing(w *World) {
	_, token := w.keyWithToken()
	none := func(string, string) string { return "" }
	w.refused(w.presented(token, none), nodeservice.CodeUnauthenticated)
}

func proofNonce(w *World) {
	key, token := w.keyWithToken()
	wanted := func(nonce string) string {
		w.T.Helper()
		refusal := w.refused(w.presented(token, w.prove(key, token, nonce, 0)), nodeservice.CodeUnauthenticated)
		if refusal.Nonce == "" || refusal.Nonce == nonce {
			w.T.Fatalf("the refusal gives the nonce %q", refusal.Nonce)
		}
		return refusal.Nonce
	}
	nonce := wanted("")
	for range 3 {
		w.ok(w.presented(token, w.prove(key, token, nonce, 0)))
	}
	wanted("invented")
	w.Clock.Move(2*identity.NonceWindow + time.Second)
	newer := wanted(nonce)
	w.ok(w.presented(token, w.prove(key, token, newer, 0)))
}

func proofCosts(w *World) {
	key, token := w.keyWithToken()
	for range 6 {
		refusal := w.refused(w.presented(token, w.prove(key, token, "", 0)), nodeservice.CodeUnauthenticated)
		if refusal.Nonce == "" {
			w.T.Fatal("a proof that lacks a nonce is given none")
		}
	}
	other, _ := w.keyWithToken()
	failures := 0
	for ; failures < 6; failures++ {
		err := w.presented(token, w.prove(other, token, "", 0))
		if nodeservice.CodeOf(err) == nodeservice.CodeRateLimited {
			break
		}
		w.refused(err, nodeservice.CodeUnauthenticated)
	}
	if failures < 3 || failures > 4 {
		w.T.Errorf("%d failures used up 40 requests, want 4", failures)
	}
}

func bearerRefused(w *World) {
	node := w.Dial()
	info, err := node.Info(w.Ctx)
	w.ok(err)
	for _, capability := range []string{"dpop", "dpop-required"} {
		if !slices.Contains(info.Capabilities, capability) {
			w.T.Errorf("capabilities %v lack %s", info.Capabilities, capability)
		}
	}
	alice := w.newcomer(node, identity.EdDSA)
	w.tokenRefused(w.Mint(alice.ID, w.Clock.Now(), time.Hour), nodeservice.CodeUnauthenticated)
	w.tokenRefused(alice.login(false).Token, nodeservice.CodeUnauthenticated)
	session, err := node.Authenticate(w.Ctx, origin, w.Mint(alice.ID, w.Clock.Now(), time.Hour))
	if err == nil {
		alice.Session = session
		err = alice.followRefused(nodeservice.FollowRequest{})
	}
	w.refused(err, nodeservice.CodeUnauthenticated)
}

func loginProves(w *World) {
	alice, bob, id := w.pair()
	f := bob.followed()
	_, payload := alice.send(id)
	next[nodeservice.ChannelEvent](f)
	f.message(id, 1, payload)
	f.ack(id, 1)
	_, err := bob.Session.Renew(w.Ctx, w.Mint(bob.ID, w.Clock.Now(), time.Hour))
	w.ok(err)
	bob.send(id)
	w.tokenRefused(bob.Token, nodeservice.CodeUnauthenticated)
}

// malformedCosts asks for nonsense until the identity's limit refuses: reading on
// costs the node as much, and nobody tries its parsers for free.
func malformedCosts(w *World) {
	alice := w.Actor()
	ask := func(method, path, body string) int {
		req, err := http.NewRequestWithContext(w.Ctx, method, "http://"+w.Addr()+path, strings.NewReader(body))
		w.ok(err)
		req.Header.Set("Authorization", "Bearer "+alice.Token)
		req.Header.Set("Content-Type", "application/json")
		resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
		w.ok(err)
		defer resp.Body.Close()
		_, err = io.Copy(io.Discard, resp.Body)
		w.ok(err)
		return resp.StatusCode
	}
	nonsense := [][3]string{
		{"POST", "/v1/channels", "{"},
		{"POST", "/v1/channels", `{"peer":1}`},
		{"GET", "/v1/channels?limit=x", ""},
		{"GET", "/v1/channels/not-a-uuid", ""},
		{"POST", "/v1/keypackages", `{"key_packages":["!"]}`},
	}
	refused := 0
	for status := 0; status != http.StatusTooManyRequests && refused <= 25; refused++ {
		n := nonsense[refused%len(nonsense)]
		status = ask(n[0], n[1], n[2])
		if status != http.StatusTooManyRequests && status != http.StatusBadRequest && status != http.StatusNotFound {
			w.T.Errorf("%s %s: status %d", n[0], n[1], status)
		}
	}
	if refused < 15 || refused > 21 {
		w.T.Errorf("limited by malformed request %d, want the 21st", refused)
	}
	_, err := alice.Session.KeyPackageStatus(w.Ctx)
	w.limited(err)
	w.Clock.Move(2 * time.Hour)
	_, err = alice.Session.KeyPackageStatus(w.Ctx)
	w.ok(err)
}
