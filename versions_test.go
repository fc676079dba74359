package node_test

import (
	"net"

	"capnproto.org/go/capnp/v3/rpc"

	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/nodetest"
	"github.com/quicproquo/node/schema"
)

// bootstrap is a raw connection to the native door.
func bootstrap(w *nodetest.World) *rpc.Conn {
	conn, err := net.Dial("tcp", w.Addr())
	if err != nil {
		w.T.Fatal(err)
	}
	client := rpc.NewConn(rpc.NewStreamTransport(conn), nil)
	w.T.Cleanup(func() { _ = client.Close() }) // tells that the peer is gone, if it is
	return client
}

func check(w *nodetest.World, err error) {
	w.T.Helper()
	if err != nil {
		w.T.Fatal(err)
	}
}

func refusesNewerVersion(w *nodetest.World) {
	node := schema.NodeService(bootstrap(w).Bootstrap(w.Ctx))
	defer node.Release()
	check(w, node.Resolve(w.Ctx))
	alice := w.Actor()
	for _, version := range []uint16{schema.Version + 1, 99, 1<<16 - 1} {
		future, release := node.Enqueue(w.Ctx, func(p schema.NodeService_enqueue_Params) error {
			p.SetVersion(version)
			auth, err := p.NewAuth()
			if err != nil {
				return err
			}
			return auth.SetAccessToken([]byte(alice.Token))
		})
		results, err := future.Struct()
		check(w, err)
		refusal, err := results.Error()
		check(w, err)
		if refusal.Code() != schema.NodeError_Code_unsupportedVersion || refusal.MinVersion() != 0 || refusal.MaxVersion() != schema.Version {
			w.T.Errorf("version %d: %v, range %d to %d", version, refusal.Code(), refusal.MinVersion(), refusal.MaxVersion())
		}
		release()
	}
	future, release := node.Info(w.Ctx, func(p schema.NodeService_info_Params) error { p.SetVersion(schema.Version); return nil })
	defer release()
	results, err := future.Struct()
	check(w, err)
	if results.HasError() {
		w.T.Error("after a refused version the connection is of no use")
	}
}

// answersByVersion fetches the same queue of before channels in both versions:
// version 0 last, since it drains whatever it says.
func answersByVersion(w *nodetest.World) {
	node := schema.NodeService(bootstrap(w).Bootstrap(w.Ctx))
	defer node.Release()
	check(w, node.Resolve(w.Ctx))
	alice, bob := w.Actor(), w.Actor()
	_, err := alice.Session.Enqueue(w.Ctx, nodeservice.EnqueueRequest{Legacy: true, Recipient: bob.ID, Payload: []byte("hello")})
	check(w, err)
	for _, want := range []struct {
		version            uint16
		payloads, messages int
	}{{1, 0, 1}, {0, 1, 0}} {
		version := want.version
		future, release := node.Fetch(w.Ctx, func(p schema.NodeService_fetch_Params) error {
			p.SetVersion(version)
			p.SetKeep(true)
			if err := p.SetRecipientKey(bob.ID.Bytes()); err != nil {
				return err
			}
			auth, err := p.NewAuth()
			if err != nil {
				return err
			}
			return auth.SetAccessToken([]byte(bob.Token))
		})
		results, err := future.Struct()
		check(w, err)
		payloads, err := results.Payloads()
		check(w, err)
		page, err := results.Page()
		check(w, err)
		messages, err := page.Messages()
		check(w, err)
		if payloads.Len() != want.payloads || messages.Len() != want.messages {
			w.T.Errorf("version %d: %d payloads and %d messages", version, payloads.Len(), messages.Len())
		}
		release()
	}
}
