package storetest

import (
	"bytes"
	"slices"
	"sync"

	"github.com/quicproquo/node/nodeservice"
)

var claimPromises = []promise{
	{"an owner unknown and one with nothing left are the same", (*fixture).claimNothing},
	{"the key package that expires soonest goes first", (*fixture).claimSoonest},
	{"of key packages that expire together the lowest ref goes first", (*fixture).claimTies},
	{"a key package about to expire is not handed out", (*fixture).claimMinExpiry},
	{"only wanted suites are handed out", (*fixture).claimSuites},
	{"the last-resort key package goes when nothing else is left", (*fixture).claimLastResort},
	{"of last-resort key packages the suite listed first goes", (*fixture).claimLastResortSuites},
	{"a claim tells what remains in its suite", (*fixture).claimRemaining},
	{"a repeated claim gets the first answer", (*fixture).claimRepeated},
	{"a claim id is scoped to claimer and owner", (*fixture).claimScoped},
	{"a claim that found nothing is not remembered", (*fixture).claimNothingRemembered},
	{"a one-time key package is handed out once", (*fixture).claimOnceAtOnce},
	{"a claim repeated at once takes one key package", (*fixture).claimRepeatedAtOnce},
}

// wanted is a claim without a claim id.
func wanted(owner, claimer nodeservice.Identity, suites ...nodeservice.CipherSuite) nodeservice.ClaimKeyPackageRequest {
	return nodeservice.ClaimKeyPackageRequest{Owner: owner, Claimer: claimer, Suites: suites, OneTime: true}
}

func (f *fixture) claimNothing() {
	alice, bob := f.someone(), f.someone()
	f.same("a claim of a stranger's", f.claim(wanted(alice, bob)), nodeservice.ClaimedKeyPackage{})
	batch := f.packages(2, suite1)
	f.puts(alice, false, batch, putStored)
	f.takes(alice, batch[0])
	f.now = batch[1].ExpiresAt
	f.same("a claim when the last has expired", f.claim(wanted(alice, bob)), nodeservice.ClaimedKeyPackage{})
	f.sweep()
	f.same("a claim when nothing is left", f.claim(wanted(alice, bob)), nodeservice.ClaimedKeyPackage{})
}

func (f *fixture) claimSoonest() {
	alice := f.someone()
	batch := slices.Concat(f.packages(2, suite3), f.packages(2, suite1), f.packages(1, suite2))
	for i, after := range []nodeservice.UnixMilli{5, 3, 1, 4, 2} {
		batch[i].ExpiresAt = f.now + after*hour
	}
	f.puts(alice, false, batch, putStored)
	for n, i := range []int{2, 4, 1, 3, 0} {
		f.takes(alice, batch[i])
		if n == 1 {
			f.crash()
		}
	}
}

func (f *fixture) claimTies() {
	alice := f.someone()
	batch := slices.Concat(f.packages(4, suite1), f.packages(4, suite2))
	for i := range batch {
		batch[i].ExpiresAt = f.now + hour
	}
	f.puts(alice, false, batch, putStored)
	slices.SortFunc(batch, func(a, b nodeservice.StoredKeyPackage) int { return bytes.Compare(a.Ref[:], b.Ref[:]) })
	for _, p := range batch {
		f.takes(alice, p)
	}
}

func (f *fixture) claimMinExpiry() {
	alice, bob := f.someone(), f.someone()
	batch := f.packages(3, suite1)
	f.puts(alice, false, batch, putStored)
	req := wanted(alice, bob)
	req.MinExpiry = batch[1].ExpiresAt
	got := f.claim(req)
	f.same("the package", got.KeyPackage, handedOut(batch[1], false))
	f.same("remaining", got.Remaining, uint32(2))
	req.MinExpiry = batch[2].ExpiresAt + 1
	f.same("a claim beyond all", f.claim(req), nodeservice.ClaimedKeyPackage{})
	last := f.packages(1, suite1)
	f.puts(alice, true, last, putStored) // expires before MinExpiry, which is not for it
	f.same("the package", f.claim(req), nodeservice.ClaimedKeyPackage{Found: true, KeyPackage: handedOut(last[0], true), Remaining: 2})
}

