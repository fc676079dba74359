package noderpc_test

import (
	"context"
	"io"
	"net"
	"slices"
	"testing"

	"capnproto.org/go/capnp/v3"
	rpccp "capnproto.org/go/capnp/v3/std/capnp/rpc"

	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/noderpc"
	"github.com/quicproquo/node/schema"
)

// What the RPC runtime would die of, were it not kept from it: each of these tests
// ended the process once.

// with is call with capabilities in its parameters, which the caller hosts: the first
// is the sink of a follow.
func (s *script) with(caps []uint32, question, target uint32, field int, method uint16, params func(capnp.Struct) error) {
	s.t.Helper()
	s.message(func(m rpccp.Message) error {
		call, err := m.NewCall()
		if err != nil {
			return err
		}
		if err := s.fill(call, question, target, field, method, params); err != nil {
			return err
		}
		payload, err := call.Params()
		if err != nil {
			return err
		}
		table, err := payload.NewCapTable(int32(len(caps)))
		if err != nil {
			return err
		}
		for i, id := range caps {
			table.At(i).SetSenderHosted(id)
		}
		return nil
	})
}

// returns answers a question of the server's.
func (s *script) returns(question uint32) {
	s.message(func(m rpccp.Message) error {
		answer, err := m.NewReturn()
		if err != nil {
			return err
		}
		answer.SetAnswerId(question)
		_, err = answer.NewResults()
		return err
	})
}

// followParams have the first capability of the message for a sink.
func followParams(content capnp.Struct) error {
	p := schema.NodeService_follow_Params(content)
	p.SetVersion(schema.Version)
	return content.SetPtr(0, capnp.NewInterface(content.Segment(), 0).ToPtr())
}

const methodFollow = 14

// exchange writes what it is given, and reads until the server has closed, or the
// client has said all and the server as well.
func (s *script) exchange(address string) {
	s.t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close()
	go func() {
		_, _ = conn.Write(s.sent)
		_ = conn.(*net.TCPConn).CloseWrite()
	}()
	_, _ = io.Copy(io.Discard, conn)
}

