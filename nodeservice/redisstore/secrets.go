package redisstore

import (
	"cmp"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"strings"

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

// ErrSecretLost says that a Redis holds what was stored under a secret, and not the
// secret.
var ErrSecretLost = errors.New("this Redis holds data of nodes, but not the secret that they had: it was deleted, or half restored")

// ReadOrFound is ReadOrCreate for a secret without which nothing else may be there:
// it makes one only where the namespace (as in Config) holds nothing yet.
func (s *Secrets) ReadOrFound(ctx context.Context, namespace, name string, create func() ([]byte, error)) ([]byte, error) {
	secret, err := s.Read(ctx, name)
	if !errors.Is(err, ErrNoSecret) {
		return secret, err
	}
	used, err := s.used(ctx, cmp.Or(namespace, defaultNamespace))
	if err != nil {
		return nil, err
	}
	if !used {
		return s.ReadOrCreate(ctx, name, create)
	}
	// Another node may have made it meanwhile, and stored something since.
	if secret, err = s.Read(ctx, name); errors.Is(err, ErrNoSecret) {
		return nil, fmt.Errorf("%w; restore the key %s", ErrSecretLost, secretKey(name))
	}
	return secret, err
}

// used looks for what a store has left in a namespace. Whatever expires has its
// bucket's index; of the rest, a scan comes upon some, unless it lies behind a
// hundred thousand keys of somebody else.
func (s *Secrets) used(ctx context.Context, namespace string) (bool, error) {
	pipe := s.client.Pipeline()
	indexes := make([]*redis.IntCmd, buckets)
	for bucket := range indexes {
		indexes[bucket] = pipe.Exists(ctx, baseIn(namespace, uint32(bucket))+string(keyIndex))
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return false, err
	}
	for _, index := range indexes {
		if index.Val() > 0 {
			return true, nil
		}
	}
	found := false
	err := s.client.masters(ctx, func(ctx context.Context, master redis.Cmdable) error {
		var cursor uint64
		for range 100 {
			keys, next, err := master.Scan(ctx, cursor, globbed(namespace)+"{*", 1000).Result()
			if found = found || len(keys) > 0; err != nil || found || next == 0 {
				return err
			}
			cursor = next
		}
		return nil
	})
	return found, err
}

// globbed is a text as a pattern that matches nothing else.
func globbed(text string) string {
	return strings.NewReplacer("*", "\\*", "?", "\\?", "[", "\\[", "]", "\\]", "\\", "\\\\").Replace(text)
}

// Replace puts a secret in the place of another, unless somebody else has.
func (s *Secrets) Replace(ctx context.Context, name string, old, fresh []byte) (done bool, err error) {
	return replaceScript.Run(ctx, s.client, []string{secretKey(name)}, old, fresh).Bool()
}

func secretKey(name string) string { return "qpq:secret:" + name }
