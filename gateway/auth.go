package gateway

import (
	"net/http"
	"time"

	"github.com/quicproquo/node/nodeservice"
)

// openHandler serves a request that needs no session.
type openHandler func(w http.ResponseWriter, r *http.Request) error

// sessionHandler serves a request of the identity that the session holds.
type sessionHandler func(w http.ResponseWriter, r *http.Request, s nodeservice.Session) error

// open makes a handler of h: its error becomes a problem.
func (g *Gateway) open(h openHandler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := h(w, r); err != nil {
			g.fail(w, r, err)
		}
	}
}

// as makes a handler of h, called with the session of the request's access token.
func (g *Gateway) as(h sessionHandler) http.HandlerFunc {
	return g.open(func(w http.ResponseWriter, r *http.Request) error {
		if err := acceptable(r); err != nil {
			return err
		}
		token, err := accessToken(r)
		if err != nil {
			return err
		}
		s, err := g.authenticate(r, token)
		if err != nil {
			return err
		}
		defer s.Close()
		return h(w, r, s)
	})
}

// authenticate opens the session of a token, and of the proof of possession that
// came with it in the same request.
func (g *Gateway) authenticate(r *http.Request, token string) (nodeservice.Session, error) {
	proof, err := g.proof(r)
	if err != nil {
		return nil, err
	}
	from := g.origin(r)
	from.Proof = proof
	return g.node.Authenticate(r.Context(), from, token)
}

func (g *Gateway) challenge(w http.ResponseWriter, r *http.Request) error {
	if err := acceptable(r); err != nil {
		return err
	}
	var id nodeservice.Identity
	if err := g.readJSON(w, r, smallBody, must("identity", identityField(&id))); err != nil {
		return err
	}
	c, err := g.node.Challenge(r.Context(), g.origin(r), id)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, struct {
		Nonce     octets    `json:"nonce"`
		Audience  string    `json:"audience"`
		ExpiresAt timestamp `json:"expires_at"`
	}{c.Nonce, c.Audience, timestamp(c.ExpiresAt)})
}

func (g *Gateway) login(w http.ResponseWriter, r *http.Request) error {
	if err := acceptable(r); err != nil {
		return err
	}
	var req nodeservice.LoginRequest
	err := g.readJSON(w, r, smallBody,
		must("identity", identityField(&req.Identity)),
		must("nonce", bytesField(&req.Nonce)),
		must("signature", bytesField(&req.Signature)),
		may("revoke_older", boolField(&req.RevokeOlder)))
	if err != nil {
		return err
	}
	l, err := g.node.Login(r.Context(), g.origin(r), req)
	if err != nil {
		return err
	}
	defer l.Session.Close()
	return writeJSON(w, http.StatusOK, struct {
		AccessToken string `json:"access_token"`
		TokenType   string `json:"token_type"`
		ExpiresIn   int64  `json:"expires_in"` // seconds
	}{l.Token, "Bearer", max(0, int64(time.Until(l.ExpiresAt.Time())/time.Second))})
}

func (g *Gateway) revoke(w http.ResponseWriter, r *http.Request, s nodeservice.Session) error {
	if _, err := query(r); err != nil {
		return err
	}
	if err := s.Revoke(r.Context()); err != nil {
		return err
	}
	writeEmpty(w, http.StatusNoContent)
	return nil
}
