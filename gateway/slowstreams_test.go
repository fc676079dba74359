package gateway_test

import (
	"bytes"
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quicproquo/node/nodeservice"
)

// A reader that stops costs the message that waits for it until the write's
// deadline. It keeps nobody waiting, and loses the connection, but not its place.
func TestASlowReaderNeverStallsOthers(t *testing.T) {
	for _, r := range renderings {
		one := func(c *nodeservice.Config) { c.Quotas.Streams = 2 }
		onStage(t, r, one, func(t *testing.T, s *stage) {
			alice, bob, path := s.pair()
			for range 4 {
				alice.put(path, bytes.Repeat([]byte("x"), 2<<20))
			}
			stuck, brisk := s.follow(t, bob, path+"/stream"), s.follow(t, bob, path+"/stream")
			stuck.want("hello")
			brisk.want("hello", "message", "message", "message", "message")
			s.ack(brisk, bob, path, 1)
			brisk.want("caught_up", "acked")
			brisk.pinged()                                                   // after 25 s of the bubble's clock
			if resp := s.get(t, bob, "/v1/stream"); resp.StatusCode != 403 { // 2 MiB have 42 s
				t.Errorf("the slow reader was cut off early: %d", resp.StatusCode)
			}
			brisk.leave()
			time.Sleep(30 * time.Second)
			again := []*socket{s.follow(t, bob, path+"/stream"), s.follow(t, bob, path+"/stream")}
			for _, k := range again { // both places are free again
				if m := k.want("hello", "message"); m["seq"] != 2.0 {
					t.Errorf("the place is lost: seq %v", m["seq"])
				}
			}
		})
	}
}

// A peer that dies in the midst of the largest message is gone after 60 s, though a
// slow one would have longer for it.
func TestAPeerThatDiesWhileItIsWrittenTo(t *testing.T) {
	for _, r := range renderings {
		one := func(c *nodeservice.Config) { c.Quotas.Streams = 1 }
		onStage(t, r, one, func(t *testing.T, s *stage) {
			alice, bob, path := s.pair()
			for range 2 {
				alice.put(path, bytes.Repeat([]byte("x"), 5<<20))
			}
			s.follow(t, bob, path+"/stream").want("hello")
			time.Sleep(61 * time.Second) // of the bubble's clock: 5 MiB have 90 s
			s.follow(t, bob, path+"/stream").want("hello", "message")
		})
	}
}

// Who does not read is cut off when Shutdown's time is over, in any rendering.
func TestShutdownCutsOffWhoDoesNotRead(t *testing.T) {
	for _, r := range renderings {
		onStage(t, r, nil, func(t *testing.T, s *stage) {
			alice, bob, path := s.pair()
			for range 3 {
				alice.put(path, bytes.Repeat([]byte("x"), 5<<20))
			}
			s.follow(t, bob, path+"/stream").want("hello")
			synctest.Wait() // the line is full
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			start := time.Now()
			if err := s.gateway.Shutdown(ctx); err != context.DeadlineExceeded {
				t.Errorf("Shutdown: %v", err)
			}
			within(t, "Shutdown is done", start, 2*time.Second)
		})
	}
}
