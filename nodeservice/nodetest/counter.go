package nodetest

import (
	"context"
	"sync"
)

// counter counts by key, and lets a test wait for a count: the signal in place
// of sleeping.
type counter[K comparable] struct {
	mu      sync.Mutex
	counts  map[K]int     // guarded by mu
	changed chan struct{} // guarded by mu: closed, and replaced, at every change
}

func newCounter[K comparable]() *counter[K] {
	return &counter[K]{counts: map[K]int{}, changed: make(chan struct{})}
}

func (c *counter[K]) add(key K) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counts[key]++
	close(c.changed)
	c.changed = make(chan struct{})
}

func (c *counter[K]) now(key K) int {
	n, _ := c.look(key)
	return n
}

func (c *counter[K]) look(key K) (n int, changed <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.counts[key], c.changed
}

// await waits until key was counted n times.
func (c *counter[K]) await(ctx context.Context, key K, n int) error {
	for {
		have, changed := c.look(key)
		if have >= n {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