func (f *fixture) claimSuites() {
	alice, bob := f.someone(), f.someone()
	first, second, third := f.packages(1, suite1), f.packages(2, suite2), f.packages(1, suite3)
	f.puts(alice, false, slices.Concat(first, second, third), putStored)
	f.same("the package", f.claim(wanted(alice, bob, suite2)).KeyPackage, handedOut(second[0], false))
	got := f.claim(wanted(alice, bob, suite2, suite3)) // the soonest, whatever the list's order
	f.same("the package", got.KeyPackage, handedOut(third[0], false))
	f.same("a claim of a suite with nothing", f.claim(wanted(alice, bob, suite3, 77)).Found, false)
	f.same("the package", f.claim(wanted(alice, bob, suite3, suite2)).KeyPackage, handedOut(second[1], false))
	f.takes(alice, first[0])
}

func (f *fixture) claimLastResort() {
	alice, bob := f.someone(), f.someone()
	oneTime, last := f.packages(2, suite1), f.packages(1, suite1)
	last[0].ExpiresAt = f.now + 2*week
	f.puts(alice, false, oneTime, putStored)
	f.puts(alice, true, last, putStored)
	budgetSpent := wanted(alice, bob)
	budgetSpent.OneTime = false
	f.same("a claim beyond the budget", f.claim(budgetSpent),
		nodeservice.ClaimedKeyPackage{Found: true, KeyPackage: handedOut(last[0], true), Remaining: 2})
	f.takes(alice, oneTime[0])
	f.now = oneTime[1].ExpiresAt
	for range 3 {
		f.same("a claim when nothing else is left", f.claim(wanted(alice, bob)),
			nodeservice.ClaimedKeyPackage{Found: true, KeyPackage: handedOut(last[0], true)})
	}
	f.crash()
	f.has(alice, nodeservice.KeyPackageStock{CipherSuite: suite1, LastResort: true, LastResortUses: 4})
	f.now = last[0].ExpiresAt
	f.same("a claim when the last resort has expired", f.claim(wanted(alice, bob)), nodeservice.ClaimedKeyPackage{})
	f.has(alice, nodeservice.KeyPackageStock{CipherSuite: suite1})
}

func (f *fixture) claimLastResortSuites() {
	alice, bob := f.someone(), f.someone()
	second, third := f.packages(1, suite2), f.packages(1, suite3)
	second[0].ExpiresAt += hour // expires later: does not matter here
	f.puts(alice, true, slices.Concat(third, second), putStored)
	for _, c := range []struct {
		suites []nodeservice.CipherSuite
		want   nodeservice.StoredKeyPackage
	}{
		{nil, second[0]},
		{[]nodeservice.CipherSuite{suite3, suite2}, third[0]},
		{[]nodeservice.CipherSuite{suite2, suite3}, second[0]},
		{[]nodeservice.CipherSuite{suite1, suite3}, third[0]},
	} {
		f.same("the package", f.claim(wanted(alice, bob, c.suites...)).KeyPackage, handedOut(c.want, true))
	}
	f.same("a claim of a suite without one", f.claim(wanted(alice, bob, suite1)).Found, false)
}

func (f *fixture) claimRemaining() {
	alice, bob := f.someone(), f.someone()
	f.puts(alice, false, slices.Concat(f.packages(3, suite1), f.packages(2, suite2)), putStored)
	for _, want := range []uint32{2, 1, 0} {
		f.same("remaining", f.claim(wanted(alice, bob, suite1)).Remaining, want)
	}
	f.same("remaining of the other suite", f.claim(wanted(alice, bob, suite2)).Remaining, uint32(1))
}

func (f *fixture) claimRepeated() {
	alice, bob := f.someone(), f.someone()
	oneTime, last := f.packages(2, suite1), f.packages(1, suite1)
	f.puts(alice, false, oneTime, putStored)
	f.puts(alice, true, last, putStored)
	claim := func(id string, oneTime bool, want nodeservice.StoredKeyPackage, lastResort, repeated bool) {
		f.Helper()
		req := wanted(alice, bob)
		req.OneTime, req.ClaimID, req.ClaimUntil = oneTime, id, f.now+hour
		got := f.claim(req)
		f.same("found and repeated", []bool{got.Found, got.Repeated}, []bool{true, repeated})
		f.same("the package", got.KeyPackage, handedOut(want, lastResort))
	}
	claim("one", true, oneTime[0], false, false)
	claim("last", false, last[0], true, false)
	f.crash()
	claim("one", true, oneTime[0], false, true)
	claim("one", false, oneTime[0], false, true)
	claim("last", true, last[0], true, true)
	f.puts(alice, true, f.packages(1, suite1), putStored)
	claim("last", true, last[0], true, true) // though it was replaced
	f.has(alice, nodeservice.KeyPackageStock{CipherSuite: suite1, OneTime: 1, SoonestExpiry: oneTime[1].ExpiresAt, LastResort: true})
	f.now += hour - 1
	f.sweep()
	claim("one", true, oneTime[0], false, true) // which makes it last no longer
	f.now++
	claim("one", true, oneTime[1], false, false)
}

