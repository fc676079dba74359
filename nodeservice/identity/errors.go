package identity

import "errors"

// Every error this package returns wraps exactly one of these; callers tell them
// apart with errors.Is. The text of an error is a sentence that is safe for
// clients: it says what to mend, and quotes nothing that was sent.
var (
	// ErrKey: the bytes are no identity (ParseKey), or no private key of one.
	ErrKey = errors.New("not an identity key")

	// ErrChallenge: the nonce is not one that was issued to this identity.
	ErrChallenge = errors.New("not a challenge for this identity")

	// ErrChallengeExpired: the nonce was issued to this identity, too long ago.
	ErrChallengeExpired = errors.New("the challenge has expired")

	// ErrSignature: a login's signature does not verify.
	ErrSignature = errors.New("the login signature does not verify")

	// ErrToken: the token is malformed, not ours, or not for us.
	ErrToken = errors.New("the token is not valid")

	// ErrTokenExpired: the token was valid, and its time has passed.
	ErrTokenExpired = errors.New("the token has expired")

	// ErrSigningKeys: a file of token signing keys cannot be used. It is for
	// operators; no client input leads to it.
	ErrSigningKeys = errors.New("not a set of token signing keys")
)
