package gatewayclient_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/fxamacker/cbor/v2"

	"github.com/quicproquo/node/gateway/gatewayclient"
	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/identity"
)

// hostile is a session at a server that is no gateway.
func hostile(t *testing.T, serve http.HandlerFunc) nodeservice.Session {
	t.Helper()
	server := httptest.NewServer(serve)
	t.Cleanup(server.Close)
	client, err := gatewayclient.New(gatewayclient.Config{BaseURL: server.URL, MaxRetries: -1, Encoding: gatewayclient.CBOR})
	must(t, err)
	t.Cleanup(func() { must(t, client.Close()) })
	return sessionAt(t, client)
}

func sessionAt(t *testing.T, client *gatewayclient.Client) nodeservice.Session {
	t.Helper()
	key, err := identity.GenerateKey(identity.EdDSA)
	must(t, err)
	claims := fmt.Sprintf(`{"exp":4102444800,"cnf":{"jwk":{"kty":"OKP","crv":"Ed25519","x":%q}}}`, key.Public())
	s, err := client.Authenticate(t.Context(), nodeservice.Origin{}, "e30."+base64.RawURLEncoding.EncodeToString([]byte(claims))+".AAAA")
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	return s
}

// endless writes a text until nobody reads on.
func endless(w io.Writer, text string) {
	text = strings.Repeat(text, 1+(1<<16)/len(text))
	for {
		if _, err := io.WriteString(w, text); err != nil {
			return
		}
	}
}

func TestAnswersThatNeverEnd(t *testing.T) {
	for _, status := range []int{200, 400, 503} {
		s := hostile(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(status)
			endless(w, " ")
		})
		_, err := s.KeyPackageStatus(t.Context())
		wantCode(t, err, nodeservice.CodeInternal)
	}
	s := hostile(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X", strings.Repeat("x", 1<<20))
	})
	_, err := s.KeyPackageStatus(t.Context())
	wantCode(t, err, nodeservice.CodeUnavailable)
}

// Lists that are longer than any are refused, and what is in them costs nothing.
func TestListsWithoutEnd(t *testing.T) {
	items := strings.Repeat("{},", 10_000) + "{}"
	s := hostile(t, func(w http.ResponseWriter, r *http.Request) {
		name := "messages"
		switch {
		case r.Method == http.MethodPost:
			name, items = "fingerprints", strings.Repeat(`"AA",`, 300)+`"AA"`
		case r.URL.Path == "/v1/channels":
			name = "channels"
		case r.URL.Path == "/v1/keypackages":
			name = "suites"
		}
		_, _ = fmt.Fprintf(w, `{%q:[%s]}`, name, items)
	})
	_, err := s.Fetch(t.Context(), nodeservice.FetchRequest{Channel: nodeservice.ChannelID{1}})
	wantCode(t, err, nodeservice.CodeInternal)
	_, err = s.Channels(t.Context(), nodeservice.ChannelsRequest{})
	wantCode(t, err, nodeservice.CodeInternal)
	_, err = s.KeyPackageStatus(t.Context())
	wantCode(t, err, nodeservice.CodeInternal)
	_, err = s.UploadKeyPackages(t.Context(), nodeservice.UploadRequest{Packages: [][]byte{{1}}})
	wantCode(t, err, nodeservice.CodeInternal)
}

func TestFingerprintsAreAsManyAsKeyPackages(t *testing.T) {
	s := hostile(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"fingerprints":["AA"]}`) })
	_, err := s.UploadKeyPackages(t.Context(), nodeservice.UploadRequest{Packages: [][]byte{{1}, {2}}})
	wantCode(t, err, nodeservice.CodeInternal)
}

// A fingerprint that was cut short is not filled up with zeros.
func TestFingerprintsAreWhole(t *testing.T) {
	s := hostile(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"fingerprints":["AA"],"key_package":"AA","fingerprint":"AA","suite":1}`)
	})
	_, err := s.UploadKeyPackages(t.Context(), nodeservice.UploadRequest{Packages: [][]byte{{1}}})
	wantCode(t, err, nodeservice.CodeInternal)
	_, err = s.ClaimKeyPackage(t.Context(), nodeservice.ClaimRequest{Owner: s.Identity()})
	wantCode(t, err, nodeservice.CodeInternal)
}

// What a server says of an error is for people to read, and for programs to trust
// no further than a gateway's.
func TestErrorsThatAServerMakesUp(t *testing.T) {
	s := hostile(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(503)
		_, _ = io.WriteString(w, `{"code":"owned","detail":"\u001b]0;rm -rf\u0007`+strings.Repeat("x", 9000)+`","retry_after_ms":9223372036854775807}`)
	})
	_, err := s.KeyPackageStatus(t.Context())
	e := wantCode(t, err, nodeservice.CodeInternal)
	if len(e.Detail) > 1<<10 || strings.ContainsAny(e.Detail, "\x1b\a") || !strings.Contains(e.Detail, "rm -rf") {
		t.Errorf("detail of %d bytes: %q", len(e.Detail), e.Detail)
	}
	if e.RetryAfter != 24*time.Hour {
		t.Errorf("to come back after %v", e.RetryAfter)
	}
}

// A server that takes requests and says nothing is given up at some time, also
// where the caller has none.
func TestAServerThatSaysNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mute := &http.Transport{DisableKeepAlives: true, DialContext: func(context.Context, string, string) (net.Conn, error) {
			here, there := net.Pipe()
			go func() { _, _ = io.Copy(io.Discard, there) }()
			return here, nil
		}}
		client, err := gatewayclient.New(gatewayclient.Config{BaseURL: "http://node", MaxRetries: -1, HTTPClient: &http.Client{Transport: mute}})
		must(t, err)
		s := sessionAt(t, client)
		start := time.Now()
		_, err = s.KeyPackageStatus(context.Background())
		wantCode(t, err, nodeservice.CodeUnavailable)
		_, err = s.Follow(context.Background(), nodeservice.FollowRequest{})
		wantCode(t, err, nodeservice.CodeUnavailable)
		if took := time.Since(start); took > 5*time.Minute { // of the bubble's clock
			t.Errorf("after %v", took)
		}
	})
}

// A stream whose reader rests while its server sends and sends is ended, not kept.
func TestAStreamThatFloods(t *testing.T) {
	frame, err := cbor.Marshal(map[string]any{
		"type": "message", "channel_id": "6f1b0c9e-52d5-4c0e-9f0d-0a8a5b3c2d1e", "seq": 1,
		"received_at": "2026-01-01T00:00:00.000Z", "payload": make([]byte, 5<<20),
	})
	must(t, err)
	s := hostile(t, func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"qpq.v1.cbor"}})
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.CloseNow()
		for range 100 {
			if conn.Write(context.Background(), websocket.MessageBinary, frame) != nil {
				return
			}
		}
		t.Error("a client took 500 MiB that nobody asked for")
	})
	stream, err := s.Follow(t.Context(), nodeservice.FollowRequest{})
	must(t, err)
	defer stream.Close()
	taken := 0
	for ; err == nil && taken <= 100; taken++ {
		if taken == 1 {
			_ = stream.Ack(t.Context(), nodeservice.ChannelID{1}, 1) // is answered when the stream has ended
		}
		_, err = stream.Next(t.Context())
	}
	wantCode(t, err, nodeservice.CodeUnavailable)
	if taken > 20 {
		t.Errorf("%d messages of 5 MiB were kept", taken)
	}
}
