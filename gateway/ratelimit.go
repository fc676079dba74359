package gateway

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"strings"
	"time"

	"github.com/quicproquo/node/nodeservice"
)

// budgetKey is the key of a request's Budget in its context, where origin finds it.
type budgetKey struct{}

func withBudget(r *http.Request, b *nodeservice.Budget) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), budgetKey{}, b))
}

func budgetOf(r *http.Request) *nodeservice.Budget {
	b, _ := r.Context().Value(budgetKey{}).(*nodeservice.Budget)
	return b
}

// writeLimit tells what is left of the limit that the request came closest to
// (draft-ietf-httpapi-ratelimit-headers-10). A bucket of q that refills at p a
// second is a quota of q in the w = q/p seconds that it takes to fill.
func writeLimit(h http.Header, b *nodeservice.Budget) {
	l, met := b.Tightest()
	if !met {
		return
	}
	unit := ""
	if strings.HasPrefix(l.Name, "bytes") {
		unit = `;qu="content-bytes"`
	}
	window := math.Ceil(l.Rate.Burst / l.Rate.PerSecond)
	h.Set("RateLimit-Policy", fmt.Sprintf(`"%s";q=%d;w=%d%s`, l.Name, whole(l.Rate.Burst), whole(max(1, window)), unit))
	h.Set("RateLimit", fmt.Sprintf(`"%s";r=%d;t=%d`, l.Name, whole(l.Left), seconds(l.FullIn)))
}

// whole rounds down, to an integer that a structured field can hold (RFC 9651
// section 3.3.1: 15 digits).
func whole(n float64) int64 { return int64(min(max(n, 0), 999_999_999_999_999)) }

// seconds rounds up: whoever waits them out has waited long enough.
func seconds(d time.Duration) int64 { return int64((d + time.Second - 1) / time.Second) }
