package main

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"

	"capnproto.org/go/capnp/v3"
	rpccp "capnproto.org/go/capnp/v3/std/capnp/rpc"

	"github.com/quicproquo/node/schema"
)

// siege builds what hostile clients send, message by message: no library would.
type siege struct {
	t    *testing.T
	sent []byte
}

const nodeServiceID = 0xf1b2c3d4e5f60718

// The ordinals of the methods that they call.
const (
	fetchKeyPackageMethod   = 1
	fetchWaitMethod         = 4
	uploadKeyPackagesMethod = 12
	infoMethod              = 13
)

func newSiege(t *testing.T) *siege {
	s := &siege{t: t}
	s.message(func(m rpccp.Message) error { _, err := m.NewBootstrap(); return err })
	return s
}

func (s *siege) message(build func(rpccp.Message) error) {
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

// call is one on the bootstrap capability.
func (s *siege) call(question uint32, method uint16, params func(capnp.Struct) error) {
	s.t.Helper()
	s.message(func(m rpccp.Message) error {
		call, err := m.NewCall()
		if err != nil {
			return err
		}
		call.SetQuestionId(question)
		call.SetInterfaceId(nodeServiceID)
		call.SetMethodId(method)
		target, err := call.NewTarget()
		if err != nil {
			return err
		}
		if _, err := target.NewPromisedAnswer(); err != nil { // of question 0, the bootstrap
			return err
		}
		payload, err := call.NewParams()
		if err != nil {
			return err
		}
		content, err := capnp.NewStruct(payload.Segment(), capnp.ObjectSize{DataSize: 40, PointerCount: 8})
		if err != nil {
			return err
		}
		if err := params(content); err != nil {
			return err
		}
		return payload.SetContent(content.ToPtr())
	})
}

// openCalls are calls that nobody finishes.
func openCalls(t *testing.T, n int) []byte {
	s := newSiege(t)
	for q := range uint32(n) {
		s.call(1+q, infoMethod, func(capnp.Struct) error { return nil })
	}
	return s.sent
}

// longLists are lists of elements without a size, half a billion in sixteen bytes.
func longLists(t *testing.T) []byte {
	s := newSiege(t)
	for q := range uint32(50) {
		for i, method := range []uint16{fetchKeyPackageMethod, uploadKeyPackagesMethod} {
			s.call(1+2*q+uint32(i), method, func(content capnp.Struct) error {
				list, err := capnp.NewCompositeList(content.Segment(), capnp.ObjectSize{}, 1<<29-1)
				if err != nil {
					return err
				}
				for p := range uint16(8) {
					if err := content.SetPtr(p, list.ToPtr()); err != nil {
						return err
					}
				}
				return nil
			})
		}
	}
	return s.sent
}

// greedyFetches ask for the same messages again and again.
func greedyFetches(t *testing.T, token string, n int) []byte {
	s := newSiege(t)
	for q := range uint32(n) {
		s.call(1+q, fetchWaitMethod, func(content capnp.Struct) error {
			p := schema.NodeService_fetchWait_Params(content)
			p.SetVersion(schema.Version)
			p.SetKeep(true)
			return authorized(p.NewAuth, token)
		})
	}
	return s.sent
}

// waitCalls wait for messages of before channels, of which none come.
func waitCalls(t *testing.T, token string, n int) []byte {
	s := newSiege(t)
	for q := range uint32(n) {
		s.call(1+q, fetchWaitMethod, func(content capnp.Struct) error {
			p := schema.NodeService_fetchWait_Params(content)
			p.SetVersion(schema.Version)
			p.SetKeep(true)
			p.SetTimeoutMs(60_000)
			return authorized(p.NewAuth, token)
		})
	}
	return s.sent
}

func authorized(newAuth func() (schema.Auth, error), token string) error {
	auth, err := newAuth()
	if err != nil {
		return err
	}
	return auth.SetAccessToken([]byte(token))
}

// metric is a number that the node shows to its operator.
func (b *besieged) metric(name string) int64 {
	b.t.Helper()
	return b.number("/metrics", name+" ")
}

// heap is what is in use once garbage is collected.
func (b *besieged) heap() int64 {
	b.t.Helper()
	return b.number("/debug/pprof/heap?gc=1&debug=1", "# HeapAlloc = ")
}

func (b *besieged) number(path, before string) int64 {
	b.t.Helper()
	answer, err := http.Get(b.Ops + path)
	if err != nil {
		b.t.Fatal(err)
	}
	defer answer.Body.Close()
	for lines := bufio.NewScanner(answer.Body); lines.Scan(); {
		if value, ok := strings.CutPrefix(lines.Text(), before); ok {
			n, err := strconv.ParseFloat(value, 64)
			if err != nil {
				b.t.Fatal(err)
			}
			return int64(n)
		}
	}
	b.t.Fatalf("%s has no %s", path, before)
	return 0
}

// peak is the most memory that the process ever had (VmHWM), in bytes.
func (b *besieged) peak() int64 {
	b.t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", b.Pid()))
	if err != nil {
		b.t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	kilobytes, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
	if err != nil {
		b.t.Fatal(err)
	}
	return kilobytes << 10
}
