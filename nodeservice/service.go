package nodeservice

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/quicproquo/node/nodeservice/identity"
)

// Service is the node itself: it implements Node over a Store, a Bus and a
// Limiter. Create it with New, keep Run running, and Close it last.
type Service struct {
	cfg        Config               // static after construction
	challenger *identity.Challenger // static after construction
	issuer     *identity.Issuer     // static after construction
	verifier   *identity.Verifier   // remembers a bounded number of tokens
	nonces     *identity.NonceSource
	accounts   *keyedHash                       // names accounts
	members    *lru.Cache[membership, Identity] // the peer
	revoked    *revoked
	presence   *presence
	handouts   handouts
	space      space
	audit      *auditor
	counters   counters

	lastNow  atomic.Int64 // the greatest UnixMilli that now returned
	lastMint atomic.Int64 // the greatest IssuedAt of our tokens

	draining chan struct{} // closed by Drain
	drain    sync.Once
	close    sync.Once
}

// maxMemberships bounds the cache of positive memberships, which never change.
const maxMemberships = 1 << 16

// membership is the key of a cached positive answer. The caller is part of it,
// so that a stranger's question costs a store read whether or not the channel
// exists, and time tells nothing.
type membership struct {
	channel ChannelID
	caller  Identity
}

// New makes a Service; it reads the stored revocations.
func New(cfg Config) (*Service, error) {
	if err := cfg.setDefaults(); err != nil {
		return nil, err
	}
	members, err := lru.New[membership, Identity](maxMemberships)
	if err != nil {
		return nil, err
	}
	tokens := identity.VerifierConfig{
		Issuer: cfg.PublicURL, Audience: cfg.PublicURL, Keys: cfg.Keys, External: cfg.Issuers, Log: cfg.Log,
	}
	if err := tokens.Validate(); err != nil {
		return nil, err
	}
	s := &Service{
		cfg:        cfg,
		challenger: identity.NewChallenger(cfg.Secret),
		issuer:     identity.NewIssuer(identity.IssuerConfig{URL: cfg.PublicURL, Keys: cfg.Keys, TTL: cfg.TokenTTL}),
		verifier:   identity.NewVerifier(tokens),
		nonces:     identity.NewNonceSource(cfg.Secret),
		accounts:   newKeyedHash(cfg.Secret, "account"),
		members:    members,
		revoked:    newRevoked(),
		presence:   newPresence(),
		handouts:   handouts{most: maxHandouts},
		draining:   make(chan struct{}),
	}
	if err := s.loadRevocations(context.Background()); err != nil {
		return nil, errors.Join(err, s.verifier.Close())
	}
	s.audit = newAuditor(cfg.Audit, newKeyedHash(cfg.Secret, "audit"), cfg.Log)
	return s, nil
}

// refreshEvery is how often external issuers' keys are looked at: a withdrawn
// key must be noticed though no token comes.
const refreshEvery = 5 * time.Second

// Run sweeps, and looks after external issuers' keys and other nodes'
// revocations, until ctx ends; then it returns nil.
func (s *Service) Run(ctx context.Context) error {
	var others sync.WaitGroup
	defer others.Wait()
	if s.cfg.Revocations > 0 {
		others.Go(func() { s.learnRevocations(ctx) })
	}
	sweep := newTicker(s.cfg.SweepEvery)
	defer sweep.stop()
	refresh := newTicker(0)
	if len(s.cfg.Issuers) > 0 {
		refresh = newTicker(refreshEvery)
	}
	defer refresh.stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-sweep.c:
			if err := s.Sweep(ctx); err != nil && ctx.Err() == nil {
				s.cfg.Log.Warn("sweep failed, trying again later", "cause", AsError(err).Cause, "err", err)
			}
		case <-refresh.c:
			if err := s.verifier.Refresh(ctx, s.now().Time()); err != nil && ctx.Err() == nil {
				s.cfg.Log.Warn("the keys of an issuer could not be loaded; those at hand stay in force", "cause", err)
			}
		}
	}
}

// Drain tells every stream and every waiting fetch that the node shuts down.
func (s *Service) Drain() {
	s.drain.Do(func() { close(s.draining) })
}

// Close drains and writes out the audit. It leaves the Store to its owner, and
// may be called twice.
func (s *Service) Close() error {
	s.Drain()
	s.close.Do(func() {
		s.audit.flushFailures(s.now())
		s.audit.close()
		_ = s.verifier.Close() // of goroutines: cannot fail
	})
	return nil
}

// Ready says whether the node can serve: its store answers.
func (s *Service) Ready(ctx context.Context) error {
	select {
	case <-s.draining:
		return Errorf(CodeUnavailable, "the node is shutting down")
	default:
	}
	_, err := s.cfg.Store.Free(ctx)
	return err
}

// Info implements Node.
func (s *Service) Info(context.Context) (Info, error) {
	now := s.now()
	return Info{
		MinVersion:    MinVersion,
		MaxVersion:    MaxVersion,
		Capabilities:  s.capabilities(),
		Audience:      s.cfg.PublicURL,
		Durability:    s.cfg.Store.Durability(),
		ServerTime:    now,
		MaxPayload:    s.cfg.Quotas.MaxPayload,
		MaxFetch:      MaxFetch,
		MaxFetchBytes: MaxFetchBytes,
		MaxWait:       MaxWait,
		Legacy:        !s.cfg.NoLegacy,
		JWKS:          s.cfg.Keys.ValidAt(now.Time()).JWKS(),
	}, nil
}

func (s *Service) capabilities() []string {
	all := []string{"channels", "follow", "if-head", "key-packages", "message-id"}
	if !s.cfg.NoSelfLogin {
		all = append(all, "login")
	}
	if all = append(all, "dpop"); s.cfg.RequireProof {
		all = append(all, "dpop-required")
	}
	return all
}

// now is the configured clock, kept from going back: what was reported as
// expired must stay expired.
func (s *Service) now() UnixMilli {
	return UnixMilli(rise(&s.lastNow, int64(Milli(s.cfg.Now())), 0))
}

// rise moves v to to, or by step if it is that far already.
func rise(v *atomic.Int64, to, step int64) int64 {
	for {
		last := v.Load()
		next := max(to, last+step)
		if v.CompareAndSwap(last, next) {
			return next
		}
	}
}

// account is the keyed hash that id's quotas are counted by.
func (s *Service) account(id Identity) Account {
	sum := s.accounts.of(id.Raw())
	return Account(sum[:len(Account{})])
}
