package main

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	idleMemoryEvery = 5 * time.Second // how often to look
	idleMemoryKept  = 64 << 20        // bytes that the process may hold without using them
	idleMemoryRare  = 5 * time.Minute // the longest pause between two givings
)

// giveBackMemory returns to the system what a crowd of clients made the process
// take, once they have gone: the runtime by itself keeps it for long. It looks now
// and then until ctx ends.
func giveBackMemory(ctx context.Context) {
	tick := time.NewTicker(idleMemoryEvery)
	defer tick.Stop()
	idle := []metrics.Sample{{Name: "/memory/classes/heap/free:bytes"}}
	var giving giving
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			if metrics.Read(idle); giving.due(now, idle[0].Value.Uint64()) {
				debug.FreeOSMemory()
			}
		}
	}
}

// giving decides when to give memory back. That costs a collection, and the pages are
// faulted in again when they are needed: so what is soon idle again, as under a load
// that goes on, is given back half as often each time.
type giving struct {
	last  time.Time     // when memory was last given back
	pause time.Duration // how long from then until it may be given back again
}

// due says whether to give back now, with so many bytes idle.
func (g *giving) due(now time.Time, idle uint64) bool {
	since := now.Sub(g.last)
	if idle <= idleMemoryKept {
		if since > 2*g.pause { // it was not needed for long
			g.pause = 0
		}
		return false
	}
	if since < g.pause {
		return false
	}
	g.last, g.pause = now, min(max(2*g.pause, 2*idleMemoryEvery), idleMemoryRare)
	return true
}
