package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/quicproquo/node/cmd/internal/nodeprocess"
	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/identity"
	"github.com/quicproquo/node/nodeservice/noderpc"
)

// besieged is a qpqd without the race detector, whose memory is measured.
type besieged struct {
	*nodeprocess.Process
	t       *testing.T
	address string
	said    bytes.Buffer
}

func newBesieged(t *testing.T, flags ...string) *besieged {
	t.Helper()
	dir := t.TempDir()
	program := filepath.Join(dir, "qpqd")
	if err := nodeprocess.Build(t.Context(), ".", program); err != nil {
		t.Fatal(err)
	}
	b := &besieged{t: t}
	flags = append([]string{"--min-free=0%", "--public-url=" + siegeAudience, "--audit-file=" + filepath.Join(dir, "audit")}, flags...)
	var err error
	if b.Process, err = nodeprocess.Start(t.Context(), program, filepath.Join(dir, "data"), &b.said, flags...); err != nil {
		t.Fatal(err, b.said.String())
	}
	t.Cleanup(func() {
		if err := b.Stop(); err != nil {
			t.Error(err, b.said.String())
		}
	})
	address, err := netip.ParseAddrPort(b.RPC[len("capnp://"):])
	if err != nil {
		t.Fatal(err)
	}
	b.address = address.String()
	return b
}

const siegeAudience = "https://siege.example"

// login is a session on a connection of its own, and its token.
func (b *besieged) login() (nodeservice.Session, string) {
	b.t.Helper()
	client, err := noderpc.Dial(b.t.Context(), "tcp", b.address, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = client.Close() })
	login, err := loginWith(b.t.Context(), client)
	if err != nil {
		b.t.Fatal(err)
	}
	return login.Session, login.Token
}

func loginWith(ctx context.Context, client *noderpc.Client) (nodeservice.Login, error) {
	key, err := identity.GenerateKey(identity.EdDSA)
	if err != nil {
		return nodeservice.Login{}, err
	}
	challenge, err := client.Challenge(ctx, nodeservice.Origin{}, key.Public())
	if err != nil {
		return nodeservice.Login{}, err
	}
	signature, err := key.Sign(identity.LoginMessage(siegeAudience, key.Public(), challenge.Nonce))
	if err != nil {
		return nodeservice.Login{}, err
	}
	return client.Login(ctx, nodeservice.Origin{}, nodeservice.LoginRequest{
		Identity: key.Public(), Nonce: challenge.Nonce, Signature: signature})
}

// from opens a connection from one of many addresses of this machine, since the
// connections of one are few.
func (b *besieged) from(i int) (net.Conn, error) {
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(1+i/100))}}
	return dialer.DialContext(b.t.Context(), "tcp", b.address)
}

// TestHostileConnections: a thousand of them, each of which declares the largest
// message, stalls in the middle of one, opens calls without reading an answer, sends
// lists that are longer than their bytes, or fetches what it never takes, cost the node
// bounded memory, and others hardly any time.
func TestHostileConnections(t *testing.T) {
	const held = 512 << 20 // by all native connections, at most
	b := newBesieged(t)
	honest, _ := b.login()
	greedy, token := b.login()
	for range 3 { // for the greedy to fetch
		_, err := greedy.Enqueue(t.Context(), nodeservice.EnqueueRequest{Legacy: true, Recipient: greedy.Identity(), Payload: make([]byte, 5<<20)})
		if err != nil {
			t.Fatal(err)
		}
	}
	quiet := callTimes(t, honest)
	before := b.metric("process_resident_memory_bytes")
	attacks := [][]byte{
		append(declares(5<<20), make([]byte, 100)...),
		append(declares(5<<20), make([]byte, 2<<20)...),
		openCalls(t, 10_000),
		longLists(t),
		greedyFetches(t, token, 60),
	}
	const hostile = 1000
	var besieging sync.WaitGroup
	var opened []net.Conn
	for i := range hostile {
		conn, err := b.from(i)
		if err != nil {
			t.Fatal(err)
		}
		opened = append(opened, conn)
		besieging.Go(func() { _, _ = conn.Write(attacks[i%len(attacks)]) }) // until it is cut, or closed below
	}
	meanwhile := callTimes(t, honest)
	peak := b.peak()
	for _, conn := range opened {
		_ = conn.Close()
	}
	besieging.Wait()
	t.Logf("%d hostile connections: memory before %d MiB, at its peak %d MiB", hostile, before>>20, peak>>20)
	t.Logf("an honest call: %v before, %v meanwhile (median), %v at worst", quiet[len(quiet)/2], meanwhile[len(meanwhile)/2], meanwhile[len(meanwhile)-1])
	burst := int64(100 * 5 << 20) // of fetches, which are read before what they return counts
	// The collector lets it double, and is late where the machine does much else.
	if peak > before+3*(held+burst) {
		t.Errorf("the node took %d MiB", peak>>20)
	}
	callTimes(t, honest) // it is served still
}

