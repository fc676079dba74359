package nodeservice

import (
	"context"
	"sync"
	"time"

	"github.com/quicproquo/node/nodeservice/identity"
)

// revoked is what this node knows of the stored revocations. It is bounded by
// the rate limits: each entry cost a login or a valid token, and goes when the
// tokens concerned have expired.
type revoked struct {
	mu         sync.RWMutex
	tokens     map[[32]byte]UnixMilli  // guarded by mu: token hash -> until
	identities map[Identity]Revocation // guarded by mu
	more       chan struct{}           // guarded by mu: closed when there is another
}

func newRevoked() *revoked {
	return &revoked{tokens: map[[32]byte]UnixMilli{}, identities: map[Identity]Revocation{}, more: make(chan struct{})}
}

// add takes note of revocations, and wakes whoever holds a token if one is news.
func (r *revoked) add(all ...Revocation) {
	r.mu.Lock()
	defer r.mu.Unlock()
	news := false
	for _, one := range all {
		news = r.note(one) || news
	}
	if news {
		close(r.more)
		r.more = make(chan struct{})
	}
}

// note says whether the revocation was news; the caller holds mu.
func (r *revoked) note(one Revocation) bool {
	if one.Identity.IsZero() {
		_, known := r.tokens[one.Token]
		r.tokens[one.Token] = one.Until
		return !known
	}
	if known := r.identities[one.Identity]; known.IssuedBefore >= one.IssuedBefore {
		return false
	}
	r.identities[one.Identity] = one
	return true
}

// anew is closed when something more is revoked. Who waits asks for it first,
// and then looks whether their token still holds.
func (r *revoked) anew() <-chan struct{} {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.more
}

func (r *revoked) has(t *identity.Token) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if _, ok := r.tokens[t.Hash]; ok {
		return true
	}
	return Milli(t.IssuedFrom()) < r.identities[t.Identity].IssuedBefore
}

// forget drops what concerns only tokens that have expired.
func (r *revoked) forget(now UnixMilli) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for hash, until := range r.tokens {
		if until <= now {
			delete(r.tokens, hash)
		}
	}
	for id, revocation := range r.identities {
		if revocation.Until <= now {
			delete(r.identities, id)
		}
	}
}

// issueTime is the IssuedAt of a new token: each has its own, so that to void an
// identity's earlier ones is exact. It is after what the identity has voided by a
// clock that was ahead of ours; nobody else's tokens are, since by how far that
// clock was ahead nobody knows, and tokens from the future are refused.
func (s *Service) issueTime(id Identity, revokeOlder bool, now UnixMilli) UnixMilli {
	at := UnixMilli(rise(&s.lastMint, int64(now), 1))
	before := s.revoked.before(id)
	if at <= before && revokeOlder {
		return before + 1
	}
	return max(at, before)
}

// before is the instant before which the tokens of an identity are void.
func (r *revoked) before(id Identity) UnixMilli {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.identities[id].IssuedBefore
}

// loadRevocations reads what was revoked before this process started, or on
// other nodes.
func (s *Service) loadRevocations(ctx context.Context) error {
	all, err := s.cfg.Store.Revocations(ctx, s.now())
	if err != nil {
		return err
	}
	s.revoked.add(all...)
	return nil
}

// learnRevocations re-reads what is revoked on a hint and on its own tick, until
// ctx ends. While the store is away nothing is served that it would have to
// forbid but deliveries, which read the store as well.
func (s *Service) learnRevocations(ctx context.Context) {
	hints := s.cfg.Bus.Subscribe(Identity{}, func(h Hint) bool { return h.Kind == HintRevocations })
	defer hints.Close()
	tick := newTicker(s.cfg.Revocations)
	defer tick.stop()
	for away := false; ; {
		select {
		case <-ctx.Done():
			return
		case <-hints.Ready():
			hints.Take()
		case <-tick.c:
		}
		err := s.loadRevocations(ctx)
		if err != nil && !away && ctx.Err() == nil {
			s.cfg.Log.Warn("revocations could not be read, trying again", "cause", AsError(err).Cause, "err", err)
		}
		away = err != nil
	}
}

// revoke is durable before it is told. What this node knows wakes its own
// streams; the hint is for the other nodes.
func (s *Service) revoke(ctx context.Context, r Revocation) error {
	if err := s.cfg.Store.Revoke(ctx, r); err != nil {
		return err
	}
	s.revoked.add(r)
	s.cfg.Bus.Hint(Hint{Kind: HintRevocations})
	return nil
}

// oldestTTL bounds the TTL that our own tokens had before it was configured anew.
const oldestTTL = 24 * time.Hour

// lastExpiry is when the last token issued before t has expired, whoever issued it.
func (s *Service) lastExpiry(t UnixMilli) UnixMilli {
	longest := max(oldestTTL, s.cfg.TokenTTL)
	for _, issuer := range s.cfg.Issuers {
		longest = max(longest, issuer.MaxLifetime)
	}
	return t.Add(longest + time.Minute)
}

// usable says whether a verified token may still be used.
func (s *Service) usable(t *identity.Token, now UnixMilli) error {
	switch {
	case Milli(t.ExpiresAt) <= now:
		return Errorf(CodeTokenExpired, "the access token has expired; log in again")
	case !s.verifier.StillTrusted(*t):
		return Errorf(CodeUnauthenticated, "the key that signed the access token was withdrawn; log in again")
	case s.revoked.has(t):
		return Errorf(CodeUnauthenticated, "the access token was revoked; log in again")
	}
	return nil
}

// Revoke implements Session.
func (s *session) Revoke(ctx context.Context) error {
	return s.do(ctx, opRevoke, ChannelID{}, func(c *call) error {
		t := s.token.Load()
		s.node.verifier.Forget(t.Hash)
		return s.node.revoke(ctx, Revocation{Token: t.Hash, Until: revokedUntil(t.ExpiresAt)})
	})
}
