package nodetest

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/identity"
	"github.com/quicproquo/node/nodeservice/mls"
)

// The suites, by short names.
const (
	suiteOne   = mls.MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519
	suiteTwo   = mls.MLS_128_DHKEMP256_AES128GCM_SHA256_P256
	suiteThree = mls.MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519
)

var keyPackages = []Behaviour{
	{Name: "key packages are stored and counted by suite", Run: countsStock},
	{Name: "a key package is taken bare or framed, and returned as given", Run: framedOrBare},
	{Name: "uploading a key package that is still held succeeds again", Run: uploadsAgain},
	{Name: "a bad key package is named by its index, and none of its batch is stored", Run: refusesBatch},
	{Name: "an upload carries 1 to 100 key packages of at most 16 KiB", Run: boundsUpload},
	{Name: "a key package cannot be one-time and last-resort both", Run: refusesBothKinds},
	{Name: "a last-resort key package replaces the one of its suite", Run: replacesLastResort},
	{Name: "one-time key packages are kept for 24 h, last-resort ones longer", Config: longSessions, Run: packagesExpire},
}

// keyPackage is a new key package of the actor; change may spoil its template.
func (a *Actor) keyPackage(suite mls.CipherSuite, change func(*mls.KeyPackageTemplate)) []byte {
	a.w.T.Helper()
	now := a.w.Clock.Now()
	template := mls.KeyPackageTemplate{
		CipherSuite: suite,
		Signer:      a.Key.Signer(),
		Credential:  a.ID.Bytes(),
		NotBefore:   now.Add(-time.Hour),
		NotAfter:    now.Add(80 * 24 * time.Hour),
		Framed:      true,
	}
	if change != nil {
		change(&template)
	}
	built, err := template.Build()
	a.w.ok(err)
	return built.Bytes
}

// keyPackages are n new ones of the first suite.
func (a *Actor) keyPackages(n int) (packages [][]byte) {
	a.w.T.Helper()
	for range n {
		packages = append(packages, a.keyPackage(suiteOne, nil))
	}
	return packages
}

func (a *Actor) upload(packages ...[]byte) []nodeservice.Fingerprint {
	a.w.T.Helper()
	prints, err := a.Session.UploadKeyPackages(a.w.Ctx, nodeservice.UploadRequest{Packages: packages})
	a.w.ok(err)
	equal(a.w, "fingerprints", len(prints), len(packages))
	for i, data := range packages {
		equal(a.w, "fingerprint", prints[i], sha256.Sum256(data))
	}
	return prints
}

func (a *Actor) uploadLastResort(data []byte) {
	a.w.T.Helper()
	_, err := a.Session.UploadKeyPackages(a.w.Ctx, nodeservice.UploadRequest{Packages: [][]byte{data}, LastResort: true})
	a.w.ok(err)
}

// stock is what the actor has of a suite: zero if nothing ever was.
func (a *Actor) stock(suite mls.CipherSuite) nodeservice.KeyPackageStock {
	a.w.T.Helper()
	all, err := a.Session.KeyPackageStatus(a.w.Ctx)
	a.w.ok(err)
	for _, stock := range all {
		if stock.CipherSuite == nodeservice.CipherSuite(suite) {
			return stock
		}
	}
	return nodeservice.KeyPackageStock{CipherSuite: nodeservice.CipherSuite(suite)}
}

func countsStock(w *World) {
	alice := w.Actor()
	soonest := w.Clock.Now().Add(2 * time.Hour)
	alice.upload(alice.keyPackages(2)...)
	alice.upload(alice.keyPackage(suiteOne, func(t *mls.KeyPackageTemplate) { t.NotAfter = soonest }), alice.keyPackage(suiteThree, nil))
	alice.uploadLastResort(alice.keyPackage(suiteThree, nil))
	equal(w, "stock of suite 1", alice.stock(suiteOne), nodeservice.KeyPackageStock{
		CipherSuite: 1, OneTime: 3, SoonestExpiry: nodeservice.UnixMilli(soonest.Unix() * 1000)})
	third := alice.stock(suiteThree)
	equal(w, "one-time packages of suite 3", third.OneTime, 1)
	equal(w, "last-resort package of suite 3", third.LastResort, true)
	equal(w, "packages of suite 2", alice.stock(suiteTwo).OneTime, 0)

	bob := w.actorOn(w.Dial(), identity.ES256)
	bob.upload(bob.keyPackage(suiteTwo, nil))
	equal(w, "packages of suite 2", bob.stock(suiteTwo).OneTime, 1)
}

func framedOrBare(w *World) {
	alice, bob := w.Actor(), w.Actor()
	framed := alice.keyPackage(suiteOne, nil)
	bare := alice.keyPackage(suiteOne, func(t *mls.KeyPackageTemplate) { t.Framed = false })
	want := []string{string(framed), string(bare)}
	alice.upload(framed, bare)
	alice.upload(bare) // still held
	equal(w, "one-time packages", alice.stock(suiteOne).OneTime, 2)
	var got []string
	for range 2 {
		got = append(got, string(bob.claim(nodeservice.ClaimRequest{Owner: alice.ID}).Data))
	}
	slices.Sort(got)
	slices.Sort(want)
	equal(w, "claimed packages", strings.Join(got, "|"), strings.Join(want, "|"))
	// The same package in the other form is the same package, and spent.
	_, err := alice.Session.UploadKeyPackages(w.Ctx, nodeservice.UploadRequest{Packages: [][]byte{framed[4:]}})
	w.refused(err, nodeservice.CodeInvalidArgument)
}

