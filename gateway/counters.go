package gateway

import (
	"net/http"
	"slices"
	"sync"

	"github.com/go-chi/chi/v5"
)

// Count is how many answers with a status began on one route of the door.
type Count struct {
	Method string // "other": one that no route takes
	Route  string // as in the contract, such as /v1/channels/{channelId}; "other": none
	Status int
	Total  uint64
}

// counters count answers. What they are counted by is a closed set, whatever
// clients send: methods and routes of the door, and statuses of ours.
type counters struct {
	routes []string // static after construction

	mu     sync.Mutex
	totals map[Count]uint64 // guarded by mu; the keys' Total is 0
}

// otherLabel stands for all methods and routes that are not the door's.
const otherLabel = "other"

func newCounters(routes chi.Routes) *counters {
	c := &counters{totals: map[Count]uint64{}}
	for _, route := range routes.Routes() {
		c.routes = append(c.routes, route.Pattern)
	}
	return c
}

// answered counts the answer to a request that was routed.
func (c *counters) answered(r *http.Request, status int) {
	key := Count{Method: r.Method, Route: chi.RouteContext(r.Context()).RoutePattern(), Status: status}
	switch key.Method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodDelete, http.MethodOptions:
	default:
		key.Method = otherLabel
	}
	if !slices.Contains(c.routes, key.Route) {
		key.Route = otherLabel
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.totals[key]++
}

// Counts are the answers of this process so far: of streams too, which are counted
// when they begin.
func (g *Gateway) Counts() (all []Count) {
	g.counters.mu.Lock()
	defer g.counters.mu.Unlock()
	for key, total := range g.counters.totals {
		key.Total = total
		all = append(all, key)
	}
	return all
}

// Streams are how many streams are open.
func (g *Gateway) Streams() int {
	g.streams.mu.Lock()
	defer g.streams.mu.Unlock()
	return len(g.streams.open)
}
