package main

import (
	"errors"
	"testing"

	"github.com/quicproquo/node/nodeservice"
)

func TestParseServer(t *testing.T) {
	for text, want := range map[string]server{
		"capnp://127.0.0.1:7420":       {scheme: "capnp", address: "127.0.0.1:7420"},
		"capnps://Node.example":        {scheme: "capnps", address: "node.example:7420"},
		"capnp://[::1]":                {scheme: "capnp", address: "[::1]:7420"},
		"unix:/run/qpqd.sock":          {scheme: "unix", address: "/run/qpqd.sock"},
		"unix:///run/qpqd.sock":        {scheme: "unix", address: "/run/qpqd.sock"},
		"unix://qpqd.sock":             {scheme: "unix", address: "qpqd.sock"},
		"quic://Node.example":          {scheme: "quic", address: "node.example:7420"},
		"http://127.0.0.1:8420/":       {scheme: "http", address: "127.0.0.1:8420", origin: "http://127.0.0.1:8420"},
		"https://Chat.example:443":     {scheme: "https", address: "chat.example:443", origin: "https://chat.example"},
		"https://chat.example":         {scheme: "https", address: "chat.example", origin: "https://chat.example"},
		"http://chat.example:443":      {scheme: "http", address: "chat.example:443", origin: "http://chat.example:443"},
		"":                             {},
		"unix:":                        {},
		"chat.example":                 {},
		"chat.example:8420":            {},
		"ftp://chat.example":           {},
		"http://chat.example/v1":       {},
		"http://user@chat.example":     {},
		"https://chat.example?x=y":     {},
		"https://chat.example#x":       {},
		"https://chat.example:notport": {},
	} {
		got, err := parseServer(text)
		if want.scheme != "" {
			want.text = text
		}
		if got != want || (err == nil) != (want.scheme != "") {
			t.Errorf("%q is %+v, %v, wanted %+v", text, got, err, want)
		}
	}
}

// A wrong answer here would be a login at one node on behalf of another, or our
// token in the hands of a stranger.
func TestAudienceIsNeverLearntFromAServer(t *testing.T) {
	configured := &state{Audience: "https://chat.example", Servers: []string{"capnps://native.example:7420"}}
	refused := errors.New("any error")
	for _, test := range []struct {
		name, server, said string
		state              *state
		want               string
		err                error
	}{
		{"the user's word", "capnp://192.0.2.1", "https://a.example", &state{}, "https://a.example", nil},
		{"the user's word against the state", "https://chat.example", "https://a.example", configured, "https://a.example", nil},
		{"an HTTP server's own origin", "https://a.example:443", "", &state{}, "https://a.example", nil},
		{"a native door on this machine", "capnp://127.0.0.1:1", "", &state{}, defaultAudience, nil},
		{"a native door on this machine, by name", "capnp://localhost", "", &state{}, defaultAudience, nil},
		{"a socket", "unix:/run/qpqd.sock", "", &state{}, defaultAudience, nil},
		{"a native door elsewhere", "capnps://node.example", "", &state{}, "", errNoAudience},
		{"the origin that the state is for", "https://chat.example", "", configured, "https://chat.example", nil},
		{"a server used before", "capnps://native.example:7420", "", configured, "https://chat.example", nil},
		{"another native door", "capnps://native.example:7421", "", configured, "", errNoAudience},
		{"another origin", "https://evil.example", "", configured, "", refused},
		{"a native door on this machine, and a state for elsewhere", "capnp://127.0.0.1", "", configured, "", refused},
	} {
		via, err := parseServer(test.server)
		if err != nil {
			t.Fatal(err)
		}
		got, err := via.audience(test.said, test.state)
		switch {
		case got != test.want,
			(err == nil) != (test.err == nil),
			errors.Is(test.err, errNoAudience) != errors.Is(err, errNoAudience):
			t.Errorf("%s: %q, %v", test.name, got, err)
		}
	}
}

func TestStateForgetsANodeTogetherWithItsToken(t *testing.T) {
	s := &state{
		PrivateKey: []byte("key"), Audience: "https://a.example", Servers: []string{"https://a.example"}, Token: "token",
		Cursors: map[string]nodeservice.Seq{"c": 1}, Channels: map[string]string{"p": "c"}, KeyPackages: map[string]keyPackageSecrets{"f": {}},
	}
	via, err := parseServer("https://b.example")
	if err != nil {
		t.Fatal(err)
	}
	s.configure("https://b.example", via)
	if s.Token != "" || len(s.Cursors) > 0 || len(s.Channels) > 0 || len(s.Servers) != 1 {
		t.Errorf("kept of the other node: %+v", s)
	}
	if string(s.PrivateKey) != "key" || len(s.KeyPackages) != 1 {
		t.Error("the identity's own keys are gone")
	}
}
