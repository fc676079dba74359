package gateway_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/mls"
)

// TestStreams is the same behaviours in every rendering.
func TestStreams(t *testing.T) {
	for name, behaviour := range map[string]func(*testing.T, *stage){
		"delivers and acknowledges": func(t *testing.T, s *stage) {
			alice, bob, path := s.pair()
			alice.put(path, []byte("one"))
			k := s.follow(t, bob, "/v1/stream")
			if hello := k.want("hello"); hello["identity"] != bob.id.String() || hello["ping_ms"] != 25000.0 ||
				fmt.Sprint(hello["window"]) != fmt.Sprint(map[string]any{"messages": 128.0, "bytes": float64(16 << 20)}) {
				t.Errorf("%v", hello)
			}
			if m := k.want("message"); m["seq"] != 1.0 || m["payload"] != "b25l" || "/v1/channels/"+m["channel_id"].(string) != path {
				t.Errorf("%v", m)
			}
			k.want("caught_up")
			alice.put(path, []byte("two"))
			k.want("message")
			s.ack(k, bob, path, 2)
			if a := k.want("acked"); a["through"] != 2.0 || bob.acked(path) != 2 {
				t.Errorf("%v", a)
			}
			if k.events != nil && k.events.lastID != "" {
				t.Errorf("an event of all channels has the id %q", k.events.lastID)
			}
		},
		"begins where it is told, and acknowledges nothing by that": func(t *testing.T, s *stage) {
			alice, bob, path := s.pair()
			for range 3 {
				alice.put(path, []byte("x"))
			}
			k := s.follow(t, bob, path+"/stream?after=2")
			if m := k.want("hello", "message"); m["seq"] != 3.0 || bob.acked(path) != 0 {
				t.Errorf("%v", m)
			}
			k.want("caught_up")
		},
		"tells a gap": func(t *testing.T, s *stage) {
			alice, bob, path := s.pair()
			for range 3 {
				alice.put(path, []byte("x"))
			}
			if err := bob.session().Ack(t.Context(), nodeservice.AckRequest{Channel: channelOf(t, path), Through: 3}); err != nil {
				t.Fatal(err)
			}
			k := s.follow(t, bob, path+"/stream?after=1")
			if g := k.want("hello", "gap"); g["from"] != 2.0 || g["to"] != 3.0 || g["reason"] != "acked" {
				t.Errorf("%v", g)
			}
			if k.events != nil && k.events.lastID != "3" {
				t.Errorf("after the gap the id is %q", k.events.lastID)
			}
			k.want("caught_up")
		},
		"tells all streams of an identity": func(t *testing.T, s *stage) {
			alice, bob, path := s.pair()
			all, one, other := s.follow(t, bob, "/v1/stream"), s.follow(t, bob, path+"/stream"), s.follow(t, alice, "/v1/stream")
			for _, k := range []*socket{all, one, other} {
				k.want("hello", "caught_up")
			}
			alice.put(path, []byte("x"))
			all.want("channel", "message")
			one.want("message")
			s.ack(one, bob, path, 1)
			for _, k := range []*socket{all, one} {
				if a := k.want("acked"); a["through"] != 1.0 {
					t.Errorf("%v", a)
				}
			}
			other.silent()
		},
		"tells a new channel before its first message": func(t *testing.T, s *stage) {
			carol, bob := s.bubble.client(), s.bubble.client()
			k := s.follow(t, bob, "/v1/stream")
			k.want("hello", "caught_up")
			view, _, err := carol.session().CreateChannel(t.Context(), bob.id)
			if err != nil {
				t.Fatal(err)
			}
			carol.put("/v1/channels/"+view.ID.String(), []byte("x"))
			if c := k.want("channel"); c["peer"] != carol.id.String() || c["channel_id"] != view.ID.String() {
				t.Errorf("%v", c)
			}
			k.want("message")
		},
		"tells that key packages are low": func(t *testing.T, s *stage) {
			bob, now := s.bubble.client(), time.Now()
			built, err := mls.KeyPackageTemplate{
				CipherSuite: 1, Signer: bob.key.Signer(), Credential: []byte("bob"),
				NotBefore: now.Add(-time.Hour), NotAfter: now.Add(20 * time.Hour),
			}.Build()
			if err == nil {
				_, err = bob.session().UploadKeyPackages(t.Context(), nodeservice.UploadRequest{Packages: [][]byte{built.Bytes}})
			}
			if err != nil {
				t.Fatal(err)
			}
			k := s.follow(t, bob, "/v1/stream")
			if low := k.want("hello", "key_packages_low"); low["suite"] != 1.0 || low["remaining"] != 1.0 {
				t.Errorf("%v", low)
			}
			k.want("caught_up")
		},
		"goes on with a renewed token": func(t *testing.T, s *stage) {
			bob := s.bubble.client()
			k := s.follow(t, bob, "/v1/stream")
			k.want("hello", "caught_up", "token_expiring")
			if k.conn == nil {
				k.ends(0, nodeservice.CodeTokenExpired) // events cannot: the client comes again
				return
			}
			k.send(`{"type":"auth","token":%q}`, login(t, s.core, s.bubble.client().key))
			if e := k.want("error"); e["code"] != "permission_denied" {
				t.Errorf("a token of another identity: %v", e)
			}
			k.send(`{"type":"auth","token":%q}`, login(t, s.core, bob.key))
			expires := time.Now().Add(15 * time.Minute)
			k.want("token_expiring")
			if left := time.Until(expires); left < 50*time.Second || left > 61*time.Second {
				t.Errorf("the next warning comes %v before the end", left)
			}
		},
		"holds its window": func(t *testing.T, s *stage) {
			alice, bob, path := s.pair()
			for range 130 {
				alice.put(path, []byte("x"))
			}
			one := s.follow(t, bob, path+"/stream")
			one.want("hello")
			for range 128 {
				one.want("message")
			}
			one.silent()
			s.ack(one, bob, path, 10)
			if one.want("acked")["through"] != 10.0 || one.want("message")["seq"] != 129.0 {
				t.Error("the window opened otherwise")
			}
			one.leave()
			all := s.follow(t, bob, "/v1/stream")
			all.want("hello")
			for range 128 / 4 { // the share of one channel
				all.want("message")
			}
			all.silent()
			if err := bob.session().Ack(t.Context(), nodeservice.AckRequest{Channel: channelOf(t, path), Through: 11}); err != nil {
				t.Fatal(err)
			}
			if all.want("acked")["through"] != 11.0 || all.want("message")["seq"] != 43.0 {
				t.Error("an ack by another door opens it otherwise")
			}
		},
		"delivers the largest message": func(t *testing.T, s *stage) {
			alice, bob, path := s.pair()
			payload := bytes.Repeat([]byte{0xfb}, 5<<20)
			alice.put(path, payload)
			k := s.follow(t, bob, "/v1/stream")
			if m := k.want("hello", "message"); m["payload"] != b64.EncodeToString(payload) {
				t.Errorf("%d characters came", len(m["payload"].(string)))
			}
			k.want("caught_up")
		},
		"pings": func(t *testing.T, s *stage) {
			_, bob, _ := s.pair()
			k := s.follow(t, bob, "/v1/stream")
			k.want("hello", "caught_up")
			start := time.Now()
			for i := range 8 { // over 3 minutes
				if data, err := k.read(); err != nil || string(data) != `{"type":"ping"}` {
					t.Fatalf("got %s, %v", data, err)
				}
				within(t, "a ping comes", start, time.Duration(i+1)*25*time.Second)
			}
		},
		"warns of the token's end, and ends with it": func(t *testing.T, s *stage) {
			_, bob, _ := s.pair()
			expires := bob.session().ExpiresAt().Time()
			k := s.follow(t, bob, "/v1/stream")
			k.want("hello", "caught_up", "token_expiring")
			within(t, "the warning comes", expires, -time.Minute)
			k.ends(4401, nodeservice.CodeTokenExpired)
			within(t, "the end comes", expires, 0)
		},
		"ends with a revoked token": func(t *testing.T, s *stage) {
			_, bob, _ := s.pair()
			k := s.follow(t, bob, "/v1/stream")
			k.want("hello", "caught_up")
			start := time.Now()
			if err := bob.session().Revoke(t.Context()); err != nil {
				t.Fatal(err)
			}
			k.ends(4401, nodeservice.CodeUnauthenticated)
			if took := time.Since(start); took > time.Second {
				t.Errorf("the end came after %v", took)
			}
		},
		"drains": func(t *testing.T, s *stage) {
			_, bob, path := s.pair()
			one, two := s.follow(t, bob, "/v1/stream"), s.follow(t, bob, path+"/stream")
			one.want("hello", "caught_up")
			two.want("hello", "caught_up")
			stopped := make(chan error)
			go func() { stopped <- s.gateway.Shutdown(context.Background()) }()
			for _, k := range []*socket{one, two} {
				if f := k.want("draining"); f["retry_after_ms"].(float64) < 1000 {
					t.Errorf("%v", f)
				}
				if k.conn != nil {
					k.closed(websocket.StatusServiceRestart, "")
				} else if data, err := k.read(); err != io.EOF {
					t.Errorf("after draining came %s, %v", data, err)
				}
			}
			if err := <-stopped; err != nil {
				t.Errorf("Shutdown: %v", err)
			}
		},
		"goes on where its reader left": func(t *testing.T, s *stage) {
			alice, bob, path := s.pair()
			for range 3 {
				alice.put(path, []byte("x"))
			}
			k := s.follow(t, bob, "/v1/stream")
			k.want("hello", "message")
			s.ack(k, bob, path, 1)
			for k.next()["type"] != "acked" { // the others come meanwhile
			}
			k.leave()
			if m := s.follow(t, bob, "/v1/stream").want("hello", "message"); m["seq"] != 2.0 {
				t.Errorf("%v", m)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			for _, r := range renderings {
				onStage(t, r, nil, behaviour)
			}
		})
	}
}
