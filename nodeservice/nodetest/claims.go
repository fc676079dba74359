package nodetest

import (
	"fmt"
	"time"

	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/identity"
	"github.com/quicproquo/node/nodeservice/mls"
)

var claims = []Behaviour{
	{Name: "a key package is claimed once, under 50 claimers", Run: claimedOnce},
	{Name: "a claimed key package is refused on re-upload", Run: spentRefused},
	{Name: "a claimed key package stays spent over a restart", Run: spentOutlivesRestart},
	{Name: "the last-resort key package is handed out, and kept, when the one-time ones have run out", Run: lastResortKept},
	{Name: "a claim takes what expires soonest, with 10 minutes left", Run: claimsSoonest},
	{Name: "a claim is for the wanted suites", Run: claimsBySuite},
	{Name: "a repeated claimId gets the same key package, for 10 minutes", Run: claimRepeats},
	{Name: "a claimId is the claimer's own", Run: claimIDScoped},
	{Name: "claiming one's own key package is refused", Run: claimsOwn},
	{Name: "an unknown owner and one with nothing left answer the same", Run: claimsNothing},
	{Name: "claims are limited by claimer and owner", Config: func(cfg *nodeservice.Config) {
		cfg.Rates.ClaimsPair = nodeservice.Per(2, 2*time.Hour)
	}, Run: claimsLimited},
	{Name: "an owner's one-time key packages are limited over all claimers, then the last-resort one goes", Config: func(cfg *nodeservice.Config) {
		longSessions(cfg)
		cfg.Rates.ClaimsOwner = nodeservice.Per(2, 2*time.Hour)
	}, Run: claimsOfOwnerLimited},
}

func (a *Actor) claim(req nodeservice.ClaimRequest) nodeservice.KeyPackage {
	a.w.T.Helper()
	claimed, err := a.Session.ClaimKeyPackage(a.w.Ctx, req)
	a.w.ok(err)
	return claimed
}

func (a *Actor) claimRefused(req nodeservice.ClaimRequest, code nodeservice.Code) *nodeservice.Error {
	a.w.T.Helper()
	_, err := a.Session.ClaimKeyPackage(a.w.Ctx, req)
	return a.w.refused(err, code)
}

func claimedOnce(w *World) {
	const stored, claimers = 40, 50
	owner := w.Actor()
	owner.upload(owner.keyPackages(stored)...)
	var actors []*Actor
	for i := range claimers {
		if i%10 == 0 {
			actors = append(actors, w.Actor())
			continue
		}
		actors = append(actors, w.actorOn(actors[i/10*10].Node, identity.EdDSA)) // ten on a connection
	}
	seen := map[nodeservice.Fingerprint]bool{}
	for _, o := range all(claimers, func(i int) (nodeservice.KeyPackage, error) {
		return actors[i].Session.ClaimKeyPackage(w.Ctx, nodeservice.ClaimRequest{Owner: owner.ID})
	}) {
		if o.err != nil {
			w.refused(o.err, nodeservice.CodeKeyPackageNotFound)
			continue
		}
		if seen[o.value.Fingerprint] {
			w.T.Fatalf("key package %s was handed out twice", o.value.Fingerprint)
		}
		seen[o.value.Fingerprint] = true
	}
	equal(w, "key packages handed out", len(seen), stored)
}

func spentRefused(w *World) {
	alice, bob := w.Actor(), w.Actor()
	spent := alice.keyPackage(suiteOne, nil)
	alice.upload(spent)
	bob.claim(nodeservice.ClaimRequest{Owner: alice.ID})
	batch := append(alice.keyPackages(1), spent)
	for _, lastResort := range []bool{false, true} {
		_, err := alice.Session.UploadKeyPackages(w.Ctx, nodeservice.UploadRequest{Packages: batch[1:], LastResort: lastResort})
		w.refused(err, nodeservice.CodeInvalidArgument)
	}
	_, err := alice.Session.UploadKeyPackages(w.Ctx, nodeservice.UploadRequest{Packages: batch})
	w.refused(err, nodeservice.CodeInvalidArgument)
	equal(w, "one-time packages", alice.stock(suiteOne).OneTime, 0)
}