// TestAnswersToWhatWasNotAsked: an event has its number before it is sent, and who
// guesses it may answer while it waits behind what the client does not read.
func TestAnswersToWhatWasNotAsked(t *testing.T) {
	const events = 40
	stream := newScriptedStream()
	stream.events = make(chan nodeservice.Event) // so that whoever took the next one has sent those before
	node := &scriptedNode{}
	node.session.follow = func(context.Context, nodeservice.FollowRequest) (nodeservice.Stream, error) { return stream, nil }
	_, address := serve(t, node, noLimits)
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	s := &script{t: t}
	s.bootstrap(0)
	s.call(1, 0, -1, methodAuthenticate, authParams(tokenOf(newIdentity(t))))
	s.with([]uint32{0}, 2, 1, 0, methodFollow, followParams)
	if _, err := conn.Write(s.sent); err != nil {
		t.Fatal(err)
	}
	large := nodeservice.MessageEvent{Channel: channel, Message: nodeservice.Message{Seq: 1, Payload: make([]byte, 256<<10)}}
	for range events {
		stream.events <- large
	}
	s.sent = nil
	s.returns(events - 2)
	if _, err := conn.Write(s.sent); err != nil {
		t.Fatal(err)
	}
	_ = conn.(*net.TCPConn).CloseWrite()
	_, _ = io.Copy(io.Discard, conn)
	if _, err := dial(t, address).Info(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// TestAPromisedSinkIsRefused: of a promise that comes true as itself the runtime
// looks for the end, for ever.
func TestAPromisedSinkIsRefused(t *testing.T) {
	stream := newScriptedStream()
	node := &scriptedNode{}
	node.session.follow = func(context.Context, nodeservice.FollowRequest) (nodeservice.Stream, error) { return stream, nil }
	_, address := serve(t, node, noLimits)
	s := &script{t: t}
	s.bootstrap(0)
	s.call(1, 0, -1, methodAuthenticate, authParams(tokenOf(newIdentity(t))))
	s.message(func(m rpccp.Message) error {
		call, err := m.NewCall()
		if err != nil {
			return err
		}
		if err := s.fill(call, 2, 1, 0, methodFollow, followParams); err != nil {
			return err
		}
		payload, err := call.Params()
		if err != nil {
			return err
		}
		table, err := payload.NewCapTable(1)
		table.At(0).SetSenderPromise(5)
		return err
	})
	s.message(func(m rpccp.Message) error {
		resolve, err := m.NewResolve()
		if err != nil {
			return err
		}
		resolve.SetPromiseId(5)
		desc, err := resolve.NewCap()
		desc.SetSenderPromise(5)
		return err
	})
	s.exchange(address)
	if _, err := dial(t, address).Info(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// TestAFullConnectionNeverKills: the runtime takes it for granted that there is room
// for what it has to say: an answer, which is finished then, or the release of a
// capability.
func TestAFullConnectionNeverKills(t *testing.T) {
	large := func(content capnp.Struct) error { return content.SetData(7, make([]byte, 200)) }
	for _, caps := range [][]uint32{nil, {1, 2, 3}} {
		for size := range int64(32) {
			srv, address := serve(t, &scriptedNode{}, noderpc.Limits{StrangerBytes: 8<<10 + size<<8})
			s := &script{t: t}
			s.bootstrap(0)
			for q := range uint32(8) {
				s.with(caps, 1+q, 0, -1, methodInfo, nil) // not finished, so its answer stays
			}
			for q := range uint32(20) {
				s.with(caps, 100+q, 0, -1, methodInfo, large) // for a while
				s.finish(100 + q)
			}
			s.exchange(address)
			_ = srv.Close()
		}
	}
}

// TestACapabilityNamedAgainAndAgain: the runtime may let go of it for the last time
// while it hears of it anew.
func TestACapabilityNamedAgainAndAgain(t *testing.T) {
	_, address := serve(t, &scriptedNode{}, noLimits)
	s := &script{t: t}
	s.bootstrap(0)
	const calls = 1000
	for q := range uint32(calls) {
		s.with([]uint32{7, 7, 7}, 1+q, 0, -1, methodInfo, nil)
		s.finish(1 + q)
	}
	s.exchange(address)
	if _, err := dial(t, address).Info(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// TestUnansweredEventsAreBounded: the runtime keeps an event that nobody answers, when
// its stream has long ended.
func TestUnansweredEventsAreBounded(t *testing.T) {
	const events, streams = 100, 10
	node := &scriptedNode{}
	node.session.follow = func(context.Context, nodeservice.FollowRequest) (nodeservice.Stream, error) {
		return newScriptedStream(slices.Repeat([]nodeservice.Event{nodeservice.CaughtUpEvent{}}, events)...), nil
	}
	_, address := serve(t, node, noderpc.Limits{ConnectionBytes: streams * events << 10})
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	s := &script{t: t}
	s.bootstrap(0)
	s.call(1, 0, -1, methodAuthenticate, authParams(tokenOf(newIdentity(t))))
	from := capnp.NewDecoder(conn)
	for q := range uint32(streams) {
		s.with([]uint32{q}, 2+q, 1, 0, methodFollow, followParams)
		if _, err := conn.Write(s.sent); err != nil {
			t.Fatal(err)
		}
		s.sent = nil
		for sent := 0; sent < events; {
			msg, err := from.Decode()
			if err != nil {
				return // it was cut
			}
			m, err := rpccp.ReadRootMessage(msg)
			if err != nil {
				t.Fatal(err)
			}
			switch m.Which() {
			case rpccp.Message_Which_call:
				sent++
			case rpccp.Message_Which_return:
				if ret, err := m.Return(); err != nil || ret.AnswerId() == 2+q {
					return // it was refused
				}
			}
		}
		s.finish(2 + q)
	}
	t.Fatalf("the events of %d streams wait for their answers", streams)
}