func uploadsAgain(w *World) {
	alice := w.Actor()
	packages := alice.keyPackages(3)
	alice.upload(packages[:2]...)
	alice.upload(packages...)
	alice.upload(packages...)
	equal(w, "one-time packages", alice.stock(suiteOne).OneTime, 3)
	lastResort := alice.keyPackage(suiteOne, nil)
	alice.uploadLastResort(lastResort)
	alice.uploadLastResort(lastResort)
	equal(w, "one-time packages", alice.stock(suiteOne).OneTime, 3)
}

func refusesBatch(w *World) {
	alice, bob := w.Actor(), w.Actor()
	now := w.Clock.Now()
	flipped := alice.keyPackage(suiteOne, nil)
	flipped[len(flipped)-1] ^= 1
	for name, bad := range map[string][]byte{
		"garbage":           randomBytes(300),
		"empty":             {},
		"flipped signature": flipped,
		"trailing byte":     append(alice.keyPackage(suiteOne, nil), 0),
		"cut short":         alice.keyPackage(suiteOne, nil)[:200],
		"another's":         bob.keyPackage(suiteOne, nil),
		"over": alice.keyPackage(suiteOne, func(t *mls.KeyPackageTemplate) {
			t.NotBefore, t.NotAfter = now.Add(-2*time.Hour), now.Add(-time.Hour)
		}),
		"not begun": alice.keyPackage(suiteOne, func(t *mls.KeyPackageTemplate) { t.NotBefore = now.Add(time.Hour) }),
		"too long":  alice.keyPackage(suiteOne, func(t *mls.KeyPackageTemplate) { t.NotAfter = now.Add(91 * 24 * time.Hour) }),
		"too large": randomBytes(nodeservice.MaxKeyPackage + 1),
	} {
		batch := append(alice.keyPackages(2), bad)
		_, err := alice.Session.UploadKeyPackages(w.Ctx, nodeservice.UploadRequest{Packages: batch})
		refusal := w.refused(err, nodeservice.CodeInvalidArgument)
		if !strings.Contains(refusal.Detail, "2") {
			w.T.Errorf("%s: the refusal does not name index 2: %s", name, refusal.Detail)
		}
		equal(w, name+": one-time packages", alice.stock(suiteOne).OneTime, 0)
	}
}

func boundsUpload(w *World) {
	alice := w.Actor()
	_, err := alice.Session.UploadKeyPackages(w.Ctx, nodeservice.UploadRequest{})
	w.refused(err, nodeservice.CodeInvalidArgument)
	packages := alice.keyPackages(nodeservice.MaxUpload + 1)
	_, err = alice.Session.UploadKeyPackages(w.Ctx, nodeservice.UploadRequest{Packages: packages})
	w.refused(err, nodeservice.CodeInvalidArgument)
	alice.upload(packages[1:]...)
	equal(w, "one-time packages", alice.stock(suiteOne).OneTime, uint32(nodeservice.MaxUpload))
}

func refusesBothKinds(w *World) {
	alice := w.Actor()
	oneTime, lastResort := alice.keyPackage(suiteOne, nil), alice.keyPackage(suiteOne, nil)
	alice.upload(oneTime)
	alice.uploadLastResort(lastResort)
	_, err := alice.Session.UploadKeyPackages(w.Ctx, nodeservice.UploadRequest{Packages: [][]byte{oneTime}, LastResort: true})
	w.refused(err, nodeservice.CodeInvalidArgument)
	_, err = alice.Session.UploadKeyPackages(w.Ctx, nodeservice.UploadRequest{Packages: [][]byte{lastResort}})
	w.refused(err, nodeservice.CodeInvalidArgument)
	equal(w, "stock", fmt.Sprint(alice.stock(suiteOne).OneTime, alice.stock(suiteOne).LastResort), "1 true")
}

func replacesLastResort(w *World) {
	alice, bob := w.Actor(), w.Actor()
	first, second := alice.keyPackage(suiteOne, nil), alice.keyPackage(suiteOne, nil)
	alice.uploadLastResort(first)
	equal(w, "claimed", string(bob.claim(nodeservice.ClaimRequest{Owner: alice.ID}).Data), string(first))
	equal(w, "uses", alice.stock(suiteOne).LastResortUses, 1)
	alice.uploadLastResort(second)
	equal(w, "uses of a new one", alice.stock(suiteOne).LastResortUses, 0)
	equal(w, "claimed", string(bob.claim(nodeservice.ClaimRequest{Owner: alice.ID}).Data), string(second))
}

func packagesExpire(w *World) {
	alice, bob := w.Actor(), w.Actor()
	lastResort := alice.keyPackage(suiteOne, nil)
	alice.upload(alice.keyPackages(2)...)
	alice.uploadLastResort(lastResort)
	w.Clock.Move(23 * time.Hour)
	equal(w, "one-time packages", alice.stock(suiteOne).OneTime, 2)
	w.Clock.Move(2 * time.Hour)
	equal(w, "one-time packages after 25 h", alice.stock(suiteOne).OneTime, 0)
	w.sweep()
	claimed := bob.claim(nodeservice.ClaimRequest{Owner: alice.ID})
	equal(w, "claimed", string(claimed.Data), string(lastResort))
	w.Clock.Move(80 * 24 * time.Hour) // past its own lifetime
	w.sweep()
	bob.claimRefused(nodeservice.ClaimRequest{Owner: alice.ID}, nodeservice.CodeKeyPackageNotFound)
	equal(w, "last-resort package", alice.stock(suiteOne).LastResort, false)
}
