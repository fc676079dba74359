package gateway_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/quicproquo/node/nodeservice"
)

// limited is a core whose clock stands still until it is moved, so that what is
// left of a limit is known.
func limited(t *testing.T, rates nodeservice.Rates) (*nodeservice.Service, *time.Time) {
	now := time.Now()
	return newCore(t, func(c *nodeservice.Config) {
		c.Rates, c.Now = rates, func() time.Time { return now }
	}), &now
}

func wantLimit(t *testing.T, r reply, policy, limit string) {
	t.Helper()
	if p, l := r.header.Get("RateLimit-Policy"), r.header.Get("RateLimit"); p != policy || l != limit {
		t.Errorf("status %d tells %s and %s, want %s and %s", r.status, p, l, policy, limit)
	}
}

func TestRateLimitHeaders(t *testing.T) {
	core, now := limited(t, nodeservice.Rates{
		Address:  nodeservice.Rate{PerSecond: 100, Burst: 200},
		Identity: nodeservice.Rate{PerSecond: 2, Burst: 3},
	})
	d := newDoor(t, core, nil)
	alice := d.client()
	const policy = `"identity";q=3;w=2`
	wantLimit(t, alice.do("GET", "/v1/channels", ""), policy, `"identity";r=2;t=1`)
	// What is malformed has been charged, and is told so.
	wantLimit(t, alice.do("GET", "/v1/channels?limit=0", ""), policy, `"identity";r=1;t=1`)
	wantLimit(t, alice.do("HEAD", "/v1/keypackages", ""), policy, `"identity";r=0;t=2`)
	refused := alice.do("GET", "/v1/channels", "")
	checkProblem(t, refused, 429, nodeservice.CodeRateLimited)
	wantLimit(t, refused, policy, `"identity";r=0;t=2`)
	if refused.header.Get("Retry-After") != "1" {
		t.Errorf("Retry-After is %q", refused.header.Get("Retry-After"))
	}
	*now = now.Add(time.Minute)
	r := d.do("POST", "/v1/auth/challenge", strings.NewReader(fmt.Sprintf(`{"identity":%q}`, alice.id)), "Content-Type", "application/json")
	wantLimit(t, r, `"address";q=200;w=2`, `"address";r=199;t=1`)
	for _, free := range []string{"/livez", "/readyz", "/v1/info", "/.well-known/jwks.json", "/nothing"} {
		wantLimit(t, d.do("GET", free, nil), "", "")
	}
	wantLimit(t, d.do("OPTIONS", "/v1/channels", nil), "", "")
}

// Of several limits the one told is that with the smallest share left.
func TestRateLimitHeadersTellTheTightest(t *testing.T) {
	core, _ := limited(t, nodeservice.Rates{
		Identity: nodeservice.Rate{PerSecond: 50, Burst: 100},
		Channel:  nodeservice.Rate{PerSecond: 0.25, Burst: 10},
		BytesIn:  nodeservice.Rate{PerSecond: 100, Burst: 1000},
	})
	d := newDoor(t, core, nil)
	alice, bob := d.client(), d.client()
	channel := alice.channel(bob)
	wantLimit(t, alice.do("GET", channel, ""), `"channel";q=10;w=40`, `"channel";r=9;t=4`)
	r := alice.do("POST", channel+"/messages", string(bytes.Repeat([]byte("x"), 900)), "Content-Type", "message/mls")
	wantLimit(t, r, `"bytes in";q=1000;w=10;qu="content-bytes"`, `"bytes in";r=100;t=9`)
	r = alice.do("POST", channel+"/messages", string(bytes.Repeat([]byte("x"), 300)), "Content-Type", "message/mls")
	checkProblem(t, r, 429, nodeservice.CodeRateLimited)
	if r.header.Get("Retry-After") != "2" {
		t.Errorf("Retry-After is %q", r.header.Get("Retry-After"))
	}
}
