package main

import (
	"log/slog"
	"net/url"
	"time"

	"github.com/alecthomas/kong"

	"github.com/quicproquo/node/nodeservice"
)

// config is everything about a node that can be configured. A value comes from
// the flag, else from the environment (QPQD_HTTP_LISTEN for --http-listen),
// else from the file of --config (http-listen: ...), else it is the default
// here. Durations are spelled 90s, 15m, 168h; sizes 64KiB, 5MiB, 1GiB or plain
// bytes. Static once it is parsed and validated.
type config struct {
	Config kong.ConfigFlag `help:"YAML file with any of these settings by their names, without the dashes before them." placeholder:"FILE" env:"QPQD_CONFIG"`

	HTTPListen        string `group:"Doors" default:"127.0.0.1:8420" placeholder:"HOST:PORT" help:"Where the HTTP gateway listens; port 0 takes a free one."`
	RPCListen         string `group:"Doors" default:"127.0.0.1:7420" placeholder:"HOST:PORT" help:"Where the Cap'n Proto door listens; unix:PATH is a socket; empty: nowhere."`
	TrustedRPCListen  string `group:"Doors" name:"trusted-rpc-listen" placeholder:"HOST:PORT" help:"Where qpqd gateway, standing apart, connects: unix:PATH (its owner's alone), or HOST:PORT with --trusted-rpc-ca. Whoever gets in is believed what it says of its clients: their addresses, and their DPoP proofs. Empty: nowhere."`
	TrustedRPCCA      string `group:"Doors" name:"trusted-rpc-ca" placeholder:"FILE" help:"Certificates (PEM) that vouch for those that connect to --trusted-rpc-listen, by client certificates; a gateway's own self-signed one admits it alone."`
	OpsListen         string `group:"Doors" default:"127.0.0.1:9420" placeholder:"HOST:PORT" help:"Where metrics listen, and on loopback pprof; no token is asked for; empty: nowhere."`
	TLSCert           string `group:"Doors" name:"tls-cert" placeholder:"FILE" help:"Certificate chain (PEM) of both doors, which then speak TLS 1.3 only; read again when it changes."`
	TLSKey            string `group:"Doors" name:"tls-key" placeholder:"FILE" help:"Private key (PEM) of --tls-cert; read again when it changes."`
	QUIC              toggle `group:"Doors" name:"quic" default:"on" placeholder:"on|off" help:"With --tls-cert: whether native clients may come over QUIC as well, to the same port number of UDP as --rpc-listen's of TCP."`
	InsecurePlaintext bool   `group:"Doors" help:"Listen beyond loopback without TLS: whoever sees the network can take tokens and act for their owners."`
	PublicURL         string `group:"Doors" name:"public-url" placeholder:"URL" help:"Origin that clients dial and sign for, e.g. https://chat.example.org: issuer and audience of our tokens. Behind it, if a proxy has the gateway below a path, that path. Default: the HTTP listener's own."`

	AllowedOrigins []string      `group:"Doors" placeholder:"ORIGIN" help:"Origins of web pages that may use the gateway, beside --public-url and its own."`
	TrustedProxies []network     `group:"Doors" placeholder:"CIDR" help:"Proxies whose X-Forwarded-For is believed, as networks or addresses."`
	MaxConnections int           `group:"Doors" default:"16384" placeholder:"N" help:"HTTP connections at once, streams among them; further ones wait to be accepted."`
	MaxHTTPBytes   size          `group:"Doors" name:"max-http-bytes" default:"512MiB" placeholder:"SIZE" help:"Memory that all HTTP requests and streams may hold together, in bodies, answers and frames under way; beyond it, of the address that holds most the oldest are cut."`
	MaxNativeBytes size          `group:"Doors" default:"512MiB" placeholder:"SIZE" help:"Memory that all native connections may hold together, in calls and answers under way, those of --trusted-rpc-listen left out; beyond it, those that hold most are cut."`
	ShutdownGrace  time.Duration `group:"Doors" default:"30s" help:"How long open requests and streams may take to end at a stop."`

	Store          string     `group:"Store" default:"pebble" enum:"pebble,redis" placeholder:"pebble|redis" help:"Where messages and key packages are kept: in the data directory, by this node alone; or in a Redis, by many nodes together."`
	DataDir        string     `group:"Store" default:"./var/qpqd" placeholder:"DIR" help:"Where everything is kept that is not in Redis: messages, key packages, secrets. Made with mode 0700; one process at a time."`
	MinFree        share      `group:"Store" default:"5%" placeholder:"PERCENT" help:"Share of the disk, or of Redis's maxmemory, that must be free to store more; 0% for no check."`
	RedisURL       secretURL  `group:"Store" name:"redis-url" placeholder:"URL" help:"The Redis (7.0 or newer, or Valkey) of --store redis: redis://user:password@host:6379/0, rediss:// for TLS, redis+sentinel://host:26379?master_name=NAME, redis+cluster://host:6379?addr=host2:6379. It holds the nodes' secrets too: keep it private."`
	Durability     durability `group:"Store" default:"as-configured" placeholder:"as-configured|wait-replicas=N|waitaof" help:"When a write to Redis counts as stored: once Redis answers, which is as durable as its own configuration; once N replicas have it in memory as well; or once Redis (7.2 or newer) has it on disk (waitaof=N: and on that of N replicas)."`
	SharedLimits   bool       `group:"Store" help:"Count rate limits over all nodes together, in Redis. Otherwise each node counts by itself, but for claims of key packages."`
	RedisLimitsURL secretURL  `group:"Store" name:"redis-limits-url" placeholder:"URL" help:"Another Redis for what limits count together: one that keeps nothing on disk spares the first a synced write for each request. Default: --redis-url."`

	TokenTTL    time.Duration `group:"Tokens" name:"token-ttl" default:"15m" help:"How long an access token is valid; at most 24h."`
	TokenKeys   string        `group:"Tokens" placeholder:"FILE" help:"Private keys (JWK Set) that sign our tokens. Default: made at first start in the data directory."`
	RequireDPoP bool          `group:"Tokens" name:"require-dpop" help:"Refuse tokens that come without a DPoP proof (RFC 9449) of their key. Native clients then log in on each connection: authenticate, and auth in calls, have none."`
	Issuers     issuers       `group:"Tokens" placeholder:"LIST" help:"Others whose tokens are taken: a list of maps with issuer, audience, type (at+jwt), algorithms (all of EdDSA, ES256, RS256, PS256), max-lifetime (24h), and jwks-file or jwks-url. Each may speak for every identity. Read again as they change."`
	SelfLogin   toggle        `group:"Tokens" default:"on" placeholder:"on|off" help:"Whether clients may log in with their identity keys."`

	RateIdentity rate `group:"Limits" default:"50" placeholder:"N" help:"Requests per second of one identity, twice as many at once; 0 for no limit."`
	RateAddress  rate `group:"Limits" default:"50" placeholder:"N" help:"Requests per second of one client address (IPv6: /64), twice as many at once; 0 for no limit."`
	RateChannel  rate `group:"Limits" default:"50" placeholder:"N" help:"Requests per second of one identity on one channel, twice as many at once; 0 for no limit."`
	RateBytes    size `group:"Limits" default:"10MiB" placeholder:"SIZE" help:"Payload that one identity may send per second, 3.2 times as much at once and two of the largest messages at least; it may receive 4 times as much, 8 times at once; 0 for no limit."`
	RateClaims   rate `group:"Limits" default:"10" placeholder:"N" help:"Key packages of one owner that one identity may claim per minute; an address three times, an owner's one-time packages six times as many an hour; 0 for no limit."`
	RateCreates  rate `group:"Limits" default:"10" placeholder:"N" help:"Channels that one identity may create per minute, one address six times as many; 0 for no limit."`

	MaxPayload     size `group:"Limits" default:"5MiB" placeholder:"SIZE" help:"Largest payload of a message; at most 5MiB."`
	QueueMessages  int  `group:"Limits" default:"10000" placeholder:"N" help:"Unexpired messages that a queue holds."`
	QueueBytes     size `group:"Limits" default:"256MiB" placeholder:"SIZE" help:"Payload that a queue holds."`
	MaxChannels    int  `group:"Limits" default:"10000" placeholder:"N" help:"Channels that one identity may create."`
	MaxKeyPackages int  `group:"Limits" default:"200" placeholder:"N" help:"Key packages that one identity may hold."`

	RetentionMessages    time.Duration `group:"Retention" default:"168h" help:"How long a message waits for its recipient."`
	RetentionKeyPackages time.Duration `group:"Retention" default:"24h" help:"How long a one-time key package is kept, unless it expires before."`
	RetentionLastResort  time.Duration `group:"Retention" default:"2160h" help:"How long a last-resort key package is kept, unless it expires before; at most 2160h."`
	SweepEvery           time.Duration `group:"Retention" default:"1m" help:"How often expired things are deleted."`

	Legacy    toggle     `group:"Operation" default:"on" placeholder:"on|off" help:"Whether native clients from before channels are served."`
	AuditFile string     `group:"Operation" placeholder:"FILE" help:"Where audit records are appended. Default: standard error."`
	LogLevel  slog.Level `group:"Operation" default:"info" placeholder:"LEVEL" help:"debug, info, warn or error; the log goes to standard error."`
}

