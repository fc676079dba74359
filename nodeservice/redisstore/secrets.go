package redisstore

import (
	"context"
	_ "embed"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// Secrets are what all nodes of a Redis know and nobody else may: what signs our
// tokens, and what challenges, accounts and pseudonyms are keyed by. Each is a
// key of its own, qpq:secret:NAME, without an expiry. Whoever can read this Redis
// can mint tokens for every identity; who can write it can do so unnoticed.
type Secrets struct{ client *Client }

//go:embed scripts/replace.lua
var replaceText string

var replaceScript = redis.NewScript(replaceText)

// NewSecrets are those in client's Redis.
func NewSecrets(client *Client) *Secrets { return &Secrets{client} }

// ErrNoSecret says that a secret was never made, or was lost.
var ErrNoSecret = errors.New("this Redis holds no such secret")

// Read returns a secret.
func (s *Secrets) Read(ctx context.Context, name string) ([]byte, error) {
	secret, err := s.client.Get(ctx, secretKey(name)).Bytes()
	if errors.Is(err, redis.Nil) {
		return nil, fmt.Errorf("%w: %s", ErrNoSecret, name)
	}
	return secret, err
}

// ReadOrCreate returns a secret, and makes it if there is none. Of nodes that
// start at once one makes it, and all return that one.
func (s *Secrets) ReadOrCreate(ctx context.Context, name string, create func() ([]byte, error)) ([]byte, error) {
	secret, err := s.Read(ctx, name)
	if !errors.Is(err, ErrNoSecret) {
		return secret, err
	}
	fresh, err := create()
	if err != nil {
		return nil, err
	}
	if err := s.client.SetNX(ctx, secretKey(name), fresh, 0).Err(); err != nil {
		return nil, err
	}
	return s.Read(ctx, name)
}

// Replace puts a secret in the place of another, unless somebody else has.
func (s *Secrets) Replace(ctx context.Context, name string, old, fresh []byte) (done bool, err error) {
	return replaceScript.Run(ctx, s.client, []string{secretKey(name)}, old, fresh).Bool()
}

func secretKey(name string) string { return "qpq:secret:" + name }
