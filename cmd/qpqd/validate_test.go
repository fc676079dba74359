package main

import (
	"strings"
	"testing"
)

func TestInvalidConfigurationsAreRefusedInOneLine(t *testing.T) {
	for _, c := range []struct{ want, args string }{
		{"--public-url", "--http-listen=0.0.0.0:8420"},
		{"--public-url", "--rpc-listen=:7420"},
		{"--public-url", "--http-listen=example.org:8420"},
		{"--insecure-plaintext", "--http-listen=:8420 --public-url=https://a.example"},
		{"come together", "--tls-cert=cert.pem"},
		{"HOST:PORT", "--http-listen=8420"},
		{"HOST:PORT", "--http-listen="},
		{"HOST:PORT", "--http-listen=unix:/tmp/s"},
		{"write https://a.example", "--public-url=https://a.example/"},
		{"write https://a.example", "--public-url=https://A.example"},
		{"write https://a.example", "--public-url=https://a.example:443"},
		{"write https://a.example/path", "--public-url=https://a.example/path/"},
		{"write https://a.example/path", "--public-url=https://a.example/x/..//path"},
		{"plain characters", "--public-url=https://a.example/path?x"},
		{"plain characters", "--public-url=https://a.example/a%20b"},
		{"not an origin", "--public-url=https:///path"},
		{"write https://a.example", "--allowed-origins=https://a.example/path"},
		{"not an origin", "--public-url=ftp://a.example"},
		{"not an origin", "--allowed-origins=null"},
		{"--max-payload", "--max-payload=0"},
		{"--max-payload", "--max-payload=6MiB"},
		{"--queue-bytes", "--queue-bytes=1KiB"},
		{"at least 1", "--queue-messages=0"},
		{"--token-ttl", "--token-ttl=25h"},
		{"--token-ttl", "--token-ttl=-1s"},
		{"--sweep-every", "--sweep-every=0s"},
		{"--retention-last-resort", "--retention-last-resort=2161h"},
		{"--trusted-rpc-ca", "--trusted-rpc-listen=127.0.0.1:0"},
		{"--trusted-rpc-ca", "--trusted-rpc-ca=ca.pem"},
		{"--trusted-rpc-ca", "--trusted-rpc-listen=unix:/tmp/s --trusted-rpc-ca=ca.pem"},
		{"--tls-cert", "--trusted-rpc-listen=127.0.0.1:0 --trusted-rpc-ca=ca.pem"},
		{"HOST:PORT", "--trusted-rpc-listen=7421"},
		{"--max-connections", "--max-connections=0"},
		{"--max-native-bytes", "--max-native-bytes=1MiB"},
		{"--max-http-bytes", "--max-http-bytes=1MiB"},
		{"size", "--max-native-bytes=much"},
		{"size", "--rate-bytes=fast"},
		{"neither on nor off", "--legacy=maybe"},
		{"percentage", "--min-free=0.05"},
		{"percentage", "--min-free=101%"},
		{"number", "--rate-identity=NaN"},
		{"number", "--rate-identity=-1"},
		{"size", "--max-payload=9999999999GiB"},
		{"network", "--trusted-proxies=example.org"},
		{"--data-dir", "--data-dir="},
		{"unknown flag", "--stores=pebble"},
		{"must be one of", "--store=mysql"},
		{"--redis-url", "--store=redis --public-url=http://a.example"},
		{"--public-url", "--store=redis --redis-url=redis://127.0.0.1"},
		{"--store redis", "--redis-url=redis://127.0.0.1"},
		{"--store redis", "--shared-limits"},
		{"--store redis", "--durability=waitaof"},
		{"number of replicas", "--durability=wait-replicas=0"},
		{"wait-replicas=N", "--durability=soon"},
		{"--redis-limits-url: not a usable", "--store=redis --redis-url=redis://a --public-url=http://a.example --redis-limits-url=b"},
		{"--redis-url: not a usable", "--store=redis --redis-url=http://a --public-url=http://a.example"},
		{"--redis-url: not a usable", "--store=redis --redis-url=redis://a/x --public-url=http://a.example"},
	} {
		args := append([]string{"serve"}, strings.Fields(c.args)...)
		code, _, stderr := qpqd(t, args...)
		if code != exitUsage || strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, c.want) {
			t.Errorf("%s: exit %d, %q, wanted one line with %q", c.args, code, stderr, c.want)
		}
	}
}

func TestValidConfigurations(t *testing.T) {
	for _, args := range []string{
		"",
		"--http-listen=localhost:0 --rpc-listen=unix:/tmp/qpqd.sock --ops-listen=",
		"--http-listen=[::1]:8420 --rpc-listen=",
		"--http-listen=:8420 --public-url=https://a.example --insecure-plaintext",
		"--rpc-listen=:7420 --public-url=https://a.example:8443 --tls-cert=c --tls-key=k",
		"--public-url=https://a.example/chat/v2",
		"--rate-identity=0 --min-free=0% --shutdown-grace=0s",
	} {
		code, out, stderr := qpqd(t, append([]string{"config", "check"}, strings.Fields(args)...)...)
		if code != exitDone || out != "ok\n" {
			t.Errorf("%s: exit %d, %q %q", args, code, out, stderr)
		}
	}
}

func TestDefaultPublicURLIsTheListenersOrigin(t *testing.T) {
	for _, test := range []struct {
		c    config
		want string
		path string
	}{
		{config{HTTPListen: "127.0.0.1:0"}, "http://127.0.0.1:4711", ""},
		{config{HTTPListen: "[::1]:0", TLSCert: "c"}, "https://[::1]:4711", ""},
		{config{HTTPListen: "127.0.0.1:0", PublicURL: "https://a.example"}, "https://a.example", ""},
		{config{HTTPListen: "127.0.0.1:0", PublicURL: "https://a.example:8443/chat"}, "https://a.example:8443", "/chat"},
	} {
		if got, path := test.c.publicURL("4711"); got != test.want || path != test.path {
			t.Errorf("%q, %q, wanted %q, %q", got, path, test.want, test.path)
		}
	}
}
