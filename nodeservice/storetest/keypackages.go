package storetest

import (
	"crypto/sha256"
	"slices"

	"github.com/quicproquo/node/nodeservice"
)

var uploadPromises = []promise{
	{"key packages are stored all or none", (*fixture).putAllOrNone},
	{"a key package that is held is left as it is", (*fixture).putHeldAgain},
	{"a key package is of one kind", (*fixture).putOtherKind},
	{"a spent key package is refused until its lifetime ends", (*fixture).putSpent},
	{"an owner holds so many key packages", (*fixture).putBounded},
	{"expired key packages do not count", (*fixture).putBesideExpired},
	{"a last-resort key package replaces the one of its suite", (*fixture).putLastResort},
	{"the stock counts by suite", (*fixture).stockBySuite},
	{"a suite stays listed when it holds none", (*fixture).suiteStaysListed},
}

const (
	suite1 nodeservice.CipherSuite = iota + 1
	suite2
	suite3
)

// packages are fresh, of one suite; each expires a second after the one before.
func (f *fixture) packages(n int, suite nodeservice.CipherSuite) (batch []nodeservice.StoredKeyPackage) {
	for i := range n {
		data := payload(300, f.number())
		batch = append(batch, nodeservice.StoredKeyPackage{
			Ref:         sha256.Sum256(data[4:]),
			Fingerprint: sha256.Sum256(data),
			CipherSuite: suite,
			Data:        data,
			ExpiresAt:   f.now + 24*hour + nodeservice.UnixMilli(i)*second,
			NotAfter:    f.now + 4*week,
		})
	}
	return batch
}

// puts insists on the outcome of an upload without a bound.
func (f *fixture) puts(owner nodeservice.Identity, lastResort bool, batch []nodeservice.StoredKeyPackage, want nodeservice.PutOutcome) {
	f.Helper()
	f.same("the upload", f.put(nodeservice.PutKeyPackages{Owner: owner, LastResort: lastResort, Packages: batch}), want)
}

var putStored = nodeservice.PutOutcome{Result: nodeservice.PutStored}

// has insists on an owner's stock in one suite.
func (f *fixture) has(owner nodeservice.Identity, want nodeservice.KeyPackageStock) {
	f.Helper()
	stock := f.stock(owner)
	i := slices.IndexFunc(stock, func(s nodeservice.KeyPackageStock) bool { return s.CipherSuite == want.CipherSuite })
	if i < 0 {
		f.Fatalf("suite %d is not listed: %+v", want.CipherSuite, stock)
	}
	f.same("the stock", stock[i], want)
}

// takes claims a one-time package of any suite, and insists on which.
func (f *fixture) takes(owner nodeservice.Identity, want nodeservice.StoredKeyPackage) {
	f.Helper()
	got := f.claim(nodeservice.ClaimKeyPackageRequest{Owner: owner, Claimer: owner, OneTime: true})
	f.same("the package claimed", got.KeyPackage, handedOut(want, false))
}

func handedOut(p nodeservice.StoredKeyPackage, lastResort bool) nodeservice.KeyPackage {
	return nodeservice.KeyPackage{Data: p.Data, Fingerprint: p.Fingerprint, CipherSuite: p.CipherSuite, LastResort: lastResort}
}

func (f *fixture) putAllOrNone() {
	alice := f.someone()
	lastResort, batch := f.packages(1, suite2), f.packages(3, suite1)
	f.puts(alice, true, lastResort, putStored)
	before := f.stock(alice)
	spoiled := slices.Concat(batch, lastResort, f.packages(1, suite1))
	f.puts(alice, false, spoiled, nodeservice.PutOutcome{Result: nodeservice.PutOtherKind, Index: 3})
	f.same("the stock after a refusal", f.stock(alice), before)
	f.puts(alice, false, batch, putStored)
	f.crash()
	f.has(alice, nodeservice.KeyPackageStock{CipherSuite: suite1, OneTime: 3, SoonestExpiry: batch[0].ExpiresAt})
	f.has(alice, nodeservice.KeyPackageStock{CipherSuite: suite2, LastResort: true})
	for _, p := range batch {
		f.takes(alice, p)
	}
}

