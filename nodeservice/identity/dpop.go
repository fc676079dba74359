package identity

import (
	"crypto/sha256"
	"fmt"
	"net/url"
	"strings"
	"time"
)

const (
	// ProofLifetime is how long after its iat a proof can be used.
	ProofLifetime = 60 * time.Second

	// proofLeeway is how far its iat may lie ahead of our clock.
	proofLeeway = 5 * time.Second

	proofType    = "dpop+jwt"
	maxProofSize = 8 << 10 // bytes
	maxProofID   = 256     // bytes of jti
)

// ProofTarget is the request that a proof must be made for.
type ProofTarget struct {
	Method string       // htm, exactly
	URL    string       // htu: http or https, absolute; query and fragment do not count
	Token  string       // the access token beside it, whose hash is ath; "": none, at login
	Key    Key          // the token's Identity, or the one that logs in
	Nonces *NonceSource // whose nonces it must carry; nil: none are asked for
}

// Proof is what a checked proof leaves to its caller: to see that it comes once.
type Proof struct {
	ID         [32]byte  // SHA-256 over its key's thumbprint (jkt) and its jti
	FreshUntil time.Time // from here on CheckProof refuses it: the ID can be forgotten
}

// CheckProof checks a DPoP proof against the request that it came with (RFC 9449,
// section 4.3), by the same strict reader that tokens have. It is ErrProof, or
// ErrProofNonce if all is well but the nonce. Replay is for the caller to refuse:
// it spends the Proof's ID, on all nodes together.
func CheckProof(proof string, want ProofTarget, now time.Time) (Proof, error) {
	if len(proof) > maxProofSize {
		return Proof{}, fmt.Errorf("%w: it is longer than 8 KiB", ErrProof)
	}
	parsed, err := parseCompact(proof)
	if err != nil {
		return Proof{}, fmt.Errorf("%w: it is %s", ErrProof, err)
	}
	if err := want.checkKey(parsed); err != nil {
		return Proof{}, err
	}
	if err := want.checkRequest(parsed.claims); err != nil {
		return Proof{}, err
	}
	checked, err := want.checkFresh(parsed.claims, now)
	if err != nil {
		return Proof{}, err
	}
	if want.Nonces != nil && !want.Nonces.Check(parsed.claims.text("nonce"), now) {
		return Proof{}, fmt.Errorf("%w: repeat the request with the nonce of this answer", ErrProofNonce)
	}
	return checked, nil
}

// checkKey holds the header against the token's key, and verifies the signature.
// The proof's own jwk is compared, and never used: it is the token that says whose
// key it must be.
func (want ProofTarget) checkKey(c compact) error {
	switch {
	case c.header.text("typ") != proofType:
		return fmt.Errorf("%w: its typ is not %s", ErrProof, proofType)
	case want.Key.IsZero() || c.header.text("alg") != string(want.Key.Algorithm()):
		return fmt.Errorf("%w: its alg does not fit the token's key", ErrProof)
	case !want.Key.isDescribedBy(c.header.object("jwk")):
		return fmt.Errorf("%w: its jwk is not the token's key, public and without foreign members", ErrProof)
	case !want.Key.Verify([]byte(c.input), c.signature):
		return fmt.Errorf("%w: its signature does not verify", ErrProof)
	}
	return nil
}

func (want ProofTarget) checkRequest(claims object) error {
	hash := sha256.Sum256([]byte(want.Token))
	asked, ok1 := normalURL(want.URL)
	proven, ok2 := normalURL(claims.text("htu"))
	switch {
	case want.Method == "" || claims.text("htm") != want.Method:
		return fmt.Errorf("%w: its htm is not the method of this request", ErrProof)
	case !ok1 || !ok2 || asked != proven:
		return fmt.Errorf("%w: its htu is not the URL of this request", ErrProof)
	case want.Token != "" && claims.text("ath") != encodeText(hash[:]):
		return fmt.Errorf("%w: its ath is not the hash of this request's token", ErrProof)
	}
	return nil
}

func (want ProofTarget) checkFresh(claims object, now time.Time) (Proof, error) {
	issued, ok := claims.time("iat")
	if !ok {
		return Proof{}, fmt.Errorf("%w: its iat is not a number of seconds with at most three decimals", ErrProof)
	}
	p := Proof{FreshUntil: issued.Add(ProofLifetime)}
	id := claims.text("jti")
	switch {
	case issued.After(now.Add(proofLeeway)):
		return Proof{}, fmt.Errorf("%w: its iat lies in the future; is the clock right?", ErrProof)
	case !now.Before(p.FreshUntil):
		return Proof{}, fmt.Errorf("%w: its iat lies too long ago; make one for each request", ErrProof)
	case id == "" || len(id) > maxProofID:
		return Proof{}, fmt.Errorf("%w: its jti is not a string of 1 to %d bytes", ErrProof, maxProofID)
	}
	thumbprint := want.Key.thumbprint() // of fixed size: no two pairs share a hash
	p.ID = sha256.Sum256(append(thumbprint[:], id...))
	return p, nil
}

// isDescribedBy reports whether a JWK is this public key, in its one spelling, and
// nothing that contradicts it.
func (k Key) isDescribedBy(members object) bool {
	key, err := parseDescribedJWK(members)
	return err == nil && key == k
}

// target is what of a URL an htu names (RFC 9449, section 4.2), normalised by its
// scheme (RFC 3986, section 6.2.3). Percent-encodings are compared as they are.
type target struct{ scheme, host, port, path string }

func normalURL(text string) (target, bool) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil {
		return target{}, false
	}
	t := target{scheme: u.Scheme, host: strings.ToLower(u.Hostname()), port: u.Port(), path: u.EscapedPath()}
	if t.port == "" {
		t.port = map[string]string{"http": "80", "https": "443"}[t.scheme]
	}
	if t.path == "" {
		t.path = "/"
	}
	return t, t.port != "" && t.host != "" && (t.scheme == "http" || t.scheme == "https")
}
