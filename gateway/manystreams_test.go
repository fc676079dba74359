package gateway_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/identity"
)

const crowd = 2000

// TestManyStreamsComeAndGo: what they cost is given back when they leave, whether
// they say goodbye or vanish.
func TestManyStreamsComeAndGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var keys *identity.SigningKeys
		b := newBubble(t, func(c *nodeservice.Config) { keys = c.Keys })
		alice := b.client()
		guests := make([]*guest, crowd)
		for i := range guests {
			guests[i] = b.guest(keys, alice)
		}
		synctest.Wait()
		goroutines, before := inBubble(), measure()
		var left memory
		for round := range 2 { // the first fills what is remembered of tokens and members
			b.gather(guests)
			synctest.Wait()
			full, busy := measure(), runtime.NumGoroutine()-goroutines
			t.Logf("round %d, %d idle streams: %d goroutines, %d B of heap and %d B of stacks each", round, crowd,
				busy/crowd, (full.heap-before.heap)/crowd, (full.stacks-before.stacks)/crowd)
			b.entertain(alice, guests)
			b.dismiss(guests, nodeservice.Seq(round+1))
			synctest.Wait()
			if n := inBubble(); n != goroutines {
				t.Fatalf("round %d: %d goroutines are left of %d, before there were %d", round, n, busy, goroutines)
			}
			before = measure()
			// A stream that stayed would hold 10 KiB; what the bubble holds of a pipe and of
			// stopped timers is a tenth of that.
			if grown := before.heap - left.heap; round > 0 && grown > crowd*4<<10 {
				t.Errorf("round %d: the heap has grown by %d B", round, grown)
			}
			left = before
		}
	})
}

// guest is a client that costs next to nothing itself: no goroutine, no library.
type guest struct {
	t     *testing.T
	token string
	path  string // of its channel with the host
	conn  net.Conn
	lines *bufio.Reader
}

func (b *bubble) guest(keys *identity.SigningKeys, host *client) *guest {
	key, err := identity.GenerateKey(identity.EdDSA)
	if err != nil {
		b.t.Fatal(err)
	}
	token, _, err := identity.NewIssuer(identity.IssuerConfig{URL: publicURL, Keys: keys, TTL: 15 * time.Minute}).Mint(key.Public(), time.Now())
	if err != nil {
		b.t.Fatal(err)
	}
	view, _, err := host.session().CreateChannel(b.t.Context(), key.Public())
	if err != nil {
		b.t.Fatal(err)
	}
	return &guest{t: b.t.(*testing.T), token: token, path: "/v1/channels/" + view.ID.String()}
}

func (b *bubble) gather(guests []*guest) {
	for i, g := range guests {
		g.conn = b.net.dial()
		g.lines = bufio.NewReaderSize(g.conn, 16)
		g.enter([]string{"qpq.v1.json", "qpq.v1.cbor"}[i%2])
		g.want("hello")
		g.want("caught_up")
	}
}

func (b *bubble) entertain(host *client, guests []*guest) {
	for _, g := range guests {
		host.put(g.path, []byte("welcome"))
	}
	for _, g := range guests {
		for g.next() != "message" { // the first round's is preceded by its channel
		}
	}
}

func (b *bubble) dismiss(guests []*guest, through nodeservice.Seq) {
	for i, g := range guests {
		if i%2 == 0 {
			g.write("\x88\x82\x00\x00\x00\x00\x03\xe8") // a close frame, code 1000, masked with zeros
			if kind, _ := g.frame(); kind != 0x88 {
				g.t.Fatalf("a frame of kind %x answers the close", kind)
			}
		}
		_ = g.conn.Close()
		g.conn, g.lines = nil, nil
		s, err := b.core.Authenticate(g.t.Context(), nodeservice.Origin{}, g.token)
		if err == nil {
			err = s.Ack(g.t.Context(), nodeservice.AckRequest{Channel: channelOf(g.t, g.path), Through: through})
			_ = s.Close()
		}
		if err != nil {
			g.t.Fatal(err)
		}
	}
}

func (g *guest) write(text string) {
	g.t.Helper()
	if _, err := io.WriteString(g.conn, text); err != nil {
		g.t.Fatal(err)
	}
}

func (g *guest) enter(protocol string) {
	g.t.Helper()
	g.write("GET /v1/stream HTTP/1.1\r\nHost: node\r\nAuthorization: Bearer " + g.token +
		"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
		"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: " + protocol + "\r\n\r\n")
	resp, err := http.ReadResponse(g.lines, nil)
	if err != nil || resp.StatusCode != 101 {
		g.t.Fatalf("%v, %v", resp, err)
	}
}

// frame reads one frame that is not masked, of less than 64 KiB.
func (g *guest) frame() (kind byte, payload []byte) {
	g.t.Helper()
	var head [4]byte
	_, err := io.ReadFull(g.lines, head[:2])
	size := int(head[1])
	if err == nil && size == 126 {
		_, err = io.ReadFull(g.lines, head[2:])
		size = int(binary.BigEndian.Uint16(head[2:]))
	}
	payload = make([]byte, size)
	if err == nil {
		_, err = io.ReadFull(g.lines, payload)
	}
	if err != nil {
		g.t.Fatal(err)
	}
	return head[0], payload
}

// next is the type of the next frame.
func (g *guest) next() string {
	g.t.Helper()
	kind, data := g.frame()
	if kind == 0x82 {
		data = fromCBOR(g.t, data)
	}
	var f struct{ Type string }
	if err := json.Unmarshal(data, &f); err != nil {
		g.t.Fatal(err)
	}
	return f.Type
}

func (g *guest) want(kind string) {
	g.t.Helper()
	if got := g.next(); got != kind {
		g.t.Fatalf("got %s, want %s", got, kind)
	}
}

// inBubble counts the goroutines of this test: the runtime's own, which finalize
// what is gone, count as anybody's while they do so.
func inBubble() int {
	stacks := make([]byte, 1<<20)
	return bytes.Count(stacks[:runtime.Stack(stacks, true)], []byte(", synctest bubble "))
}

type memory struct{ heap, stacks int }

// measure is what is in use, once all that can be is given back.
func measure() memory {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return memory{int(m.HeapAlloc), int(m.StackInuse)}
}