// callTimes measures honest calls, sorted. The rate of an identity allows 50 a second
// after the first 100, so the calls are spread over a few seconds.
func callTimes(t *testing.T, session nodeservice.Session) (times []time.Duration) {
	t.Helper()
	tick := time.NewTicker(30 * time.Millisecond)
	defer tick.Stop()
	for range 60 {
		<-tick.C
		began := time.Now()
		if _, err := session.Channels(t.Context(), nodeservice.ChannelsRequest{}); err != nil {
			t.Fatal(err)
		}
		times = append(times, time.Since(began))
	}
	slices.Sort(times)
	return times
}

// TestManyWaitsComeAndGo: 10,000 waiting fetches on 2,000 connections, again and
// again, leave no goroutine and no memory behind, and the process gives back to the
// system what it took, but for what the race detector keeps for itself.
func TestManyWaitsComeAndGo(t *testing.T) {
	b := newBesieged(t, "--rate-identity=0", "--rate-address=0", "--rate-channel=0")
	const conns, waits, perIdentity = 2000, 5, 50
	var tokens []string
	client, err := noderpc.Dial(t.Context(), "tcp", b.address, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for range conns * waits / perIdentity {
		login, err := loginWith(t.Context(), client)
		if err != nil {
			t.Fatal(err)
		}
		_ = login.Session.Close()
		tokens = append(tokens, login.Token)
	}
	start, heap, process := b.metric("go_goroutines"), b.heap(), b.metric("process_resident_memory_bytes")
	for round := range 2 {
		opened := make([]net.Conn, conns)
		for i := range opened {
			if opened[i], err = b.from(i); err != nil {
				t.Fatal(err)
			}
			if _, err := opened[i].Write(waitCalls(t, tokens[i%len(tokens)], waits)); err != nil {
				t.Fatal(err)
			}
		}
		b.await("go_goroutines", func(n int64) bool { return n >= start+conns*waits })
		most, held := b.metric("go_goroutines"), b.metric("process_resident_memory_bytes")
		for _, conn := range opened {
			_ = conn.Close()
		}
		b.await("go_goroutines", func(n int64) bool { return n <= start+20 }) // those of the metrics themselves come and go
		// Go keeps what describes a goroutine, for the next one.
		limit := heap + most<<10 + (16 << 20)
		after := b.heap()
		for deadline := time.Now().Add(20 * time.Second); after > limit && time.Now().Before(deadline); {
			after = b.heap() // pools empty over several collections
		}
		t.Logf("round %d: goroutines %d, %d with %d waits on %d connections, %d afterwards; heap %d MiB, %d afterwards; the process %d MiB with them, %d afterwards",
			round+1, start, most, conns*waits, conns, b.metric("go_goroutines"), heap>>20, after>>20,
			held>>20, b.metric("process_resident_memory_bytes")>>20)
		back := process + idleMemoryKept
		if len(raceFlag) > 0 { // whose shadow of the memory stays
			back = max(back, held*3/4)
		}
		b.await("process_resident_memory_bytes", func(n int64) bool { return n <= back })
		t.Logf("round %d: the process %d MiB before, %d in the end", round+1, process>>20, b.metric("process_resident_memory_bytes")>>20)
		if after > limit {
			t.Errorf("round %d left %d MiB in the heap, of %d before", round+1, after>>20, heap>>20)
		}
	}
}

// declares is the beginning of a message of one segment.
func declares(bytes int) []byte {
	return binary.LittleEndian.AppendUint32(make([]byte, 4), uint32(bytes/8))
}

func (b *besieged) await(metric string, enough func(int64) bool) {
	b.t.Helper()
	for n := b.metric(metric); !enough(n); n = b.metric(metric) {
		if b.t.Context().Err() != nil {
			b.t.Fatalf("%s stays at %d", metric, n)
		}
	}
}
