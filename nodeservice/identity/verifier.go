package identity

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
)

const (
	// MaxTokenSize bounds a token, in bytes, before anything of it is parsed.
	MaxTokenSize = 8 << 10

	// clockLeeway is how far iat and nbf may lie ahead of our clock. There is none
	// on exp: a session never outlives its token.
	clockLeeway = 30 * time.Second

	defaultRemember = 16384
)

// VerifierConfig says which tokens a Verifier takes.
type VerifierConfig struct {
	Issuer   string         // iss of our own, exactly
	Audience string         // aud of our own, exactly: one string
	Keys     *SigningKeys   // the only keys of our own
	External []IssuerPolicy // other issuers, each with keys of its own
	Remember int            // how many verified tokens to remember; 0: 16,384
	Log      *slog.Logger   // told when an issuer's keys cannot be loaded; nil: discarded
}

// Validate says what to mend; it is ErrIssuers if an external issuer is the cause.
func (c VerifierConfig) Validate() error {
	if c.Issuer == "" || c.Audience == "" || c.Keys == nil {
		return errors.New("identity: a Verifier has an issuer, an audience, and keys")
	}
	seen := map[string]bool{c.Issuer: true}
	for _, p := range c.External {
		if err := p.Validate(); err != nil {
			return err
		}
		if seen[p.Issuer] {
			return fmt.Errorf("%w: %q is there twice, or is this server", ErrIssuers, p.Issuer)
		}
		seen[p.Issuer] = true
	}
	return nil
}

// Verifier reads tokens as strictly as RFC 8725 asks. It remembers the ones that
// it verified, for as long as they last, their key is trusted, and there is room:
// a signature costs a hundred times as much as a hash.
//
// With external issuers it loads keys, in goroutines that end within 5 s or by
// Close.
type Verifier struct {
	trusted    map[string]*trust           // by iss; static after construction
	sources    []*keySource                // of the external ones; static after construction
	remembered *lru.Cache[[32]byte, Token] // by the hash of the text; locks for itself
}

// NewVerifier panics on a configuration that Validate refuses. It loads no keys
// yet: Refresh does, or the first token that needs them.
func NewVerifier(cfg VerifierConfig) *Verifier {
	if err := cfg.Validate(); err != nil {
		panic(err)
	}
	if cfg.Remember <= 0 {
		cfg.Remember = defaultRemember
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	remembered, _ := lru.New[[32]byte, Token](cfg.Remember) // fails on sizes below 1 only
	own := &trust{issuer: cfg.Issuer, audience: cfg.Audience, typ: tokenType, algorithms: []Algorithm{EdDSA}, keys: cfg.Keys}
	v := &Verifier{trusted: map[string]*trust{cfg.Issuer: own}, remembered: remembered}
	for _, p := range cfg.External {
		source := newKeySource(p, cfg.Log)
		v.sources = append(v.sources, source)
		v.trusted[p.Issuer] = p.trust(source)
	}
	return v
}

// Verify returns what the token says, or ErrToken, ErrTokenExpired or
// ErrIssuerUnavailable. Only a token whose key is unknown waits for its issuer, at
// most until ctx ends. That a token is valid does not mean that it was not
// revoked: the caller looks up its hash.
func (v *Verifier) Verify(ctx context.Context, token string, now time.Time) (Token, error) {
	if len(token) > MaxTokenSize {
		return Token{}, fmt.Errorf("%w: it is longer than 8 KiB", ErrToken)
	}
	text := sha256.Sum256([]byte(token))
	if t, ok := v.remembered.Get(text); ok {
		if t, err := v.recall(ctx, t, now); err == nil {
			return t, nil
		}
		v.remembered.Remove(text) // and find out why
	}
	t, err := v.verify(ctx, token, now)
	if err != nil {
		return Token{}, err
	}
	v.remembered.Add(text, t)
	return t, nil
}

// Forget drops a token from memory, if it is there by that hash. It is no
// revocation: presented again, the token is verified again.
func (v *Verifier) Forget(hash [32]byte) { v.remembered.Remove(hash) }

// StillTrusted reports whether the key that signed a verified token is still among
// its issuer's, and the issuer still trusted. It says nothing of the token's time,
// and costs no more than two look-ups: sessions ask it again and again.
func (v *Verifier) StillTrusted(t Token) bool {
	by := v.trusted[t.Issuer]
	return by != nil && by.keys.holds(t.Signer)
}

// Refresh loads the keys of those external issuers that are due, all at once, and
// waits for them until ctx ends. Its error, ErrIssuers, is for operators. Tokens
// cause the same; but where sessions live long and tokens seldom come, only
// Refresh, called every few seconds, finds out that a key was withdrawn.
func (v *Verifier) Refresh(ctx context.Context, now time.Time) error {
	flights := make([]*flight, len(v.sources))
	for i, source := range v.sources {
		flights[i] = source.refresh(now, source.age())
	}
	var all error
	for _, f := range flights {
		if err := f.wait(ctx); err != nil {
			all = errors.Join(all, fmt.Errorf("%w: %w", ErrIssuers, err))
		}
	}
	return all
}

// Close ends the loads under way and waits for them. It may be called twice.
func (v *Verifier) Close() error {
	for _, source := range v.sources {
		source.close()
	}
	return nil
}

// recall answers from memory. Of all that was checked, time can undo exp, and the
// issuer the key.
func (v *Verifier) recall(ctx context.Context, t Token, now time.Time) (Token, error) {
	if err := t.expired(now); err != nil {
		return Token{}, err
	}
	v.trusted[t.Issuer].keys.freshen(ctx, now)
	if !v.StillTrusted(t) {
		return Token{}, fmt.Errorf("%w: its key was withdrawn", ErrToken)
	}
	return t, nil
}

// verify takes the unverified iss only to choose whose rules, and whose keys,
// apply; judge compares it again.
func (v *Verifier) verify(ctx context.Context, token string, now time.Time) (Token, error) {
	parsed, err := parseCompact(token)
	if err != nil {
		return Token{}, fmt.Errorf("%w: it is %s", ErrToken, err)
	}
	by := v.trusted[parsed.claims.text("iss")]
	if by == nil {
		return Token{}, fmt.Errorf("%w: its iss is none that this server trusts", ErrToken)
	}
	signer, err := by.verify(ctx, parsed, now)
	if err != nil {
		return Token{}, err
	}
	t, err := by.judge(parsed.claims, now)
	if err != nil {
		return Token{}, err
	}
	t.Signer, t.Hash = signer, parsed.name(signer.Algorithm)
	return t, nil
}
