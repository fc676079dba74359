package node_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/identity"
	"github.com/quicproquo/node/nodeservice/mls"
)

// BenchmarkAuthenticate opens and closes a session by a token that the node
// remembers, as each request through HTTP does.
func BenchmarkAuthenticate(b *testing.B) {
	w := newBench(b, func(_ *testing.B, core *nodeservice.Service) nodeservice.Node { return core })
	key, err := identity.GenerateKey(identity.EdDSA)
	must(b, err)
	token := w.loginAs(b, key).Token
	from := nodeservice.Origin{Address: netip.MustParseAddr("192.0.2.1"), Door: "http"}
	b.ReportAllocs()
	for b.Loop() {
		s, err := w.node.Authenticate(b.Context(), from, token)
		must(b, err)
		must(b, s.Close())
	}
}

// BenchmarkClaim claims one-time key packages, each gone for ever before its answer.
func BenchmarkClaim(b *testing.B) {
	for _, door := range benchDoors {
		b.Run(door.name, func(b *testing.B) {
			w := newBench(b, door.open)
			key, err := identity.GenerateKey(identity.EdDSA)
			must(b, err)
			owner, claimer := w.loginAs(b, key).Session, w.login(b)
			b.ReportAllocs()
			for left := 0; b.Loop(); left-- {
				if left == 0 {
					b.StopTimer()
					_, err := owner.UploadKeyPackages(b.Context(), nodeservice.UploadRequest{Packages: benchPackages(b, key)})
					must(b, err)
					left = nodeservice.MaxUpload
					b.StartTimer()
				}
				_, err := claimer.ClaimKeyPackage(b.Context(), nodeservice.ClaimRequest{Owner: key.Public()})
				must(b, err)
			}
		})
	}
}

func benchPackages(b *testing.B, key *identity.PrivateKey) (packages [][]byte) {
	template := mls.KeyPackageTemplate{
		CipherSuite: mls.MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519,
		Signer:      key.Signer(),
		Credential:  key.Public().Bytes(),
		NotBefore:   time.Now().Add(-time.Hour),
		NotAfter:    time.Now().Add(24 * time.Hour),
		Framed:      true,
	}
	for range nodeservice.MaxUpload {
		built, err := template.Build()
		must(b, err)
		packages = append(packages, built.Bytes)
	}
	return packages
}
