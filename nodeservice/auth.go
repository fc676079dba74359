package nodeservice

import (
	"context"
	"crypto/sha256"
	"errors"

	"github.com/quicproquo/node/nodeservice/identity"
)

// Challenge implements Node.
func (s *Service) Challenge(ctx context.Context, from Origin, id Identity) (Challenge, error) {
	now := s.now()
	err := s.admitStranger(ctx, opChallenge, from, now)
	if err == nil && id.IsZero() {
		err = Errorf(CodeInvalidArgument, "identity is missing")
	}
	s.counters.count(opChallenge, CodeOf(err))
	if err != nil {
		return Challenge{}, AsError(err)
	}
	nonce, expires := s.challenger.Issue(id, now.Time())
	return Challenge{Nonce: nonce, Audience: s.cfg.PublicURL, ExpiresAt: Milli(expires)}, nil
}

// Login implements Node.
func (s *Service) Login(ctx context.Context, from Origin, req LoginRequest) (Login, error) {
	now := s.now()
	r := record{event: opLogin.String(), origin: from, actor: req.Identity}
	login, err := s.login(ctx, from, req, now)
	s.counters.count(opLogin, CodeOf(err))
	if err != nil {
		return Login{}, s.failedAuthentication(ctx, opLogin, now, r, policies[opLogin].cost, err)
	}
	return login, s.audited(r, now, policies[opLogin].audit)
}

func (s *Service) login(ctx context.Context, from Origin, req LoginRequest, now UnixMilli) (Login, error) {
	if err := s.admitStranger(ctx, opLogin, from, now); err != nil {
		return Login{}, err
	}
	if req.Identity.IsZero() {
		return Login{}, Errorf(CodeInvalidArgument, "identity is missing")
	}
	if err := s.checkLogin(ctx, req, now); err != nil {
		return Login{}, err
	}
	issuedAt := s.issueTime(req.Identity, req.RevokeOlder, now)
	if req.RevokeOlder {
		if err := s.revoke(ctx, Revocation{Identity: req.Identity, IssuedBefore: issuedAt, Until: s.lastExpiry(issuedAt)}); err != nil {
			return Login{}, err
		}
	}
	token, t, err := s.issuer.Mint(req.Identity, issuedAt.Time())
	if err != nil {
		return Login{}, err
	}
	return Login{Token: token, ExpiresAt: Milli(t.ExpiresAt), Session: s.newSession(from, t)}, nil
}

// checkLogin proves that the caller holds the identity's private key, and takes
// the nonce: last, so that nobody can spend another's, and on all nodes
// together, so that it logs in once.
func (s *Service) checkLogin(ctx context.Context, req LoginRequest, now UnixMilli) error {
	expires, err := s.challenger.Check(req.Identity, req.Nonce, now.Time())
	if err != nil {
		return authError(err)
	}
	if err := identity.CheckLogin(s.cfg.PublicURL, req.Identity, req.Nonce, req.Signature); err != nil {
		return authError(err)
	}
	first, err := s.spend(ctx, "login", sha256.Sum256(req.Nonce), expires, now)
	if err == nil && !first {
		err = Errorf(CodeUnauthenticated, "the nonce has logged in already; ask for a new challenge")
	}
	return err
}

// admitStranger is the path before there is a session: the address's limit, and
// whether this node logs in by itself.
func (s *Service) admitStranger(ctx context.Context, op operation, from Origin, now UnixMilli) error {
	if err := s.charge(ctx, from, now, []Charge{s.addressCharge(from, policies[op].cost)}); err != nil {
		return err
	}
	if s.cfg.NoSelfLogin {
		return Errorf(CodePermissionDenied, "this node does not log in by itself; bring a token of its issuer")
	}
	return nil
}

func (s *Service) addressCharge(from Origin, cost float64) Charge {
	return Charge{Bucket: "address/" + from.bucket(), Cost: cost, Rate: s.cfg.Rates.Address}
}

// Authenticate implements Node.
func (s *Service) Authenticate(ctx context.Context, from Origin, token string) (Session, error) {
	now := s.now()
	sess, err := s.authenticate(ctx, from, token, now)
	if err != nil {
		s.counters.count(opAuthenticate, CodeOf(err))
		r := record{event: opAuthenticate.String(), origin: from}
		return nil, s.failedAuthentication(ctx, opAuthenticate, now, r, 0, err)
	}
	return sess, nil
}

// authenticate charges for the operation that follows: so a request that goes no
// further, because it is malformed, costs the same. A proof is taken after that,
// since to remember it costs a write; and if it was taken already, the identity
// gets back what it paid, and the address pays for a failure: it may not be the
// identity that repeats it.
func (s *Service) authenticate(ctx context.Context, from Origin, token string, now UnixMilli) (*session, error) {
	t, err := s.verify(ctx, from, token, now)
	if err != nil {
		return nil, err
	}
	proof, err := s.prove(from.Proof, token, t, now)
	if err != nil {
		return nil, err
	}
	sess, c := s.newSession(from, t), newCall(now)
	if err := sess.payRequest(ctx, c, policies[opAuthenticate].cost); err != nil {
		return nil, err
	}
	if err := s.takeProof(ctx, proof, now); err != nil {
		s.giveBack(ctx, now, c.paid)
		return nil, err
	}
	sess.paid.Store(&c.paid)
	return sess, nil
}

