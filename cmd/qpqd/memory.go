package main

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	idleMemoryEvery = 5 * time.Second
	idleMemoryKept  = 64 << 20 // bytes that the process may hold without using them
)

// giveBackMemory returns to the system what a crowd of clients made the process
// take, once they have gone: the runtime by itself keeps it for long. It looks now
// and then until ctx ends.
func giveBackMemory(ctx context.Context) {
	tick := time.NewTicker(idleMemoryEvery)
	defer tick.Stop()
	idle := []metrics.Sample{{Name: "/memory/classes/heap/free:bytes"}}
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if metrics.Read(idle); idle[0].Value.Uint64() > idleMemoryKept {
			debug.FreeOSMemory()
		}
	}
}
