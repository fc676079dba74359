package noderpc_test

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"runtime"
	"testing"
	"time"

	"capnproto.org/go/capnp/v3"
	rpccp "capnproto.org/go/capnp/v3/std/capnp/rpc"

	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/noderpc"
	"github.com/quicproquo/node/schema"
)

const nodeServiceID = 0xf1b2c3d4e5f60718

// script builds RPC messages one by one, as no library would send them.
type script struct {
	t    testing.TB
	sent []byte
}

func (s *script) message(build func(rpccp.Message) error) {
	s.t.Helper()
	msg, seg := capnp.NewSingleSegmentMessage(nil)
	m, err := rpccp.NewRootMessage(seg)
	if err == nil {
		err = build(m)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	frame, err := msg.Marshal()
	if err != nil {
		s.t.Fatal(err)
	}
	s.sent = append(s.sent, frame...)
}

func (s *script) bootstrap(question uint32) {
	s.message(func(m rpccp.Message) error {
		boot, err := m.NewBootstrap()
		boot.SetQuestionId(question)
		return err
	})
}

func (s *script) finish(question uint32) {
	s.message(func(m rpccp.Message) error {
		finish, err := m.NewFinish()
		finish.SetQuestionId(question)
		finish.SetReleaseResultCaps(true)
		return err
	})
}

// call is one pipelined on field (none: below 0) of the target question's answer.
func (s *script) call(question, target uint32, field int, method uint16, params func(capnp.Struct) error) {
	s.t.Helper()
	s.message(func(m rpccp.Message) error {
		call, err := m.NewCall()
		if err != nil {
			return err
		}
		return s.fill(call, question, target, field, method, params)
	})
}

func (s *script) fill(
	call rpccp.Call, question, target uint32, field int, method uint16, params func(capnp.Struct) error,
) error {
	call.SetQuestionId(question)
	call.SetInterfaceId(nodeServiceID)
	call.SetMethodId(method)
	to, err := call.NewTarget()
	if err != nil {
		return err
	}
	promised, err := to.NewPromisedAnswer()
	if err != nil {
		return err
	}
	promised.SetQuestionId(target)
	if field >= 0 {
		path, err := promised.NewTransform(1)
		if err != nil {
			return err
		}
		path.At(0).SetGetPointerField(uint16(field))
	}
	payload, err := call.NewParams()
	if err != nil {
		return err
	}
	content, err := capnp.NewStruct(payload.Segment(), capnp.ObjectSize{DataSize: 24, PointerCount: 8})
	if err != nil {
		return err
	}
	if params != nil {
		if err := params(content); err != nil {
			return err
		}
	}
	return payload.SetContent(content.ToPtr())
}

const (
	methodAuthenticate = 10
	methodInfo         = 13
)

func authParams(token string) func(capnp.Struct) error {
	return func(s capnp.Struct) error {
		p := schema.NodeService_authenticate_Params(s)
		p.SetVersion(1)
		return withToken(p.NewAuth, token)
	}
}

// TestPipeliningNeverKills sends, in one write each, calls pipelined on answers
// that have not returned: on a session that will be null, on one that will work,
// on fields that no result has, on methods that do not exist, on answers of calls
// that are themselves pipelined. Without the guard the process dies.
func TestPipeliningNeverKills(t *testing.T) {
	node := &scriptedNode{}
	_, address := serve(t, node, noLimits)
	good := tokenOf(newIdentity(t))
	const connections, rounds = 50, 60
	for range connections {
		s := &script{t: t}
		s.bootstrap(0)
		for i := range uint32(rounds) {
			base := 1 + 10*i
			token := good
			if i%2 == 0 {
				token = "nonsense"
			}
			s.call(base, 0, -1, methodAuthenticate, authParams(token))
			s.call(base+1, base, 0, methodInfo, nil)           // session, or null
			s.call(base+2, base, 7, methodInfo, nil)           // no such field
			s.call(base+3, base, 0, 999, nil)                  // no such method
			s.call(base+4, base+3, 0, methodInfo, nil)         // on an exception
			s.call(base+5, base+1, 0, methodInfo, nil)         // info is no capability
			s.call(base+6, base+5, 2, methodAuthenticate, nil) // on that
			for q := range uint32(7) {
				s.finish(base + q)
			}
		}
		probe(t, address, s.sent)
	}
	if _, err := dial(t, address).Info(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// probe writes what it is given and reads until the server has answered the last
// of it, or has had enough.
func probe(t *testing.T, address string, sent []byte) {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	go func() {
		_, _ = conn.Write(sent)
		_ = conn.(*net.TCPConn).CloseWrite()
	}()
	_, _ = io.Copy(io.Discard, conn)
}

func TestProtocolProbesEndTheConnectionAlone(t *testing.T) {
	_, address := serve(t, &scriptedNode{}, noLimits)
	probes := map[string]func(*script){
		"a disembargo": func(s *script) {
			s.message(func(m rpccp.Message) error { _, err := m.NewDisembargo(); return err })
		},
		"a provide": func(s *script) {
			s.message(func(m rpccp.Message) error { _, err := m.NewProvide(); return err })
		},
		"an accept": func(s *script) {
			s.message(func(m rpccp.Message) error { _, err := m.NewAccept(); return err })
		},
		"an empty message": func(s *script) { s.sent = append(s.sent, make([]byte, 8)...) },
		"an unknown kind": func(s *script) {
			s.message(func(m rpccp.Message) error { capnp.Struct(m).SetUint16(0, 99); return nil })
		},
		"a return of nothing": func(s *script) {
			s.message(func(m rpccp.Message) error { _, err := m.NewReturn(); return err })
		},
		"a finish of nothing":    func(s *script) { s.finish(77) },
		"a question asked twice": func(s *script) { s.bootstrap(0); s.bootstrap(0) },
		"a call on nothing":      func(s *script) { s.call(1, 55, 0, methodInfo, nil) },
		"a call on itself":       func(s *script) { s.bootstrap(0); s.call(1, 1, 0, methodInfo, nil) },
		"results elsewhere": func(s *script) {
			s.message(func(m rpccp.Message) error {
				call, err := m.NewCall()
				call.SendResultsTo().SetYourself()
				return err
			})
		},
		"a result as parameter": func(s *script) {
			s.bootstrap(0)
			s.message(func(m rpccp.Message) error {
				call, err := m.NewCall()
				if err != nil {
					return err
				}
				call.SetQuestionId(1)
				params, err := call.NewParams()
				if err != nil {
					return err
				}
				caps, err := params.NewCapTable(1)
				if err != nil {
					return err
				}
				_, err = caps.At(0).NewReceiverAnswer()
				return err
			})
		},
		"a path without end": func(s *script) {
			s.bootstrap(0)
			s.message(func(m rpccp.Message) error {
				call, err := m.NewCall()
				if err != nil {
					return err
				}
				call.SetQuestionId(1)
				target, err := call.NewTarget()
				if err != nil {
					return err
				}
				promised, err := target.NewPromisedAnswer()
				if err != nil {
					return err
				}
				_, err = promised.NewTransform(100)
				return err
			})
		},
	}
	for name, build := range probes {
		t.Run(name, func(t *testing.T) {
			s := &script{t: t}
			build(s)
			conn, err := net.Dial("tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := conn.Write(s.sent); err != nil {
				t.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, conn); err != nil { // until the server closes
				t.Logf("reading ended with %v", err)
			}
		})
	}
	if _, err := dial(t, address).Info(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// header declares one segment of so many bytes.
func header(bytes int) []byte {
	var h [8]byte
	binary.LittleEndian.PutUint32(h[4:], uint32(bytes/8))
	return h[:]
}

func TestAMessageTooLargeIsRefused(t *testing.T) {
	_, address := serve(t, &scriptedNode{}, noLimits)
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write(header(1 << 30)); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil && len(answer) == 0 {
		t.Fatalf("the server said nothing before it closed: %v", err)
	}
}

// TestDeclaredBytesCostNothing: memory is taken as bytes arrive, not as they are
// announced.
func TestDeclaredBytesCostNothing(t *testing.T) {
	_, address := serve(t, &scriptedNode{}, noLimits)
	const peers = 100
	before := heap()
	for range peers {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := conn.Write(append(header(5<<20), make([]byte, 100)...)); err != nil {
			t.Fatal(err)
		}
	}
	// A later connection's answer: the earlier ones have been read, most likely.
	if _, err := dial(t, address).Info(t.Context()); err != nil {
		t.Fatal(err)
	}
	if grown := heap() - before; grown > 64<<20 {
		t.Fatalf("%d peers that declared 5 MiB each cost %d bytes", peers, grown)
	}
}

func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func TestStrangersShareAMemoryBound(t *testing.T) {
	_, address := serve(t, &scriptedNode{}, noderpc.Limits{StrangerBytes: 256 << 10})
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	go func() { _, _ = conn.Write(append(header(4<<20), make([]byte, 4<<20)...)) }()
	if _, err := io.Copy(io.Discard, conn); err != nil { // until the server closes
		t.Logf("reading ended with %v", err)
	}
	if _, err := dial(t, address).Info(t.Context()); err != nil {
		t.Fatal(err) // what the other held has been given back
	}
}

func TestTheFirstMessageComesSoon(t *testing.T) {
	_, address := serve(t, &scriptedNode{}, noderpc.Limits{FirstMessage: time.Millisecond})
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.ReadAll(conn); err != nil {
		t.Logf("reading ended with %v", err)
	}
}

func TestConnectionsPerAddressAreBounded(t *testing.T) {
	_, address := serve(t, &scriptedNode{}, noderpc.Limits{ConnsPerAddress: 2})
	first, second := dial(t, address), dial(t, address)
	_, err := noderpc.Dial(t.Context(), "tcp", address, nil)
	wantCode(t, err, nodeservice.CodeUnavailable)
	for _, c := range []*noderpc.Client{first, second} {
		if _, err := c.Info(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	first.Close()
	for { // until the server has noticed
		c, err := noderpc.Dial(t.Context(), "tcp", address, nil)
		if err == nil {
			c.Close()
			return
		}
		if t.Context().Err() != nil || !errors.As(err, new(*nodeservice.Error)) {
			t.Fatal(err)
		}
	}
}

func TestUnreadAnswersEndTheConnection(t *testing.T) {
	_, address := serve(t, &scriptedNode{}, noderpc.Limits{ConnectionBytes: 1 << 20})
	s := &script{t: t}
	s.bootstrap(0)
	for q := range uint32(2000) { // never finished: each answer stays
		s.call(1+q, 0, -1, methodInfo, nil)
	}
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	go func() { _, _ = conn.Write(s.sent) }()
	if _, err := io.Copy(io.Discard, conn); err != nil { // until the server closes
		t.Logf("reading ended with %v", err)
	}
}