// verify refuses an address in debt before it costs a signature check.
func (s *Service) verify(ctx context.Context, from Origin, token string, now UnixMilli) (identity.Token, error) {
	if err := s.charge(ctx, from, now, []Charge{s.addressCharge(from, 0)}); err != nil {
		return identity.Token{}, err
	}
	if token == "" {
		return identity.Token{}, Errorf(CodeUnauthenticated, "an access token is missing; log in first")
	}
	t, err := s.verifier.Verify(ctx, token, now.Time())
	if err != nil {
		return identity.Token{}, authError(err)
	}
	return t, s.usable(&t, now)
}

// prove checks that the client holds the token's key (RFC 9449), if it says so or
// must; nil: it says nothing. Where proofs are required, one must carry a recent
// nonce of ours, so that none is made in advance.
func (s *Service) prove(p *Proof, token string, t identity.Token, now UnixMilli) (*identity.Proof, error) {
	if p == nil {
		if s.cfg.RequireProof {
			return nil, Errorf(CodeUnauthenticated, "a token alone is not enough here: send a DPoP proof with it, or log in on this connection")
		}
		return nil, nil
	}
	target := identity.ProofTarget{Method: p.Method, URL: p.URL, Token: token, Key: t.Identity}
	if s.cfg.RequireProof {
		target.Nonces = s.nonces
	}
	proof, err := identity.CheckProof(p.JWT, target, now.Time())
	if errors.Is(err, identity.ErrProofNonce) {
		return nil, &Error{Code: CodeUnauthenticated, Detail: err.Error(), Nonce: s.nonces.Issue(now.Time()), Cause: err}
	}
	if err != nil {
		return nil, authError(err)
	}
	return &proof, nil
}

// takeProof sees to it that a proof serves once, on all nodes together.
func (s *Service) takeProof(ctx context.Context, proof *identity.Proof, now UnixMilli) error {
	if proof == nil {
		return nil
	}
	first, err := s.spend(ctx, "dpop", proof.ID, proof.FreshUntil, now)
	if err == nil && !first {
		err = &Error{Code: CodeUnauthenticated, Detail: "the DPoP proof was used already; make one for each request", Cause: identity.ErrProof}
	}
	return err
}

// failedAuthentication makes the address pay for a failure, and records it. To
// be told a nonce is none: only the key's holder gets that far.
func (s *Service) failedAuthentication(ctx context.Context, op operation, now UnixMilli, r record, paid float64, err error) error {
	e := AsError(err)
	if e.Nonce != "" {
		return e
	}
	switch e.Code {
	case CodeUnauthenticated, CodeTokenExpired:
		s.payForFailure(ctx, r.origin, now, paid)
		s.recordFailure(now, r, e.Code)
	case CodeInternal, CodeUnavailable:
		s.logCause(op, e)
	}
	return e
}

// payForFailure brings what an address paid up to the cost of a failed
// authentication.
func (s *Service) payForFailure(ctx context.Context, from Origin, now UnixMilli, paid float64) {
	s.owe(ctx, now, s.addressCharge(from, max(0, s.cfg.Rates.FailureCost-paid)))
}

// authError maps identity's errors; their sentences are safe for clients.
func authError(err error) error {
	switch {
	case errors.Is(err, identity.ErrTokenExpired):
		return &Error{Code: CodeTokenExpired, Detail: err.Error(), Cause: err}
	case errors.Is(err, identity.ErrKey):
		return &Error{Code: CodeInvalidArgument, Detail: err.Error(), Cause: err}
	case errors.Is(err, identity.ErrIssuerUnavailable):
		return &Error{Code: CodeUnavailable, Detail: err.Error(), RetryAfter: refreshEvery, Cause: err}
	}
	return &Error{Code: CodeUnauthenticated, Detail: err.Error(), Cause: err}
}

// Renew implements Session. It asks for no proof: the session has shown already
// that it holds the identity's key, where that is asked for.
func (s *session) Renew(ctx context.Context, token string) (UnixMilli, error) {
	var expires UnixMilli
	err := s.do(ctx, opRenew, ChannelID{}, func(c *call) error {
		t, err := s.node.verify(ctx, s.origin, token, c.now)
		switch CodeOf(err) {
		case "":
		case CodeUnauthenticated, CodeTokenExpired: // recorded with the operation
			s.node.payForFailure(ctx, s.origin, c.now, policies[opRenew].cost)
			return err
		default:
			return err
		}
		if t.Identity != s.id {
			return Errorf(CodePermissionDenied, "the new token belongs to another identity")
		}
		s.token.Store(&t)
		expires = Milli(t.ExpiresAt)
		return nil
	})
	return expires, err
}
