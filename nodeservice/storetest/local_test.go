package storetest_test

import (
	"testing"

	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/storetest"
)

func TestLocalBus(t *testing.T) {
	storetest.RunBus(t, func() nodeservice.Bus { return &nodeservice.LocalBus{} })
}

func TestMemoryLimiter(t *testing.T) {
	storetest.RunLimiter(t, func() nodeservice.Limiter { return nodeservice.NewMemoryLimiter(64) })
}
