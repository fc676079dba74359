package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/identity"
)

// expiryMargin is how long before its expiry a token is not worth trying.
const expiryMargin = 2 * time.Second

// expiryWarning is how long before a token's end the node warns its streams.
const expiryWarning = time.Minute

// client is one identity at one node. It logs in by itself, when there is no
// token and when the node no longer takes the one that there is.
type client struct {
	node     nodeservice.Node
	file     stateFile
	via      server
	private  *identity.PrivateKey
	audience string

	token     string                // owned by the command's goroutine
	expiresAt nodeservice.UnixMilli // owned by the command's goroutine
	lifetime  time.Duration         // of tokens, as the last login had it; owned by the command's goroutine
	session   nodeservice.Session   // owned by the command's goroutine; nil: none yet
}

// takeToken takes the state's token, if it is for the audience that this server
// was configured for; else only a login makes the state that audience's.
func (c *client) takeToken(s *state) error {
	if s.Audience != c.audience {
		return nil
	}
	c.token, c.expiresAt = s.Token, s.TokenExpiresAt
	if slices.Contains(s.Servers, c.via.text) {
		return nil
	}
	return c.file.update(func(s *state) error {
		s.configure(c.audience, c.via)
		return nil
	})
}

// do calls operation with a session. If the token was not good (any more), it
// logs in and calls once more: the node did nothing the first time.
func (c *client) do(ctx context.Context, operation func(nodeservice.Session) error) error {
	fresh, err := c.ensureSession(ctx)
	if err == nil {
		err = operation(c.session)
	}
	if fresh || !staleToken(err) {
		return err
	}
	if err := c.login(ctx, false); err != nil {
		return err
	}
	return operation(c.session)
}

func staleToken(err error) bool {
	code := nodeservice.CodeOf(err)
	return code == nodeservice.CodeTokenExpired || code == nodeservice.CodeUnauthenticated
}

// ensureSession opens a session with the token that we have, or logs in; fresh
// says that it logged in.
func (c *client) ensureSession(ctx context.Context) (fresh bool, err error) {
	if c.session != nil {
		return false, nil
	}
	if c.token == "" || time.Now().Add(expiryMargin).After(c.expiresAt.Time()) {
		return true, c.login(ctx, false)
	}
	c.session, err = c.node.Authenticate(ctx, nodeservice.Origin{}, c.token)
	return false, err
}

// login proves that we hold the identity's key, and keeps the token.
func (c *client) login(ctx context.Context, revokeOlder bool) error {
	login, err := c.newToken(ctx, revokeOlder)
	if err != nil {
		return err
	}
	c.close()
	c.session = login.Session
	return nil
}

// newToken signs for the audience that we were configured for. A node that
// takes itself for another could not verify that; and if it asks us to sign for
// another, it may be passing that node's challenge on.
func (c *client) newToken(ctx context.Context, revokeOlder bool) (nodeservice.Login, error) {
	id := c.private.Public()
	challenge, err := c.node.Challenge(ctx, nodeservice.Origin{}, id)
	if err != nil {
		return nodeservice.Login{}, err
	}
	if challenge.Audience != c.audience {
		return nodeservice.Login{}, fmt.Errorf("refused to log in: the server says that it is %q, and we are configured for %q; if you trust that this is right, say --audience %q",
			challenge.Audience, c.audience, challenge.Audience)
	}
	signature, err := c.private.Sign(identity.LoginMessage(c.audience, id, challenge.Nonce))
	if err != nil {
		return nodeservice.Login{}, err
	}
	login, err := c.node.Login(ctx, nodeservice.Origin{}, nodeservice.LoginRequest{
		Identity: id, Nonce: challenge.Nonce, Signature: signature, RevokeOlder: revokeOlder,
	})
	if err != nil {
		return nodeservice.Login{}, err
	}
	c.token, c.expiresAt = login.Token, login.ExpiresAt
	c.lifetime = time.Until(login.ExpiresAt.Time())
	return login, c.file.update(func(s *state) error {
		s.configure(c.audience, c.via)
		s.Token, s.TokenExpiresAt = login.Token, login.ExpiresAt
		return nil
	})
}

// renew gives the open session, and its streams, a new token. Where tokens live
// hardly longer than the warning before their end, each new one would bring the
// next warning at once: there the stream may end, and is opened again.
func (c *client) renew(ctx context.Context) error {
	if c.lifetime < 2*expiryWarning {
		return nil
	}
	login, err := c.newToken(ctx, false)
	if err != nil {
		return err
	}
	_, err = c.session.Renew(ctx, login.Token)
	if login.Session != nil {
		_ = login.Session.Close() // the new token has a session of its own, which nobody needs
	}
	return err
}

// close ends the session, not the token.
func (c *client) close() {
	if c.session != nil {
		_ = c.session.Close()
		c.session = nil
	}
}
