package noderpc_test

import "testing"

// What drains on one connection wait for, so that messages come in order.

// TestAFetchDoesNotWaitForACancelledOneBehindIt: both are of one queue, so the
// second has its turn after the first.
func TestAFetchDoesNotWaitForACancelledOneBehindIt(t *testing.T) {
	p := newPost(t)
	b := p.ask(p.address, nil)
	b.read()
	b.finish(1, false)
	for range 50 {
		b.pause()
		b.fetch(1)
		b.fetch(2)
		b.finish(2, true)
		b.goOn()
		b.read()
		b.read()
		b.finish(1, false)
	}
}
