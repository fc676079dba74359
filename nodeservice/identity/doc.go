// Package identity says who a client is: a challenge goes out, a signature comes
// back, a token (JWT) goes out; later the token comes back, and a key comes out.
// Tokens may also come from external issuers, whose keys it keeps up to date, and
// with a proof that the client holds the key (DPoP).
//
// An identity is a client's MLS signature public key (RFC 9420, section 5.1.1),
// raw. It is the account: there are no user names, and this package keeps no
// accounts. It is not for deciding what an identity may do, nor for remembering
// which nonces and proofs were used or which tokens were revoked: that is state,
// which nodes share, and it belongs to the core's store.
//
// Promises: a Key that came from ParseKey or from a verified Token is well formed
// (see ParseKey), and two Keys are equal exactly if their bytes are. Challenges
// need no memory. A token has one spelling only, so that its hash names it. No
// error text contains a key, a nonce, or any part of a token. A token is believed
// only while the key that signed it is among its issuer's, remembered or not.
//
// Everything here is safe for concurrent use, and takes the time as an argument.
// Only a Verifier with external issuers starts goroutines; Close waits for them.
package identity
