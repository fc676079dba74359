package nodeservice

import (
	"errors"
	"io"
	"log/slog"
	"time"

	"github.com/quicproquo/node/nodeservice/identity"
)

// Config is what a Service is made of. Store, Secret, Keys and PublicURL are
// required; a zero value elsewhere is replaced as its comment says.
type Config struct {
	Store   Store
	Bus     Bus     // nil: a LocalBus
	Limiter Limiter // nil: a MemoryLimiter

	Secret    []byte                // of the installation, at least 32 bytes: challenges, pseudonyms and accounts are keyed by it
	Keys      *identity.SigningKeys // sign our tokens
	PublicURL string                // issuer and audience of our tokens
	TokenTTL  time.Duration         // 0: 15 minutes

	Issuers      []identity.IssuerPolicy // whose tokens are taken besides our own; each may speak for every identity
	RequireProof bool                    // refuse tokens that come without a proof of possession

	NoSelfLogin bool // refuse challenge and login: tokens come from elsewhere
	NoLegacy    bool // refuse enqueue and fetch without a channel

	Rates     Rates
	Quotas    Quotas
	Retention Retention
	MinFree   float64 // share of the store that must be free to store more; 0: no check

	SweepEvery time.Duration // 0: never
	// Revocations is how often to re-read what other nodes revoked, besides on
	// their hints; 0: never, there is no other node.
	Revocations time.Duration
	Tick        time.Duration // how often waiters re-read without a hint; 0: never

	Now   func() time.Time // nil: time.Now
	Audit io.Writer        // nil: discarded
	Log   *slog.Logger     // nil: discarded
}

// Rates are the request limits of PRODUCT section 2; a zero Rate is no limit.
type Rates struct {
	Address         Rate    // requests of one client address (IPv6: /64)
	Identity        Rate    // requests of one identity
	Channel         Rate    // requests of one (channel, caller)
	BytesIn         Rate    // payload bytes enqueued by an identity
	BytesOut        Rate    // payload bytes returned to an identity, charged afterwards as debt
	CreatesIdentity Rate    // channels really created by an identity
	CreatesAddress  Rate    // channels really created from an address
	ClaimsPair      Rate    // claims of one (claimer, owner)
	ClaimsAddress   Rate    // claims from one address
	ClaimsOwner     Rate    // one-time key packages of an owner, over all claimers
	FailureCost     float64 // requests that a failed authentication costs its address
	AuditedFailures Rate    // failures of an address that are audited one by one
}

// DefaultRates are the limits that a node has unless it is told otherwise.
func DefaultRates() Rates {
	return Rates{
		Address:         Rate{PerSecond: 50, Burst: 100},
		Identity:        Rate{PerSecond: 50, Burst: 100},
		Channel:         Rate{PerSecond: 50, Burst: 100},
		BytesIn:         Rate{PerSecond: 10 << 20, Burst: 32 << 20},
		BytesOut:        Rate{PerSecond: 40 << 20, Burst: 80 << 20},
		CreatesIdentity: Per(10, time.Minute),
		CreatesAddress:  Per(60, time.Minute),
		ClaimsPair:      Per(10, time.Minute),
		ClaimsAddress:   Per(30, time.Minute),
		ClaimsOwner:     Per(60, time.Hour),
		FailureCost:     10,
		AuditedFailures: Per(10, time.Minute),
	}
}

// Quotas bound what is held; zero fields bound nothing but for MaxPayload.
type Quotas struct {
	MaxPayload    int   // bytes of one message; 0: 5 MiB
	QueueMessages int   // unexpired messages of a queue
	QueueBytes    int64 // of their payloads
	AccountBytes  int64 // undelivered payload bytes of one sender
	ShareMessages int   // of one sender in one legacy queue
	ShareBytes    int64 // of one sender in one legacy queue
	RememberedIDs int   // latest message ids remembered per (channel, sender)
	Channels      int   // that an identity may create
	KeyPackages   int   // that an identity may hold
	Streams       int   // open streams of an identity on this node
	Waits         int   // fetches of an identity that wait on this node
}

// DefaultQuotas are the quotas that a node has unless it is told otherwise.
func DefaultQuotas() Quotas {
	return Quotas{
		MaxPayload:    5 << 20,
		QueueMessages: 10_000,
		QueueBytes:    256 << 20,
		AccountBytes:  1 << 30,
		ShareMessages: 256,
		ShareBytes:    16 << 20,
		RememberedIDs: 10_000,
		Channels:      10_000,
		KeyPackages:   200,
		Streams:       16,
		Waits:         64,
	}
}

// Retention is how long things are kept; zero fields take the default.
type Retention struct {
	Messages    time.Duration // 0: 7 days
	KeyPackages time.Duration // one-time ones, or their own lifetime if shorter; 0: 24 h
	LastResort  time.Duration // likewise; 0: 90 days
}

func (c *Config) setDefaults() error {
	switch {
	case c.Store == nil, c.Keys == nil, c.PublicURL == "":
		return errors.New("nodeservice: Config lacks Store, Keys or PublicURL")
	case len(c.Secret) < 32:
		return errors.New("nodeservice: Config.Secret is shorter than 32 bytes")
	}
	if c.Bus == nil {
		c.Bus = &LocalBus{}
	}
	if c.Limiter == nil {
		c.Limiter = NewMemoryLimiter(1 << 18)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Audit == nil {
		c.Audit = io.Discard
	}
	orDefault(&c.TokenTTL, 15*time.Minute)
	orDefault(&c.Quotas.MaxPayload, 5<<20)
	orDefault(&c.Retention.Messages, 7*24*time.Hour)
	orDefault(&c.Retention.KeyPackages, 24*time.Hour)
	orDefault(&c.Retention.LastResort, 90*24*time.Hour)
	return nil
}

func orDefault[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
}