// tls says whether the doors speak TLS.
func (c *config) tls() bool { return c.TLSCert != "" }

// publicURL is the audience of our tokens, and the path below which clients find
// the gateway there, given the address that the HTTP listener really has: its port
// may have been chosen by the system.
func (c *config) publicURL(httpPort string) (origin, below string) {
	if c.PublicURL != "" {
		return splitPublicURL(c.PublicURL)
	}
	u := url.URL{Scheme: "http", Host: withPort(c.HTTPListen, httpPort)}
	if c.tls() {
		u.Scheme = "https"
	}
	return u.String(), ""
}

// rates fills in what the flags say; the rest are the defaults. The ratios
// between the budgets of claims and creates are those of the defaults.
func (c *config) rates() nodeservice.Rates {
	r := nodeservice.DefaultRates()
	r.Identity = c.RateIdentity.perSecond()
	r.Address = c.RateAddress.perSecond()
	r.Channel = c.RateChannel.perSecond()
	r.BytesIn, r.BytesOut = c.bytesIn(), c.bytesOut()
	r.ClaimsPair = c.RateClaims.per(1, time.Minute)
	r.ClaimsAddress = c.RateClaims.per(3, time.Minute)
	r.ClaimsOwner = c.RateClaims.per(6, time.Hour)
	r.CreatesIdentity = c.RateCreates.per(1, time.Minute)
	r.CreatesAddress = c.RateCreates.per(6, time.Minute)
	return r
}

