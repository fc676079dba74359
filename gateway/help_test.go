package gateway_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/quicproquo/node/gateway"
	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/identity"
	"github.com/quicproquo/node/nodeservice/storetest/model"
	"github.com/quicproquo/node/openapi/openapitest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const publicURL = "https://node.example"

// newCore is the real core on the reference store, without rates.
func newCore(t testing.TB, change func(*nodeservice.Config)) *nodeservice.Service {
	keys, err := identity.GenerateSigningKeys()
	if err != nil {
		t.Fatal(err)
	}
	cfg := nodeservice.Config{
		Store: model.New(), Secret: bytes.Repeat([]byte{7}, 32), Keys: keys,
		PublicURL: publicURL, Quotas: nodeservice.DefaultQuotas(),
	}
	if change != nil {
		change(&cfg)
	}
	core, err := nodeservice.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = core.Close() })
	return core
}

// door is a gateway before a core, on a real socket.
type door struct {
	t       testing.TB
	core    nodeservice.Node
	gateway *gateway.Gateway
	url     string
	log     *logBuffer
}

func newDoor(t testing.TB, node nodeservice.Node, change func(*gateway.Config)) *door {
	d := &door{t: t, core: node, log: &logBuffer{}}
	cfg := gateway.Config{
		Node: node, PublicURL: publicURL,
		Log: slog.New(slog.NewTextHandler(d.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	if change != nil {
		change(&cfg)
	}
	var err error
	if d.gateway, err = gateway.New(cfg); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(nil)
	server.Config = gateway.NewServer(openapitest.Contract(t, d.gateway), cfg.Log)
	server.Start()
	d.url = server.URL
	t.Cleanup(func() {
		_ = d.gateway.Close()
		server.Close()
	})
	return d
}

// logBuffer is a log that a test reads.
type logBuffer struct {
	mu   sync.Mutex
	text strings.Builder // guarded by mu
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// client is an identity that logged in.
type client struct {
	door  *door
	id    nodeservice.Identity
	key   *identity.PrivateKey
	token string
}

func (d *door) client() *client {
	d.t.Helper()
	key, err := identity.GenerateKey(identity.EdDSA)
	if err != nil {
		d.t.Fatal(err)
	}
	c := &client{door: d, key: key, id: key.Public()}
	c.token = login(d.t, d.core, key)
	return c
}

// login goes straight to the core.
func login(t testing.TB, node nodeservice.Node, key *identity.PrivateKey) string {
	t.Helper()
	ctx := context.Background()
	challenge, err := node.Challenge(ctx, nodeservice.Origin{}, key.Public())
	if err != nil {
		t.Fatal(err)
	}
	signature, err := key.Sign(identity.LoginMessage(publicURL, key.Public(), challenge.Nonce))
	if err != nil {
		t.Fatal(err)
	}
	l, err := node.Login(ctx, nodeservice.Origin{}, nodeservice.LoginRequest{Identity: key.Public(), Nonce: challenge.Nonce, Signature: signature})
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Session.Close()
	return l.Token
}

// reply is an answer, read to its end.
type reply struct {
	status int
	header http.Header
	body   []byte
}

// json decodes the body.
func (r reply) json(t testing.TB, v any) {
	t.Helper()
	if err := json.Unmarshal(r.body, v); err != nil {
		t.Fatalf("%v in %q", err, r.body)
	}
}

func (r reply) code(t testing.TB) nodeservice.Code {
	t.Helper()
	var p struct{ Code nodeservice.Code }
	r.json(t, &p)
	return p.Code
}

// do makes a request: method, path, then pairs of header names and values.
func (d *door) do(method, path string, body io.Reader, header ...string) reply {
	d.t.Helper()
	req, err := http.NewRequestWithContext(testContext(d.t), method, d.url+path, body)
	if err != nil {
		d.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			req.Host = header[i+1]
			continue
		}
		req.Header.Add(header[i], header[i+1])
	}
	transport := &http.Transport{DisableKeepAlives: true, ExpectContinueTimeout: time.Minute}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		d.t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		d.t.Fatal(err)
	}
	return reply{resp.StatusCode, resp.Header, data}
}

// do makes a request with the client's token; a body is JSON unless said otherwise.
func (c *client) do(method, path, body string, header ...string) reply {
	c.door.t.Helper()
	header = append([]string{"Authorization", "Bearer " + c.token}, header...)
	if body != "" && !strings.Contains(strings.Join(header, " "), "Content-Type") {
		header = append(header, "Content-Type", "application/json")
	}
	return c.door.do(method, path, strings.NewReader(body), header...)
}

// channel is the path of the client's channel with a peer.
func (c *client) channel(peer *client) string {
	c.door.t.Helper()
	r := c.do("POST", "/v1/channels", fmt.Sprintf(`{"peer":%q}`, peer.id))
	if r.status != 201 && r.status != 200 {
		c.door.t.Fatalf("status %d: %s", r.status, r.body)
	}
	var view struct {
		ChannelID string `json:"channel_id"`
	}
	r.json(c.door.t, &view)
	return "/v1/channels/" + view.ChannelID
}

// send stores a payload and returns its seq.
func (c *client) send(channel, payload string) nodeservice.Seq {
	c.door.t.Helper()
	r := c.do("POST", channel+"/messages", payload, "Content-Type", "message/mls")
	if r.status != 201 {
		c.door.t.Fatalf("status %d: %s", r.status, r.body)
	}
	var receipt struct{ Seq nodeservice.Seq }
	r.json(c.door.t, &receipt)
	return receipt.Seq
}

func testContext(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}
