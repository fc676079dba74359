package identity

import "fmt"

// loginPrefix separates logins from everything else that an MLS signature key
// signs. It can begin no MLS SignContent (RFC 9420, section 5.1.2), no JWS signing
// input (RFC 7515, section 5.1) and no TLS CertificateVerify (RFC 8446, section
// 4.4.3); a test pins that.
const loginPrefix = "quicproquo login v1"

// LoginMessage returns what a client signs to log in:
//
//	"quicproquo login v1" 00 audience 00 identity nonce
//
// The audience is the one that the client was configured for, never one that it
// was merely told, and contains no NUL; a key's size and a nonce's are fixed, so
// no two logins share a message.
func LoginMessage(audience string, id Key, nonce []byte) []byte {
	message := make([]byte, 0, len(loginPrefix)+1+len(audience)+1+len(id.raw)+len(nonce))
	message = append(message, loginPrefix...)
	message = append(message, 0)
	message = append(message, audience...)
	message = append(message, 0)
	message = append(message, id.raw...)
	return append(message, nonce...)
}

// CheckLogin verifies a client's signature over its LoginMessage, and nothing
// else: the nonce goes through Challenger.Check, and must be spent once by whoever
// keeps state. The error is ErrSignature.
func CheckLogin(audience string, id Key, nonce, signature []byte) error {
	if len(signature) != signatureSize {
		return fmt.Errorf("%w: a signature has 64 bytes (ECDSA: raw r and s, not DER); this has %d", ErrSignature, len(signature))
	}
	if !id.Verify(LoginMessage(audience, id, nonce), signature) {
		return fmt.Errorf("%w: is it by this identity, over this nonce, for this server's audience?", ErrSignature)
	}
	return nil
}
