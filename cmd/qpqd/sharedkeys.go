package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/quicproquo/node/nodeservice/identity"
	"github.com/quicproquo/node/nodeservice/redisstore"
)

// The secrets that nodes share in Redis, by their names there.
const (
	sharedSecret = "installation" // as secretFile
	sharedKeys   = "token-keys"   // as keysFile
)

// keysPatience bounds a look at the shared keys.
const keysPatience = 5 * time.Second

// sharedKeySet is the set of the keys that sign our tokens, kept in Redis for all
// nodes. A running node looks at it each second; `qpqd token rotate` replaces it.
type sharedKeySet struct {
	secrets *redisstore.Secrets
	log     *slog.Logger
	keys    *identity.SigningKeys // the same for good; its set is replaced by look
	last    []byte                // owned by look: what was last read
	away    bool                  // owned by look: the last look failed
}

// openSharedKeys reads the keys; the first node of all makes them.
func openSharedKeys(ctx context.Context, secrets *redisstore.Secrets, log *slog.Logger) (*sharedKeySet, error) {
	data, err := secrets.ReadOrCreate(ctx, sharedKeys, newTokenKeys)
	if err != nil {
		return nil, fmt.Errorf("token keys: %w", err)
	}
	keys, err := identity.ParseSigningKeys(data)
	if err != nil {
		return nil, fmt.Errorf("token keys in Redis: %w", err)
	}
	return &sharedKeySet{secrets: secrets, log: log, keys: keys, last: data}, nil
}

func (s *sharedKeySet) signingKeys() *identity.SigningKeys { return s.keys }

// look takes over keys that changed. Those that are missing or unusable change
// nothing: to forget all keys would log everybody out.
func (s *sharedKeySet) look(ctx context.Context) {
	bounded, cancel := context.WithTimeout(ctx, keysPatience)
	defer cancel()
	data, err := s.secrets.Read(bounded, sharedKeys)
	if err != nil {
		if !s.away && ctx.Err() == nil {
			s.log.Warn("the shared token keys cannot be read, going on with those at hand", "cause", err)
		}
		s.away = true
		return
	}
	s.away = false
	if bytes.Equal(data, s.last) {
		return
	}
	s.last = data
	keys, err := identity.ParseSigningKeys(data)
	if err != nil {
		s.log.Warn("the shared token keys changed and cannot be used, going on with those before", "err", err)
		return
	}
	s.keys.Replace(keys)
	s.log.Info("token keys read again")
}

// readSharedKeys is for commands beside the nodes.
func readSharedKeys(ctx context.Context, address secretURL) (keys *identity.SigningKeys, err error) {
	err = withSecrets(address, func(secrets *redisstore.Secrets) error {
		data, err := secrets.Read(ctx, sharedKeys)
		if err == nil {
			keys, err = identity.ParseSigningKeys(data)
		}
		return err
	})
	return keys, err
}

// rotateSharedKeys adds a key that signs from now+lead on. When others rotate at the
// same time, all but one of them begin anew.
func rotateSharedKeys(ctx context.Context, address secretURL, now time.Time, lead, keep time.Duration) error {
	return withSecrets(address, func(secrets *redisstore.Secrets) error {
		for range 10 {
			old, err := secrets.Read(ctx, sharedKeys)
			if err != nil {
				return err
			}
			keys, err := identity.ParseSigningKeys(old)
			if err != nil {
				return err
			}
			if keys, err = keys.Rotate(now, lead, keep); err != nil {
				return err
			}
			if done, err := secrets.Replace(ctx, sharedKeys, old, keys.Marshal()); err != nil || done {
				return err
			}
		}
		return errors.New("others rotate the keys at the same time; try again")
	})
}

func withSecrets(address secretURL, do func(*redisstore.Secrets) error) error {
	client, err := redisstore.Connect(string(address))
	if err != nil {
		return usageError{fmt.Errorf("--redis-url: %w", err)}
	}
	if err := do(redisstore.NewSecrets(client)); err != nil {
		_ = client.Close() // it was only asked
		return fmt.Errorf("token keys in Redis: %w", err)
	}
	return client.Close()
}