func (f *fixture) putHeldAgain() {
	alice := f.someone()
	batch, lastResort := f.packages(2, suite1), f.packages(1, suite1)
	f.puts(alice, false, batch, putStored)
	f.puts(alice, true, lastResort, putStored)
	f.claim(nodeservice.ClaimKeyPackageRequest{Owner: alice, Claimer: alice})
	before := f.stock(alice)
	f.crash()
	again := slices.Clone(batch)
	for i := range again { // framed otherwise, and to be kept longer
		again[i].Data, again[i].Fingerprint = payload(304, f.number()), nodeservice.Fingerprint{1}
		again[i].ExpiresAt += hour
	}
	f.puts(alice, false, again, putStored)
	f.puts(alice, false, slices.Concat(batch, batch), putStored)
	f.puts(alice, true, lastResort, putStored)
	f.same("the stock", f.stock(alice), before)
	f.takes(alice, batch[0])
	f.takes(alice, batch[1])
	twice := f.packages(1, suite3)
	f.puts(alice, false, slices.Concat(twice, twice), putStored)
	f.has(alice, nodeservice.KeyPackageStock{CipherSuite: suite3, OneTime: 1, SoonestExpiry: twice[0].ExpiresAt})
}

func (f *fixture) putOtherKind() {
	alice := f.someone()
	oneTime, lastResort := f.packages(1, suite1), f.packages(1, suite1)
	f.puts(alice, false, oneTime, putStored)
	f.puts(alice, true, lastResort, putStored)
	f.crash()
	refused := nodeservice.PutOutcome{Result: nodeservice.PutOtherKind}
	f.puts(alice, true, oneTime, refused)
	f.puts(alice, false, lastResort, refused)
	f.has(alice, nodeservice.KeyPackageStock{CipherSuite: suite1, OneTime: 1, SoonestExpiry: oneTime[0].ExpiresAt, LastResort: true})
}

func (f *fixture) putSpent() {
	alice := f.someone()
	batch := f.packages(2, suite1)
	f.puts(alice, false, batch, putStored)
	f.takes(alice, batch[0])
	f.crash()
	for _, lastResort := range []bool{false, true} {
		fresh := f.packages(1, suite2)
		f.puts(alice, lastResort, append(fresh, batch[0]), nodeservice.PutOutcome{Result: nodeservice.PutSpent, Index: 1})
	}
	f.same("the stock", len(f.stock(alice)), 1)
	f.now = batch[0].NotAfter - 1
	batch[0].ExpiresAt = f.now + hour
	f.sweep()
	f.crash()
	f.puts(alice, false, batch[:1], nodeservice.PutOutcome{Result: nodeservice.PutSpent})
	f.now++
	f.puts(alice, false, batch[:1], putStored)
}

func (f *fixture) putBounded() {
	alice, bob := f.someone(), f.someone()
	put := func(owner nodeservice.Identity, lastResort bool, most int, want nodeservice.PutResult, batch []nodeservice.StoredKeyPackage) {
		f.Helper()
		got := f.put(nodeservice.PutKeyPackages{Owner: owner, LastResort: lastResort, Packages: batch, Max: most})
		f.same("the upload", got.Result, want)
	}
	batch, lastResort := f.packages(3, suite1), f.packages(1, suite2)
	put(alice, false, 2, nodeservice.PutOverQuota, batch)
	f.same("the stock after a refusal", len(f.stock(alice)), 0)
	put(alice, false, 4, nodeservice.PutStored, batch)
	put(alice, true, 3, nodeservice.PutOverQuota, lastResort)
	put(alice, true, 4, nodeservice.PutStored, lastResort)
	f.crash()
	put(alice, false, 4, nodeservice.PutOverQuota, f.packages(1, suite3))
	put(alice, false, 4, nodeservice.PutStored, batch)                // held already
	put(alice, false, 2, nodeservice.PutStored, batch[1:])            // though the bound is lower by now
	put(alice, true, 4, nodeservice.PutStored, f.packages(1, suite2)) // replaces one
	put(alice, true, 4, nodeservice.PutOverQuota, f.packages(1, suite3))
	put(alice, false, 4, nodeservice.PutOverQuota, append(f.packages(1, suite3), batch...))
	put(bob, false, 4, nodeservice.PutStored, f.packages(4, suite1))
	f.takes(alice, batch[0])
	put(alice, false, 4, nodeservice.PutOverQuota, f.packages(2, suite3))
	put(alice, false, 2, nodeservice.PutSpent, append(f.packages(1, suite3), batch[0])) // the bound comes last
	put(alice, false, 4, nodeservice.PutStored, f.packages(1, suite3))
	put(alice, false, 0, nodeservice.PutStored, f.packages(5, suite3))
}