func spentOutlivesRestart(w *World) {
	alice, bob := w.Actor(), w.Actor()
	spent := alice.keyPackage(suiteOne, nil)
	alice.upload(spent)
	bob.claim(nodeservice.ClaimRequest{Owner: alice.ID})
	w.sweep()
	w.Restart()
	alice.rejoin()
	bob.rejoin()
	bob.claimRefused(nodeservice.ClaimRequest{Owner: alice.ID}, nodeservice.CodeKeyPackageNotFound)
	_, err := alice.Session.UploadKeyPackages(w.Ctx, nodeservice.UploadRequest{Packages: [][]byte{spent}})
	w.refused(err, nodeservice.CodeInvalidArgument)
}

func lastResortKept(w *World) {
	alice, bob := w.Actor(), w.Actor()
	oneTime, lastResort := alice.keyPackage(suiteOne, nil), alice.keyPackage(suiteOne, nil)
	alice.upload(oneTime)
	alice.uploadLastResort(lastResort)
	first := bob.claim(nodeservice.ClaimRequest{Owner: alice.ID})
	equal(w, "first claimed", string(first.Data), string(oneTime))
	equal(w, "is the last-resort one", first.LastResort, false)
	for i := range 3 {
		claimed := bob.claim(nodeservice.ClaimRequest{Owner: alice.ID})
		equal(w, "claimed", string(claimed.Data), string(lastResort))
		equal(w, "is the last-resort one", claimed.LastResort, true)
		equal(w, "uses", alice.stock(suiteOne).LastResortUses, uint32(i+1))
	}
	fresh := alice.keyPackage(suiteOne, nil)
	alice.upload(fresh)
	equal(w, "claimed", string(bob.claim(nodeservice.ClaimRequest{Owner: alice.ID}).Data), string(fresh))
}

func claimsSoonest(w *World) {
	alice, bob := w.Actor(), w.Actor()
	now := w.Clock.Now()
	ending := func(left time.Duration) []byte {
		return alice.keyPackage(suiteOne, func(t *mls.KeyPackageTemplate) { t.NotAfter = now.Add(left) })
	}
	tooSoon, later, soonest := ending(9*time.Minute), ending(3*time.Hour), ending(time.Hour)
	alice.upload(tooSoon, later, soonest)
	for _, want := range [][]byte{soonest, later} {
		equal(w, "claimed", string(bob.claim(nodeservice.ClaimRequest{Owner: alice.ID}).Data), string(want))
	}
	bob.claimRefused(nodeservice.ClaimRequest{Owner: alice.ID}, nodeservice.CodeKeyPackageNotFound)
}

func claimsBySuite(w *World) {
	alice, bob := w.Actor(), w.Actor()
	first, third := alice.keyPackage(suiteOne, nil), alice.keyPackage(suiteThree, nil)
	alice.upload(first, third)
	bob.claimRefused(nodeservice.ClaimRequest{Owner: alice.ID, Suites: []nodeservice.CipherSuite{2}}, nodeservice.CodeKeyPackageNotFound)
	claimed := bob.claim(nodeservice.ClaimRequest{Owner: alice.ID, Suites: []nodeservice.CipherSuite{2, 3}})
	equal(w, "claimed", string(claimed.Data), string(third))
	equal(w, "suite", claimed.CipherSuite, 3)
	bob.claimRefused(nodeservice.ClaimRequest{Owner: alice.ID, Suites: []nodeservice.CipherSuite{3}}, nodeservice.CodeKeyPackageNotFound)
	equal(w, "claimed", string(bob.claim(nodeservice.ClaimRequest{Owner: alice.ID}).Data), string(first))
}

func claimRepeats(w *World) {
	alice, bob := w.Actor(), w.Actor()
	alice.upload(alice.keyPackages(3)...)
	req := nodeservice.ClaimRequest{Owner: alice.ID, ClaimID: []byte("c1")}
	first := bob.claim(req)
	equal(w, "repeated", bob.claim(req).Fingerprint, first.Fingerprint)
	w.Clock.Move(9 * time.Minute)
	equal(w, "repeated", fmt.Sprint(bob.claim(req)), fmt.Sprint(first))
	equal(w, "one-time packages", alice.stock(suiteOne).OneTime, 2)
	w.Clock.Move(2 * time.Minute)
	if bob.claim(req).Fingerprint == first.Fingerprint {
		w.T.Error("after 11 minutes the claimId still gets the same key package")
	}
}

