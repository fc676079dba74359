package noderpc_test

import (
	"context"
	"testing"

	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/schema"
)

// TestPipeliningWorks: calls on a session that has not come yet succeed, every one,
// also beside others on sessions that never will.
func TestPipeliningWorks(t *testing.T) {
	node := &scriptedNode{}
	node.session.enqueue = func(context.Context, nodeservice.EnqueueRequest) (nodeservice.Receipt, error) {
		return nodeservice.Receipt{Seq: 1}, nil
	}
	_, address := serve(t, node, noLimits)
	c := rawDial(t, address)
	for i := range 500 {
		for _, token := range []string{tokenOf(newIdentity(t)), "nonsense"} {
			future, release := c.node.Authenticate(t.Context(), func(p schema.NodeService_authenticate_Params) error {
				p.SetVersion(1)
				return withToken(p.NewAuth, token)
			})
			session := &rawSession{t, future.Session()}
			first, second := session.enqueue(channel, []byte{1}), session.enqueue(channel, []byte{2})
			for _, err := range []error{first(), second()} {
				if (err == nil) != (token != "nonsense") {
					t.Fatalf("call %d with token %q: %v", i, token, err)
				}
			}
			release()
		}
	}
}
