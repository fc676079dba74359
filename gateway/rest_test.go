package gateway_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/quicproquo/node/gateway"
	"github.com/quicproquo/node/nodeservice/identity"
	"github.com/quicproquo/node/nodeservice/mls"
)

var b64 = base64.RawURLEncoding

// shape is a JSON answer with what changes from run to run replaced by its kind.
func shape(body []byte) string {
	text := string(body)
	for _, kind := range []struct{ pattern, name string }{
		{`"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"`, "ID"},
		{`"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"`, "TIME"},
		{`"[A-Za-z0-9_-]{43}"`, "KEY"},
		{`"ey[A-Za-z0-9_.-]{100,}"`, "TOKEN"},
		{`"[A-Za-z0-9_-]{60,}"`, "BYTES"},
	} {
		text = regexp.MustCompile(kind.pattern).ReplaceAllString(text, kind.name)
	}
	return text
}

func wantShape(t *testing.T, r reply, status int, want string) {
	t.Helper()
	if got := shape(r.body); r.status != status || got != want {
		t.Fatalf("got  %d %s\nwant %d %s", r.status, got, status, want)
	}
}

func TestLogin(t *testing.T) {
	d := newDoor(t, newCore(t, nil), nil)
	key, err := identity.GenerateKey(identity.ES256)
	if err != nil {
		t.Fatal(err)
	}
	post := func(path, body string) reply {
		return d.do("POST", path, strings.NewReader(body), "Content-Type", "application/json; charset=utf-8")
	}
	r := post("/v1/auth/challenge", fmt.Sprintf(`{"identity":%q}`, key.Public()))
	wantShape(t, r, 200, `{"nonce":BYTES,"audience":"https://node.example","expires_at":TIME}`)
	var challenge struct{ Nonce string }
	r.json(t, &challenge)
	nonce, err := b64.DecodeString(challenge.Nonce)
	if err != nil {
		t.Fatal(err)
	}
	signature, err := key.Sign(identity.LoginMessage(publicURL, key.Public(), nonce))
	if err != nil {
		t.Fatal(err)
	}
	body := fmt.Sprintf(`{"identity":%q,"nonce":%q,"signature":%q,"revoke_older":true}`, key.Public(), challenge.Nonce, b64.EncodeToString(signature))
	r = post("/v1/auth/token", body)
	var token struct {
		AccessToken string `json:"access_token"`
		TokenType   string `json:"token_type"`
		ExpiresIn   int    `json:"expires_in"`
	}
	r.json(t, &token)
	if r.status != 200 || token.TokenType != "Bearer" || token.ExpiresIn < 800 || token.ExpiresIn > 900 {
		t.Fatalf("got %d %s", r.status, shape(r.body))
	}
	again := post("/v1/auth/token", body)
	checkProblem(t, again, 401, "unauthenticated")

	alice := &client{door: d, id: key.Public(), token: token.AccessToken}
	if r := alice.do("DELETE", "/v1/auth/token", ""); r.status != 204 || len(r.body) > 0 {
		t.Fatalf("got %d %s", r.status, r.body)
	}
	checkProblem(t, alice.do("GET", "/v1/channels", ""), 401, "unauthenticated")
	if strings.Contains(d.log.String(), token.AccessToken) {
		t.Error("the log holds the token")
	}
}

// Below a path of the public URL, the ways to other resources lead below it too.
func TestPathsBelowAPublicPath(t *testing.T) {
	d := newDoor(t, newCore(t, nil), func(c *gateway.Config) { c.PublicURL = publicURL + "/chat" })
	alice := d.client()
	for host, below := range map[string]string{"node.example": "/chat", "other.example": ""} {
		alice.channel(d.client())
		r := alice.do("POST", "/v1/channels", fmt.Sprintf(`{"peer":%q}`, d.client().id), "Host", host)
		if way := r.header.Get("Location"); !strings.HasPrefix(way, below+"/v1/channels/") {
			t.Errorf("by the name %s the Location is %s", host, way)
		}
		r = alice.do("GET", "/v1/channels?limit=1", "", "Host", host)
		if way := r.header.Get("Link"); !strings.HasPrefix(way, "<"+below+"/v1/channels?cursor=") {
			t.Errorf("by the name %s the Link is %s", host, way)
		}
	}
}

