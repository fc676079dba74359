package gateway_test

import (
	"encoding/binary"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
)

// Answers without a body have a deadline too: a peer that asks and asks, and reads
// nothing, loses the connection.
func TestAPeerThatDoesNotReadEmptyAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t, nil)
		conn := b.net.dial()
		if _, err := io.WriteString(conn, "OPTIONS /v1/info HTTP/1.1\r\nHost: node\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(15 * time.Second) // of the bubble's clock
		if status, err := answered(conn); err == nil {
			t.Errorf("after 15 s it still gets its %d", status)
		}
	})
}

// http2Frame is a frame (RFC 9113 section 4.1).
func http2Frame(kind, flags byte, stream uint32, payload string) []byte {
	f := append(binary.BigEndian.AppendUint32(nil, uint32(len(payload)))[1:], kind, flags)
	return append(binary.BigEndian.AppendUint32(f, stream), payload...)
}

// getByHand asks for a path, in HPACK without compression (RFC 7541).
func getByHand(stream uint32, path string) []byte {
	return http2Frame(1, 5, stream, "\x82\x86\x41\x04node\x44"+string(rune(len(path)))+path)
}

// An HTTP/2 connection that takes nothing is closed, whatever it goes on to ask for;
// the deadlines of its streams could not do that.
func TestAnHTTP2PeerThatStopsReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t, nil)
		conn := b.net.dial()
		go io.WriteString(conn, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"+string(http2Frame(4, 0, 0, ""))+string(getByHand(1, "/livez")))
		readUntil(t, conn, 1) // the answer's header
		for stream := uint32(3); stream < 23; stream += 2 {
			time.Sleep(20 * time.Second) // of the bubble's clock
			if _, err := conn.Write(getByHand(stream, "/livez")); err != nil {
				return
			}
		}
		t.Error("after 200 s the connection is still open")
	})
}

// What nobody reads is bounded by the connection's window (RFC 9113 section 5.2).
func TestAnHTTP2ConnectionsWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t, nil)
		conn := b.net.dial()
		defer conn.Close()
		go io.WriteString(conn, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"+string(http2Frame(4, 0, 0, "")))
		update := readUntil(t, conn, 8) // of the connection, beside the 65,535 that it begins with
		if window := 65_535 + binary.BigEndian.Uint32(update); window > 256<<10 {
			t.Errorf("a client may send %d bytes ahead", window)
		}
	})
}

// readUntil reads frames up to one of a kind, and returns what it holds.
func readUntil(t *testing.T, conn net.Conn, kind byte) []byte {
	t.Helper()
	for {
		header := make([]byte, 9)
		if _, err := io.ReadFull(conn, header); err != nil {
			t.Fatal(err)
		}
		payload := make([]byte, int(header[1])<<8|int(header[2]))
		if _, err := io.ReadFull(conn, payload); err != nil {
			t.Fatal(err)
		}
		if header[3] == kind {
			return payload
		}
	}
}

// Pings cost an answer each, and count as frames.
func TestAFloodOfPings(t *testing.T) {
	for _, protocol := range []string{"qpq.v1.json", "qpq.v1.cbor"} {
		synctest.Test(t, func(t *testing.T) {
			b := newBubble(t, nil)
			h := b.handshake(b.client(), "/v1/stream")
			h.protocols = []string{protocol}
			s := h.open(t)
			s.want("hello", "caught_up")
			reading := make(chan error)
			go func() {
				_, _, err := s.conn.Read(t.Context())
				reading <- err
			}()
			sent := 0
			for ; sent < 200 && s.conn.Ping(t.Context()) == nil; sent++ {
			}
			if err := <-reading; websocket.CloseStatus(err) != 4429 || sent < 90 {
				t.Errorf("after %d pings: %v", sent, err)
			}
		})
	}
}
