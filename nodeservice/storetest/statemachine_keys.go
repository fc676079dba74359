package storetest

import (
	"crypto/sha256"
	"slices"

	"pgregory.net/rapid"

	"github.com/quicproquo/node/nodeservice"
)

// lives are how long things of the machine last; its clock moves by 1 to 40.
var lives = []nodeservice.UnixMilli{5, 30, 60, 100}

func (m *machine) soon(t *rapid.T, label string) nodeservice.UnixMilli {
	return m.now + rapid.SampledFrom(lives).Draw(t, label)
}

// put uploads some of the few packages that each owner has.
func (m *machine) put(t *rapid.T) {
	req := nodeservice.PutKeyPackages{
		Owner:      m.person(t, "owner"),
		LastResort: rapid.IntRange(0, 2).Draw(t, "last resort") == 0,
		Max:        rapid.SampledFrom([]int{0, 4}).Draw(t, "most"),
		Now:        m.now,
	}
	size := 3
	if req.LastResort {
		size = 1 // of one suite the last would win: nobody does that
	}
	for range rapid.IntRange(1, size).Draw(t, "batch") {
		p := m.keyPackage(req.Owner, rapid.Uint64Range(0, 8).Draw(t, "package"))
		p.ExpiresAt = m.soon(t, "expires")
		p.NotAfter = p.ExpiresAt + rapid.SampledFrom(lives).Draw(t, "lifetime beyond")
		req.Packages = append(req.Packages, p)
	}
	both(t, m, "PutKeyPackages", func(s nodeservice.Store) (nodeservice.PutOutcome, error) {
		got, err := s.PutKeyPackages(m.ctx, req)
		if got.Result == nodeservice.PutOverQuota {
			got.Index = 0 // the batch as a whole is too much
		}
		return got, err
	})
}

// keyPackage is an owner's n-th, whose suite never changes.
func (m *machine) keyPackage(owner nodeservice.Identity, n uint64) nodeservice.StoredKeyPackage {
	digest := sha256.Sum256([]byte(owner.Raw()))
	data := slices.Concat(digest[:], payload(20, n))
	return nodeservice.StoredKeyPackage{
		Ref:         sha256.Sum256(data[4:]),
		Fingerprint: sha256.Sum256(data),
		CipherSuite: suite1 + nodeservice.CipherSuite(n%3),
		Data:        data,
	}
}

func (m *machine) claim(t *rapid.T) {
	req := nodeservice.ClaimKeyPackageRequest{
		Owner:      m.person(t, "owner"),
		Claimer:    m.person(t, "claimer"),
		ClaimID:    rapid.SampledFrom([]string{"", "", "x", "y"}).Draw(t, "claim id"),
		ClaimUntil: m.soon(t, "remembered"),
		Suites:     rapid.SliceOfNDistinct(rapid.SampledFrom([]nodeservice.CipherSuite{suite1, suite2, suite3}), 0, 3, rapid.ID).Draw(t, "suites"),
		OneTime:    rapid.IntRange(0, 3).Draw(t, "one time") > 0,
		MinExpiry:  m.now + rapid.SampledFrom([]nodeservice.UnixMilli{0, 10, 40}).Draw(t, "min expiry"),
		Now:        m.now,
	}
	both(t, m, "ClaimKeyPackage", func(s nodeservice.Store) (nodeservice.ClaimedKeyPackage, error) {
		got, err := s.ClaimKeyPackage(m.ctx, req)
		if got.Repeated {
			got.Remaining = 0 // then or now: either may be told
		}
		return got, err
	})
}

func (m *machine) spend(t *rapid.T) {
	kind := rapid.SampledFrom([]string{"nonce", "dpop"}).Draw(t, "kind")
	digest := [32]byte{rapid.Byte().Draw(t, "digest") % 3}
	until := m.soon(t, "until")
	both(t, m, "Spend", func(s nodeservice.Store) (bool, error) { return s.Spend(m.ctx, kind, digest, until, m.now) })
}

func (m *machine) revoke(t *rapid.T) {
	r := nodeservice.Revocation{Identity: m.person(t, "identity"), IssuedBefore: m.now, Until: m.now + lives[3]}
	if rapid.Bool().Draw(t, "one token") {
		r = nodeservice.Revocation{Token: [32]byte{1 + rapid.Byte().Draw(t, "token")%3}, Until: m.soon(t, "until")}
	}
	both(t, m, "Revoke", func(s nodeservice.Store) (struct{}, error) { return struct{}{}, s.Revoke(m.ctx, r) })
}
