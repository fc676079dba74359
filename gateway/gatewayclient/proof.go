package gatewayclient

import (
	"context"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync/atomic"

	"github.com/quicproquo/node/nodeservice/identity"
)

// prover makes the proofs of possession (DPoP, RFC 9449) of a Client's requests.
type prover struct {
	key   identity.ProofKey      // static after construction; nil: tokens go as bearer tokens
	nonce atomic.Pointer[string] // the server's latest; nil: it gave none
}

// authorize gives a request its token and, with a key, a proof of its own. The
// htu of an upgrade is its http or https URL, as the server sees it.
func (c *Client) authorize(header http.Header, method, url, token string) error {
	switch {
	case token == "":
		return nil
	case c.proofs.key == nil:
		header.Set("Authorization", "Bearer "+token)
		return nil
	}
	nonce := ""
	if latest := c.proofs.nonce.Load(); latest != nil {
		nonce = *latest
	}
	target := identity.ProofTarget{Method: method, URL: url, Token: token}
	proof, err := identity.MakeProof(c.proofs.key, target, nonce, c.now())
	if err != nil {
		return err
	}
	header.Set("Authorization", "DPoP "+token)
	header.Set("DPoP", proof)
	return nil
}

// noteNonce keeps the nonce of an answer; any answer may bring one (RFC 9449 section 8.2).
func (p *prover) noteNonce(resp *http.Response) {
	if nonce := resp.Header.Get("DPoP-Nonce"); nonce != "" {
		p.nonce.Store(&nonce)
	}
}

// nonceWanted is the nonce that a refused request is to be repeated with (RFC 9449
// section 8); "": it was not refused for want of one.
func nonceWanted(resp *http.Response) string {
	if resp.StatusCode != http.StatusUnauthorized {
		return ""
	}
	for _, challenge := range resp.Header.Values("WWW-Authenticate") {
		if strings.Contains(challenge, "use_dpop_nonce") {
			return resp.Header.Get("DPoP-Nonce")
		}
	}
	return ""
}

// tryProven tries, and tries once more if the proof was refused for one of two reasons: it
// lacked the nonce that came with the refusal; or net/http, on finding that a kept
// connection was closed, sent the same proof twice, and its first copy was spent. A
// request that is refused for its proof has no effect, so every call may be repeated.
func (c *Client) tryProven(ctx context.Context, try func(context.Context) outcome) outcome {
	if c.proofs.key == nil {
		return try(ctx)
	}
	sent := new(atomic.Int32)
	traced := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteHeaders: func() { sent.Add(1) }})
	o := try(traced)
	if o.status == http.StatusUnauthorized && (o.err.Nonce != "" || sent.Load() > 1) {
		return try(ctx)
	}
	return o
}
