package main

import (
	"context"

	"github.com/quicproquo/node/nodeservice/identity"
)

// keygenCommand makes an identity.
type keygenCommand struct {
	P256 bool `name:"p256" help:"A P-256 key (cipher suite 2) instead of an Ed25519 key."`
}

// Run never replaces an identity: its peers would be lost with it.
func (k *keygenCommand) Run(a *app) error {
	algorithm := identity.EdDSA
	if k.P256 {
		algorithm = identity.ES256
	}
	private, err := identity.GenerateKey(algorithm)
	if err != nil {
		return err
	}
	der, err := private.MarshalBinary()
	if err != nil {
		return err
	}
	if err := a.file().create(&state{PrivateKey: der}); err != nil {
		return err
	}
	return a.printIdentity(private.Public())
}

// whoamiCommand prints the identity.
type whoamiCommand struct{}

// Run asks no node.
func (*whoamiCommand) Run(a *app) error {
	s, err := a.file().load()
	if err != nil {
		return err
	}
	private, err := s.private()
	if err != nil {
		return err
	}
	return a.printIdentity(private.Public())
}

func (a *app) printIdentity(id identity.Key) error {
	return a.out().print(object{"identity": id.String()}, "%s", id)
}

// loginCommand logs in.
type loginCommand struct {
	RevokeOlder bool `help:"Void the identity's earlier tokens, on whatever device they are."`
}

// Run logs in even if there is a token.
func (l *loginCommand) Run(ctx context.Context, a *app) error {
	c, err := a.client(ctx)
	if err != nil {
		return err
	}
	if err := c.login(ctx, l.RevokeOlder); err != nil {
		return err
	}
	return a.out().print(
		object{"identity": c.private.Public().String(), "audience": c.audience, "expires_at": timeText(c.expiresAt)},
		"logged in to %s until %s", c.audience, timeText(c.expiresAt))
}