func TestChannels(t *testing.T) {
	d := newDoor(t, newCore(t, nil), nil)
	alice, bob := d.client(), d.client()
	create := fmt.Sprintf(`{"peer":%q}`, bob.id)
	r := alice.do("POST", "/v1/channels", create)
	wantShape(t, r, 201, `{"channel_id":ID,"peer":KEY,"created_at":TIME,"head":0,"acked":0,"unread":0,"created":true}`)
	path := r.header.Get("Location")
	again := alice.do("POST", "/v1/channels", create)
	wantShape(t, again, 200, `{"channel_id":ID,"peer":KEY,"created_at":TIME,"head":0,"acked":0,"unread":0,"created":false}`)
	if again.header.Get("Location") != "" {
		t.Error("a channel that was there has a Location")
	}
	bob.send(path, "1")
	r = alice.do("GET", path, "")
	wantShape(t, r, 200, `{"channel_id":ID,"peer":KEY,"created_at":TIME,"head":1,"acked":0,"unread":1}`)
	if r.header.Get("ETag") != `"1"` {
		t.Errorf("ETag is %s", r.header.Get("ETag"))
	}
	head := alice.do("HEAD", path, "")
	if head.status != 200 || len(head.body) > 0 || head.header.Get("ETag") != `"1"` ||
		head.header.Get("Content-Length") != fmt.Sprint(len(r.body)) {
		t.Errorf("HEAD: %d %v", head.status, head.header)
	}
	// In upper case it is the same channel.
	if upper := alice.do("GET", "/v1/channels/"+strings.ToUpper(strings.TrimPrefix(path, "/v1/channels/")), ""); upper.status != 200 {
		t.Errorf("an id in upper case: %d %s", upper.status, upper.body)
	}
}

func TestChannelsComeInPages(t *testing.T) {
	d := newDoor(t, newCore(t, nil), nil)
	alice := d.client()
	var peers []string
	for range 3 {
		peer := d.client()
		alice.channel(peer)
		peers = append(peers, peer.id.String())
	}
	var seen []string
	path := "/v1/channels?limit=2"
	for path != "" {
		var page struct {
			Channels   []struct{ Peer string }
			NextCursor *string `json:"next_cursor"`
		}
		r := alice.do("GET", path, "")
		r.json(t, &page)
		for _, c := range page.Channels {
			seen = append(seen, c.Peer)
		}
		path, _ = strings.CutSuffix(strings.TrimPrefix(r.header.Get("Link"), "<"), `>; rel="next"`)
		want := ""
		if page.NextCursor != nil {
			want = "/v1/channels?cursor=" + *page.NextCursor + "&limit=2"
		}
		if path != want {
			t.Fatalf("Link is %q, want one to %q", r.header.Get("Link"), want)
		}
	}
	if fmt.Sprint(seen) != fmt.Sprint(peers) {
		t.Errorf("pages give %v, want %v", seen, peers)
	}
	wantShape(t, alice.do("GET", "/v1/channels?peer="+peers[1], ""), 200,
		`{"channels":[{"channel_id":ID,"peer":KEY,"created_at":TIME,"head":0,"acked":0,"unread":0}],"next_cursor":null}`)
	wantShape(t, alice.do("GET", "/v1/channels?peer="+d.client().id.String(), ""), 200, `{"channels":[],"next_cursor":null}`)
}

func TestMessages(t *testing.T) {
	d := newDoor(t, newCore(t, nil), nil)
	alice, bob := d.client(), d.client()
	path := alice.channel(bob) + "/messages"
	raw := []string{"Content-Type", "message/mls", "Idempotency-Key", `"first"`, "If-Match", `"0"`}
	wantShape(t, alice.do("POST", path, "\x00one", raw...), 201, `{"seq":1,"received_at":TIME,"duplicate":false}`)
	raw[3] = "first" // with or without quotes it is the same id
	wantShape(t, alice.do("POST", path, "\x00one", raw...), 200, `{"seq":1,"received_at":TIME,"duplicate":true}`)
	checkProblem(t, alice.do("POST", path, "another", raw...), 409, "message_id_reused")
	wantShape(t, alice.do("POST", path, `{"payload":"dHdv"}`), 201, `{"seq":2,"received_at":TIME,"duplicate":false}`)
	wantShape(t, alice.do("POST", path, `{"payload":"\u0064HdvMg"}`), 201, `{"seq":3,"received_at":TIME,"duplicate":false}`)

	wantShape(t, bob.do("GET", path+"?limit=2", ""), 200, `{"messages":[`+
		`{"channel_id":ID,"seq":1,"received_at":TIME,"payload":"AG9uZQ"},`+
		`{"channel_id":ID,"seq":2,"received_at":TIME,"payload":"dHdv"}],"head":3,"acked":0,"floor":0,"gap":null,"more":true}`)
	if r := bob.do("DELETE", path+"?through=2", ""); r.status != 204 || len(r.body) > 0 {
		t.Fatalf("got %d %s", r.status, r.body)
	}
	wantShape(t, bob.do("GET", path+"?after=1&wait=1m", ""), 200, `{"messages":[`+
		`{"channel_id":ID,"seq":3,"received_at":TIME,"payload":"dHdvMg"}],"head":3,"acked":2,"floor":0,"gap":{"from":2,"to":2,"reason":"acked"},"more":false}`)
	wantShape(t, alice.do("GET", path, ""), 200, `{"messages":[],"head":3,"acked":0,"floor":0,"gap":null,"more":false}`)
}

