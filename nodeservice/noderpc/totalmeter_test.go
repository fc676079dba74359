package noderpc_test

import (
	"context"
	"io"
	"net"
	"testing"

	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/noderpc"
)

// TestACrowdThatTakesNothingPaysForItself: clients that ask for much and finish none
// of it are cut when together they hold too much, though none holds more than it may
// alone; one that holds little is served all the while.
func TestACrowdThatTakesNothingPaysForItself(t *testing.T) {
	const crowd, answers, size = 10, 30, 64 << 10
	node := &scriptedNode{}
	node.session.fetch = func(context.Context, nodeservice.FetchRequest) (nodeservice.Page, error) {
		return nodeservice.Page{Messages: []nodeservice.Message{{Seq: 1, Payload: make([]byte, size)}}}, nil
	}
	node.session.ack = func(context.Context, nodeservice.AckRequest) error { return nil }
	_, address := serve(t, node, noderpc.Limits{TotalBytes: 3 * answers * size}) // room for three of them
	honest := authenticate(t, dial(t, address))
	s := &script{t: t}
	s.bootstrap(0)
	s.call(1, 0, -1, methodAuthenticate, authParams(tokenOf(newIdentity(t))))
	for q := range uint32(answers) { // never finished: each answer stays
		s.call(2+q, 1, 0, methodFetchWait, nil)
	}
	cut := make(chan struct{}, crowd)
	for range crowd {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		go func() { // ends with the connection
			_, _ = conn.Write(s.sent)
			_, _ = io.Copy(io.Discard, conn)
			cut <- struct{}{}
		}()
	}
	for ended := 0; ended < crowd/2; {
		if err := honest.Ack(t.Context(), nodeservice.AckRequest{Channel: channel, Through: 1}); err != nil {
			t.Fatal(err)
		}
		select {
		case <-cut:
			ended++
		default:
		}
	}
}