func (f *fixture) claimScoped() {
	alice, bob, carol, dave := f.someone(), f.someone(), f.someone(), f.someone()
	alices, carols := f.packages(2, suite1), f.packages(1, suite1)
	f.puts(alice, false, alices, putStored)
	f.puts(carol, false, carols, putStored)
	claim := func(owner, claimer nodeservice.Identity) nodeservice.KeyPackage {
		f.Helper()
		req := wanted(owner, claimer)
		req.ClaimID, req.ClaimUntil = "id", f.now+hour
		return f.claim(req).KeyPackage
	}
	f.same("bob's of alice", claim(alice, bob), handedOut(alices[0], false))
	f.same("bob's of carol", claim(carol, bob), handedOut(carols[0], false))
	f.same("dave's of alice", claim(alice, dave), handedOut(alices[1], false))
	f.same("bob's of alice again", claim(alice, bob), handedOut(alices[0], false))
}

func (f *fixture) claimNothingRemembered() {
	alice, bob := f.someone(), f.someone()
	req := wanted(alice, bob)
	req.ClaimID, req.ClaimUntil = "id", f.now+hour
	f.same("a claim of nothing", f.claim(req), nodeservice.ClaimedKeyPackage{})
	batch := f.packages(1, suite1)
	f.puts(alice, false, batch, putStored)
	f.same("the claim tried again", f.claim(req), nodeservice.ClaimedKeyPackage{Found: true, KeyPackage: handedOut(batch[0], false)})
}

// claimOnceAtOnce sends 50 claimers for 20 packages, some with a claim id.
func (f *fixture) claimOnceAtOnce() {
	alice := f.someone()
	const claimers, held = 50, 20
	batch, last := f.packages(held, suite1), f.packages(1, suite1)
	f.puts(alice, false, batch, putStored)
	f.puts(alice, true, last, putStored)
	var mu sync.Mutex
	handed := map[nodeservice.Fingerprint]int{}
	atOnce(claimers, func(i int) {
		req := wanted(alice, f.someone())
		if i%2 == 0 {
			req.ClaimID, req.ClaimUntil = "id", f.now+hour
		}
		got := f.claim(req)
		mu.Lock()
		defer mu.Unlock()
		handed[got.KeyPackage.Fingerprint]++
	})
	for _, p := range batch {
		f.same("times that a one-time package was handed out", handed[p.Fingerprint], 1)
	}
	f.same("times that the last-resort one was", handed[last[0].Fingerprint], claimers-held)
	f.crash()
	f.has(alice, nodeservice.KeyPackageStock{CipherSuite: suite1, LastResort: true, LastResortUses: claimers - held})
	f.puts(alice, false, batch[7:8], nodeservice.PutOutcome{Result: nodeservice.PutSpent})
}

func (f *fixture) claimRepeatedAtOnce() {
	alice, bob := f.someone(), f.someone()
	batch := f.packages(3, suite1)
	f.puts(alice, false, batch, putStored)
	req := wanted(alice, bob)
	req.ClaimID, req.ClaimUntil = "id", f.now+hour
	answers := make([]nodeservice.ClaimedKeyPackage, 10)
	atOnce(len(answers), func(i int) { answers[i] = f.claim(req) })
	first := 0
	for _, a := range answers {
		f.same("the package", a.KeyPackage, handedOut(batch[0], false))
		if !a.Repeated {
			first++
		}
	}
	f.same("first answers", first, 1)
	f.has(alice, nodeservice.KeyPackageStock{CipherSuite: suite1, OneTime: 2, SoonestExpiry: batch[1].ExpiresAt})
}