func TestAWaitingFetchIsAnsweredByAMessage(t *testing.T) {
	d := newDoor(t, newCore(t, nil), nil)
	alice, bob := d.client(), d.client()
	path := alice.channel(bob)
	answer := make(chan reply)
	go func() { answer <- bob.do("GET", path+"/messages?wait=60s", "") }()
	alice.send(path, "x") // whichever comes first, the fetch sees it
	wantShape(t, <-answer, 200, `{"messages":[{"channel_id":ID,"seq":1,"received_at":TIME,"payload":"eA"}],"head":1,"acked":0,"floor":0,"gap":null,"more":false}`)
}

func TestKeyPackages(t *testing.T) {
	d := newDoor(t, newCore(t, nil), nil)
	alice, bob := d.client(), d.client()
	now := time.Now()
	built, err := mls.KeyPackageTemplate{
		CipherSuite: 1, Signer: alice.key.Signer(), Credential: []byte("alice"),
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(20 * time.Hour), Framed: true,
	}.Build()
	if err != nil {
		t.Fatal(err)
	}
	wantShape(t, alice.do("GET", "/v1/keypackages", ""), 200, `{"suites":[]}`)
	r := alice.do("POST", "/v1/keypackages", fmt.Sprintf(`{"key_packages":[%q],"last_resort":false}`, b64.EncodeToString(built.Bytes)))
	wantShape(t, r, 201, `{"fingerprints":[KEY]}`)
	wantShape(t, alice.do("GET", "/v1/keypackages", ""), 200,
		`{"suites":[{"suite":1,"one_time":1,"soonest_expiry":TIME,"last_resort":false,"last_resort_uses":0}]}`)
	claim := "/v1/identities/" + alice.id.String() + "/keypackages/claim"
	r = bob.do("POST", claim, `{"claim_id":"MQ","suites":[2,1]}`)
	wantShape(t, r, 200, `{"key_package":BYTES,"fingerprint":KEY,"suite":1,"last_resort":false}`)
	var claimed struct {
		KeyPackage string `json:"key_package"`
	}
	if r.json(t, &claimed); claimed.KeyPackage != b64.EncodeToString(built.Bytes) {
		t.Error("the package claimed is not the one uploaded")
	}
	wantShape(t, alice.do("GET", "/v1/keypackages", ""), 200,
		`{"suites":[{"suite":1,"one_time":0,"soonest_expiry":null,"last_resort":false,"last_resort_uses":0}]}`)
}

func TestOpenRoutes(t *testing.T) {
	d := newDoor(t, newCore(t, nil), nil)
	r := d.do("GET", "/v1/info", nil)
	var info map[string]any
	r.json(t, &info)
	for _, member := range []string{"min_version", "max_version", "capabilities", "audience", "durability", "server_time", "legacy", "limits"} {
		if _, ok := info[member]; !ok {
			t.Errorf("info lacks %s: %s", member, r.body)
		}
	}
	jwks := d.do("GET", "/.well-known/jwks.json", nil, "Accept", "application/jwk-set+json")
	if jwks.status != 200 || !json.Valid(jwks.body) || strings.Contains(string(jwks.body), `"d"`) {
		t.Errorf("jwks: %d %s", jwks.status, jwks.body)
	}
	for _, path := range []string{"/livez", "/readyz"} {
		if r := d.do("GET", path, nil, "Accept", "text/plain"); r.status != http.StatusOK {
			t.Errorf("%s: %d %s", path, r.status, r.body)
		}
	}
}
