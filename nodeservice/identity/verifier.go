package identity

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
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
	Issuer   string       // iss, exactly
	Audience string       // aud, exactly: one string
	Keys     *SigningKeys // the only keys there are
	Remember int          // how many verified tokens to remember; 0: 16,384
}

// Verifier reads our own tokens as strictly as RFC 8725 asks. It remembers the
// ones that it verified, for as long as they last and there is room: a signature
// costs a hundred times as much as a hash.
type Verifier struct {
	cfg        VerifierConfig              // static after construction
	parser     *jwt.Parser                 // static after construction
	remembered *lru.Cache[[32]byte, Token] // by Token.Hash; locks for itself
}

// NewVerifier panics on an incomplete configuration.
func NewVerifier(cfg VerifierConfig) *Verifier {
	if cfg.Issuer == "" || cfg.Audience == "" || cfg.Keys == nil {
		panic("identity: a Verifier has an issuer, an audience, and keys")
	}
	if cfg.Remember <= 0 {
		cfg.Remember = defaultRemember
	}
	remembered, _ := lru.New[[32]byte, Token](cfg.Remember) // fails on sizes below 1 only
	return &Verifier{
		cfg: cfg,
		// The claims are judged in claims.go, not by the library: its leeway would
		// cover exp, and it rounds times to seconds.
		parser: jwt.NewParser(jwt.WithValidMethods([]string{string(EdDSA)}),
			jwt.WithStrictDecoding(), jwt.WithoutClaimsValidation()),
		remembered: remembered,
	}
}

// Verify returns what the token says, or ErrToken or ErrTokenExpired. That a token
// is valid does not mean that it was not revoked: the caller looks up its hash.
func (v *Verifier) Verify(token string, now time.Time) (Token, error) {
	if len(token) > MaxTokenSize {
		return Token{}, fmt.Errorf("%w: it is longer than 8 KiB", ErrToken)
	}
	hash := sha256.Sum256([]byte(token))
	if t, ok := v.remembered.Get(hash); ok {
		return v.recall(t, now)
	}
	t, err := v.verify(token, now)
	if err != nil {
		return Token{}, err
	}
	t.Hash = hash
	v.remembered.Add(hash, t)
	return t, nil
}

// Forget drops a token from memory, if it is there. It is no revocation: presented
// again, the token is verified again.
func (v *Verifier) Forget(hash [32]byte) { v.remembered.Remove(hash) }

// recall answers from memory. Of all that was checked, only time can undo exp.
func (v *Verifier) recall(t Token, now time.Time) (Token, error) {
	if err := t.expired(now); err != nil {
		v.remembered.Remove(t.Hash)
		return Token{}, err
	}
	return t, nil
}

func (v *Verifier) verify(token string, now time.Time) (Token, error) {
	key, err := v.keyFor(token)
	if err != nil {
		return Token{}, err
	}
	var payload claimBytes
	_, err = v.parser.ParseWithClaims(token, &payload, func(*jwt.Token) (any, error) { return key, nil })
	switch {
	case errors.Is(err, jwt.ErrTokenSignatureInvalid):
		return Token{}, fmt.Errorf("%w: its signature does not verify", ErrToken)
	case err != nil:
		return Token{}, fmt.Errorf("%w: it is malformed", ErrToken)
	}
	return v.judge(payload.raw, now)
}

// keyFor checks the header (RFC 8725, sections 3.1, 3.10, 3.11) and finds the key
// that it names in our set; nothing in a token is ever a key or leads to one.
func (v *Verifier) keyFor(token string) (ed25519.PublicKey, error) {
	segment, _, _ := strings.Cut(token, ".")
	// Go's base64 skips line breaks wherever they are: with them, one token would
	// have many hashes, and a revoked one could come back as another.
	if strings.ContainsAny(token, "\r\n") {
		return nil, fmt.Errorf("%w: it contains white space", ErrToken)
	}
	raw, _ := decodeText(segment)
	header, err := parseObject(raw)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: its header is malformed", ErrToken)
	case header.has("jwk", "jku", "x5u", "x5c", "crit"):
		return nil, fmt.Errorf("%w: its header has one of jwk, jku, x5u, x5c, crit", ErrToken)
	case header.text("alg") != string(EdDSA):
		return nil, fmt.Errorf("%w: its alg is not EdDSA", ErrToken)
	case header.text("typ") != tokenType:
		return nil, fmt.Errorf("%w: its typ is not %s", ErrToken, tokenType)
	}
	key := v.cfg.Keys.public(header.text("kid"))
	if key == nil {
		return nil, fmt.Errorf("%w: its kid is none of this server's", ErrToken)
	}
	return key, nil
}

// claimBytes takes a token's claims out of the library as they are; the embedded
// claims only satisfy its interface.
type claimBytes struct {
	jwt.MapClaims
	raw []byte
}

// UnmarshalJSON copies: the bytes are the decoder's.
func (c *claimBytes) UnmarshalJSON(data []byte) error {
	c.raw = append(json.RawMessage(nil), data...)
	return nil
}
