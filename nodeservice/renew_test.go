package nodeservice_test

import (
	"testing"
	"time"

	"github.com/quicproquo/node/nodeservice"
)

// TestAFailedRenewalCostsLikeAnyFailedAuthentication: on an open session, too,
// guessing tokens is not cheaper than requests.
func TestAFailedRenewalCostsLikeAnyFailedAuthentication(t *testing.T) {
	at := time.Now()
	node := newService(t, func(c *nodeservice.Config) {
		c.Now = func() time.Time { return at } // nothing is refilled
		c.Rates.Address = nodeservice.Per(25, time.Hour)
		c.Rates.FailureCost = 10
	})
	session := login(t, node) // a challenge and a login: 23 are left
	for _, want := range []nodeservice.Code{
		nodeservice.CodeUnauthenticated, // 13
		nodeservice.CodeUnauthenticated, // 3
		nodeservice.CodeUnauthenticated, // owes 7
		nodeservice.CodeRateLimited,
	} {
		if _, err := session.Renew(t.Context(), "a.b.c"); nodeservice.CodeOf(err) != want {
			t.Fatalf("a renewal with a token that is none: %v, want %s", err, want)
		}
	}
}
