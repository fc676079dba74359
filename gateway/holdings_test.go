package gateway_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quicproquo/node/gateway"
)

// asks sends a request over a connection that nobody reads yet.
func asks(t *testing.T, conn net.Conn, c *client, request string, body ...byte) {
	t.Helper()
	text := fmt.Sprintf("%s HTTP/1.1\r\nHost: node\r\nAuthorization: Bearer %s\r\n", request, c.token)
	if body != nil {
		text += "Content-Type: message/mls\r\nContent-Length: 10000000\r\n"
	}
	if _, err := conn.Write(append([]byte(text+"\r\n"), body...)); err != nil {
		t.Fatal(err)
	}
	synctest.Wait() // it is under way
}

// answered reads an answer to its end.
func answered(conn net.Conn) (status int, err error) {
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, err
}

// What requests hold together is bounded: of the address that holds most, the one
// that is longest at it is cut. Who holds little is served meanwhile.
func TestWhoHoldsMostIsCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bubbleOf(t, gateway.Config{Node: newCore(t, nil), Log: quiet(), MaxHeld: 3_500_000})
		alice, bob, path := b.pair()
		alice.put(path, bytes.Repeat([]byte("x"), 1<<20))
		fetch := "GET " + path + "/messages"

		modest := b.net.dialFrom("192.0.2.1")
		asks(t, modest, bob, fetch)
		var greedy []net.Conn
		for i := range 3 {
			greedy = append(greedy, b.net.dialFrom(fmt.Sprintf("2001:db8::%d", i))) // of one network
			asks(t, greedy[i], bob, fetch)
		}
		if status, err := answered(greedy[0]); err == nil {
			t.Errorf("who held most was answered %d in full", status)
		}
		for i, conn := range []net.Conn{modest, greedy[1], greedy[2]} {
			if status, err := answered(conn); status != 200 || err != nil {
				t.Errorf("answer %d: %d, %v", i, status, err)
			}
		}

		// All is given back: so much passes again.
		for range 5 {
			conn := b.net.dialFrom("192.0.2.1")
			asks(t, conn, bob, fetch)
			if status, err := answered(conn); status != 200 || err != nil {
				t.Fatalf("later: %d, %v", status, err)
			}
			_ = conn.Close()
		}
	})
}

// Bodies that arrive count, and who sends them is told.
func TestBodiesThatNeverEndAreCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bubbleOf(t, gateway.Config{Node: newCore(t, nil), Log: quiet(), MaxHeld: 4 << 20, MaxPayload: 10 << 20})
		alice, _, path := b.pair()
		first, second := b.net.dialFrom("192.0.2.1"), b.net.dialFrom("192.0.2.1")
		asks(t, first, alice, "POST "+path+"/messages", make([]byte, 3<<20)...)
		asks(t, second, alice, "POST "+path+"/messages", make([]byte, 2<<20)...)
		if status, err := answered(first); status != 503 || err != nil {
			t.Errorf("the first: %d, %v", status, err)
		}
		if _, err := second.Write(make([]byte, 1<<20)); err != nil {
			t.Errorf("the second was cut as well: %v", err)
		}
		_ = second.Close()
		time.Sleep(time.Second) // of the bubble's clock: net/http takes half of it to hang up
	})
}

// A frame that nobody takes counts.
func TestFramesThatNobodyTakesAreCut(t *testing.T) {
	for _, r := range renderings[:3] { // HTTP/2 is a connection of many
		onStage(t, r, nil, func(t *testing.T, s *stage) {
			s.bubble = bubbleOf(t, gateway.Config{Node: s.core, Log: quiet(), MaxHeld: 2 << 20})
			s.client = s.net.client()
			alice, bob, path := s.pair()
			alice.put(path, bytes.Repeat([]byte("x"), 512<<10))
			stuck := s.follow(t, bob, path+"/stream")
			stuck.want("hello")
			synctest.Wait()
			brisk := s.follow(t, bob, path+"/stream")
			brisk.want("hello", "message")
			if _, err := stuck.read(); err == nil {
				t.Error("a frame that nobody took is there, and held")
			}
		})
	}
}
