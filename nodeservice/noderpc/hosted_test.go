package noderpc

import (
	"testing"

	"github.com/quicproquo/node/nodeservice"
)

// closable is a session of which only the end matters.
type closable struct {
	nodeservice.Session
	closed int
}

func (s *closable) Close() error {
	s.closed++
	return nil
}

// TestACapabilityThatTheRuntimeForgetsEndsWithItsConnection: a result on its way
// to a peer that breaks the connection is now and then never released.
func TestACapabilityThatTheRuntimeForgetsEndsWithItsConnection(t *testing.T) {
	c := &connection{limits: Limits{Sessions: 2}}
	var forgotten, dropped closable
	if _, err := c.bind(&forgotten); err != nil {
		t.Fatal(err)
	}
	released, err := c.bind(&dropped)
	if err != nil {
		t.Fatal(err)
	}
	released.Release()
	c.hosting.end()
	if forgotten.closed != 1 || dropped.closed != 1 || len(c.hosting.live) != 0 {
		t.Errorf("closed %d and %d times, %d left", forgotten.closed, dropped.closed, len(c.hosting.live))
	}
	if n := c.sessions.Load(); n != 0 {
		t.Errorf("%d sessions are counted", n)
	}
}