func (f *fixture) putBesideExpired() {
	alice := f.someone()
	for _, swept := range []bool{false, true} {
		batch := f.packages(2, suite1)
		f.puts(alice, false, batch, putStored)
		f.now = batch[1].ExpiresAt
		if swept {
			f.sweep()
		}
		fresh := f.packages(2, suite1)
		got := f.put(nodeservice.PutKeyPackages{Owner: alice, Packages: fresh, Max: 2})
		f.same("the upload beside expired ones", got, putStored)
		f.has(alice, nodeservice.KeyPackageStock{CipherSuite: suite1, OneTime: 2, SoonestExpiry: fresh[0].ExpiresAt})
		batch[0].ExpiresAt = f.now + 48*hour
		f.puts(alice, false, batch[:1], putStored) // was never handed out
		f.has(alice, nodeservice.KeyPackageStock{CipherSuite: suite1, OneTime: 3, SoonestExpiry: fresh[0].ExpiresAt})
		f.now += 48 * hour
	}
	expired := f.packages(1, suite2)
	f.puts(alice, false, expired, putStored)
	f.now = expired[0].ExpiresAt
	expired[0].ExpiresAt += hour
	f.puts(alice, true, expired, putStored) // as the other kind: the old one is as good as deleted
	f.has(alice, nodeservice.KeyPackageStock{CipherSuite: suite2, LastResort: true})
}

func (f *fixture) putLastResort() {
	alice := f.someone()
	first, second, other := f.packages(1, suite1), f.packages(1, suite1), f.packages(1, suite2)
	claim := nodeservice.ClaimKeyPackageRequest{Owner: alice, Claimer: alice, Suites: []nodeservice.CipherSuite{suite1}}
	f.puts(alice, true, slices.Concat(first, other), putStored)
	for range 2 {
		f.same("the package", f.claim(claim).KeyPackage, handedOut(first[0], true))
	}
	f.crash()
	f.has(alice, nodeservice.KeyPackageStock{CipherSuite: suite1, LastResort: true, LastResortUses: 2})
	f.puts(alice, true, second, putStored)
	f.has(alice, nodeservice.KeyPackageStock{CipherSuite: suite1, LastResort: true})
	f.has(alice, nodeservice.KeyPackageStock{CipherSuite: suite2, LastResort: true})
	f.same("the package", f.claim(claim).KeyPackage, handedOut(second[0], true))
	f.crash()
	f.has(alice, nodeservice.KeyPackageStock{CipherSuite: suite1, LastResort: true, LastResortUses: 1})
}

func (f *fixture) stockBySuite() {
	alice := f.someone()
	f.same("the stock of a stranger", len(f.stock(alice)), 0)
	third, first, last := f.packages(2, suite3), f.packages(3, suite1), f.packages(1, suite2)
	f.puts(alice, false, slices.Concat(third, first), putStored)
	f.puts(alice, true, last, putStored)
	f.crash()
	f.same("the stock", f.stock(alice), []nodeservice.KeyPackageStock{
		{CipherSuite: suite1, OneTime: 3, SoonestExpiry: first[0].ExpiresAt},
		{CipherSuite: suite2, LastResort: true},
		{CipherSuite: suite3, OneTime: 2, SoonestExpiry: third[0].ExpiresAt},
	})
	f.now = first[0].ExpiresAt // of the first and of the third suite's first, and of the last resort
	f.same("the stock when some have expired", f.stock(alice), []nodeservice.KeyPackageStock{
		{CipherSuite: suite1, OneTime: 2, SoonestExpiry: first[1].ExpiresAt},
		{CipherSuite: suite2},
		{CipherSuite: suite3, OneTime: 1, SoonestExpiry: third[1].ExpiresAt},
	})
}

func (f *fixture) suiteStaysListed() {
	alice := f.someone()
	claimed, expired, last := f.packages(1, suite1), f.packages(1, suite2), f.packages(1, suite3)
	f.puts(alice, false, claimed, putStored)
	f.takes(alice, claimed[0])
	f.puts(alice, false, expired, putStored)
	f.puts(alice, true, last, putStored)
	f.now += 5 * week
	want := []nodeservice.KeyPackageStock{{CipherSuite: suite1}, {CipherSuite: suite2}, {CipherSuite: suite3}}
	f.same("the stock", f.stock(alice), want)
	f.sweep()
	f.crash()
	f.same("the stock after a sweep", f.stock(alice), want)
}
