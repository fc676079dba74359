package identity

import "errors"

// Every error this package returns wraps exactly one of these; callers tell them
// apart with errors.Is. The text of an error is a sentence that is safe for
// clients: it says what to mend, and quotes nothing that was sent. Those that are
// for operators say so.
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

	// ErrIssuerUnavailable: the token names an issuer that we trust and a key that
	// we do not have, and the issuer cannot be asked now. It may be valid.
	ErrIssuerUnavailable = errors.New("the keys of the token's issuer cannot be had")

	// ErrProof: the DPoP proof is malformed, or not for this request and token.
	ErrProof = errors.New("the DPoP proof is not valid")

	// ErrProofNonce: the DPoP proof is good but for its nonce; the client repeats
	// the request with the one that the answer gives it (RFC 9449, section 9).
	ErrProofNonce = errors.New("the DPoP proof has no nonce of this server")

	// ErrSigningKeys: a file of token signing keys cannot be used. It is for
	// operators; no client input leads to it.
	ErrSigningKeys = errors.New("not a set of token signing keys")

	// ErrIssuers: an issuer's configuration or its keys cannot be used. It is for
	// operators, and may name files and addresses; no client input leads to it.
	ErrIssuers = errors.New("not a usable token issuer")
)
