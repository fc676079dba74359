package main

import (
	"context"
	"time"

	"github.com/quicproquo/node/nodeservice/identity"
)

// tokenKeys are the keys that sign our tokens, in a file or in Redis, where others may
// replace them while the node runs.
type tokenKeys interface {
	// signingKeys is the same set at every call; look changes what is in it.
	signingKeys() *identity.SigningKeys

	// look takes over keys that were replaced. It is called by one goroutine at a time.
	look(ctx context.Context)
}

// keysCheck is how often a running node looks at its token keys.
const keysCheck = time.Second

// watchKeys looks at the keys until ctx ends.
func watchKeys(ctx context.Context, keys tokenKeys) {
	tick := time.NewTicker(keysCheck)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			keys.look(ctx)
		case <-ctx.Done():
			return
		}
	}
}