func claimIDScoped(w *World) {
	alice, bob, carol := w.Actor(), w.Actor(), w.Actor()
	for _, owner := range []*Actor{alice, carol} {
		owner.upload(owner.keyPackages(2)...)
	}
	id := []byte("c1")
	first := bob.claim(nodeservice.ClaimRequest{Owner: alice.ID, ClaimID: id})
	second := carol.claim(nodeservice.ClaimRequest{Owner: alice.ID, ClaimID: id})
	third := bob.claim(nodeservice.ClaimRequest{Owner: carol.ID, ClaimID: id})
	fourth := bob.claim(nodeservice.ClaimRequest{Owner: carol.ID, ClaimID: []byte("c2")})
	prints := map[nodeservice.Fingerprint]bool{
		first.Fingerprint: true, second.Fingerprint: true, third.Fingerprint: true, fourth.Fingerprint: true}
	equal(w, "different key packages", len(prints), 4)
	long := make([]byte, nodeservice.MaxMessageID+1)
	bob.claimRefused(nodeservice.ClaimRequest{Owner: carol.ID, ClaimID: long}, nodeservice.CodeInvalidArgument)
}

func claimsOwn(w *World) {
	alice := w.Actor()
	alice.upload(alice.keyPackages(1)...)
	alice.claimRefused(nodeservice.ClaimRequest{Owner: alice.ID}, nodeservice.CodeInvalidArgument)
	equal(w, "one-time packages", alice.stock(suiteOne).OneTime, 1)
}

func claimsNothing(w *World) {
	alice, bob := w.Actor(), w.Actor()
	unknown := w.newcomer(bob.Node, identity.EdDSA)
	alice.upload(alice.keyPackages(1)...)
	bob.claim(nodeservice.ClaimRequest{Owner: alice.ID})
	empty := bob.claimRefused(nodeservice.ClaimRequest{Owner: alice.ID}, nodeservice.CodeKeyPackageNotFound)
	nobody := bob.claimRefused(nodeservice.ClaimRequest{Owner: unknown.ID}, nodeservice.CodeKeyPackageNotFound)
	equal(w, "detail", empty.Detail, nobody.Detail)
}

func claimsLimited(w *World) {
	alice, bob, carol := w.Actor(), w.Actor(), w.Actor()
	alice.upload(alice.keyPackages(5)...)
	for range 2 {
		bob.claim(nodeservice.ClaimRequest{Owner: alice.ID})
	}
	w.limited(bob.claimRefused(nodeservice.ClaimRequest{Owner: alice.ID}, nodeservice.CodeRateLimited))
	carol.claim(nodeservice.ClaimRequest{Owner: alice.ID})
	equal(w, "one-time packages", alice.stock(suiteOne).OneTime, 2)
}

func claimsOfOwnerLimited(w *World) {
	alice, bob, carol := w.Actor(), w.Actor(), w.Actor()
	alice.upload(alice.keyPackages(4)...)
	bob.claimRefused(nodeservice.ClaimRequest{Owner: alice.ID, Suites: []nodeservice.CipherSuite{3}}, nodeservice.CodeKeyPackageNotFound)
	for _, claimer := range []*Actor{bob, carol} {
		equal(w, "is the last-resort one", claimer.claim(nodeservice.ClaimRequest{Owner: alice.ID}).LastResort, false)
	}
	bob.claimRefused(nodeservice.ClaimRequest{Owner: alice.ID}, nodeservice.CodeKeyPackageNotFound)
	alice.uploadLastResort(alice.keyPackage(suiteOne, nil))
	equal(w, "is the last-resort one", carol.claim(nodeservice.ClaimRequest{Owner: alice.ID}).LastResort, true)
	equal(w, "one-time packages", alice.stock(suiteOne).OneTime, 2)
	w.Clock.Move(2 * time.Hour)
	equal(w, "is the last-resort one", carol.claim(nodeservice.ClaimRequest{Owner: alice.ID}).LastResort, false)
}
