package nodeservice

import (
	"strings"
	"sync"
	"time"
)

// Budget tells a door what is left of the limit that a request came closest to:
// the door makes one, puts it into Origin, and looks at it after the call.
type Budget struct {
	mu    sync.Mutex
	limit Limit // guarded by mu
	known bool  // guarded by mu
}

// Limit is the state of one rate limit.
type Limit struct {
	Name   string        // "address", "identity", "channel", ...
	Rate   Rate          // its policy
	Left   float64       // units
	FullIn time.Duration // until Left is Rate.Burst again
}

// Tightest is the limit with the smallest share left; ok is false if the
// request met none.
func (b *Budget) Tightest() (l Limit, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.limit, b.known
}

// note keeps the tightest of what several charges of one request saw.
func (b *Budget) note(charges []Charge, taken Taken) {
	if b == nil || taken.Tightest < 0 {
		return
	}
	c := charges[taken.Tightest]
	name, _, _ := strings.Cut(c.Bucket, "/")
	seen := Limit{Name: name, Rate: c.Rate, Left: taken.Left, FullIn: taken.FullIn}
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.known || seen.Left/seen.Rate.Burst < b.limit.Left/b.limit.Rate.Burst {
		b.limit, b.known = seen, true
	}
}