// bytesIn always lets two of the largest messages through at once, and bytesOut
// two of the largest pages.
func (c *config) bytesIn() nodeservice.Rate {
	if c.RateBytes == 0 {
		return nodeservice.Rate{}
	}
	n := float64(c.RateBytes)
	return nodeservice.Rate{PerSecond: n, Burst: max(3.2*n, 2*float64(c.MaxPayload))}
}

func (c *config) bytesOut() nodeservice.Rate {
	if c.RateBytes == 0 {
		return nodeservice.Rate{}
	}
	n := float64(c.RateBytes)
	return nodeservice.Rate{PerSecond: 4 * n, Burst: max(8*n, 2*nodeservice.MaxFetchBytes)}
}

// quotas fills in what the flags say; the rest are the defaults.
func (c *config) quotas() nodeservice.Quotas {
	q := nodeservice.DefaultQuotas()
	q.MaxPayload = int(c.MaxPayload)
	q.QueueMessages = c.QueueMessages
	q.QueueBytes = int64(c.QueueBytes)
	q.Channels = c.MaxChannels
	q.KeyPackages = c.MaxKeyPackages
	return q
}

func (c *config) retention() nodeservice.Retention {
	return nodeservice.Retention{
		Messages:    c.RetentionMessages,
		KeyPackages: c.RetentionKeyPackages,
		LastResort:  c.RetentionLastResort,
	}
}
